//! Which requests an arbiter knows: those that it has heard of and not the end of. Whom it is locked
//! for, and who waits, is known of a request from its REQUEST to its RELEASE, and of no other (§4);
//! which of them it is locked for, the laws of grants say.
//!
//! What must be known after a step is computed from what was known before it and from the message,
//! not from what the arbiter does with it.

use crate::maekawa::Maekawa;
use crate::maekawa::message::{Epoch, FURTHEST_AHEAD, Message, Timestamp};
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

pub(super) const AN_EPOCH_BEGINS_WITH_NOTHING: Law<Maekawa> = Law {
    name: "An epoch begins with nothing of an earlier one →",
    source: "§5; the number of a membership: of each epoch all that its members said and granted \
             ends with it. Who starts again counts its requests from the beginning",
    holds: |_, before, action, after| begins_with_nothing(before, action, after),
};

pub(super) const A_RELEASE_BEARS_THE_LATEST_TOKEN: Law<Maekawa> = Law {
    name: "A RELEASE bears the latest token of its node →",
    source: "fencing tokens: the RELEASE of the request that had the token may be lost, and that of a \
             later request stands for it; an arbiter numbers its grants on from there",
    holds: |_, before, action, after| {
        latest_is_of_the_last_token(before, action, after) && bears_the_latest(before, after)
    },
};

/// What is of its own request may be there: it is made in the same step.
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
    let arbiter = &is.arbiter;
    let grants = u64::from(arbiter.locked.is_some());
    was < Some(is.epoch)
        && !is.frozen
        && arbiter.finished.is_empty()
        && known(is).all(|request| request.node == id)
        && arbiter.counter <= grants
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

/// Within an epoch it changes when the node enters, and is of the token that it has then.
fn latest_is_of_the_last_token(
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
    let token = is.held().filter(|_| was.held() != is.held());
    was.epoch != is.epoch || is.counter == token.map_or(was.counter, |token| token.counter)
}

/// It may be given up by the same step in which it is had.
fn bears_the_latest(before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    after.network.sent().all(|said| {
        let Message::Release { epoch, counter, .. } = said.message else {
            return true;
        };
        let latest = |world| -> Option<u64> {
            let member = membership_of(World::host(world, said.from)?.node()?)?;
            (member.epoch == epoch).then_some(member.counter)
        };
        [latest(before), latest(after)].contains(&Some(counter))
    })
}

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
