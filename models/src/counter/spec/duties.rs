//! What a replica owes to its clients, its host and its members, step by step.
//!
//! Verified here: that a name is given up for a reason, clients are answered and remembered as long
//! as there is room, members that come are owed everything, and a window moves with the time that
//! it is told. What has to come of it in the end is said by the liveness properties.

use alloc::vec::Vec;

use crate::counter::message::Message;
use crate::counter::recent::Known;
use crate::counter::window::Bucket;
use crate::counter::{Command, Counter, Event, Refusal};
use crate::protocol::Node;
use crate::session::ClientId;
use crate::specification::Law;
use crate::world::{Action, Client, Scenario, World};

use super::{folds, has, running_at};

type W = World<Counter>;

pub(super) const NAMES_ARE_CONTESTED: Law<Counter> = Law {
    name: "A name is given up where others know more of it, and only there →",
    source: "Shapiro et al. 2011, Specification 6: myID() is unique; each name that is used no \
             more is a component until it is folded",
    holds: names_are_contested,
};

pub(super) const WHO_ASKS_IS_ANSWERED: Law<Counter> = Law {
    name: "Who counts or reads is answered at once →",
    source: "Shapiro et al. 2011, §2: updates and queries are local, no other replica is asked",
    holds: |scenario, before, action, after| {
        let Action::Ask { client, node } = action else {
            return true;
        };
        let is_local = matches!(
            before.asked(scenario, action),
            Some(Command::Increment(_) | Command::Read { .. } | Command::ReadWindow { .. })
        );
        let waits = |client: &Client| client.waits_at.contains_key(node);
        !is_local || !after.clients.get(*client).is_some_and(waits)
    },
};

pub(super) const WHO_JOINS_IS_OWED_ALL: Law<Counter> = Law {
    name: "Who joins is owed everything →",
    source: "Almeida et al. 2018, §6.2: a neighbour of which nothing is known is sent the whole \
             state",
    holds: |scenario, before, action, after| {
        let Some(Command::PeerJoined(peer)) = before.asked(scenario, action) else {
            return true;
        };
        let id = action.node().filter(|node| node != peer);
        let node = id.and_then(|node| Some((node, after.host(node)?.node()?)));
        node.is_none_or(|(id, node)| {
            if folds::is_stranger(&scenario.nodes[usize::from(id.0)], node.durable(), *peer) {
                return !node.volatile.members.contains_key(peer);
            }
            let member = node.volatile.members.get(peer);
            member.is_some_and(|member| member.pending.includes(&node.durable().counts))
        })
    },
};

pub(super) const LONGEST_SILENT_IS_FORGOTTEN: Law<Counter> = Law {
    name: "Who has not counted for longest is forgotten, and only for want of room →",
    source: "a retry at the same node counts once, as long as the node remembers its client",
    holds: longest_silent_is_forgotten,
};

pub(super) const WINDOWS_MOVE_WITH_TIME: Law<Counter> = Law {
    name: "A window leaves behind what is too old for it, and nothing else →",
    source: "the latest so many buckets, the running one included",
    holds: windows_move_with_time,
};

pub(super) const ANSWERS_ARE_NOT_ANSWERED: Law<Counter> = Law {
    name: "An answer is not answered →",
    source: "Demers et al. 1987, §1.3; Almeida et al. 2018, Algorithm 2: an acknowledgement, or the \
             pull of a push-pull, ends the exchange",
    holds: |_, _, action, after| {
        let is_answer = matches!(
            action.delivered(),
            Some(Message::DeltaAck { .. } | Message::PushPullReply { .. })
        );
        !is_answer || after.network.sent().next().is_none()
    },
};

pub(super) const WHO_WAS_COUNTED_IS_TOLD: Law<Counter> = Law {
    name: "Who was counted is told so →",
    source: "a retry at the same node counts once, and its client hears that it was counted: who is \
             refused asks elsewhere, and is counted again",
    holds: who_was_counted_is_told,
};

/// The node that takes the step, before and after it, where it is up all the while. No other node
/// changes.
pub(super) fn running<'a>(
    before: &'a W,
    action: &Action<Counter>,
    after: &'a W,
) -> Option<(usize, &'a Node<Counter>, &'a Node<Counter>)> {
    let id = action.node()?;
    let (old, new) = (before.host(id)?.node()?, after.host(id)?.node()?);
    Some((usize::from(id.0), old, new))
}

