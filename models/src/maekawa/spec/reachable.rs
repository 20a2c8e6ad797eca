//! What some run must show, lest the checks hold because nothing happens.

use crate::maekawa::Maekawa;
use crate::maekawa::message::Epoch;
use crate::maekawa::state::{Arbiter, Membership, Standing, Volatile};
use crate::protocol::NodeId;
use crate::specification::Reachable;
use crate::world::{Host, World};

use super::{carried, disks, holders, locks, members, membership_of, orchestrator};

pub(super) const REACHABLE: &[Reachable<Maekawa>] = &[
    disks::BLANK_NODE_RUNS,
    disks::LOST_IS_REPLACED,
    Reachable {
        name: "a node enters",
        seen: |_, world| holders(world).next().is_some(),
    },
    Reachable {
        name: "the lock changes hands",
        seen: |_, world| {
            let granted = world.clients.iter().filter(|client| client.next > 0);
            granted.count() > 1 && holders(world).next().is_some()
        },
    },
    Reachable {
        name: "an arbiter inquires",
        seen: |_, world| {
            arbiters(world).any(|arbiter| arbiter.locked.is_some_and(|grant| grant.inquired))
        },
    },
    Reachable {
        name: "a request gives way",
        seen: |_, world| members(world).any(|(_, member)| has_given_way(member)),
    },
    Reachable {
        name: "two requests wait at an arbiter",
        seen: |_, world| arbiters(world).any(|arbiter| arbiter.waiting.len() > 1),
    },
    Reachable {
        name: "two requests bear the same time",
        seen: |_, world| {
            let requests = || {
                let attempts = members(world).flat_map(|(_, member)| &member.attempts);
                attempts.map(|(lock, attempt)| (lock, attempt.request))
            };
            requests().any(|(lock, one)| {
                let mut others = requests().filter(|(other, _)| *other == lock);
                others.any(|(_, other)| one.node != other.node && one.clock == other.clock)
            })
        },
    },
    Reachable {
        name: "an epoch ends while the lock is held",
        seen: |_, world| {
            members(world).any(|(_, member)| member.frozen && member.all_held().next().is_some())
        },
    },
    Reachable {
        name: "a node enters in a later epoch",
        seen: |_, world| holders(world).any(|(_, _, token)| token.epoch > Epoch(1)),
    },
    Reachable {
        name: "a node joins",
        seen: |scenario, world| {
            let founders = |durable: &crate::maekawa::state::Persistent| durable.roster.len();
            let founders = scenario.disks.first().map_or(0, founders);
            members(world).any(|(_, member)| member.members.len() > founders)
        },
    },
    Reachable {
        name: "a node leaves",
        seen: |_, world| {
            let durable = orchestrator(world);
            world.running().any(|(id, node)| {
                let is_out = durable.is_some_and(|durable| !durable.members.contains(&id));
                id != NodeId(0) && is_out && node.durable().epoch > Epoch(1)
            })
        },
    },
    Reachable {
        name: "a dead node's lock is free",
        seen: |_, world| {
            let is_down = |(_, host): (NodeId, &Host<Maekawa>)| host.node().is_none();
            world.all_hosts().any(is_down)
                && holders(world).any(|(_, lock, token)| {
                    let counters = world.ghost.counters.get(lock).into_iter();
                    let mut epochs = counters.flat_map(|counters| counters.keys());
                    epochs.any(|epoch| *epoch < token.epoch)
                })
        },
    },
    Reachable {
        name: "a crashed node is a member again",
        seen: |_, world| {
            world.faults.crashes > 0
                && orchestrator(world).is_some_and(|durable| {
                    durable.epoch > Epoch(1)
                        && !durable.changing
                        && world.hosts.len() == durable.members.len() + 1
                        && members(world)
                            .filter(|(_, member)| member.epoch == durable.epoch)
                            .count()
                            == durable.members.len()
                })
        },
    },
    Reachable {
        name: "the orchestrator restarts while an epoch ends",
        seen: |_, world| {
            let host = world.host(NodeId(0));
            host.is_some_and(|host| host.node().is_none() && host.durable().changing)
        },
    },
    Reachable {
        name: "a health check is missed, and not for good",
        seen: |_, world| {
            let node = world.host(NodeId(0)).and_then(Host::node);
            node.is_some_and(|node| match &node.volatile {
                Volatile::Orchestrator(orchestration) => {
                    let mut silent = orchestration.silent.iter();
                    silent.any(|(id, &checks)| {
                        checks > 1 && world.host(*id).is_some_and(|host| host.node().is_some())
                    })
                }
                Volatile::Node(_) => false,
            })
        },
    },
    Reachable {
        name: "a node that is to be none is still counted on",
        seen: |_, world| {
            let durable = orchestrator(world).filter(|durable| !durable.changing);
            durable.is_some_and(|durable| {
                world.running().any(|(id, node)| {
                    durable.members.contains(&id)
                        && node.durable().epoch == durable.epoch
                        && !node.durable().registered
                        && membership_of(node).is_none()
                })
            })
        },
    },
    Reachable {
        name: "a holder that was given up meets its successor",
        seen: |_, world| {
            holders(world).any(|(one, lock, _)| {
                holders(world).any(|(other, held, _)| one != other && lock == held)
            })
        },
    },
    locks::TWO_ARE_HELD_AT_ONE_NODE,
    locks::TWO_ARE_HELD_AT_TWO_NODES,
    locks::ONE_IS_HELD_AND_ONE_AWAITED,
    locks::AN_EPOCH_WAITS_FOR_TWO,
    locks::ONE_WHO_LEAVES_HOLDS_TWO,
    locks::ONE_IS_LOCKED_THOUGH_OVER,
    carried::A_LOCK_IS_CARRIED,
    carried::TWO_LOCKS_ARE_CARRIED,
    carried::A_CARRIED_LOCK_IS_AWAITED,
    carried::TWO_HAVE_SAID_THE_SAME,
    carried::THE_LATER_HAD_ASKED_BEFORE,
    carried::A_LOCK_IS_CARRIED_IN_VAIN,
];

fn arbiters(world: &World<Maekawa>) -> impl Iterator<Item = &Arbiter> {
    members(world).flat_map(|(_, member)| member.arbiters.values())
}

fn has_given_way(member: &Membership) -> bool {
    let attempts = member.attempts.values();
    let mut views = attempts.flat_map(|attempt| attempt.arbiters.values());
    views.any(|view| view.standing == Standing::Failed && view.number > 0)
}
