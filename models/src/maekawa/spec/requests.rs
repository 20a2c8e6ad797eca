//! Which requests an arbiter of a lock knows: those that it has heard of and not the end of. Whom it is locked
//! for, and who waits, is known of a request from its REQUEST to its RELEASE, and of no other (§4);
//! which of them it is locked for, the laws of grants say.
//!
//! What must be known after a step is computed from what was known before it and from the message,
//! not from what the arbiter does with it.

use crate::maekawa::Maekawa;
use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, FURTHEST_AHEAD, HeldLocks, Message, Timestamp};
use crate::maekawa::state::Membership;
use crate::protocol::NodeId;
use crate::specification::{Invariant, Law};
use crate::world::{Action, Host, Scenario, World};

use super::{local_of, members, membership_of};

pub(super) const NOBODY_WAITS_AT_WHO_IS_FREE: Invariant<Maekawa> = Invariant {
    name: "Nobody waits at an arbiter that is free",
    source: "§4: an arbiter that is not locked locks itself for the first of those that wait",
    holds: |_, world| {
        let mut arbiters = members(world).flat_map(|(_, member)| member.arbiters.values());
        arbiters.all(|arbiter| arbiter.locked.is_some() || arbiter.waiting.is_empty())
    },
};

pub(super) const OWN_REQUESTS_ARE_KNOWN: Invariant<Maekawa> = Invariant {
    name: "A node's own request is known to itself",
    source: "§2 (b): a node is a member of its own set, and an ordinary one; what it says to itself \
             is heard at once",
    holds: |_, world| {
        members(world).all(|(id, member)| {
            let attempts = member.attempts.iter();
            let made = attempts.map(|(lock, attempt)| (lock, attempt.request));
            let own = known(member).filter(|(_, request)| request.node == id);
            // Of an epoch that ends nothing is taken to be known any more.
            member.frozen || own.eq(made)
        })
    },
};

pub(super) const WHAT_IS_HEARD_IS_KNOWN: Law<Maekawa> = Law {
    name: "An arbiter knows what is requested of it until it is over →",
    source: "§4: a REQUEST is granted or waits, and a RELEASE deletes it; nothing else does",
    holds: what_is_heard_is_known,
};

pub(super) const AN_EPOCH_BEGINS_WITH_NOTHING: Law<Maekawa> = Law {
    name: "An epoch begins with nothing of an earlier one but the locks that are held →",
    source: "§5; the number of a membership: of each epoch all else that its members said and granted \
             ends with it. Who starts again counts its requests from the beginning",
    holds: |_, before, action, after| begins_with_nothing(before, action, after),
};

pub(super) const A_RELEASE_BEARS_THE_GREATEST_TOKEN: Law<Maekawa> = Law {
    name: "A RELEASE bears the greatest token of its node →",
    source: "fencing tokens: the RELEASE of the request that had the token may be lost, and that of a \
             later request stands for it; an arbiter numbers its grants on from there",
    holds: |_, before, action, after| {
        greatest_is_of_a_token(before, action, after) && bears_the_greatest(before, after)
    },
};

/// What is of its own request may be there: it is made in the same step, and so is released what is not
/// held any more.
fn begins_with_nothing(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let both = action
        .node()
        .and_then(|id| changed_member(before, id, after));
    let Some((id, was, is)) = both.filter(|(_, was, is)| *was != Some(is.epoch)) else {
        return true;
    };
    let nothing = HeldLocks::new();
    let held = match action.delivered() {
        Some(Message::Install { held, .. }) => held,
        _ => &nothing,
    };
    let is_held = |(lock, request): Request<'_>| {
        let held = held.get(lock);
        held.is_some_and(|held| held.request == request)
    };
    let locked = is.arbiters.values().filter_map(|arbiter| arbiter.locked);
    let grants = locked.filter(|grant| grant.number > 0).count() as u64;
    was < Some(is.epoch)
        && !is.frozen
        && all_finished(is).all(|over| over.1.node == id && is_held(over))
        && known(is).all(|request| request.1.node == id || is_held(request))
        && is.number <= grants
        && is.counter <= grants
}

/// The node that takes the step, the epoch that it was a member of, and its membership afterwards.
fn changed_member<'a>(
    before: &World<Maekawa>,
    id: NodeId,
    after: &'a World<Maekawa>,
) -> Option<(NodeId, Option<Epoch>, &'a Membership)> {
    let was = before.host(id).and_then(Host::node).and_then(membership_of);
    let is = after
        .host(id)
        .and_then(Host::node)
        .and_then(membership_of)?;
    Some((id, was.map(|was| was.epoch), is))
}

/// Within an epoch it changes when the node enters, to the counter of the token that it has then if
/// that is greater.
fn greatest_is_of_a_token(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let member = |world| -> Option<&Membership> {
        membership_of(World::host(world, action.node()?)?.node()?)
    };
    let (Some(was), Some(is)) = (member(before), member(after)) else {
        return true;
    };
    let entered = is
        .all_held()
        .filter(|(lock, token)| was.held(lock) != Some(*token));
    let greatest = entered.map(|(_, token)| token.counter).max();
    was.epoch != is.epoch || is.counter == was.counter.max(greatest.unwrap_or(0))
}

