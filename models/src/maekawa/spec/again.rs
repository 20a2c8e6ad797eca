//! What is said again, lest a lost message stops somebody for good.
//!
//! These are laws of transitions and not of runs: whoever may be waited for in vain says so
//! whenever it is asked, and whoever waits asks.

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, Message, Timestamp, is_absurd};
use crate::maekawa::state::{Attempt, Membership, Standing, Volatile};
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::Specification;
use crate::world::{Action, Envelope, Host, World};

use super::disks::is_blank;
use super::{local_of, membership_of};

/// The message that the action hands to a node, and the node before it.
fn delivered<'a>(
    before: &'a World<Maekawa>,
    action: &'a Action<Maekawa>,
) -> Option<(&'a Envelope<Message>, &'a Node<Maekawa>)> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    Some((envelope, before.host(envelope.to)?.node()?))
}

/// Whether the node has said this to the other, as far as it can: nothing is under way to a node
/// that is down or cut off, to the node itself, or of what is inert.
fn says(world: &World<Maekawa>, from: NodeId, to: NodeId, said: impl Fn(&Message) -> bool) -> bool {
    let hears = world.host(to).is_some_and(|host| host.node().is_some());
    let mut under_way = world.network.in_flight().into_iter();
    from == to
        || !hears
        || !world.network.connects(from, to)
        || under_way.any(|one| (one.from, one.to) == (from, to) && said(&one.message))
}

/// As [`says`], of a message that is known to the word.
pub(super) fn says_this(
    world: &World<Maekawa>,
    from: NodeId,
    to: NodeId,
    message: &Message,
) -> bool {
    let envelope = Envelope {
        from,
        to,
        message: message.clone(),
    };
    let is_inert = match (world.host(from), world.host(to)) {
        (Some(sender), Some(receiver)) => Maekawa::is_inert(&envelope, sender, receiver),
        _ => true,
    };
    is_inert || says(world, from, to, |said| said == message)
}

/// A member of that epoch that is not frozen, as it takes part in the algorithm.
fn active(node: &Node<Maekawa>, epoch: Epoch) -> Option<&Membership> {
    membership_of(node).filter(|member| member.epoch == epoch && !member.frozen)
}

/// A request that an arbiter knows is asked again: its node has waited for long. It hears how
/// things stand, and so does the one that the arbiter is locked for.
pub(super) fn who_asks_again_is_told_again(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((envelope, node)) = delivered(before, action) else {
        return true;
    };
    let Message::Request {
        epoch,
        lock,
        request,
    } = envelope.message.clone()
    else {
        return true;
    };
    let known = active(node, epoch).and_then(|member| member.arbiters.get(&lock));
    let Some((grant, waiting)) = known.and_then(|known| Some((known.locked?, &known.waiting)))
    else {
        return true;
    };
    let arbiter = envelope.to;
    let is_known = grant.request == request || waiting.contains(&request);
    if !is_known || request.node != envelope.from {
        return true;
    }
    let inquires = waiting.first() == Some(&request) && request < grant.request;
    let holder = if inquires {
        Message::Inquire {
            epoch,
            lock: lock.clone(),
            request: grant.request,
            number: grant.number,
        }
    } else {
        Message::Locked {
            epoch,
            lock: lock.clone(),
            request: grant.request,
            number: grant.number,
            clock: local_of(node).map_or(0, |local| local.clock.max(request.clock)),
        }
    };
    let waits = grant.request != request && !inquires;
    let failed = Message::Failed {
        epoch,
        lock,
        request,
    };
    says_this(after, arbiter, grant.request.node, &holder)
        && (!waits || says_this(after, arbiter, request.node, &failed))
}

