//! The cluster's configuration: who votes, who only listens, and what a quorum is (§6).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::log::Index;
use crate::protocol::{DiskId, NodeId};

/// Who the members of a cluster are, and what each counts for.
///
/// Every count of votes, of acknowledgements and of confirmations is taken here: a change of
/// membership is safe only if all of them change at once (§6).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Configuration {
    /// The nodes that vote, and whose acknowledgements count.
    pub voters: BTreeSet<NodeId>,
    /// While one set of voters takes over from another: the set that goes, "C-old" (§6).
    /// Agreement then takes a majority of each. Empty at all other times.
    pub outgoing: BTreeSet<NodeId>,
    /// The nodes that receive the log and count for nothing (thesis §4.2.1).
    pub learners: BTreeSet<NodeId>,
    /// How each node is known, those that have left included: a node that came back on another
    /// disk would lack what it has acknowledged on the one that it had.
    pub contacts: BTreeMap<NodeId, Contact>,
}

/// How the members of a cluster know a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// The life of the disk that its promises rest on.
    pub disk: DiskId,
    /// Where it is to be reached, in the host's encoding.
    pub address: Vec<u8>,
}

/// The configuration of a node that belongs to no cluster.
pub(super) static NOBODY: Configuration = Configuration {
    voters: BTreeSet::new(),
    outgoing: BTreeSet::new(),
    learners: BTreeSet::new(),
    contacts: BTreeMap::new(),
};

impl Configuration {
    /// A configuration of voters alone.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether one set of voters is taking over from another: "joint consensus" (§6).
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the votes and acknowledgements of `node` count.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    /// Whether `node` belongs to the cluster: as a voter, old or new, or as a learner.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.is_voter(node) || self.learners.contains(&node)
    }

    /// All voters, old and new. "Log entries are replicated to all servers in both
    /// configurations" (§6).
    pub fn all_voters(&self) -> BTreeSet<NodeId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// All members: voters, old and new, and learners.
    pub fn members(&self) -> BTreeSet<NodeId> {
        self.all_voters().union(&self.learners).copied().collect()
    }

    /// What a joint configuration leads to: its new voters alone, "C-new" (§6).
    pub fn without_outgoing(&self) -> Self {
        Self {
            outgoing: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// Whether `nodes` are a quorum: a majority of the voters, and in joint consensus
    /// "separate majorities from both the old and new configurations" (§6).
    pub fn has_quorum(&self, nodes: &BTreeSet<NodeId>) -> bool {
        has_majority(&self.voters, nodes)
            && (!self.is_joint() || has_majority(&self.outgoing, nodes))
    }

    /// The greatest value that a quorum has reached, when each voter has reached the value
    /// that `reached` tells: the index that is on their disks, say. In joint consensus that
    /// is the lesser of what the two majorities have reached.
    pub fn reached_by_quorum<T: Copy + Ord + Default>(&self, reached: impl Fn(NodeId) -> T) -> T {
        let new = reached_by_majority(&self.voters, &reached);
        if self.is_joint() {
            new.min(reached_by_majority(&self.outgoing, &reached))
        } else {
            new
        }
    }
}

/// The latest configuration in a node's log: the one that it acts on, committed or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InForce {
    /// The index of its entry.
    pub index: Index,
    /// The configuration.
    pub configuration: Configuration,
}

/// More than half. No set of nodes is a majority of none.
fn has_majority(voters: &BTreeSet<NodeId>, nodes: &BTreeSet<NodeId>) -> bool {
    voters.intersection(nodes).count() >= majority(voters)
}

fn reached_by_majority<T: Copy + Ord + Default>(
    voters: &BTreeSet<NodeId>,
    reached: impl Fn(NodeId) -> T,
) -> T {
    let mut values: Vec<T> = voters.iter().map(|&voter| reached(voter)).collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values
        .get(majority(voters) - 1)
        .copied()
        .unwrap_or_default()
}

/// How many of `voters` are a majority.
fn majority(voters: &BTreeSet<NodeId>) -> usize {
    voters.len() / 2 + 1
}
