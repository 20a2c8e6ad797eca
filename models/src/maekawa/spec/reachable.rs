//! What some run must show, lest the checks hold because nothing happens.

use crate::maekawa::Maekawa;
use crate::maekawa::message::Epoch;
use crate::maekawa::state::{Membership, Standing, Volatile};
use crate::protocol::NodeId;
use crate::specification::Reachable;
use crate::world::Host;

use super::{disks, holders, members, membership_of, orchestrator};

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
            members(world).any(|(_, member)| {
                let locked = member.arbiter.locked;
                locked.is_some_and(|grant| grant.inquired)
            })
        },
    },
    Reachable {
        name: "a request gives way",
        seen: |_, world| members(world).any(|(_, member)| has_given_way(member)),
    },
    Reachable {
        name: "two requests wait at an arbiter",
        seen: |_, world| members(world).any(|(_, member)| member.arbiter.waiting.len() > 1),
    },
    Reachable {
        name: "two requests bear the same time",
        seen: |_, world| {
            let requests = || {
                let attempts = members(world).filter_map(|(_, member)| member.attempt.as_ref());
                attempts.map(|attempt| attempt.request)
            };
            requests().any(|one| {
                requests().any(|other| one.node != other.node && one.clock == other.clock)
            })
        },
    },
    Reachable {
        name: "an epoch ends while the lock is held",
        seen: |_, world| members(world).any(|(_, member)| member.frozen && member.held().is_some()),
    },
    Reachable {
        name: "a node enters in a later epoch",
        seen: |_, world| holders(world).any(|(_, token)| token.epoch > Epoch(1)),
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
                && holders(world).any(|(_, token)| {
                    let counters = &world.ghost.counters;
                    counters.keys().any(|epoch| *epoch < token.epoch)
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
        seen: |_, world| holders(world).count() > 1,
    },
];

fn has_given_way(member: &Membership) -> bool {
    let attempt = member.attempt.as_ref();
    attempt.is_some_and(|attempt| {
        let mut views = attempt.arbiters.values();
        views.any(|view| view.standing == Standing::Failed && view.number > 0)
    })
}
