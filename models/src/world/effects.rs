//! What a step says and does, for properties that worlds cannot show: a timer that runs and is
//! started anew is one that runs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use derive_where::derive_where;

use super::{Action, Host, Scenario, World};
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

    /// The node that takes a step by this action to the world `after`, and the timers that it starts
    /// anew while they run. Not the one that has run out. Nothing where no node takes a step, or it
    /// crashes within.
    pub fn renewed(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
        after: &Self,
    ) -> Option<(NodeId, Vec<P::Timer>)> {
        match &after.last_step.0 {
            Some(step) => Some((action.node()?, step.renewed.clone())),
            None => self.renewed_again(scenario, action),
        }
    }

    /// The node that takes a step by this action to the world `after`, and the events that it says,
    /// at once or when its disk is done. Nothing where no node takes a step, or it crashes within.
    pub fn emitted(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
        after: &Self,
    ) -> Option<(NodeId, Vec<P::Event>)> {
        match &after.last_step.0 {
            Some(step) => Some((action.node()?, step.emitted.clone())),
            None => self.emitted_again(scenario, action),
        }
    }

    /// As [`renewed`](Self::renewed), by taking the step again: for who has put the world after it
    /// together from its parts.
    pub fn renewed_again(
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

    /// As [`emitted`](Self::emitted), in the same way.
    pub fn emitted_again(
        &self,
        scenario: &Scenario<P>,
        action: &Action<P>,
    ) -> Option<(NodeId, Vec<P::Event>)> {
        let (id, effects) = self.effects(scenario, action)?;
        let events = effects.into_iter().filter_map(|effect| match effect {
            Effect::Emit(event) => Some(event),
            _ => None,
        });
        Some((id, events.collect()))
    }
}

/// What a node has done in the last step, where one has taken a step and that is known. No part of
/// the state: worlds that differ in nothing else are equal.
#[derive_where(Clone, Debug, Default)]
pub struct LastStep<P: Protocol>(Option<Done<P>>);

#[derive_where(Clone, Debug)]
struct Done<P: Protocol> {
    /// The timers that it has started anew while they ran.
    renewed: Vec<P::Timer>,
    /// What it has said.
    emitted: Vec<P::Event>,
}

impl<P: Protocol> LastStep<P> {
    /// Whether a node has taken a step, and it is known what it has done.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// One that had these effects, taken where these timers ran.
    pub(super) fn with(effects: &[Effect<P>], armed: &BTreeSet<P::Timer>) -> Self {
        let mut done = Done {
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
        Self(Some(done))
    }
}

impl<P: Protocol> PartialEq for LastStep<P> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<P: Protocol> Eq for LastStep<P> {}

impl<P: Protocol> PartialOrd for LastStep<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Protocol> Ord for LastStep<P> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl<P: Protocol> Hash for LastStep<P> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
