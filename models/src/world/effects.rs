//! What a step says and does, for properties that worlds cannot show: a timer that runs and is
//! started anew is one that runs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use derive_where::derive_where;

use super::{Action, Scenario, World};
use crate::protocol::{Effect, Input, NodeId, Outbox, Protocol};
use crate::specification::Specification;

impl<P: Specification> World<P> {
    /// The node that takes a step by this action, and what that step would say and do. Nothing
    /// where no node takes a step, or it crashes within.
    pub fn effects(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
    ) -> Option<(NodeId, Vec<Effect<P>>)> {
        let input = match action {
            Action::Deliver(envelope) | Action::Duplicate(envelope) => Input::Deliver {
                from: envelope.from,
                message: envelope.message.clone(),
            },
            Action::Fire { timer, .. } => Input::Fire(timer.clone()),
            Action::Ask { .. } | Action::AskUnheard { .. } => {
                Input::Ask(self.asked(scenario, action)?.clone())
            }
            _ => return None,
        };
        let id = action.node()?;
        let mut node = self.host(id)?.node()?.clone();
        let mut out = Outbox::new();
        (scenario.step)(
            &scenario.nodes[usize::from(id.0)],
            &mut node,
            input,
            &mut out,
        );
        Some((id, out.drain().collect()))
    }

    /// The node that takes a step by this action to the world `after`, and what it does in it that no
    /// state shows. Nothing where no node takes a step, or it crashes within.
    pub fn done(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
        after: &Self,
    ) -> Option<(NodeId, Done<P>)> {
        match &after.last_step {
            Some(done) => Some((action.node()?, done.clone())),
            None => self.done_again(scenario, action),
        }
    }

    /// As [`done`](Self::done), by taking the step again: for who has put the world after it together
    /// from its parts.
    pub fn done_again(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
    ) -> Option<(NodeId, Done<P>)> {
        let (id, effects) = self.effects(scenario, action)?;
        let mut armed: BTreeSet<_> = self.host(id)?.armed().cloned().collect();
        if let Some(fired) = action.fired() {
            armed.remove(fired);
        }
        Some((id, Done::with(&effects, &armed)))
    }
}

/// What a node has done in a step that no state shows.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Done<P: Protocol> {
    /// The timers that it has started anew while they ran. Not the one that has run out.
    pub renewed: Vec<P::Timer>,
    /// The events that it has said, at once or when its disk is done.
    pub emitted: Vec<P::Event>,
}

impl<P: Protocol> Done<P> {
    /// That of a step with these effects, taken where these timers ran.
    pub(super) fn with(effects: &[Effect<P>], armed: &BTreeSet<P::Timer>) -> Self {
        let mut done = Self {
            renewed: Vec::new(),
            emitted: Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Arm(timer) if armed.contains(timer) => done.renewed.push(timer.clone()),
                Effect::Emit(event) => done.emitted.push(event.clone()),
                Effect::Arm(_)
                | Effect::Disarm(_)
                | Effect::Send { .. }
                | Effect::SendEarly { .. } => {}
            }
        }
        done
    }
}
