//! What must hold in every state.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, FURTHEST_AHEAD, Message, Timestamp};
use crate::maekawa::quorum::Construction;
use crate::maekawa::state::{Arbiter, Claim, Volatile};
use crate::maekawa::{Command, Maekawa, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::{Invariant, Specification};
use crate::world::{Faulted, Host, Scenario, World};

use super::disks::{self, is_blank};
use super::{
    carried, claims_of, endings, is_held, local_of, locks, members, membership_of, orchestrator,
    requests,
};

pub(super) const INVARIANTS: &[Invariant<Maekawa>] = &[
    disks::BLANK_DISKS_STAY_BLANK,
    Invariant {
        name: "Mutual exclusion",
        source: "§2, of each lock; of living nodes where the health check does not err, else of the members \
                 of each epoch, and of those who have entered in it",
        holds: mutual_exclusion,
    },
    Invariant {
        name: "One grant at a time",
        source: "§2 (a), §4: an arbiter of a lock is locked for one request at a time",
        holds: |_, world| one_grant_at_a_time(world),
    },
    Invariant {
        name: "Grants are true",
        source: "§4: who believes an arbiter to be locked for it is right",
        holds: |_, world| grants_are_true(world),
    },
    requests::NOBODY_WAITS_AT_WHO_IS_FREE,
    requests::OWN_REQUESTS_ARE_KNOWN,
    locks::WHAT_IS_UNKNOWN_TAKES_NO_ROOM,
    locks::WHAT_CANNOT_BE_NAMED_IS_UNKNOWN,
    Invariant {
        name: "Quorums intersect",
        source: "§2 (a): any two quorums of an epoch that are in use have a common member",
        holds: |_, world| quorums_intersect(world),
    },
    Invariant {
        name: "Each quorum holds its own node",
        source: "§2 (b)",
        holds: |_, world| members(world).all(|(id, member)| member.quorum.contains(&id)),
    },
    Invariant {
        name: "Quorums are small",
        source: "§3: K is about √N; a row and a column of a grid are 2⌈√N⌉ - 1 at most, and a line of \
                 the smallest plane that is large enough is one more than its order",
        holds: |scenario, world| {
            let construction = scenario.nodes.first().map(|node| node.construction);
            members(world).all(|(_, member)| {
                is_small(construction, member.members.len(), member.quorum.len())
            })
        },
    },
    Invariant {
        name: "Members of an epoch agree on it",
        source: "§2 (a) is a property of one assignment of quorums: nobody mixes two",
        holds: |_, world| members_agree(world),
    },
    Invariant {
        name: "Requests are for clients",
        source: "§4: a node that wants to enter; what nobody wants would be granted for ever",
        holds: |_, world| endings::requests_are_for_clients(world),
    },
    Invariant {
        name: "Deadlock freedom",
        source: "§4; Sanders 1987: no state without a way out in which somebody waits",
        holds: deadlock_freedom,
    },
    Invariant {
        name: "Who has given up neither holds nor waits",
        source: "a claim that is over is over, in whatever order a client's words arrive: its last \
                 word too, that it is gone",
        holds: |scenario, world| {
            let mut clients = world.clients.iter().zip(&scenario.scripts);
            world.faults.crashes > 0
                || clients.all(|(client, script)| {
                    let answered = script.iter().take(client.next);
                    answered
                        .into_iter()
                        .all(|command| !is_still_claimed(world, command))
                })
        },
    },
    Invariant {
        name: "Nobody is locked for what is over",
        source: "§4: a RELEASE deletes the request; a late copy of it is not made again",
        holds: |_, world| {
            members(world).all(|(_, member)| {
                let mut arbiters = member.arbiters.values();
                arbiters.all(knows_no_request_that_is_over)
            })
        },
    },
    Invariant {
        name: "Who has frozen has it on disk",
        source: "a node that has missed an epoch does not join it when it is over, crash or not",
        holds: |_, world| who_has_frozen_has_it_on_disk(world),
    },
    Invariant {
        name: "Nobody believes what cannot be",
        source: "a number that is absurd, or an epoch that the orchestrator has not begun",
        holds: |_, world| world.all_hosts().all(|(_, host)| is_possible(world, host)),
    },
    Invariant {
        name: "Who is to be no member has nobody waiting",
        source: "nobody waits at a node that will not ask for it again",
        holds: |_, world| world.running().all(|(_, node)| has_nobody_in_vain(node)),
    },
    Invariant {
        name: "What waits has its timer, and nothing else",
        source: "nothing that may be lost is waited for without asking again",
        holds: |_, world| world.all_hosts().all(|(_, host)| has_its_timers(host)),
    },
    carried::WHO_FREEZES_SAYS_WHAT_IT_HOLDS,
    carried::HOLDERS_ARE_KNOWN,
    carried::HOLDERS_ARE_MEMBERS,
    carried::ARBITERS_ARE_OF_THE_QUORUM,
    carried::ARBITERS_ARE_ASKED,
    carried::ALL_ARE_TOLD_THE_SAME,
];

/// Whether so many arbiters are no more than it takes for so many members.
fn is_small(construction: Option<Construction>, members: usize, arbiters: usize) -> bool {
    // The orders of planes: powers of primes. Whether there is one of order 12 is not known, and so
    // beyond 133 members the quorums are those of a grid.
    const ORDERS: [usize; 10] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 11];
    let mut orders = ORDERS.iter();
    let order = orders.find(|&order| order * order + order + 1 >= members);
    match (construction, order) {
        (Some(Construction::Plane), Some(order)) => arbiters <= order + 1,
        _ => {
            let side = { 1.. }.find(|side| side * side >= members);
            side.is_some_and(|side| arbiters < 2 * side)
        }
    }
}

