//! What must be possible: the guard against checks that hold because nothing happens.

use alloc::collections::BTreeSet;

use crate::counter::g_counter::ReplicaId;
use crate::counter::{Command, Counter, Event, Refusal};
use crate::protocol::Node;
use crate::specification::Reachable;
use crate::world::{Host, Occurrence, Scenario, World};

use super::liveness::all_agree;
use super::{folds, set_back};

pub(super) const REACHABLE: &[Reachable<Counter>] = &[
    Reachable {
        name: "an increment is acknowledged",
        seen: |_, world| !world.ghost.counted.is_empty(),
    },
    Reachable {
        name: "two replicas count under their own names",
        seen: |_, world| world.ghost.counted.len() >= 2,
    },
    Reachable {
        name: "replicas differ",
        seen: |_, world| {
            let totals = || {
                world
                    .running()
                    .map(|(_, node)| &node.durable().counts.total)
            };
            totals().any(|a| totals().any(|b| !a.includes(b) && !b.includes(a)))
        },
    },
    Reachable {
        name: "all replicas agree on what all clients have counted",
        seen: |scenario, world| {
            is_over(scenario, world) && has_counted(world) && all_agree(scenario, world)
        },
    },
    Reachable {
        name: "nobody owes anything any more",
        seen: |scenario, world| {
            let settled = |(_, node): (_, &Node<Counter>)| node.volatile.is_settled();
            is_over(scenario, world) && has_counted(world) && world.running().all(settled)
        },
    },
    Reachable {
        name: "what a crashed node has counted is known elsewhere",
        seen: |_, world| {
            world.faults.crashes > 0
                && world.ghost.counted.keys().any(|name| {
                    let is_down = world
                        .host(name.node)
                        .is_some_and(|host| host.node().is_none());
                    let mut others = world.running();
                    is_down && others.any(|(_, node)| node.durable().counts.total.count(*name) > 0)
                })
        },
    },
    Reachable {
        name: "a retry is not counted again",
        seen: |_, world| {
            returns(world).any(|event| matches!(event, Event::Incremented { repeated: true, .. }))
        },
    },
    Reachable {
        name: "a request comes after a later one of its client",
        seen: |_, world| {
            returns(world).any(|event| {
                let why = Refusal::Superseded;
                matches!(event, Event::Refused { why: told, .. } if *told == why)
            })
        },
    },
    Reachable {
        name: "a client is forgotten",
        seen: |_, world| {
            world.ghost.counted.iter().any(|(name, requests)| {
                let clients: BTreeSet<_> = requests.iter().map(|one| one.client).collect();
                let disk = world.host(name.node).map(Host::durable);
                disk.is_some_and(|disk| (1..clients.len()).contains(&disk.recent.len()))
            })
        },
    },
    Reachable {
        name: "a retry elsewhere is counted again",
        seen: |_, world| {
            let requests = || world.ghost.counted.iter();
            requests().any(|(a, first)| {
                requests().any(|(b, second)| a < b && first.intersection(second).next().is_some())
            })
        },
    },
    Reachable {
        name: "a bucket has expired",
        seen: |_, world| {
            world
                .all_hosts()
                .any(|(_, host)| has_outlived_a_bucket(host))
        },
    },
    Reachable {
        name: "a window tells what two replicas have counted in two buckets",
        seen: |_, world| {
            let buckets = world.running().any(|(_, node)| {
                let buckets = &node.durable().counts.buckets;
                let names = buckets.iter().flat_map(|(_, counter)| counter.components());
                let names: BTreeSet<_> = names.map(|(name, _)| name).collect();
                buckets.iter().count() >= 2 && names.len() >= 2
            });
            buckets
                && returns(world)
                    .any(|event| matches!(event, Event::WindowValue { value, .. } if *value > 0))
        },
    },
    Reachable {
        name: "a node counts again under a new name after its disk was lost",
        seen: |_, world| {
            let names = || world.ghost.counted.keys();
            world.faults.lost_disks > 0
                && names().any(|a| names().any(|b| a < b && a.node == b.node))
        },
    },
    set_back::NAME_IS_GIVEN_UP,
    set_back::COUNT_IS_LOST,
    Reachable {
        name: "a node has told all that it knows and may leave",
        seen: |_, world| has_counted(world) && !world.ghost.drained.is_empty(),
    },
    Reachable {
        name: "a node is told that it may leave",
        seen: |_, world| !world.ghost.drained.is_empty(),
    },
    Reachable {
        name: "a node that wants to leave knows of nobody",
        seen: |_, world| {
            let mut running = world.running();
            has_counted(world)
                && running
                    .any(|(_, node)| node.volatile.leaving && node.volatile.members.is_empty())
        },
    },
    Reachable {
        name: "the component of a node that is gone still counts",
        seen: |_, world| {
            world.running().any(|(_, node)| {
                let total = &node.durable().counts.total;
                let mut names = total.components().map(|(name, _)| name.node);
                let members = &node.volatile.members;
                let own = node.durable().identity.map(|name| name.node);
                names.any(|name| Some(name) != own && !members.contains_key(&name))
            })
        },
    },
    Reachable {
        name: "the value exceeds 64 bits",
        seen: |_, world| {
            let value = |node: &Node<Counter>| node.durable().counts.value();
            world
                .running()
                .any(|(_, node)| value(node) > u128::from(u64::MAX))
        },
    },
    Reachable {
        name: "a component is as large as it can be",
        seen: |_, world| {
            world.all_hosts().any(|(_, host)| {
                let own = host.durable().own();
                own.total.components().any(|(_, count)| count == u64::MAX)
            })
        },
    },
    folds::HAPPENS,
    folds::ACCEPTED,
    folds::SECOND,
    folds::OF_A_LOST_DISK,
    folds::OF_A_DEPARTED_NODE,
    folds::COMES_LATE,
    folds::IS_LOST,
    folds::IS_WITHHELD,
    folds::TWO_PROPOSERS,
    folds::TAKEN_OVER,
    folds::CRASHED_BETWEEN,
    folds::GIVEN_UP,
    Reachable {
        name: "an increment is refused for good",
        seen: |_, world| {
            returns(world).any(|event| {
                matches!(
                    event,
                    Event::Refused {
                        why: Refusal::ZeroAmount | Refusal::Superseded,
                        ..
                    }
                )
            })
        },
    },
];

/// What the clients have been answered.
fn returns(world: &World<Counter>) -> impl Iterator<Item = &Event> {
    let occurrences = world.history.occurrences().iter();
    occurrences.filter_map(|occurrence| match occurrence {
        Occurrence::Return { event, .. } => Some(event),
        Occurrence::Invoke { .. } => None,
    })
}

fn has_counted(world: &World<Counter>) -> bool {
    !world.ghost.counted.is_empty()
}

/// Whether the host's node has counted more than its buckets have.
pub(super) fn has_outlived_a_bucket(host: &Host<Counter>) -> bool {
    let durable = host.durable();
    let outgrows_its_buckets = |name: ReplicaId| {
        let buckets = durable.counts.buckets.iter();
        let within: u128 = buckets.map(|(_, of)| u128::from(of.count(name))).sum();
        within < u128::from(durable.counts.total.count(name))
    };
    durable.horizon > 0 && durable.identity.is_some_and(outgrows_its_buckets)
}

/// Whether the clients have asked all that they ever will of counting.
fn is_over(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    let mut clients = world.clients.iter().zip(&scenario.scripts);
    clients.all(|(client, script)| {
        let left = script.iter().skip(client.next);
        !left
            .clone()
            .any(|command| matches!(command, Command::Increment(_)))
    })
}
