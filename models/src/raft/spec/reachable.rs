//! What some run must show, lest the checks hold because nothing happens.

use alloc::collections::BTreeSet;

use crate::protocol::NodeId;
use crate::raft::Command;
use crate::raft::Raft;
use crate::raft::log::{Content, Index};
use crate::raft::machine::StateMachine;
use crate::raft::state::Role;
use crate::specification::Reachable;
use crate::world::{Occurrence, Scenario, World};

use super::quorums::is_quorum;
use super::{is_command, membership};

impl<M: StateMachine> Raft<M> {
    pub(super) const WITNESSES: &'static [Reachable<Self>] = &[
        Self::HEARTBEAT_OVERTAKES,
        Reachable {
            name: "a leader is elected",
            seen: |_, world| !world.ghost.leaders.is_empty(),
        },
        Reachable {
            name: "the leader changes",
            seen: |_, world| leaders(world).len() > 1,
        },
        Reachable {
            name: "two nodes lead at once, in different terms",
            seen: |_, world| {
                let leads = |(_, node): &(NodeId, &crate::Node<Self>)| {
                    matches!(node.volatile.role, Role::Leader(_))
                };
                world.running().filter(leads).count() > 1
            },
        },
        Reachable {
            name: "an entry is committed",
            seen: |_, world| !world.ghost.committed.is_empty(),
        },
        Reachable {
            name: "a command is committed",
            seen: |_, world| {
                let mut committed = world.ghost.committed.iter();
                committed.any(|committed| is_command(&committed.entry))
            },
        },
        Reachable {
            name: "an entry of an earlier term is committed",
            seen: |_, world| {
                let mut committed = world.ghost.committed.iter();
                committed.any(|committed| committed.entry.term < committed.in_term)
            },
        },
        Reachable {
            name: "logs diverge",
            seen: |_, world| logs_diverge(world),
        },
        Reachable {
            name: "a crashed node recovers and catches up",
            seen: |_, world| recovered(world),
        },
        Reachable {
            name: "a command is answered",
            seen: |scenario, world| answers(scenario, world).any(is_proposal),
        },
        Reachable {
            name: "a read is answered",
            seen: |scenario, world| answers(scenario, world).any(is_read),
        },
        Self::FOLLOWER_ANSWERS,
        Self::FOLLOWER_WAITS,
        Self::READ_IS_REFUSED,
        Self::LEADERSHIP_IS_TRANSFERRED,
        Self::READER_IS_TOLD,
        Self::TRANSFER_IS_REFUSED,
        Self::TRANSFERS_MEET,
        Self::TRANSFER_IS_GIVEN_UP,
        Reachable {
            name: "a leader steps down of itself",
            seen: |_, world| {
                let mut nodes = world.running();
                nodes.any(|(id, node)| {
                    let led = world
                        .ghost
                        .leaders
                        .contains(&(node.durable().current_term, id));
                    led && world.faults.crashes == 0
                        && !matches!(node.volatile.role, Role::Leader(_))
                })
            },
        },
        Reachable {
            name: "a node asks for pre-votes while a quorum hears the leader",
            seen: asks_in_vain,
        },
        Reachable {
            name: "a retried command is in the log twice",
            seen: |_, world| is_repeated(world),
        },
        Self::REQUEST_IS_SUPERSEDED,
        Self::SESSION_EXPIRES,
        Self::SESSIONS_EXPIRE_TOGETHER,
        Self::EXPIRY_GOES_BACK,
        Self::RETRY_FINDS_NO_SESSION,
        Self::SESSION_BEGINS_ANEW,
        Reachable {
            name: "a joint configuration is committed",
            seen: |_, world| membership::joint_is_committed(world),
        },
        Reachable {
            name: "a change of voters is done",
            seen: |_, world| membership::change_is_done(world),
        },
        Reachable {
            name: "a learner is promoted",
            seen: |_, world| membership::learner_is_promoted(world),
        },
        Reachable {
            name: "one leader begins a change, another ends it",
            seen: |_, world| membership::change_is_inherited(world),
        },
        Reachable {
            name: "a leader is no member",
            seen: membership::outsider_leads,
        },
        Reachable {
            name: "a leader has left",
            seen: |_, world| membership::leader_has_left(world),
        },
        Reachable {
            name: "a learner has left",
            seen: |_, world| membership::learner_has_left(world),
        },
        Reachable {
            name: "configurations diverge",
            seen: |_, world| membership::configurations_diverge(world),
        },
        Self::DISK_IS_LOST,
        Self::BLANK_NODE_RUNS,
        Self::GOES_ON_WITHOUT,
        Self::NODE_HALTS,
        Self::HALTED_NODE_RESTARTS,
        Self::OTHER_DISK_IS_REFUSED,
        Self::APPENDS_ARE_PIPELINED,
        Self::REPLICATION_FALLS_BACK,
        Self::SNAPSHOT_IS_TAKEN,
        Self::LOG_IS_DISCARDED,
        Self::SNAPSHOT_IS_PARTIAL,
        Self::SNAPSHOT_IS_INSTALLED,
        Self::SNAPSHOT_SURVIVES,
        Self::SNAPSHOT_IS_OVERTAKEN,
    ];
}

