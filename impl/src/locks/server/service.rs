//! What the parts of a node share.

use std::collections::BTreeMap;
use std::sync::Arc;

use models::NodeId;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::lease::Lease;
use super::node_adder::NodeAdder;
use super::traffic::Traffic;
use crate::locks::Maekawa;
use crate::locks::Message;
use crate::locks::config::Timing;
use crate::locks::registry::Registry;
use crate::locks::sessions::Sessions;
use crate::runtime::driver::Inbox;
use crate::runtime::identity::Identity;
use crate::runtime::transport::tcp::Peers;
use crate::service::http_client::NodeClient;

/// One node's service.
pub(crate) struct Service {
    pub(crate) id: NodeId,
    pub(crate) identity: Identity,
    pub(crate) orchestrator: NodeId,
    pub(crate) inbox: Inbox<Maekawa>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) epochs: Arc<EpochCounts>,
    /// The orchestrator's.
    pub(crate) node_adder: Option<Arc<NodeAdder>>,
    /// What was in the registry when the node started.
    pub(crate) registry: Registry,
    pub(crate) timing: Timing,
    pub(crate) peers: Peers<Message>,
    /// Where clients reach the nodes, by the cluster file.
    pub(crate) client_addresses: BTreeMap<NodeId, String>,
    /// What other nodes are asked with.
    pub(crate) others: NodeClient,
    pub(crate) started: Instant,
}

/// What a node counts of epochs.
#[derive(Debug, Default)]
pub(crate) struct EpochCounts {
    /// Epochs that it has joined.
    pub(crate) joined: Counter,
    /// The orchestrator's: epochs that it has begun.
    pub(crate) installed: Counter,
    /// The orchestrator's: nodes that it has taken for dead.
    pub(crate) suspected: Counter,
}

impl Service {
    pub(crate) fn is_orchestrator(&self) -> bool {
        self.id == self.orchestrator
    }

    /// Where clients find other nodes, in words: for one that has asked the wrong one.
    pub(crate) fn others_in_words(&self) -> String {
        let others = self.client_addresses.iter();
        let others = others.filter(|(id, _)| **id != self.id && **id != self.orchestrator);
        let others: Vec<&str> = others.map(|(_, address)| address.as_str()).collect();
        others.join(", ")
    }
}