/// An arbiter says that it is locked for a request that is over, or for one that has given it
/// back: what told it so is late or lost, and it is told again.
pub(super) fn who_is_locked_in_vain_is_told(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Some((envelope, node)) = delivered(before, action) else {
        return true;
    };
    let Some((epoch, lock, request)) = envelope.message.subject() else {
        return true;
    };
    let (number, clock) = match envelope.message {
        Message::Locked { number, clock, .. } => (number, clock),
        Message::Inquire { number, .. } => (number, request.clock),
        _ => return true,
    };
    let (id, arbiter) = (envelope.to, envelope.from);
    let (Some(member), Some(local)) = (active(node, epoch), local_of(node)) else {
        return true;
    };
    // What cannot be is not answered.
    let known = member.number.max(member.counter);
    let is_forged = is_absurd(number, known) || is_absurd(clock, local.clock);
    if is_forged || !lock.is_valid() || request.node != id || request.clock > local.clock {
        return true;
    }
    match made(member, lock, request) {
        None => {
            let counter = member.counter;
            let release = Message::Release {
                epoch,
                lock: lock.clone(),
                request,
                counter,
            };
            says_this(after, id, arbiter, &release)
        }
        Some(attempt) => attempt.arbiters.get(&arbiter).is_none_or(|view| {
            let relinquish = Message::Relinquish {
                epoch,
                lock: lock.clone(),
                request,
                number,
            };
            (view.number, view.standing) != (number, Standing::Failed)
                || says_this(after, id, arbiter, &relinquish)
        }),
    }
}

fn made<'a>(member: &'a Membership, lock: &LockName, request: Timestamp) -> Option<&'a Attempt> {
    let attempt = member.attempts.get(lock);
    attempt.filter(|attempt| attempt.request == request)
}

/// Whoever waits asks the arbiters again that are not locked, of each lock that it waits for.
pub(super) fn who_waits_asks_again(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let Action::Fire {
        node: id,
        timer: Timer::Retry,
    } = action
    else {
        return true;
    };
    let node = before.host(*id).and_then(Host::node);
    let member = node.and_then(membership_of).filter(|member| !member.frozen);
    let Some(member) = member else {
        return true;
    };
    let mut waiting = { member.attempts.iter() }.filter(|(_, attempt)| attempt.held.is_none());
    waiting.all(|(lock, attempt)| {
        let message = Message::Request {
            epoch: member.epoch,
            lock: lock.clone(),
            request: attempt.request,
        };
        let mut views = attempt.arbiters.iter();
        views.all(|(&arbiter, view)| {
            view.standing.is_locked() || says_this(after, *id, arbiter, &message)
        })
    })
}

/// The health check asks each member, and each that is to be one, for a sign of life; and while
/// the epoch ends, for the end of it. An answer that knows less than the orchestrator is told
/// the rest.
pub(super) fn the_health_check_asks_again(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let orchestrator = NodeId(0);
    let Some(node) = after.host(orchestrator).and_then(Host::node) else {
        return true;
    };
    let (durable, Volatile::Orchestrator(state)) = (node.durable(), &node.volatile) else {
        return true;
    };
    if is_blank(durable) {
        return true;
    }
    match action {
        Action::Fire {
            timer: Timer::HealthCheck,
            ..
        } => {
            let freeze = Message::Freeze {
                epoch: durable.epoch,
            };
            let awaited = |id: &&NodeId| !state.frozen.contains_key(*id);
            let mut draining = durable.members.iter().filter(awaited);
            let freezes = |&id: &NodeId| says_this(after, orchestrator, id, &freeze);
            let mut counted_on = durable.members.union(&durable.roster);
            (!durable.changing || draining.all(freezes))
                && counted_on.all(|&id| {
                    let is_out = state.frozen.contains_key(&id) && !durable.roster.contains(&id);
                    let is_ping = |said: &Message| matches!(said, Message::Ping { .. });
                    is_out || says(after, orchestrator, id, is_ping)
                })
        }
        Action::Deliver(envelope) | Action::Duplicate(envelope) => match envelope.message {
            Message::Pong { epoch } if envelope.to == orchestrator && !durable.changing => {
                let install = Message::Install {
                    epoch: durable.epoch,
                    members: durable.members.clone(),
                    construction: durable.construction,
                    held: durable.held.clone(),
                };
                epoch >= durable.epoch || says_this(after, orchestrator, envelope.from, &install)
            }
            Message::Ping { .. } if envelope.from == orchestrator => {
                let is_up = before
                    .host(envelope.to)
                    .is_some_and(|host| host.node().is_some() && !is_blank(host.durable()));
                let is_pong = |said: &Message| matches!(said, Message::Pong { .. });
                !is_up || says(after, envelope.to, orchestrator, is_pong)
            }
            _ => true,
        },
        _ => true,
    }
}