fn leaders<M: StateMachine>(world: &World<Raft<M>>) -> BTreeSet<NodeId> {
    world
        .ghost
        .leaders
        .iter()
        .map(|&(_, leader)| leader)
        .collect()
}

fn logs_diverge<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let logs = || world.all_hosts().map(|(_, host)| &host.durable().log);
    logs().any(|a| {
        logs().any(|b| {
            let common = a.last_index().min(b.last_index());
            a.term_at(common) != b.term_at(common)
        })
    })
}

fn recovered<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let committed = Index(world.ghost.committed.len() as u64);
    let caught_up = |(_, node): (NodeId, &crate::Node<Raft<M>>)| {
        node.volatile.applied.last_applied == committed
    };
    world.faults.crashes > 0
        && committed > Index(0)
        && world.running().count() == world.hosts.len()
        && world.running().all(caught_up)
}

/// The requests that have been answered.
pub(super) fn answers<'a, M: StateMachine>(
    scenario: &'a Scenario<Raft<M>>,
    world: &'a World<Raft<M>>,
) -> impl Iterator<Item = &'a Command<M>> {
    let occurrences = world.history.occurrences().iter();
    let answered = occurrences.filter_map(|occurrence| match occurrence {
        Occurrence::Return { client, .. } => Some(*client),
        Occurrence::Invoke { .. } => None,
    });
    let clients: BTreeSet<usize> = answered.collect();
    clients.into_iter().flat_map(move |client| {
        let done = world.clients[client].next;
        &scenario.scripts[client][..done]
    })
}

fn is_read<M: StateMachine>(command: &Command<M>) -> bool {
    matches!(command, Command::Read { .. } | Command::ReadHere { .. })
}

fn is_proposal<M: StateMachine>(command: &Command<M>) -> bool {
    matches!(command, Command::Propose { .. })
}

fn is_repeated<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let mut seen = BTreeSet::new();
    world
        .ghost
        .committed
        .iter()
        .any(|committed| match &committed.entry.content {
            Content::Command { request, .. } => !seen.insert(*request),
            Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => false,
        })
}

/// A node asks for pre-votes, and a quorum leads or hears who leads.
fn asks_in_vain<M: StateMachine>(scenario: &Scenario<Raft<M>>, world: &World<Raft<M>>) -> bool {
    let roles = || world.running().map(|(id, node)| (id, &node.volatile));
    let asks = roles().any(|(_, node)| matches!(node.role, Role::PreCandidate { .. }));
    let leads = |role: &Role<M>| matches!(role, Role::Leader(_));
    let content = roles().filter(|(_, node)| node.hears_leader || leads(&node.role));
    let content = content.map(|(id, _)| id).collect();
    let is_led = roles().any(|(_, node)| leads(&node.role));
    asks && is_led && is_quorum(scenario.nodes[0].initial(), &content)
}
