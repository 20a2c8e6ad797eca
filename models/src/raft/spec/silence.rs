//! That talk comes to an end by itself (§5.5, §5.6).
//!
//! Verifies: that what teaches a node nothing is answered, if it is a question, and leads to nothing
//! else. Two nodes that told each other nothing new for ever would do so at the speed of their
//! network, while everybody is in agreement, and no other property would be the worse for it. Not
//! verified here: that talk ends which goes round and changes something each time. That is
//! [`liveness`](super::liveness).

use crate::machine::StateMachine;
use crate::raft::Raft;
use crate::raft::message::{InstallOutcome, Message};
use crate::specification::Law;

use super::terms::is_answer;
use super::{Step, said};

impl<M: StateMachine> Raft<M> {
    pub(super) const NOTHING_NEW_IS_ANSWERED_AT_MOST: Law<Self> = Law {
        name: "What is nothing new is answered, and leads to nothing else →",
        source: "§5.5: RPCs are idempotent; §5.6: what a time-out has set off ends before the next",
        holds: |scenario, before, action, after| {
            let Some(heard) = action.delivered() else {
                return true;
            };
            let Some(step) = Step::taken(scenario, before, action, after) else {
                return true;
            };
            step.old != step.new
                || said(before, action, after)
                    .filter(|said| said.from == step.id)
                    .all(|said| is_due(heard, said.message))
        },
    };
}

/// Whether a node that has learned nothing from what it has heard may say this.
fn is_due<C>(heard: &Message<C>, said: &Message<C>) -> bool {
    match said {
        // Who is to take over and has not may not have heard that it is to (thesis §3.10). It does
        // not answer that.
        Message::TimeoutNow { .. } => is_answer(heard),
        // A heartbeat has come before the answer to what was asked: it may be lost (thesis §6.4).
        Message::ReadIndex { .. } => !is_answer(heard),
        // A chunk was lost, as the follower has just said.
        Message::InstallSnapshot { .. } => matches!(
            heard,
            Message::InstallSnapshotResponse {
                outcome: InstallOutcome::Received { sent, received, .. },
                ..
            } if received < sent
        ),
        said => is_answer(said) && !is_answer(heard),
    }
}
