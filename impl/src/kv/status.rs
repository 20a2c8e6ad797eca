//! How a node fares: what `/status` shows.

use std::collections::BTreeMap;

use models::raft::state::Role;
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};

use crate::kv::KvRaft;
use crate::runtime::identity::Identity;
pub use crate::service::disk_report::DiskReport;
pub(crate) use crate::service::disk_report::disk_report;

/// How a node fares: what `/status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub id: NodeId,
    /// `leader`, `candidate` or `follower`.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// The leader, if the node knows it.
    pub leader: Option<NodeId>,
    /// The last index that the node knows to be committed.
    pub commit_index: u64,
    /// The last index applied to its store.
    pub last_applied: u64,
    /// The last index of its log.
    pub last_index: u64,
    /// The first index that is still in its log: what comes before it is discarded.
    pub first_index: u64,
    /// The last index that its snapshot includes; 0 while it has none.
    pub snapshot_index: u64,
    /// The cluster, in hexadecimal digits: no two clusters have the same.
    pub cluster_id: String,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// The checksum of its store after `last_applied`, in hexadecimal digits: nodes that have
    /// applied the same have the same.
    pub checksum: String,
    /// The voters, as it knows them.
    pub voters: Vec<NodeId>,
    /// The learners, as it knows them.
    pub learners: Vec<NodeId>,
    /// The peers that it refuses, and why.
    pub refused: BTreeMap<NodeId, String>,
    /// The members for which its file has other addresses than the log: the file's are used.
    #[serde(default)]
    pub addresses_from_file: Vec<NodeId>,
    /// The nodes whose connections it reads now.
    #[serde(default)]
    pub hears: Vec<NodeId>,
    /// For how many milliseconds it has run.
    #[serde(default)]
    pub uptime_ms: u64,
    /// How many keys its store has.
    pub keys: u64,
    /// The revision of its store: 1 before the first change.
    pub revision: u64,
    /// The oldest revision that can be read; 0 where all can.
    #[serde(default)]
    pub compacted: u64,
    /// How many changes it remembers.
    #[serde(default)]
    pub changes: u64,
    /// How many leases there are.
    #[serde(default)]
    pub leases: u64,
    /// How its disk fares.
    pub disk: DiskReport,
}

/// How the node fares, as far as it knows itself.
pub(crate) fn report(identity: &Identity, node: &Node<KvRaft>, disk: DiskReport) -> Report {
    let id = identity.node;
    let (durable, volatile) = (node.durable(), &node.volatile);
    let applied = &volatile.applied;
    let history = applied.machine.history();
    let (role, leader) = match &volatile.role {
        Role::Leader(_) => ("leader", Some(id)),
        // One that asks whether it would win is on its way to stand.
        Role::PreCandidate { .. } | Role::Candidate { .. } => ("candidate", None),
        Role::Follower { leader } => ("follower", *leader),
    };
    Report {
        id,
        role: role.to_owned(),
        term: durable.current_term.0,
        leader,
        commit_index: volatile.commit_index.0,
        last_applied: applied.last_applied.0,
        last_index: durable.log.last_index().0,
        first_index: durable.log.base_index().next().0,
        snapshot_index: durable.snapshot.last_included_index().0,
        cluster_id: identity.cluster_id.to_string(),
        disk_id: identity.disk.to_string(),
        checksum: applied.machine.checksum_words(),
        voters: Vec::new(),
        learners: Vec::new(),
        refused: BTreeMap::new(),
        addresses_from_file: Vec::new(),
        hears: Vec::new(),
        uptime_ms: 0,
        keys: history.len() as u64,
        revision: history.revision().0,
        compacted: history.compacted().0,
        changes: history.changes() as u64,
        leases: applied.machine.leases().len() as u64,
        disk,
    }
}
