//! What some run must show, lest the checks hold because nothing happens.

use crate::bully::Bully;
use crate::bully::election::Standing;
use crate::protocol::Data;
use crate::specification::Reachable;
use crate::world::{Host, Scenario, World};

use super::{candidate, is_settled, is_waiting, leaders};

impl<R: Data> Bully<R> {
    pub(super) const WITNESSES: &'static [Reachable<Self>] = &[
        Reachable {
            name: "a leader is elected",
            seen: |_, world| leaders(world).count() > 0,
        },
        Reachable {
            name: "a lower node gives way",
            seen: |_, world| world.running().any(|(_, node)| is_waiting(node)),
        },
        Reachable {
            name: "all name the highest node that is up",
            seen: is_settled,
        },
        Reachable {
            name: "another is elected when the leader has failed",
            seen: |scenario, world| {
                is_settled(scenario, world) && a_higher_is_down(scenario, world)
            },
        },
        Reachable {
            name: "all are up again after a crash, and name the highest",
            seen: |scenario, world| {
                world.faults.crashes > 0
                    && world.running().count() == world.hosts.len()
                    && is_settled(scenario, world)
            },
        },
        Reachable {
            name: "a higher node comes up while a lower one leads",
            seen: a_higher_stands_against_a_leader,
        },
        Reachable {
            name: "a leader is followed in a later election than it has won",
            seen: |_, world| {
                let state_of = |id| {
                    let host = world.host(id);
                    host.and_then(Host::node).map(|node| &node.volatile)
                };
                world.running().any(|(id, node)| {
                    let state = &node.volatile;
                    let leader = state.leader().filter(|leader| *leader != id);
                    let leader = leader.and_then(state_of);
                    leader.is_some_and(|leader| {
                        leader.leader() == state.leader() && leader.election < state.election
                    })
                })
            },
        },
        Reachable {
            name: "two nodes lead at once",
            seen: |_, world| leaders(world).count() > 1,
        },
        Reachable {
            name: "two nodes have won the same election",
            seen: |_, world| {
                let mut won: alloc::vec::Vec<_> = world
                    .running()
                    .filter(|(id, node)| node.volatile.leader() == Some(*id))
                    .map(|(_, node)| node.volatile.election)
                    .collect();
                let winners = won.len();
                won.sort();
                won.dedup();
                won.len() < winners
            },
        },
        Reachable {
            name: "all name the highest although messages were lost",
            seen: |scenario, world| {
                let lost = world.faults.drops > 0 || world.faults.cuts > 0;
                lost && !world.network.is_partitioned() && is_settled(scenario, world)
            },
        },
        Reachable {
            name: "a rank outdoes an id",
            seen: |scenario, world| {
                let last = world.running().last().map(|(id, _)| id);
                is_settled(scenario, world) && leaders(world).next() != last
            },
        },
        Reachable {
            name: "a client is answered",
            seen: |_, world| world.history.occurrences().len() > 1,
        },
    ];
}

fn a_higher_is_down<R: Data>(scenario: &Scenario<Bully<R>>, world: &World<Bully<R>>) -> bool {
    let leader = leaders(world).next();
    let leader = leader.and_then(|leader| candidate(scenario, leader));
    let mut down = world.all_hosts().filter(|(_, host)| host.node().is_none());
    down.any(|(id, _)| candidate(scenario, id) > leader)
}

fn a_higher_stands_against_a_leader<R: Data>(
    scenario: &Scenario<Bully<R>>,
    world: &World<Bully<R>>,
) -> bool {
    leaders(world).any(|leader| {
        let leader = candidate(scenario, leader);
        world.running().any(|(id, node)| {
            node.volatile.standing == Standing::Candidate && candidate(scenario, id) > leader
        })
    })
}
