//! What is true of several locks on one membership, and of those that nobody wants.
//!
//! Verifies: that what happens to one lock is no reason for anything to happen to another, but for the
//! timer and the end of an epoch, which they share, and that these heed all of them; and which locks an
//! arbiter forgets. That exclusion, tokens and all the rest hold of each lock the other properties say.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::maekawa::lock::{LONGEST_NAME, LockName};
use crate::maekawa::message::{Message, Timestamp};
use crate::maekawa::state::{Arbiter, Attempt, Membership, Standing};
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::NodeId;
use crate::specification::{Feature, Invariant, Law, Reachable};
use crate::world::{Action, Host, World};

use super::{holders, local_of, members, membership_of};

pub(super) const WHAT_IS_UNKNOWN_TAKES_NO_ROOM: Invariant<Maekawa> = Invariant {
    name: "Of locks that nobody wants no more are remembered than may be",
    source: "locks are named and given up for ever, and a node's memory is finite",
    holds: |scenario, world| {
        let mut locals = world
            .running()
            .filter_map(|(id, node)| Some((id, local_of(node)?)));
        locals.all(|(id, local)| {
            let max_idle = scenario.nodes[usize::from(id.0)].max_idle_locks;
            let mut queues = local.claims.values();
            let member = local.membership.as_ref();
            queues.all(|claims| !claims.is_empty())
                && member.is_none_or(|member| remembers_no_more(member, max_idle))
        })
    },
};

pub(super) const WHAT_CANNOT_BE_NAMED_IS_UNKNOWN: Invariant<Maekawa> = Invariant {
    name: "Nobody knows of a lock that cannot be",
    source: "a name has a length; who knows of one has it from a client, or from a node that has it from \
             one",
    holds: |_, world| {
        let locals = world.running().filter_map(|(_, node)| local_of(node));
        let claimed = locals.flat_map(|local| local.claims.keys());
        let known = members(world).flat_map(|(_, it)| it.arbiters.keys().chain(it.attempts.keys()));
        claimed.chain(known).all(can_be)
    },
};

/// Said once more, and not asked of the step function: else both might be wrong alike.
fn can_be(lock: &LockName) -> bool {
    let bytes = lock.as_str().len();
    0 < bytes && bytes <= LONGEST_NAME
}

fn remembers_no_more(member: &Membership, max_idle: usize) -> bool {
    let is_idle = |(_, arbiter): &(&LockName, &Arbiter)| {
        arbiter.locked.is_none() && arbiter.waiting.is_empty()
    };
    let idle: BTreeSet<&LockName> = member.idle.iter().collect();
    let arbiters = || member.arbiters.iter();
    arbiters().all(|(_, arbiter)| *arbiter != Arbiter::default())
        && arbiters().filter(is_idle).map(|(lock, _)| lock).eq(idle)
        && member.idle.len() <= max_idle.min(arbiters().filter(is_idle).count())
}

pub(super) const THE_LONGEST_IDLE_IS_FORGOTTEN: Law<Maekawa> = Law {
    name: "The lock that has been idle for longest is forgotten first →",
    source: "the later it is forgotten, the less may still be under way about it",
    holds: |_, before, action, after| {
        let Some((was, is)) = both(before, action, after) else {
            return true;
        };
        let goes_on = |lock: &&LockName| {
            let arbiter = is.arbiters.get(*lock);
            arbiter.is_none_or(Arbiter::is_idle)
        };
        // What is left of those that were idle is the end of their queue, and nothing is if one is
        // forgotten that was not: that one came later. So did the others that are there.
        let old: Vec<&LockName> = was.idle.iter().filter(goes_on).collect();
        let left = is.idle.iter().take_while(|lock| old.contains(lock));
        let left: Vec<&LockName> = left.collect();
        let mut later = is.idle.iter().skip(left.len());
        let mut forgotten = was
            .arbiters
            .keys()
            .filter(|lock| !is.arbiters.contains_key(*lock));
        was.epoch != is.epoch
            || old.ends_with(&left)
                && later.all(|lock| !old.contains(&lock))
                && (left.is_empty() || forgotten.all(|lock| was.idle.contains(lock)))
    },
};

pub(super) const WHO_GIVES_WAY_HAS_BEEN_ASKED: Law<Maekawa> = Law {
    name: "Who gives way has been asked to, for that lock →",
    source: "§4: RELINQUISH is the answer to an INQUIRE",
    holds: |_, before, action, after| {
        let Some((was, is)) = both(before, action, after) else {
            return true;
        };
        let mut attempts = was.attempts.iter();
        was.epoch != is.epoch
            || attempts.all(|(lock, old)| {
                let new = is.attempts.get(lock);
                let new = new.filter(|new| new.request == old.request);
                new.is_none_or(|new| gives_way_when_asked(lock, old, new, action))
            })
    },
};

/// What the node says to itself is heard within any step.
fn gives_way_when_asked(
    lock: &LockName,
    old: &Attempt,
    new: &Attempt,
    action: &Action<Maekawa>,
) -> bool {
    let inquires = |arbiter: NodeId| {
        let (Action::Deliver(said) | Action::Duplicate(said)) = action else {
            return false;
        };
        matches!(said.message, Message::Inquire { .. }) && said.from == arbiter && {
            said.message.subject()
        }
        .is_some_and(|(_, about, request)| (about, request) == (lock, old.request))
    };
    old.arbiters.iter().all(|(&arbiter, view)| {
        let is_given_back = view.standing == Standing::Locked && { new.arbiters.get(&arbiter) }
            .is_some_and(|view| view.standing == Standing::Failed);
        !is_given_back || arbiter == old.request.node || inquires(arbiter)
    })
}

