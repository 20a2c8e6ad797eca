//! Who a node is: what its journal is stamped with and what its handshake says.

use models::NodeId;
use serde::{Deserialize, Serialize};

/// Who a node is. A journal written under one identity is never opened under another, and
/// two nodes talk only if they agree on everything but the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the protocol.
    pub protocol: String,
    /// The version of the protocol's messages and records. Raise it when either changes.
    pub version: u32,
    /// The node.
    pub node: NodeId,
}

impl Identity {
    /// The first way in which `other` belongs to something else than `self`, apart from its
    /// node.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<Difference> {
        let pairs = [
            ("the cluster", self.cluster.clone(), other.cluster.clone()),
            (
                "the protocol",
                self.protocol.clone(),
                other.protocol.clone(),
            ),
            (
                "the protocol's version",
                self.version.to_string(),
                other.version.to_string(),
            ),
        ];
        let mut differences = pairs.into_iter().filter(|(_, ours, theirs)| ours != theirs);
        let (what, ours, theirs) = differences.next()?;
        Some(Difference { what, ours, theirs })
    }
}

/// What keeps two identities apart.
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}
