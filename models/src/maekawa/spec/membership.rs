//! Who is a member, and what of it is said: by an operator to its node, by the node to the
//! orchestrator, and by both in answer.
//!
//! Verifies: of each step that it takes such a word as it was meant, and not one that cannot be true
//! or is late. Not verified: that the operator has meant it.

use super::disks::is_blank;
use super::{membership_of, orchestrator};
use crate::maekawa::message::{Epoch, Message};
use crate::maekawa::state::Persistent;
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::NodeId;
use crate::specification::Law;
use crate::world::{Action, Envelope, Scenario, World};

pub(super) const OPERATORS_ARE_HEARD: Law<Maekawa> = Law {
    name: "A node is to be what its operator says →",
    source: "§5: nodes come and go as their operators want it, and are told once",
    holds: a_node_is_to_be_what_it_is_told,
};

pub(super) const WHO_HAS_LEFT_IS_TOLD: Law<Maekawa> = Law {
    name: "Who is told that it is no member is none, and is meant to be none →",
    source: "its host stops asking for the lock, and may be turned off",
    holds: who_is_told_that_it_has_left_has,
};

pub(super) const LATE_WORDS_ARE_NOT_HEARD: Law<Maekawa> = Law {
    name: "A late word to leave is not heard, and one in time is →",
    source: "who has left one epoch may be a member of the next",
    holds: |_, before, action, after| {
        heard(before, action, after).is_none_or(|heard| a_late_word_is_not_heard(&heard))
    },
};

pub(super) const NO_EPOCH_IS_BELIEVED_EARLY: Law<Maekawa> = Law {
    name: "Who says that it was where nobody has been yet is not heard →",
    source: "nobody is told of an epoch before the orchestrator has begun it; and who counts \
             the members is none",
    holds: |_, before, action, after| {
        heard(before, action, after).is_none_or(|heard| who_was_in_no_epoch_is_not_heard(&heard))
    },
};

pub(super) const WHO_KNOWS_IS_NOT_TOLD: Law<Maekawa> = Law {
    name: "Who knows the epoch is not told of it again →",
    source: "an Install is said again where it may be lost",
    holds: |_, before, action, after| {
        heard(before, action, after).is_none_or(|heard| who_knows_is_not_told(&heard, after))
    },
};

pub(super) const NOBODY_SENDS_ITSELF: Law<Maekawa> = Law {
    name: "Nobody sends itself a message →",
    source: "§2: a node is its own arbiter, and hears itself without the network",
    holds: |_, _, _, after| {
        let mut sent = after.network.sent();
        sent.all(|envelope| envelope.from != envelope.to)
    },
};

fn a_node_is_to_be_what_it_is_told(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let wanted = match before.asked(scenario, action) {
        Some(Command::Register) => true,
        Some(Command::Deregister) => false,
        _ => return true,
    };
    // One that crashes within may have heard nothing, and the orchestrator refuses.
    let heard = matches!(action, Action::Ask { .. } | Action::AskUnheard { .. });
    let Some(host) = action.node().and_then(|id| after.host(id)) else {
        return true;
    };
    let takes_part = heard && action.node() != Some(NodeId(0)) && !is_blank(host.durable());
    !takes_part || host.durable().registered == wanted
}

/// A node hears that it has left when an epoch begins without it, when it asks and is none, and when
/// it gives up and is not to be one; the last two are to be none.
fn who_is_told_that_it_has_left_has(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let gives_up = matches!(action.fired(), Some(Timer::Lease));
    let is_left_out = matches!(action.delivered(), Some(Message::Install { .. }));
    let asks = || matches!(before.asked(scenario, action), Some(Command::Deregister));
    if !gives_up && !is_left_out && !asks() {
        return true;
    }
    let running = |world: &World<Maekawa>| -> Option<(bool, bool)> {
        let host = world.host(action.node()?)?;
        let is_member = membership_of(host.node()?).is_some();
        Some((is_member, host.durable().registered))
    };
    let (Some((was_member, _)), Some((is_member, is_to_be)), Some((_, done))) = (
        running(before),
        running(after),
        before.done(scenario, action, after),
    ) else {
        return true;
    };
    let is_told = { done.emitted.iter() }.any(|event| matches!(event, Event::Left { .. }));
    let must_be_told = gives_up && was_member && !is_member && !is_to_be;
    match is_told {
        true => !is_member && (is_left_out || !is_to_be),
        false => !must_be_told,
    }
}

/// What the orchestrator hears, and its disk before and after.
struct Heard<'a> {
    envelope: &'a Envelope<Message>,
    old: &'a Persistent,
    new: &'a Persistent,
}

/// The message, if it is to the orchestrator.
fn heard<'a>(
    before: &'a World<Maekawa>,
    action: &'a Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<Heard<'a>> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    (envelope.to == NodeId(0)).then_some(Heard {
        envelope,
        old: orchestrator(before)?,
        new: orchestrator(after)?,
    })
}

fn a_late_word_is_not_heard(&Heard { envelope, old, new }: &Heard<'_>) -> bool {
    match envelope.message {
        Message::Deregister { epoch } if epoch == old.epoch => !new.roster.contains(&envelope.from),
        Message::Deregister { .. } => (&old.roster, old.changing) == (&new.roster, new.changing),
        _ => true,
    }
}

fn who_was_in_no_epoch_is_not_heard(&Heard { envelope, old, new }: &Heard<'_>) -> bool {
    let Message::Register { after } = envelope.message else {
        return true;
    };
    let is_impossible = after > old.epoch || envelope.from == envelope.to;
    !is_impossible || old == new
}

fn who_knows_is_not_told(
    &Heard { envelope, old, new }: &Heard<'_>,
    after: &World<Maekawa>,
) -> bool {
    let known: Epoch = match envelope.message {
        Message::Pong { epoch } | Message::Deregister { epoch } => epoch,
        _ => return true,
    };
    let is_told = |sent: &Envelope<Message>| matches!(sent.message, Message::Install { .. });
    known < old.epoch || old.epoch != new.epoch || !after.network.sent().any(is_told)
}
