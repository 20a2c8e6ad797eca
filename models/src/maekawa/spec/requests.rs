//! Which requests an arbiter knows: those that it has heard of and not the end of. Whom it is locked
//! for, and who waits, is known of a request from its REQUEST to its RELEASE, and of no other (§4);
//! which of them it is locked for, the laws of grants say.
//!
//! What must be known after a step is computed from what was known before it and from the message,
//! not from what the arbiter does with it.

use crate::maekawa::Maekawa;
use crate::maekawa::message::{FURTHEST_AHEAD, Message, Timestamp};
use crate::maekawa::state::Membership;
use crate::protocol::NodeId;
use crate::specification::{Invariant, Law};
use crate::world::{Action, Host, World};

use super::{local_of, members, membership_of};

pub(super) const NOBODY_WAITS_AT_WHO_IS_FREE: Invariant<Maekawa> = Invariant {
    name: "Nobody waits at an arbiter that is free",
    source: "§4: an arbiter that is not locked locks itself for the first of those that wait",
    holds: |_, world| {
        members(world)
            .all(|(_, member)| member.arbiter.locked.is_some() || member.arbiter.waiting.is_empty())
    },
};

pub(super) const OWN_REQUESTS_ARE_KNOWN: Invariant<Maekawa> = Invariant {
    name: "A node's own request is known to itself",
    source: "§2 (b): a node is a member of its own set, and an ordinary one; what it says to itself \
             is heard at once",
    holds: |_, world| {
        members(world).all(|(id, member)| {
            let made = member.attempt.as_ref().map(|attempt| attempt.request);
            let own = known(member).filter(|request| request.node == id);
            // Of an epoch that ends nothing is taken to be known any more.
            member.frozen || own.eq(made)
        })
    },
};

pub(super) const WHAT_IS_HEARD_IS_KNOWN: Law<Maekawa> = Law {
    name: "An arbiter knows what is requested of it until it is over →",
    source: "§4: a REQUEST is granted or waits, and a RELEASE deletes it; nothing else does",
    holds: |_, before, action, after| what_is_heard_is_known(before, action, after),
};

/// The requests that the member is locked for, or that wait.
fn known(member: &Membership) -> impl Iterator<Item = Timestamp> {
    let locked = member.arbiter.locked.iter().map(|grant| grant.request);
    locked.chain(member.arbiter.waiting.iter().copied())
}

fn knows(member: &Membership, request: Timestamp) -> bool {
    let locked = member.arbiter.locked.as_ref();
    locked.is_some_and(|grant| grant.request == request)
        || member.arbiter.waiting.contains(&request)
}

/// What an arbiter has heard from another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Request(Timestamp),
    /// This request is over, and with it those that its node has made before.
    End(Timestamp),
}

/// What the member `id` hears by the action that it has to heed: of its epoch while that goes on, by
/// the requester itself, and not known to be over.
fn heard(action: &Action<Maekawa>, id: NodeId, member: &Membership, clock: u64) -> Option<Heard> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    let is_near = |told: u64, known: u64| told.saturating_sub(known) <= FURTHEST_AHEAD;
    let (epoch, heard, request) = match envelope.message {
        Message::Request { epoch, request } => (epoch, Heard::Request(request), request),
        Message::Release {
            epoch,
            request,
            counter,
        } if is_near(counter, member.arbiter.counter) => (epoch, Heard::End(request), request),
        _ => return None,
    };
    let over = member.arbiter.finished.get(&envelope.from);
    let counts = envelope.to == id
        && member.epoch == epoch
        && !member.frozen
        && member.members.contains(&envelope.from)
        && request.node == envelope.from
        && is_near(request.clock, clock)
        && over.is_none_or(|&over| over < request.clock);
    counts.then_some(heard)
}

/// Of what the node itself requests another property speaks: it is heard within any step.
fn what_is_heard_is_known(
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
    if was.epoch != is.epoch || heard.is_none() && was.arbiter == is.arbiter {
        return true;
    }
    let ended = match heard {
        Some(Heard::End(request)) => Some(request),
        Some(Heard::Request(_)) | None => None,
    };
    let ends = |request: Timestamp| {
        ended.is_some_and(|over| request.node == over.node && request.clock <= over.clock)
    };
    let of_others = |request: &Timestamp| request.node != id;
    let goes_on = known(was)
        .filter(of_others)
        .all(|request| knows(is, request) != ends(request));
    let is_heard = known(is)
        .filter(of_others)
        .all(|request| knows(was, request) || heard == Some(Heard::Request(request)));
    let is_noted = match heard {
        Some(Heard::Request(request)) => knows(is, request),
        Some(Heard::End(over)) => is.arbiter.finished.get(&over.node) == Some(&over.clock),
        None => true,
    };
    let mut finished = is.arbiter.finished.iter().filter(|(node, _)| **node != id);
    let is_over = finished.all(|(node, over)| {
        was.arbiter.finished.get(node) == Some(over)
            || ended.is_some_and(|request| (request.node, request.clock) == (*node, *over))
    });
    let mut finished = was.arbiter.finished.keys();
    let stays_over = finished.all(|node| is.arbiter.finished.contains_key(node));
    goes_on && is_heard && is_noted && is_over && stays_over
}
