//! How far ahead an epoch may be. Epochs only ever go up: one message that names the last of them would
//! leave none to come.
//!
//! Not verified here: that what cannot be told from the truth does no harm. Voters are believed.

use crate::machine::StateMachine;
use crate::specification::Law;
use crate::world::{Action, World};
use crate::zab::Zab;
use crate::zab::message::Message;
use crate::zab::zxid::Epoch;

use super::Bounded;
use super::messages::epoch_of;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const NO_EPOCH_OUT_OF_REACH_IS_HEEDED: Law<Self> = Law {
        name: "An epoch out of reach is not heeded →",
        source: "DSN 2011, §IV.B: a later epoch is one that a leader has proposed, and each is later \
                 than one that a quorum has accepted: nobody comes far beyond the others",
        holds: |_, before, action, after| out_of_reach_is_not_heeded(before, action, after),
    };
}

/// Whether a node that has accepted `own` may have missed so many leaders: more than there can have
/// been in two weeks, had each led for a microsecond, it has not.
pub(super) fn is_in_reach(own: Epoch, other: Epoch) -> bool {
    other.0.saturating_sub(own.0) <= 1 << 40
}

/// The epoch that the message says a leader has, or its sender has accepted.
fn claimed<M: StateMachine, E: Bounded>(message: &Message<M, E>) -> Option<Epoch> {
    match message {
        Message::FollowerInfo { accepted_epoch } => Some(*accepted_epoch),
        message => epoch_of(message),
    }
}

/// It changes nothing, and is not answered.
fn out_of_reach_is_not_heeded<M: StateMachine, E: Bounded>(
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let own = old.durable().accepted_epoch;
    let is_heeded = || old != new || after.network.sent().next().is_some();
    claimed(&envelope.message).is_none_or(|epoch| is_in_reach(own, epoch) || !is_heeded())
}