fn mutual_exclusion(scenario: &Scenario<Maekawa>, world: &World<Maekawa>) -> bool {
    let holders = || {
        members(world).flat_map(|(id, member)| {
            let held = member.all_held();
            held.map(move |(lock, token)| (id, lock, member.epoch, token.epoch))
        })
    };
    holders().all(|(one, lock, epoch, entered)| {
        let mut others = holders().filter(|(other, held, ..)| *other != one && *held == lock);
        others.all(|(_, _, other, after)| {
            !scenario.bounds.accurate && epoch != other && entered != after
        })
    })
}

/// A requester's belief that an arbiter is locked for it.
struct Belief<'a> {
    epoch: Epoch,
    lock: &'a LockName,
    arbiter: NodeId,
    request: Timestamp,
    number: u64,
}

fn beliefs(world: &World<Maekawa>) -> impl Iterator<Item = Belief<'_>> {
    let attempts = members(world).flat_map(|(_, member)| {
        let attempts = member.attempts.iter();
        attempts.map(|(lock, attempt)| (member.epoch, lock, attempt))
    });
    attempts.flat_map(|(epoch, lock, attempt)| {
        let locked = attempt.arbiters.iter();
        let locked = locked.filter(|(_, view)| view.standing.is_locked());
        locked.map(move |(&arbiter, view)| Belief {
            epoch,
            lock,
            arbiter,
            request: attempt.request,
            number: view.number,
        })
    })
}

fn one_grant_at_a_time(world: &World<Maekawa>) -> bool {
    let mut locked = BTreeSet::new();
    beliefs(world).all(|belief| locked.insert((belief.epoch, belief.lock, belief.arbiter)))
}

/// Of an arbiter that is frozen or has crashed nobody needs to be right: what it has granted is
/// void as soon as its epoch ends.
fn grants_are_true(world: &World<Maekawa>) -> bool {
    beliefs(world).all(|belief| {
        let arbiter = world.host(belief.arbiter).and_then(Host::node);
        let member = arbiter.and_then(membership_of);
        let active = member.filter(|member| member.epoch == belief.epoch && !member.frozen);
        active.is_none_or(|member| {
            let arbiter = member.arbiters.get(belief.lock);
            let grant = arbiter.and_then(|arbiter| arbiter.locked);
            grant.is_some_and(|grant| {
                (grant.request, grant.number) == (belief.request, belief.number)
            })
        })
    })
}

fn knows_no_request_that_is_over(arbiter: &Arbiter) -> bool {
    let locked = arbiter.locked.iter().map(|grant| &grant.request);
    let mut requests = locked.chain(&arbiter.waiting);
    requests.all(|request| {
        let over = arbiter.finished.get(&request.node);
        over.is_none_or(|&over| over < request.clock)
    })
}

fn who_has_frozen_has_it_on_disk(world: &World<Maekawa>) -> bool {
    world.network.in_flight().iter().all(|said| {
        let disk = world.host(said.from).map(Host::on_disk);
        let Message::Frozen { epoch, .. } = said.message else {
            return true;
        };
        // Who has lost its disk is in no epoch any more, and never again.
        disk.is_some_and(|disk| is_blank(disk) || disk.epoch >= epoch)
    })
}

