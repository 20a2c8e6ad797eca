//! What must hold in every reachable state.

use crate::bully::election::Standing;
use crate::bully::{Bully, Timer, election};
use crate::protocol::{Data, NodeId};
use crate::specification::Invariant;
use crate::world::{Host, Scenario, World};

use super::{
    candidate, delays_are_bounded, highest_up, is_quiet, is_waiting, loses_nothing, named,
};

impl<R: Data> Bully<R> {
    pub(super) const STATE_PROPERTIES: &'static [Invariant<Self>] = &[
        Invariant {
            name: "One winner per election",
            source: "under bounded delay, no two nodes that have both finished an election of the \
                     same number disagree",
            holds: |scenario, world| !delays_are_bounded(scenario) || one_winner_each(world),
        },
        Invariant {
            name: "Assertion 1",
            source: "Assertion 1: no two nodes that are up and not electing disagree on the \
                     leader, whenever they have learned of it",
            holds: |scenario, world| {
                let mut leaders = named(world).flatten();
                let first = leaders.next();
                !delays_are_bounded(scenario) || leaders.all(|leader| Some(leader) == first)
            },
        },
        Invariant {
            name: "The highest node that is up leads",
            source: "Assertion 2: when all is said and no election is under way, all name the \
                     highest node that is up, or one that has failed unnoticed and was higher",
            holds: |scenario, world| {
                !loses_nothing(scenario)
                    || !is_quiet(world)
                    || !nobody_elects(world)
                    || names_the_highest(scenario, world)
            },
        },
        Invariant {
            name: "Nobody follows a lower node",
            source: "a node never lets a lower one lead it",
            holds: |scenario, world| {
                world.running().all(|(id, node)| {
                    let leader = node.volatile.leader();
                    leader.is_none_or(|leader| is_as_high(scenario, leader, id))
                })
            },
        },
        Invariant {
            name: "The highest waits for the dead alone",
            source: "a node gives way to a higher one only: when the highest that is up waits, a \
                     higher one has failed; else both have surrendered, and nobody leads",
            holds: the_highest_waits_for_the_dead,
        },
        Invariant {
            name: "Nobody waits for ever",
            source: "Assertion 2: an election ends, and a failed leader is found out: whatever a \
                     node waits for, it has a timer for, and no other",
            holds: |_, world| world.all_hosts().all(|(id, host)| has_its_timer(id, host)),
        },
    ];
}

fn one_winner_each<R: Data>(world: &World<Bully<R>>) -> bool {
    let finished = || {
        let states = world.running().map(|(_, node)| &node.volatile);
        states.filter_map(|state| Some((state.election, state.leader()?)))
    };
    finished().all(|(number, leader)| {
        finished().all(|(other_number, other)| number != other_number || leader == other)
    })
}

fn nobody_elects<R: Data>(world: &World<Bully<R>>) -> bool {
    named(world).all(|leader| leader.is_some())
}

/// All name the same node, and none of them is higher.
fn names_the_highest<R: Data>(scenario: &Scenario<Bully<R>>, world: &World<Bully<R>>) -> bool {
    let Some(highest) = highest_up(scenario, world) else {
        return true;
    };
    let mut leaders = named(world).flatten();
    let Some(first) = leaders.next() else {
        return false;
    };
    leaders.all(|leader| leader == first) && is_as_high(scenario, first, highest)
}

fn is_as_high<R: Data>(scenario: &Scenario<Bully<R>>, one: NodeId, other: NodeId) -> bool {
    candidate(scenario, one) >= candidate(scenario, other)
}

fn the_highest_waits_for_the_dead<R: Data>(
    scenario: &Scenario<Bully<R>>,
    world: &World<Bully<R>>,
) -> bool {
    let Some(highest) = highest_up(scenario, world) else {
        return true;
    };
    let waits = world
        .running()
        .any(|(id, node)| id == highest && is_waiting(node));
    let mut down = world.all_hosts().filter(|(_, host)| host.node().is_none());
    !waits || down.any(|(id, _)| is_as_high(scenario, id, highest))
}

fn has_its_timer<R: Data>(id: NodeId, host: &Host<Bully<R>>) -> bool {
    let Host::Up { node, armed, .. } = host else {
        return true;
    };
    let its = match node.volatile.standing {
        Standing::Candidate => Timer::Election(election::Timer::Okay),
        Standing::Waiting => Timer::Election(election::Timer::Coordinator),
        Standing::Elected { leader } if leader == id => Timer::Heartbeat,
        Standing::Elected { .. } => Timer::Leader,
    };
    armed.iter().eq([&its])
}