pub(super) const WHO_WAITS_IS_NOT_PUT_OFF: Law<Maekawa> = Law {
    name: "Who waits asks again in time, whatever else its node requests →",
    source: "a timer that is begun anew with each request may never run out",
    holds: |scenario, before, action, after| {
        let Some((was, is)) = both(before, action, after) else {
            return true;
        };
        let waits_on = |(lock, old): (&LockName, &Attempt)| {
            let new = is.attempts.get(lock);
            new.is_some_and(|new| (new.request, new.held, old.held) == (old.request, None, None))
        };
        was.epoch != is.epoch
            || !was.attempts.iter().any(waits_on)
            || before
                .done(scenario, action, after)
                .is_none_or(|(_, done)| !done.renewed.contains(&Timer::Retry))
    },
};

/// The membership of the node that takes the step, before and after it.
fn both<'a>(
    before: &'a World<Maekawa>,
    action: &Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<(&'a Membership, &'a Membership)> {
    let id = action.node()?;
    let member = |world: &'a World<Maekawa>| membership_of(world.host(id)?.node()?);
    Some((member(before)?, member(after)?))
}

pub(super) const TWO_ARE_HELD_AT_ONE_NODE: Reachable<Maekawa> = Reachable {
    name: "a node holds two locks",
    seen: |_, world| members(world).any(|(_, member)| member.all_held().count() > 1),
};

pub(super) const TWO_ARE_HELD_AT_TWO_NODES: Reachable<Maekawa> = Reachable {
    name: "two nodes hold a lock each",
    seen: |_, world| {
        holders(world).any(|(one, lock, _)| {
            holders(world).any(|(other, another, _)| one != other && lock != another)
        })
    },
};

pub(super) const ONE_IS_HELD_AND_ONE_AWAITED: Reachable<Maekawa> = Reachable {
    name: "a node holds one lock and waits for another",
    seen: |_, world| {
        members(world).any(|(_, member)| member.waits() && member.all_held().next().is_some())
    },
};

pub(super) const AN_EPOCH_WAITS_FOR_TWO: Reachable<Maekawa> = Reachable {
    name: "an epoch ends while a node holds two locks",
    seen: |_, world| {
        members(world).any(|(_, member)| member.frozen && member.all_held().count() > 1)
    },
};

pub(super) const ONE_WHO_LEAVES_HOLDS_TWO: Reachable<Maekawa> = Reachable {
    name: "an epoch waits for a node that is to be none and holds two locks",
    seen: |_, world| {
        world.running().any(|(_, node)| {
            let member = membership_of(node).filter(|_| !node.durable().registered);
            member.is_some_and(|member| member.frozen && member.all_held().count() > 1)
        })
    },
};

/// In a world in which nothing idle is remembered, and nothing lost.
pub(super) const ONE_IS_LOCKED_THOUGH_OVER: Reachable<Maekawa> = Reachable {
    name: "an arbiter that has forgotten a lock is locked for a request that is over",
    seen: |scenario, world| {
        let forgets = scenario.nodes.iter().all(|node| node.max_idle_locks == 0);
        forgets
            && members(world).any(|(id, member)| {
                let mut arbiters = member.arbiters.iter();
                arbiters.any(|(lock, arbiter)| {
                    let grant = arbiter.locked.as_ref();
                    grant.is_some_and(|grant| is_over(world, id, lock, grant.request))
                })
            })
    },
};

/// Whether nobody makes the request any more, and the end of it is not under way to the arbiter.
fn is_over(world: &World<Maekawa>, arbiter: NodeId, lock: &LockName, request: Timestamp) -> bool {
    let requester = world.host(request.node).and_then(Host::node);
    let made = requester
        .and_then(membership_of)
        .and_then(|member| member.attempts.get(lock));
    let mut in_flight = world.network.in_flight().into_iter();
    made.is_none_or(|made| made.request != request)
        && !in_flight.any(|said| {
            let ends = matches!(said.message, Message::Release { .. });
            ends && said.to == arbiter && { said.message.subject() }
                .is_some_and(|(_, about, last)| about == lock && last >= request)
        })
}

pub(super) const SEVERAL_LOCKS: Feature<Maekawa> = Feature {
    name: "two locks are wanted at once",
    happens: |_, _, _, after| {
        let wanted = members(after).flat_map(|(_, member)| member.attempts.keys());
        let wanted: BTreeSet<&LockName> = wanted.collect();
        wanted.len() > 1
    },
};

pub(super) const FORGETTING: Feature<Maekawa> = Feature {
    name: "an arbiter forgets a lock",
    happens: |_, before, action, after| forgets(before, action, after),
};

fn forgets(before: &World<Maekawa>, action: &Action<Maekawa>, after: &World<Maekawa>) -> bool {
    both(before, action, after).is_some_and(|(was, is)| {
        let mut known = was.arbiters.keys();
        was.epoch == is.epoch && known.any(|lock| !is.arbiters.contains_key(lock))
    })
}
