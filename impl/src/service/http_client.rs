//! What the clients of a cluster share: an HTTP client, the nodes to ask, and how long each may
//! take, so that one that hangs leaves time for the others.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::runtime::sync::Mutex;
use crate::runtime::tls::{Tls, trusts_nobody};
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
    /// There is no cryptography.
    #[error("TLS did not start: {0}; nothing was asked")]
    Tls(#[from] rustls::Error),
}

/// How a client speaks to nodes: in the clear, or in TLS; and the token that it shows.
#[derive(Clone, Debug, Default)]
pub struct Access {
    tls: Option<Arc<ClientConfig>>,
    /// Marked as sensitive: no log shows it.
    token: Option<HeaderValue>,
}

impl Access {
    /// In the clear, without a token.
    pub fn plaintext() -> Self {
        Self::default()
    }

    /// In TLS, believing whom `tls` believes.
    #[must_use]
    pub fn with_tls(mut self, tls: impl Into<Arc<ClientConfig>>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// Showing a token.
    ///
    /// # Errors
    /// In words, when no header could carry it.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| {
            "the token has characters that no HTTP header can carry; nothing was sent".to_owned()
        })?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(self)
    }

    /// Where `path` is at the node of this client address.
    pub fn url(&self, address: &str, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}{path}")
    }

    /// An HTTP client for nodes of a cluster: a proxy for the outside world does not know them, and
    /// they send nobody elsewhere.
    ///
    /// # Errors
    /// When there is no cryptography.
    pub fn client(&self, connect_timeout: Duration) -> Result<reqwest::ClientBuilder, SetUpError> {
        // Always one of ours: reqwest has no cryptography of its own here.
        let tls = match &self.tls {
            Some(tls) => ClientConfig::clone(tls),
            None => trusts_nobody()?,
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        Ok(reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout))
    }
}

/// A node's client of other nodes. It follows the node's credentials as they change.
#[derive(Debug)]
pub(crate) struct NodeClient {
    credentials: Option<Arc<Tls>>,
    timeouts: NodeTimeouts,
    current: Mutex<(Access, reqwest::Client)>,
}

/// How patient a node is with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeTimeouts {
    pub(crate) connect: Duration,
    /// A connection that is idle for so long is closed.
    pub(crate) idle: Duration,
}

impl NodeClient {
    /// With the node's credentials, showing `token` if there is one.
    pub(crate) fn new(
        credentials: Option<Arc<Tls>>,
        token: Option<HeaderValue>,
        timeouts: NodeTimeouts,
    ) -> Result<Self, SetUpError> {
        let tls = credentials.as_ref().map(|tls| tls.for_calls());
        let access = Access { tls, token };
        let http = timeouts.client(&access)?;
        Ok(Self {
            credentials,
            timeouts,
            current: Mutex::new((access, http)),
        })
    }

    /// What to ask with, and how.
    pub(crate) fn current(&self) -> (Access, reqwest::Client) {
        let mut current = self.current.lock();
        let now = self.credentials.as_ref().map(|tls| tls.for_calls());
        let is_changed = match (&now, &current.0.tls) {
            (Some(now), Some(known)) => !Arc::ptr_eq(now, known),
            _ => false,
        };
        if is_changed {
            let access = Access {
                tls: now,
                ..current.0.clone()
            };
            match self.timeouts.client(&access) {
                Ok(http) => *current = (access, http),
                Err(error) => tracing::error!(%error, "the last credentials are used on"),
            }
        }
        current.clone()
    }
}

impl NodeTimeouts {
    fn client(self, access: &Access) -> Result<reqwest::Client, SetUpError> {
        let client = access.client(self.connect)?;
        Ok(client.pool_idle_timeout(self.idle).build()?)
    }
}

/// The nodes to ask, the one that is asked next in front.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    pub(crate) access: Access,
    pub(crate) http: reqwest::Client,
    /// Their client addresses.
    pub(crate) addresses: Vec<String>,
    /// Each request may take so long.
    pub(crate) timeout: Duration,
    connect_timeout: Duration,
}

impl Nodes {
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub(crate) fn new(
        access: Access,
        addresses: Vec<String>,
        timeout: Duration,
    ) -> Result<Self, SetUpError> {
        if addresses.is_empty() {
            return Err(SetUpError::NoNodes);
        }
        for address in &addresses {
            address.parse::<Address>()?;
        }
        let connect_timeout = shortest_try(timeout, addresses.len());
        Ok(Self {
            http: access.client(connect_timeout)?.build()?,
            access,
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

/// How long connecting may take, and so the least time that a client gives any try.
pub(crate) fn shortest_try(timeout: Duration, nodes: usize) -> Duration {
    MAX_CONNECT_TIMEOUT.min(share(timeout, nodes) / 2)
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
