//! Takes a request to the leader: over the leader's client port, in the form in which Raft
//! takes it, so that it keeps its id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::Command;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use crate::kv::request::router::{Answer, Limits, Refusal};
use crate::kv::{Kv, headers};
use crate::runtime::codec;
use crate::runtime::sync::Mutex;
use crate::runtime::tls::Tls;
use crate::service::http_client::{NodeClient, NodeTimeouts, SetUpError, in_full};

/// Where forwarded requests arrive. The version is that of what they carry.
pub(crate) const PATH: &str = "/internal/v2/forward";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Well before the leader closes an idle connection, which could lose a request on its way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a forwarded request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// It never left, so the leader did nothing.
    #[error("the leader was not reached: {0}; nothing was changed")]
    NotSent(String),
    /// It left, and nothing that can be understood came back.
    #[error("the leader's answer was lost: {0}; whether the request was done is not known")]
    Lost(String),
}

/// Takes requests to other nodes.
pub(crate) struct Forwarder {
    client: NodeClient,
    addresses: Mutex<BTreeMap<NodeId, String>>,
}

impl Forwarder {
    /// To nobody, yet.
    pub(crate) fn new(
        credentials: Option<Arc<Tls>>,
        token: Option<HeaderValue>,
    ) -> Result<Self, SetUpError> {
        let timeouts = NodeTimeouts {
            connect: CONNECT_TIMEOUT,
            idle: IDLE_TIMEOUT,
        };
        let client = NodeClient::new(credentials, token, timeouts)?;
        let addresses = Mutex::default();
        Ok(Self { client, addresses })
    }

    /// What other nodes are asked with.
    pub(crate) fn client(&self) -> &NodeClient {
        &self.client
    }

    /// The node's client address.
    pub(crate) fn set(&self, node: NodeId, address: String) {
        self.addresses.lock().insert(node, address);
    }

    /// The node is no member any more.
    pub(crate) fn forget(&self, node: NodeId) {
        self.addresses.lock().remove(&node);
    }

    /// Hands `command` to `to` and brings back what it answers.
    pub(crate) async fn forward(
        &self,
        to: NodeId,
        command: &Command<Kv>,
        limits: Limits,
    ) -> Result<Result<Answer, Refusal>, ForwardError> {
        let address =
            self.addresses.lock().get(&to).cloned().ok_or_else(|| {
                ForwardError::NotSent(format!("the address of {to} is not known"))
            })?;
        let body =
            codec::encode(command).map_err(|error| ForwardError::NotSent(error.to_string()))?;
        let left = limits.deadline.saturating_duration_since(Instant::now());
        let (access, http) = self.client.current();
        let sent = http
            .post(access.url(&address, PATH))
            .header(headers::HOPS, u64::from(limits.hops))
            .header(headers::TIMEOUT, left.as_millis().to_string())
            .timeout(left)
            .body(body)
            .send()
            .await;
        let answer = sent.map_err(not_sent_or_lost)?;
        let status = answer.status();
        // Said before anything of it was done: by a server without room, or to a slow body.
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::REQUEST_TIMEOUT].contains(&status) {
            return Err(ForwardError::NotSent(format!("it answered {status}")));
        }
        let bytes = answer.bytes().await.map_err(not_sent_or_lost)?;
        if !status.is_success() {
            return Err(ForwardError::Lost(format!("it answered {status}")));
        }
        codec::decode(&bytes).map_err(|error| ForwardError::Lost(error.to_string()))
    }
}

fn not_sent_or_lost(error: reqwest::Error) -> ForwardError {
    let words = in_full(&error);
    if error.is_connect() {
        ForwardError::NotSent(words)
    } else {
        ForwardError::Lost(words)
    }
}