fn quorums_intersect(world: &World<Maekawa>) -> bool {
    let requesters = || members(world).filter(|(_, member)| !member.attempts.is_empty());
    requesters().all(|(_, one)| {
        let mut others = requesters().filter(|(_, other)| one.epoch == other.epoch);
        others.all(|(_, other)| !one.quorum.is_disjoint(&other.quorum))
    })
}

fn members_agree(world: &World<Maekawa>) -> bool {
    let mut memberships = BTreeMap::new();
    members(world).all(|(_, member)| {
        let first = memberships.entry(member.epoch).or_insert(&member.members);
        *first == &member.members
    })
}

/// Nothing has gone wrong, nothing is under way and no timer may run out; so nothing will ever
/// happen but what clients do. Then who waits, waits for a client that is in the critical
/// section of the same lock: who holds another keeps nobody waiting.
///
/// A REQUEST that reaches a member before the epoch does is lost, and asked again. Where the
/// bounds do not let it be asked again, there is nothing to be claimed of later epochs.
fn deadlock_freedom(scenario: &Scenario<Maekawa>, world: &World<Maekawa>) -> bool {
    let attempts = members(world).flat_map(|(_, member)| &member.attempts);
    let mut waiting = attempts.filter(|(_, attempt)| attempt.held.is_none());
    let later = orchestrator(world).is_some_and(|durable| durable.epoch > Epoch(1));
    world.faults != Faulted::default()
        || later && !scenario.bounds.retries
        || waiting.all(|(lock, _)| is_held(world, lock))
        || !world.network.in_flight().is_empty()
        || has_a_timer(scenario, world)
}

/// Whether the node's numbers are such as the nodes themselves come to, and no forger.
fn is_possible(world: &World<Maekawa>, host: &Host<Maekawa>) -> bool {
    let local = host.node().and_then(local_of);
    let clock = local.map_or(0, |local| local.clock);
    let member = host.node().and_then(membership_of);
    let counter = member.map_or(0, |member| member.counter.max(member.number));
    let begun = orchestrator(world).map(|durable| durable.epoch);
    let is_begun = begun.is_none_or(|begun| host.durable().epoch <= begun);
    clock.max(counter) < FURTHEST_AHEAD && is_begun
}

/// Whether the command gives up a claim that some node holds or waits for, or a session of such a
/// claim. (A crash may make a node forget that a claim is over.)
fn is_still_claimed(world: &World<Maekawa>, command: &Command) -> bool {
    let is_given_up = |claim: &Claim| match command {
        Command::Release { claim: over } => claim == over,
        Command::End { session } => claim.session == *session,
        Command::Acquire { .. } | Command::Register | Command::Deregister => false,
    };
    let mut local = world.running().filter_map(|(_, node)| local_of(node));
    local.any(|local| claims_of(local).any(is_given_up))
}

fn has_a_timer(scenario: &Scenario<Maekawa>, world: &World<Maekawa>) -> bool {
    world.all_hosts().any(|(id, host)| match host {
        Host::Up { node, armed, .. } => armed
            .iter()
            .any(|timer| Maekawa::permits(&scenario.bounds, id, node, timer)),
        Host::Down { .. } => false,
    })
}

fn has_its_timers(host: &Host<Maekawa>) -> bool {
    let Host::Up { node, armed, .. } = host else {
        return true;
    };
    if is_blank(node.durable()) {
        return armed.is_empty();
    }
    if let Volatile::Orchestrator(_) = node.volatile {
        return armed.contains(&Timer::HealthCheck);
    }
    let membership = membership_of(node);
    let is_what_it_is_to_be = membership.is_some() == node.durable().registered;
    let waits = membership.is_some_and(|member| !member.frozen && member.waits());
    let active = membership.filter(|member| !member.frozen);
    let mut claimed = local_of(node)
        .into_iter()
        .flat_map(|local| local.claims.keys());
    let mut is_requested = |lock| active.is_none_or(|member| member.attempts.contains_key(lock));
    // Who has become what it is to be by missing an epoch finds that out when it would ask.
    (is_what_it_is_to_be || armed.contains(&Timer::Register))
        && armed.contains(&Timer::Lease) == membership.is_some()
        && armed.contains(&Timer::Retry) == waits
        && claimed.all(&mut is_requested)
}

/// Whether the node is to be a member, or has none but the clients in a critical section.
fn has_nobody_in_vain(node: &Node<Maekawa>) -> bool {
    let held = |lock| membership_of(node).and_then(|member| member.held(lock));
    let mut queues = local_of(node).into_iter().flat_map(|local| &local.claims);
    node.durable().registered
        || queues.all(|(lock, claims)| claims.len() <= usize::from(held(lock).is_some()))
}
