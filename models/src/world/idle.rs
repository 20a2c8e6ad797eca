//! What an inert message would do, were it delivered: nothing, and answer with what is inert.
//!
//! That a message is inert is a claim of its protocol, with an argument. Whoever drops one holds
//! the claim against the step function that runs, once, when the message is dropped.
//!
//! What this does not show: that the message stays inert (tests walk every model for that), and that
//! the laws hold of its delivery, which is no transition any more: a law that finds fault with an
//! answer which nobody listens to finds it only where nothing is dropped.

use alloc::vec::Vec;

use super::network::Envelope;
use super::scenario::Scenario;
use super::{Host, World};
use crate::protocol::{Effect, Input, Outbox};
use crate::specification::Specification;

impl<P: Specification> World<P> {
    /// Whether a message is inert now.
    pub fn is_inert(&self, envelope: &Envelope<P::Message>) -> bool {
        match (self.host(envelope.from), self.host(envelope.to)) {
            (Some(sender), Some(receiver)) => P::is_inert(envelope, sender, receiver),
            _ => false,
        }
    }

    /// Whether delivering `envelope` now would make a difference: change its receiver, make it do
    /// more than answer, or answer with what is not inert in turn, also where the same is under way
    /// already. Of an inert message that must never be true.
    pub fn would_act_on(&self, scenario: &Scenario<P>, envelope: &Envelope<P::Message>) -> bool {
        let Some(receiver) = self.host(envelope.to) else {
            return false;
        };
        match receiver.answers_to(scenario, envelope) {
            Some(answers) => !answers.iter().all(|answer| self.is_inert(answer)),
            None => true,
        }
    }
}

impl<P: Specification> Host<P> {
    /// What delivering `envelope` to this host, its receiver's, would make it answer; `None` if it
    /// would change the node, or make it do more. A host that is down answers nothing.
    pub fn answers_to(
        &self,
        scenario: &Scenario<P>,
        envelope: &Envelope<P::Message>,
    ) -> Option<Vec<Envelope<P::Message>>> {
        let Some(node) = self.node() else {
            return Some(Vec::new());
        };
        let mut after = node.clone();
        let mut out = Outbox::new();
        let input = Input::Deliver {
            from: envelope.from,
            message: envelope.message.clone(),
        };
        let protocol = &scenario.nodes[usize::from(envelope.to.0)];
        (scenario.step)(protocol, &mut after, input, &mut out);
        let answer = |effect: &Effect<P>| match effect {
            Effect::Send { to, message } | Effect::SendEarly { to, message } => Some(Envelope {
                from: envelope.to,
                to: *to,
                message: message.clone(),
            }),
            Effect::Arm(_) | Effect::Disarm(_) | Effect::Emit(_) => None,
        };
        if after != *node {
            return None;
        }
        out.effects().iter().map(answer).collect()
    }
}
