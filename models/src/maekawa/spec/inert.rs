//! Which of the messages are inert, and why.
//!
//! The argument rests on five facts, of each lock. The epoch on a disk never decreases, and a node is never
//! again a member of an epoch that its disk has passed, or that it was in when it crashed or
//! gave up. Within an epoch a requester's requests bear increasing time stamps, and one that is
//! over stays over. An arbiter that has heard of the end of a request ignores all that is about
//! it, for as long as it remembers: a world in which it forgets may drop nothing. The numbers of an arbiter's grants increase, and a request's view of them does. And a
//! view that is not [`Awaited`](Standing::Awaited) any more never is again for that request.
//!
//! A message that would only provoke an answer is inert when the answer would be, too: a stale
//! LOCKED is answered with RELEASE, which means nothing to an arbiter that has heard of the end.
//!
//! Epochs are judged by what is on disk, as a crash would find it.

use crate::maekawa::Maekawa;
use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Epoch, Message, Timestamp};
use crate::maekawa::state::{Arbiter, Membership, Standing, View};
use crate::protocol::NodeId;
use crate::world::{Envelope, Host};

use super::membership_of;

pub(super) fn is_inert(
    envelope: &Envelope<Message>,
    sender: &Host<Maekawa>,
    receiver: &Host<Maekawa>,
) -> bool {
    let from = envelope.from;
    // A node on a blank disk heeds nothing, for ever.
    if !receiver.on_disk().is_set_up {
        return true;
    }
    match &envelope.message {
        Message::Request {
            epoch,
            lock,
            request,
        }
        | Message::Release {
            epoch,
            lock,
            request,
            ..
        } => is_past(*epoch, receiver) || has_finished(*epoch, lock, receiver, *request),
        Message::Relinquish {
            epoch,
            lock,
            number,
            ..
        } => is_past(*epoch, receiver) || is_returned(*epoch, lock, receiver, *number),
        Message::Locked {
            epoch,
            lock,
            request,
            number,
            clock,
        } => {
            let knows_time = local_clock(receiver).is_none_or(|known| *clock <= known);
            let about = (*epoch, lock, *request);
            is_past(*epoch, receiver)
                || knows_time && is_idle_talk(about, from, *number, sender, receiver)
        }
        Message::Inquire {
            epoch,
            lock,
            request,
            number,
        } => {
            let about = (*epoch, lock, *request);
            is_past(*epoch, receiver) || is_idle_talk(about, from, *number, sender, receiver)
        }
        Message::Failed {
            epoch,
            lock,
            request,
        } => {
            is_past(*epoch, receiver)
                || match view((*epoch, lock, *request), from, receiver) {
                    Seen::Over => true,
                    Seen::Current(view) => view.standing != Standing::Awaited,
                    Seen::Nothing => false,
                }
        }
        Message::Install { epoch, .. } => *epoch <= receiver.on_disk().epoch,
        Message::Freeze { epoch } | Message::Frozen { epoch, .. } => {
            *epoch < receiver.on_disk().epoch
        }
        // These may matter to who is thought to be alive.
        Message::Register { .. }
        | Message::Deregister { .. }
        | Message::Ping { .. }
        | Message::Pong { .. } => false,
    }
}

/// Whether the host's node will never (again) listen to what members say in `epoch`. Once
/// frozen it never does, and leaves that epoch only for another.
fn is_past(epoch: Epoch, host: &Host<Maekawa>) -> bool {
    let known = host.on_disk().epoch;
    let listens = membership(epoch, host).is_some_and(|membership| !membership.frozen);
    epoch < known || epoch == known && !listens
}

fn membership(epoch: Epoch, host: &Host<Maekawa>) -> Option<&Membership> {
    let membership = membership_of(host.node()?)?;
    (membership.epoch == epoch).then_some(membership)
}

fn arbiter<'a>(epoch: Epoch, lock: &LockName, host: &'a Host<Maekawa>) -> Option<&'a Arbiter> {
    membership(epoch, host)?.arbiters.get(lock)
}

fn local_clock(host: &Host<Maekawa>) -> Option<u64> {
    super::local_of(host.node()?).map(|local| local.clock)
}

/// Whether the host's arbiter knows that the request is over, or will never know anything.
fn has_finished(epoch: Epoch, lock: &LockName, host: &Host<Maekawa>, request: Timestamp) -> bool {
    let arbiter = arbiter(epoch, lock, host);
    arbiter.is_some_and(|arbiter| arbiter.has_finished(request))
}

/// Whether the grant of that number is not the one for which the host's arbiter is locked, nor
/// a later one.
fn is_returned(epoch: Epoch, lock: &LockName, host: &Host<Maekawa>, number: u64) -> bool {
    membership(epoch, host).is_some_and(|member| {
        let grant = arbiter(epoch, lock, host).and_then(|arbiter| arbiter.locked);
        let is_locked = grant.is_some_and(|grant| grant.number == number);
        !is_locked && number <= member.number
    })
}

/// Whether the requester can learn nothing from a LOCKED or INQUIRE of that number, and the
/// arbiter nothing from the answer. While the request goes on, it is not enough that this arbiter
/// has its grant back: once the request is over, and its RELEASE lost, whatever comes late is
/// answered with another one.
fn is_idle_talk(
    about: (Epoch, &LockName, Timestamp),
    from: NodeId,
    number: u64,
    arbiter: &Host<Maekawa>,
    requester: &Host<Maekawa>,
) -> bool {
    let (epoch, lock, request) = about;
    let deaf = is_past(epoch, arbiter);
    match view(about, from, requester) {
        Seen::Over => deaf || has_finished(epoch, lock, arbiter, request),
        Seen::Current(view) => {
            let is_stale = number < view.number;
            let is_refused = number == view.number && view.standing == Standing::Failed;
            deaf && (is_stale || is_refused)
        }
        Seen::Nothing => false,
    }
}

/// What a requester can make of what an arbiter says of a request.
enum Seen<'a> {
    /// The request is over.
    Over,
    /// It is the current one.
    Current(&'a View),
    /// Neither is known.
    Nothing,
}

fn view<'a>(
    (epoch, lock, request): (Epoch, &LockName, Timestamp),
    arbiter: NodeId,
    host: &'a Host<Maekawa>,
) -> Seen<'a> {
    let Some(membership) = membership(epoch, host) else {
        return Seen::Nothing;
    };
    match membership.attempts.get(lock) {
        Some(attempt) if attempt.request == request => attempt
            .arbiters
            .get(&arbiter)
            .map_or(Seen::Nothing, Seen::Current),
        _ if local_clock(host).is_some_and(|clock| request.clock <= clock) => Seen::Over,
        _ => Seen::Nothing,
    }
}
