//! Who a node is: what its journal is stamped with and what its handshake says.

use std::fmt::{self, Display};
use std::io;

use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

/// What tells a cluster from every other, whatever they are called: drawn at random, once, when
/// the cluster is founded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// Another one than any there is.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn random() -> io::Result<Self> {
        random().map(Self)
    }

    /// The id of a cluster that nobody founds: whoever bears its name belongs to it.
    pub fn of_name(name: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(name.as_bytes()).to_be_bytes())
    }
}

impl Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DiskId(self.0).fmt(f)
    }
}

/// A disk id that no disk has had.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn random_disk() -> io::Result<DiskId> {
    random().map(DiskId)
}

/// From the operating system, not from a seed: two nodes that are given the same seed must not
/// get the same.
fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Who a node is. A journal written under one identity is never opened under another, and
/// two nodes talk only if they agree on everything but the node and its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The name of the cluster.
    pub cluster: String,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The name of the protocol.
    pub protocol: String,
    /// The version of the protocol's messages and records. Raise it when either changes.
    pub version: u32,
    /// The node.
    pub node: NodeId,
    /// The life of its disk.
    pub disk: DiskId,
}

impl Identity {
    /// The first way in which `other` belongs to something else than `self`, apart from its
    /// node and its disk.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<Difference> {
        let pairs = [
            ("the cluster", self.cluster.clone(), other.cluster.clone()),
            (
                "the cluster id",
                self.cluster_id.to_string(),
                other.cluster_id.to_string(),
            ),
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
