//! What a step says and does, for properties that worlds cannot show: a timer that runs and is
//! started anew is one that runs.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use derive_where::derive_where;

use super::{Action, Host, Kind, Scenario, World};
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
        let takes_step = matches!(
            action.kind(),
            Kind::Deliver | Kind::Duplicate | Kind::Fire | Kind::Ask | Kind::AskUnheard
        );
        match &after.renewed.0 {
            Some(renewed) if takes_step => Some((action.node()?, renewed.clone())),
            _ => self.renewed_again(scenario, action),
        }
    }

    /// As [`renewed`](Self::renewed), for who does not have the world that the step has led to, or
    /// has put it together from its parts.
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
}

/// The timers that the last step has started anew while they ran, where that is known. No part of
/// the state: worlds that differ in nothing else are equal.
#[derive_where(Clone, Debug, Default)]
pub struct Renewed<P: Protocol>(Option<Vec<P::Timer>>);

impl<P: Protocol> Renewed<P> {
    /// Those of a step with these effects, taken where these timers run.
    pub(super) fn by(effects: &[Effect<P>], armed: &BTreeSet<P::Timer>) -> Self {
        let started = effects.iter().filter_map(|effect| match effect {
            Effect::Arm(timer) => Some(timer),
            _ => None,
        });
        let renewed = started.filter(|timer| armed.contains(timer));
        Self(Some(renewed.cloned().collect()))
    }
}

impl<P: Protocol> PartialEq for Renewed<P> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<P: Protocol> Eq for Renewed<P> {}

impl<P: Protocol> PartialOrd for Renewed<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Protocol> Ord for Renewed<P> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl<P: Protocol> Hash for Renewed<P> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
