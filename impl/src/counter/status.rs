//! How a node fares: what `/status` shows.

use std::time::Duration;

use models::counter::Counter;
use models::counter::g_counter::DataCentre;
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};

use crate::runtime::identity::Identity;
use crate::service::disk_report::DiskReport;

/// How a node fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub id: NodeId,
    /// `replica`; `leaving` when it counts no more; `nameless` while it draws a name to count under.
    pub role: String,
    /// Where it stands.
    pub data_centre: DataCentre,
    /// The name under which it counts; none while it draws one.
    pub replica: Option<String>,
    /// The value, as it knows it.
    pub value: u128,
    /// What it has counted itself, under this name.
    pub own: u64,
    /// Of how many replicas it knows that they have counted, and what was counted is not folded.
    pub components: u64,
    /// How often what was counted under names that are no more was folded, as far as it knows.
    pub folds: u64,
    /// The members that it exchanges with.
    pub members: Vec<NodeId>,
    /// Those of them that have not acknowledged yet all that it has counted.
    pub behind: Vec<NodeId>,
    /// Of how many clients the last request is remembered.
    pub sessions: u64,
    /// How many other members live, as far as it knows,
    pub alive: u64,
    /// how many have not answered,
    pub suspect: u64,
    /// and how many have left or were given up.
    pub down: u64,
    /// The cluster, in hexadecimal digits.
    pub cluster_id: String,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// The nodes whose connections it reads now.
    pub hears: Vec<NodeId>,
    /// For how many milliseconds it has run.
    pub uptime_ms: u64,
    /// How its disk fares.
    pub disk: DiskReport,
}

/// What is not the replica's own to say.
pub(crate) struct Surroundings {
    pub(crate) identity: Identity,
    pub(crate) data_centre: DataCentre,
    pub(crate) alive: u64,
    pub(crate) suspect: u64,
    pub(crate) down: u64,
    pub(crate) hears: Vec<NodeId>,
    pub(crate) uptime: Duration,
    pub(crate) disk: DiskReport,
}

/// How the node fares, as far as it knows itself.
pub(crate) fn report(surroundings: Surroundings, node: &Node<Counter>) -> Report {
    let (durable, volatile) = (node.durable(), &node.volatile);
    let own = durable
        .identity
        .map(|name| durable.counts.total.count(name));
    let role = match (volatile.leaving, durable.identity) {
        (true, _) => "leaving",
        (false, Some(_)) => "replica",
        (false, None) => "nameless",
    };
    let behind = volatile.members.iter();
    let behind = behind.filter(|(_, peer)| !peer.pending.is_empty());
    Report {
        id: surroundings.identity.node,
        role: role.to_owned(),
        data_centre: surroundings.data_centre,
        replica: durable.identity.map(|name| name.to_string()),
        value: durable.counts.value(),
        own: own.unwrap_or_default(),
        components: durable.counts.total.components().count() as u64,
        folds: durable.counts.folded.number,
        members: volatile.members.keys().copied().collect(),
        behind: behind.map(|(&id, _)| id).collect(),
        sessions: durable.recent.len() as u64,
        alive: surroundings.alive,
        suspect: surroundings.suspect,
        down: surroundings.down,
        cluster_id: surroundings.identity.cluster_id.to_string(),
        disk_id: surroundings.identity.disk.to_string(),
        hears: surroundings.hears,
        uptime_ms: u64::try_from(surroundings.uptime.as_millis()).unwrap_or(u64::MAX),
        disk: surroundings.disk,
    }
}