/// It may be given up by the same step in which it is had.
fn bears_the_greatest(before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    after.network.sent().all(|said| {
        let Message::Release { epoch, counter, .. } = said.message else {
            return true;
        };
        let greatest = |world| -> Option<u64> {
            let member = membership_of(World::host(world, said.from)?.node()?)?;
            (member.epoch == epoch).then_some(member.counter)
        };
        [greatest(before), greatest(after)].contains(&Some(counter))
    })
}

/// What is requested: of each lock by its time stamp.
type Request<'a> = (&'a LockName, Timestamp);

/// The requests that the member is locked for, or that wait, lock by lock.
fn known(member: &Membership) -> impl Iterator<Item = Request<'_>> {
    member.arbiters.iter().flat_map(|(lock, arbiter)| {
        let locked = arbiter.locked.iter().map(|grant| grant.request);
        let requests = locked.chain(arbiter.waiting.iter().copied());
        requests.map(move |request| (lock, request))
    })
}

fn knows(member: &Membership, (lock, request): Request<'_>) -> bool {
    member.arbiters.get(lock).is_some_and(|arbiter| {
        let locked = arbiter.locked.as_ref();
        locked.is_some_and(|grant| grant.request == request) || arbiter.waiting.contains(&request)
    })
}

/// Of the lock, the latest request of the node that is over.
fn finished(member: &Membership, lock: &LockName, node: NodeId) -> Option<u64> {
    member.arbiters.get(lock)?.finished.get(&node).copied()
}

/// All that is known to be over.
fn all_finished(member: &Membership) -> impl Iterator<Item = Request<'_>> {
    member.arbiters.iter().flat_map(|(lock, arbiter)| {
        let finished = arbiter.finished.iter();
        finished.map(move |(&node, &clock)| (lock, Timestamp { clock, node }))
    })
}

/// What an arbiter has heard from another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard<'a> {
    Request(Request<'a>),
    /// This request is over, and with it those that its node has made before of the lock.
    End(Request<'a>),
}

/// What the member `id` hears by the action that it has to heed: of its epoch while that goes on, by
/// the requester itself, of a lock that there may be, and not known to be over.
fn heard<'a>(
    action: &'a Action<Maekawa>,
    id: NodeId,
    member: &Membership,
    clock: u64,
) -> Option<Heard<'a>> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    let is_near = |told: u64, known: u64| told.saturating_sub(known) <= FURTHEST_AHEAD;
    let (epoch, lock, request) = envelope.message.subject()?;
    let heard = match envelope.message {
        Message::Request { .. } => Heard::Request((lock, request)),
        Message::Release { counter, .. } if is_near(counter, member.number) => {
            Heard::End((lock, request))
        }
        _ => return None,
    };
    let over = finished(member, lock, envelope.from);
    let counts = envelope.to == id
        && lock.is_valid()
        && member.epoch == epoch
        && !member.frozen
        && member.members.contains(&envelope.from)
        && request.node == envelope.from
        && is_near(request.clock, clock)
        && over.is_none_or(|over| over < request.clock);
    counts.then_some(heard)
}

/// Of what the node itself requests another property speaks: it is heard within any step. What is
/// over may be forgotten where nothing else is known of the lock, and as many others are remembered of
/// which that is true as may be.
fn what_is_heard_is_known(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let node = |world| {
        let id = action.node()?;
        Some((id, World::host(world, id).and_then(Host::node)?))
    };
    let (Some((id, old)), Some((_, new))) = (node(before), node(after)) else {
        return true;
    };
    let (Some(was), Some(is)) = (membership_of(old), membership_of(new)) else {
        return true;
    };
    let clock = local_of(old).map_or(0, |local| local.clock);
    let heard = heard(action, id, was, clock);
    if was.epoch != is.epoch || heard.is_none() && was.arbiters == is.arbiters {
        return true;
    }
    let ended = match heard {
        Some(Heard::End(request)) => Some(request),
        Some(Heard::Request(_)) | None => None,
    };
    let ends = |(lock, request): Request<'_>| {
        ended.is_some_and(|(over, last)| {
            lock == over && request.node == last.node && request.clock <= last.clock
        })
    };
    let max_idle = scenario.nodes[usize::from(id.0)].max_idle_locks;
    let is_forgotten =
        |lock: &LockName| is.idle.len() == max_idle && !is.arbiters.contains_key(lock);
    let of_others = |(_, request): &Request<'_>| request.node != id;
    let goes_on = known(was)
        .filter(of_others)
        .all(|request| knows(is, request) != ends(request));
    let is_heard = known(is)
        .filter(of_others)
        .all(|request| knows(was, request) || heard == Some(Heard::Request(request)));
    let is_noted = match heard {
        Some(Heard::Request(request)) => knows(is, request),
        Some(Heard::End((lock, over))) => {
            finished(is, lock, over.node) == Some(over.clock) || is_forgotten(lock)
        }
        None => true,
    };
    let is_over = { all_finished(is).filter(of_others) }.all(|(lock, over)| {
        finished(was, lock, over.node) == Some(over.clock) || ended == Some((lock, over))
    });
    let stays_over = all_finished(was)
        .all(|(lock, over)| finished(is, lock, over.node).is_some() || is_forgotten(lock));
    goes_on && is_heard && is_noted && is_over && stays_over
}
