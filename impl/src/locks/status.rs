//! How a node fares: what `/status` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use models::maekawa::state::{Local, Orchestration, Persistent, Volatile};
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};

use super::Maekawa;
use crate::runtime::identity::Identity;
use crate::service::disk_report::DiskReport;

/// How a node fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub id: NodeId,
    /// `orchestrator`; else `member`, `joining`, or `unregistered`.
    pub role: String,
    /// The latest epoch that it knows of.
    pub epoch: u64,
    /// The orchestrator, where the node is a member under it, or is it.
    pub leader: Option<NodeId>,
    /// The members of the epoch, as far as the node knows.
    pub members: BTreeSet<NodeId>,
    /// Whether the epoch is ending: nothing is granted until the next has begun.
    pub ending: bool,
    /// What a member says beside that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member: Option<MemberReport>,
    /// What the orchestrator says beside that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub orchestrator: Option<OrchestratorReport>,
    /// Entries into critical sections by clients of this node, since it was started.
    pub entries: u64,
    /// How many locks clients of this node have lost, since it was started.
    pub revocations: u64,
    /// How many messages for locks this node has sent, since it was started.
    pub lock_messages: u64,
    /// The cluster, in hexadecimal digits: no two clusters have the same.
    pub cluster_id: String,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// The peers that it refuses, and why.
    pub refused: BTreeMap<NodeId, String>,
    /// The nodes whose connections it reads now.
    pub hears: Vec<NodeId>,
    /// For how many milliseconds it has run.
    pub uptime_ms: u64,
    /// How its disk fares.
    pub disk: DiskReport,
}

/// What a node says that is to be a member, or is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Whether it is to be a member.
    pub registered: bool,
    /// Its logical clock.
    pub clock: u64,
    /// The arbiters that it must lock, itself among them.
    pub quorum: BTreeSet<NodeId>,
    /// How many locks its clients have.
    pub held: u64,
    /// How many claims of its clients wait.
    pub waiting: u64,
    /// Of how many locks it knows something, as an arbiter.
    pub locks: u64,
    /// How many sessions of clients are open.
    pub sessions: u64,
    /// For how many milliseconds its lease goes on.
    pub lease_left_ms: u64,
}

/// What the orchestrator says. (It has no logical clock: it takes no part in what that orders.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorReport {
    /// The nodes that are to be members.
    pub roster: BTreeSet<NodeId>,
    /// The members that have answered its health checks.
    pub healthy: BTreeSet<NodeId>,
    /// The members that the ending epoch does not wait for any more: they enter no more in it.
    pub frozen: BTreeSet<NodeId>,
    /// The nodes of the file that cannot be invited yet, and why.
    pub waits_for: BTreeMap<NodeId, String>,
    /// Epochs that it has begun since it was started.
    pub installed: u64,
    /// Nodes that it has taken for dead since it was started.
    pub suspected: u64,
}

/// What is not the node's own to say.
pub(crate) struct Surroundings {
    pub(crate) identity: Identity,
    pub(crate) orchestrator: NodeId,
    pub(crate) sessions: u64,
    pub(crate) lease_left: Duration,
    pub(crate) waits_for: BTreeMap<NodeId, String>,
    pub(crate) entries: u64,
    pub(crate) revocations: u64,
    pub(crate) lock_messages: u64,
    pub(crate) installed: u64,
    pub(crate) suspected: u64,
    pub(crate) refused: BTreeMap<NodeId, String>,
    pub(crate) hears: Vec<NodeId>,
    pub(crate) uptime: Duration,
    pub(crate) disk: DiskReport,
}

/// How the node fares, as far as it knows itself.
pub(crate) fn report(surroundings: Surroundings, node: &Node<Maekawa>) -> Report {
    let durable = node.durable();
    let own = match &node.volatile {
        Volatile::Node(local) => Own::of_member(&surroundings, durable, local),
        Volatile::Orchestrator(orchestration) => {
            Own::of_orchestrator(&surroundings, durable, orchestration)
        }
    };
    let Surroundings {
        identity,
        orchestrator,
        entries,
        revocations,
        lock_messages,
        refused,
        hears,
        uptime,
        disk,
        ..
    } = surroundings;
    Report {
        id: identity.node,
        role: own.role.to_owned(),
        epoch: durable.epoch.0,
        leader: own.takes_part.then_some(orchestrator),
        members: own.members,
        ending: own.ending,
        member: own.member,
        orchestrator: own.orchestrator,
        entries,
        revocations,
        lock_messages,
        cluster_id: identity.cluster_id.to_string(),
        disk_id: identity.disk.to_string(),
        refused,
        hears,
        uptime_ms: millis(uptime),
        disk,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What differs between the orchestrator and the others.
struct Own {
    role: &'static str,
    takes_part: bool,
    members: BTreeSet<NodeId>,
    ending: bool,
    member: Option<MemberReport>,
    orchestrator: Option<OrchestratorReport>,
}

impl Own {
    fn of_member(surroundings: &Surroundings, durable: &Persistent, local: &Local) -> Self {
        let membership = local.membership.as_ref();
        let held = membership.map_or(0, |membership| membership.all_held().count());
        let claims = local.all_claims().count();
        Self {
            role: match membership {
                Some(_) => "member",
                None if durable.registered => "joining",
                None => "unregistered",
            },
            takes_part: membership.is_some(),
            members: { membership.map(|membership| membership.members.clone()) }
                .unwrap_or_default(),
            ending: membership.is_some_and(|membership| membership.frozen),
            member: Some(MemberReport {
                registered: durable.registered,
                clock: local.clock,
                quorum: { membership.map(|membership| membership.quorum.clone()) }
                    .unwrap_or_default(),
                held: held as u64,
                waiting: claims.saturating_sub(held) as u64,
                locks: membership.map_or(0, |membership| membership.arbiters.len()) as u64,
                sessions: surroundings.sessions,
                lease_left_ms: membership.map_or(0, |_| millis(surroundings.lease_left)),
            }),
            orchestrator: None,
        }
    }

    fn of_orchestrator(
        surroundings: &Surroundings,
        durable: &Persistent,
        orchestration: &Orchestration,
    ) -> Self {
        // The health check under way is not unanswered yet.
        let is_healthy = |id: &&NodeId| {
            orchestration
                .silent
                .get(id)
                .is_none_or(|&checks| checks < 2)
        };
        Self {
            role: "orchestrator",
            takes_part: true,
            members: durable.members.clone(),
            ending: durable.changing,
            member: None,
            orchestrator: Some(OrchestratorReport {
                roster: durable.roster.clone(),
                healthy: durable.members.iter().filter(is_healthy).copied().collect(),
                frozen: orchestration.frozen.keys().copied().collect(),
                waits_for: surroundings.waits_for.clone(),
                installed: surroundings.installed,
                suspected: surroundings.suspected,
            }),
        }
    }
}