/// Of its buckets those matter that its window has and that have not expired.
fn names_are_contested(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    running(before, action, after).is_none_or(|(position, old, new)| {
        let (durable, identity) = (old.durable(), old.durable().identity);
        let Some(name) = identity else {
            return true;
        };
        let window = scenario.nodes[position].window;
        let matters = |bucket: Option<Bucket>| {
            bucket.is_none_or(|bucket| {
                let is_ours = window.is_some_and(|window| has(window, bucket));
                is_ours && bucket.start >= durable.horizon
            })
        };
        let said = match action {
            Action::Deliver(envelope) | Action::Duplicate(envelope) => match &envelope.message {
                Message::DeltaAck { .. } => None,
                _ if folds::is_stranger(&scenario.nodes[position], durable, envelope.from) => None,
                message => Some(message.counts().components()),
            },
            _ => None,
        };
        // Where it has been agreed that the name is dead, or is being agreed.
        let is_dead =
            new.durable().counts.folded.covers(name) || new.durable().acceptor.frozen.covers(name);
        let is_more = said.into_iter().flatten().any(|(bucket, replica, count)| {
            replica == name && matters(bucket) && count > durable.counts.count(bucket, name)
        });
        (is_more || is_dead) == (new.durable().identity != identity)
    })
}

/// That a request was counted is told by the answer, whatever is remembered of it.
fn longest_silent_is_forgotten(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    running(before, action, after).is_none_or(|(position, old, new)| {
        let (was, is) = (&old.durable().recent, &new.durable().recent);
        let mut expected: Vec<ClientId> = was.clients().collect();
        if let Some(client) = has_counted(scenario, before, action, after) {
            let most = scenario.nodes[position].max_sessions.max(1);
            let known = expected.len();
            expected.retain(|other| *other != client);
            if expected.len() == known && known >= most {
                expected.remove(0);
            }
            expected.push(client);
        }
        is.clients().eq(expected)
    })
}

/// The client of which the action has counted a request that had not been counted before.
fn has_counted(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> Option<ClientId> {
    let Some(Command::Increment(asked)) = before.asked(scenario, action) else {
        return None;
    };
    let is_counted = |event: &Event| match event {
        Event::Incremented {
            request, repeated, ..
        } => *request == asked.request && !repeated,
        _ => false,
    };
    says(scenario, before, action, after, is_counted).then_some(asked.request.client)
}

/// Whatever has become of the node since.
fn who_was_counted_is_told(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    let Some(Command::Increment(asked)) = before.asked(scenario, action) else {
        return true;
    };
    let Some((_, old, _)) = running(before, action, after) else {
        return true;
    };
    let known = old.durable().recent.find(asked.request);
    known == Known::New
        || says(scenario, before, action, after, |event| match event {
            Event::Incremented {
                request, repeated, ..
            } => known == Known::Counted && *request == asked.request && *repeated,
            Event::Refused { request, why } => {
                known == Known::Superseded
                    && *request == asked.request
                    && *why == Refusal::Superseded
            }
            _ => false,
        })
}

/// Whether the step says something of which this is true.
pub(super) fn says(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
    is_it: impl Fn(&Event) -> bool,
) -> bool {
    let done = before.done(scenario, action, after);
    done.is_some_and(|(_, done)| done.emitted.iter().any(is_it))
}

fn is_of_a_retry(event: &Event) -> bool {
    match event {
        Event::Incremented { repeated, .. } => *repeated,
        Event::Refused { why, .. } => *why == Refusal::Superseded,
        _ => false,
    }
}

fn windows_move_with_time(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    running(before, action, after).is_none_or(|(position, old, new)| {
        let (was, is) = (old.durable().horizon, new.durable().horizon);
        let begins = |now: u64| {
            scenario.nodes[position].window.map_or(0, |window| {
                let older = window.width() * (window.buckets() - 1);
                running_at(window, now).start.saturating_sub(older)
            })
        };
        match before.asked(scenario, action) {
            Some(Command::ReadWindow { now, .. }) => is == was.max(begins(*now)),
            // A retry moves no window.
            Some(Command::Increment(increment))
                if !says(scenario, before, action, after, is_of_a_retry) =>
            {
                is == was.max(begins(increment.now))
            }
            _ => is == was,
        }
    })
}
