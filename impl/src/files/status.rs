//! How a node fares: what `/status` shows.

use std::collections::BTreeMap;
use std::time::Duration;

use models::zab::state::{Phase, Role};
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};

use super::FilesZab;
use super::server::catch_up::CatchUpReport;
use crate::runtime::identity::Identity;
use crate::service::disk_report::DiskReport;

/// How a node fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub id: NodeId,
    /// `leader` or `follower` once it broadcasts; until then `looking`.
    pub role: String,
    /// How far it is with its leader: `election`, `discovery`, `synchronization` or `broadcast`.
    pub phase: String,
    /// The last epoch that it has accepted.
    pub epoch: u64,
    /// The leader, if it has one that broadcasts.
    pub leader: Option<NodeId>,
    /// The number of the last election that it knows of.
    pub election: u64,
    /// The last transaction of its history, as `epoch.counter`.
    pub last_zxid: String,
    /// The last transaction that is committed and delivered here.
    pub delivered_zxid: String,
    /// The last transaction that its snapshot on disk includes.
    pub snapshot_zxid: String,
    /// How many transactions it keeps beside its snapshot.
    pub transactions: u64,
    /// How many commands its files have seen: the version of the last change.
    pub position: u64,
    /// The checksum of its files after that, in hexadecimal digits: nodes that have applied the
    /// same have the same.
    pub checksum: String,
    /// How many files there are.
    pub files: u64,
    /// How much they take together.
    pub bytes: u64,
    /// How many sessions of clients it remembers.
    pub sessions: u64,
    /// How it was brought up to date by its leaders since it was started.
    pub caught_up: CatchUpReport,
    /// The cluster, in hexadecimal digits: no two clusters have the same.
    pub cluster_id: String,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// The members, itself included.
    pub members: Vec<NodeId>,
    /// The peers that it refuses, and why.
    pub refused: BTreeMap<NodeId, String>,
    /// The nodes whose connections it reads now.
    pub hears: Vec<NodeId>,
    /// For how many milliseconds it has run.
    pub uptime_ms: u64,
    /// How its disk fares.
    pub disk: DiskReport,
}

/// What is not the node's own to say.
pub(crate) struct Surroundings {
    pub(crate) identity: Identity,
    pub(crate) caught_up: CatchUpReport,
    pub(crate) members: Vec<NodeId>,
    pub(crate) refused: BTreeMap<NodeId, String>,
    pub(crate) hears: Vec<NodeId>,
    pub(crate) uptime: Duration,
    pub(crate) disk: DiskReport,
}

/// How the node fares, as far as it knows itself.
pub(crate) fn report(surroundings: Surroundings, node: &Node<FilesZab>) -> Report {
    let Surroundings {
        identity,
        caught_up,
        members,
        refused,
        hears,
        uptime,
        disk,
    } = surroundings;
    let (durable, volatile) = (node.durable(), &node.volatile);
    let machine = &volatile.delivered.machine;
    let (role, phase, leader) = standing(identity.node, &volatile.role);
    Report {
        id: identity.node,
        role: role.to_owned(),
        phase: phase.to_owned(),
        epoch: durable.accepted_epoch.0,
        leader,
        election: volatile.election.election.0,
        last_zxid: durable.history.last_zxid().to_string(),
        delivered_zxid: volatile.delivered.zxid.to_string(),
        snapshot_zxid: durable.history.snapshot().zxid.to_string(),
        transactions: durable.history.transactions().len() as u64,
        position: machine.position(),
        checksum: machine.checksum_words(),
        files: machine.tree().len() as u64,
        bytes: machine.tree().bytes(),
        sessions: volatile.delivered.sessions.len() as u64,
        caught_up,
        cluster_id: identity.cluster_id.to_string(),
        disk_id: identity.disk.to_string(),
        members,
        refused,
        hears,
        uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
        disk,
    }
}

fn standing(id: NodeId, role: &Role) -> (&'static str, &'static str, Option<NodeId>) {
    use models::zab::state::Leading;
    match role {
        Role::Looking => ("looking", "election", None),
        Role::Following(following) => match following.phase {
            Phase::Discovery => ("looking", "discovery", None),
            Phase::Synchronization => ("looking", "synchronization", None),
            Phase::Broadcast => ("follower", "broadcast", Some(following.leader)),
        },
        Role::Leading(Leading::Elected { .. } | Leading::Prospective { .. }) => {
            ("looking", "discovery", None)
        }
        Role::Leading(Leading::Primary(primary)) if primary.established => {
            ("leader", "broadcast", Some(id))
        }
        Role::Leading(Leading::Primary(_)) => ("looking", "synchronization", None),
    }
}
