//! What the clients of a cluster share: an HTTP client, the nodes to ask, and how long each may
//! take, so that one that hangs leaves time for the others.

use std::time::Duration;

use tokio::time::Instant;

use crate::service::address::{Address, AddressError};

const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A try ends so much later than its connecting would: so a try that ends for want of time had a
/// connection, and one that had none says so.
const MARGIN: Duration = Duration::from_millis(10);

/// Why nobody can be asked. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// No node is named.
    #[error("no node to ask: name one with --node, or a cluster file with --config")]
    NoNodes,
    /// A node's address is none.
    #[error("--node: {0}. Nothing was sent")]
    Address(#[from] AddressError),
    /// The HTTP client cannot be had.
    #[error("the HTTP client did not start: {0}; nothing was asked")]
    Http(#[from] reqwest::Error),
}

/// The nodes to ask, the one that is asked next in front.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) http: reqwest::Client,
    /// Their client addresses.
    pub(crate) addresses: Vec<String>,
    /// Each request may take so long.
    pub(crate) timeout: Duration,
    connect_timeout: Duration,
}

/// An HTTP client for nodes of a cluster: a proxy for the outside world does not know them, and
/// they send nobody elsewhere.
pub(crate) fn http_client(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
}

impl Nodes {
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub(crate) fn new(addresses: Vec<String>, timeout: Duration) -> Result<Self, SetUpError> {
        if addresses.is_empty() {
            return Err(SetUpError::NoNodes);
        }
        for address in &addresses {
            address.parse::<Address>()?;
        }
        let connect_timeout = MAX_CONNECT_TIMEOUT.min(share(timeout, addresses.len()) / 2);
        Ok(Self {
            http: http_client(connect_timeout).build()?,
            addresses,
            timeout,
            connect_timeout,
        })
    }

    /// The address of the node that is asked next.
    pub(crate) fn next(&self) -> &str {
        &self.addresses[0]
    }

    /// Another node is asked next.
    pub(crate) fn rotate(&mut self) {
        self.addresses.rotate_left(1);
    }

    /// How long a try that begins now may take: a node that hangs must leave time for the others.
    /// None when there is too little time left to tell whether it would have had a connection.
    pub(crate) fn time_for_a_try(&self, deadline: Instant) -> Option<Duration> {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_enough = left >= self.connect_timeout + MARGIN;
        is_enough.then(|| share(self.timeout, self.addresses.len()).min(left))
    }
}

/// How long one of `nodes` nodes may take to answer.
fn share(timeout: Duration, nodes: usize) -> Duration {
    timeout / (nodes as u32 + 1)
}

/// An error of reqwest with its causes, which it does not print itself.
pub(crate) fn in_full(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
