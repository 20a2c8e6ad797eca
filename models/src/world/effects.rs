//! What a step says and does, for properties that worlds cannot show: a timer that runs and is
//! started anew is one that runs.

use alloc::vec::Vec;

use super::{Action, Host, Scenario, World};
use crate::protocol::{Effect, Input, NodeId, Outbox};
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

    /// The timers that run, and which a step by this action would start anew. Not the one that has
    /// run out.
    pub fn renewed(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
    ) -> Option<(NodeId, Vec<P::Timer>)> {
        let (id, effects) = self.effects(scenario, action)?;
        let Host::Up { armed, .. } = self.host(id)? else {
            return None;
        };
        let runs = |timer: &P::Timer| armed.contains(timer) && action.fired() != Some(timer);
        let started = effects.into_iter().filter_map(|effect| match effect {
            Effect::Arm(timer) => Some(timer),
            _ => None,
        });
        Some((id, started.filter(runs).collect()))
    }
}
