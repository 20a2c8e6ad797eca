//! What some run must show, lest the checks hold because nothing happens.

use alloc::collections::BTreeSet;

use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};
use crate::specification::Reachable;
use crate::world::{Occurrence, Scenario, World};
use crate::zab::history::Content;
use crate::zab::message::Message;
use crate::zab::state::Role;
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Zab};

use super::liveness::has_quorum;
use super::{Bounded, primary};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const WITNESSES: &'static [Reachable<Self>] = &[
        Self::DISK_IS_LOST,
        Self::BLANK_NODE_RUNS,
        Self::GOES_ON_WITHOUT,
        Self::NODE_HALTS,
        Reachable {
            name: "a leader is established",
            seen: |_, world| world.ghost.reigns.values().any(|reign| reign.established),
        },
        Reachable {
            name: "all nodes broadcast",
            seen: |_, world| has_quorum(world, |count| count == world.hosts.len()),
        },
        Reachable {
            name: "the leader changes",
            seen: |_, world| {
                let established = world
                    .ghost
                    .reigns
                    .values()
                    .filter(|reign| reign.established);
                let leaders: BTreeSet<NodeId> = established.map(|reign| reign.leader).collect();
                leaders.len() > 1
            },
        },
        Reachable {
            name: "two nodes try to lead at once",
            seen: |_, world| count(world, |role| matches!(role, Role::Leading(_))) > 1,
        },
        Reachable {
            name: "two leaders are established at once, in different epochs",
            seen: |_, world| {
                let hosts = world.all_hosts().filter_map(|(_, host)| primary(host));
                hosts.filter(|(_, primary)| primary.established).count() > 1
            },
        },
        Reachable {
            name: "a node stands down for one with a more recent history",
            seen: |_, world| stands_back(world),
        },
        Reachable {
            name: "a transaction is delivered",
            seen: |_, world| !world.ghost.delivered.is_empty(),
        },
        Reachable {
            name: "a transaction of an earlier epoch is delivered in a later",
            seen: |_, world| {
                let mut delivered = world.ghost.delivered.iter();
                delivered.any(|next| next.transaction.zxid.epoch < next.in_epoch)
            },
        },
        Reachable {
            name: "histories diverge",
            seen: |_, world| histories_diverge(world),
        },
        Reachable {
            name: "DIFF",
            seen: |_, world| sent(world, |message| matches!(message, Message::Diff { .. })),
        },
        Reachable {
            name: "TRUNC",
            seen: |_, world| sent(world, |message| matches!(message, Message::Trunc { .. })),
        },
        Reachable {
            name: "SNAP",
            seen: |_, world| sent(world, |message| matches!(message, Message::Snap { .. })),
        },
        Self::SNAP_IS_LATE,
        Self::SNAP_IS_OF_AN_EARLIER_EPOCH,
        Reachable {
            name: "a node has part of an initial history",
            seen: |_, world| {
                let mut hosts = world.all_hosts();
                hosts.any(|(_, host)| {
                    let disk = host.durable();
                    disk.history.last_zxid().epoch > disk.current_epoch
                })
            },
        },
        Reachable {
            name: "a crashed node recovers and catches up",
            seen: |_, world| recovered(world),
        },
        Reachable {
            name: "a write is answered",
            seen: |scenario, world| {
                answered(scenario, world, |command| {
                    matches!(command, Command::Write { .. })
                })
            },
        },
        Reachable {
            name: "a read is answered",
            seen: |scenario, world| {
                answered(scenario, world, |command| {
                    !matches!(command, Command::Write { .. })
                })
            },
        },
        Reachable {
            name: "a later leader broadcasts a command again",
            seen: |_, world| is_repeated(world),
        },
        Reachable {
            name: "two proposals are under way",
            seen: |_, world| {
                let mut hosts = world.all_hosts().filter_map(|(_, host)| primary(host));
                hosts.any(|(_, primary)| primary.outstanding.len() > 1)
            },
        },
    ];
}

fn count<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
    matches: fn(&Role) -> bool,
) -> usize {
    let matching = |(_, node): &(NodeId, &Node<Zab<M, E>>)| matches(&node.volatile.role);
    world.running().filter(matching).count()
}

/// A message of the kind is under way.
fn sent<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
    is_it: fn(&Message<M, E>) -> bool,
) -> bool {
    let in_flight = world.network.in_flight();
    in_flight.iter().any(|envelope| is_it(&envelope.message))
}

/// A node looks for a leader again that has proposed an epoch, while one that has promised it
/// has a more recent history.
fn stands_back<M: StateMachine, E: Bounded>(world: &World<Zab<M, E>>) -> bool {
    world.running().any(|(id, node)| {
        let own = node.durable();
        let is_ahead = |(other, peer): (NodeId, &Node<Zab<M, E>>)| {
            let follows = matches!(peer.volatile.role, Role::Following(f) if f.leader == id);
            let disk = peer.durable();
            other != id
                && follows
                && disk.accepted_epoch == own.accepted_epoch
                && disk.recency() > own.recency()
        };
        let looks = node.volatile.role == Role::Looking;
        looks && world.running().any(is_ahead)
    })
}

fn histories_diverge<M: StateMachine, E: Bounded>(world: &World<Zab<M, E>>) -> bool {
    let histories = || world.all_hosts().map(|(_, host)| &host.durable().history);
    histories()
        .any(|a| histories().any(|b| !a.contains(b.last_zxid()) && !b.contains(a.last_zxid())))
}

fn recovered<M: StateMachine, E: Bounded>(world: &World<Zab<M, E>>) -> bool {
    let last = world.ghost.last_delivered();
    world.faults.crashes > 0
        && last > Zxid::default()
        && world.running().count() == world.hosts.len()
        && world
            .running()
            .all(|(_, node)| node.volatile.delivered.zxid == last)
}

/// A command of the kind has been answered.
fn answered<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    world: &World<Zab<M, E>>,
    is_it: fn(&Command<M>) -> bool,
) -> bool {
    let occurrences = world.history.occurrences().iter();
    let answered = occurrences.filter_map(|occurrence| match occurrence {
        Occurrence::Return { client, .. } => Some(*client),
        Occurrence::Invoke { .. } => None,
    });
    let clients: BTreeSet<usize> = answered.collect();
    clients.into_iter().any(|client| {
        let done = world.clients[client].next;
        scenario.scripts[client][..done].iter().any(is_it)
    })
}

fn is_repeated<M: StateMachine, E: Bounded>(world: &World<Zab<M, E>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut broadcast = world.ghost.broadcast.values();
    broadcast.any(|content| match content {
        Content::Command { request, .. } => !seen.insert(*request),
        Content::Sync { .. } => false,
    })
}
