//! Which messages are inert, and that they are, core by core: asked once, and remembered.

use std::sync::Arc;

use models::Specification;
use models::world::Travels as _;

use super::answers::Answer;
use super::lab::Lab;
use super::memory::{CoreId, Memory};
use super::tables::{Handle, Tables};
use crate::examine::caught;

impl<P: Specification> Memory<P> {
    /// Whether the message is inert in a world with this core.
    ///
    /// # Errors
    /// The message, if the specification panics.
    pub(super) fn is_inert(
        &mut self,
        tables: &Tables<P>,
        place: CoreId,
        message: Handle,
    ) -> Result<bool, String> {
        let known = self.known_mut(place);
        if let Some(is_inert) = known.inert.get(message.number).is_so() {
            return Ok(is_inert);
        }
        let (from, to) = message.link();
        let host = |node| Some(&*tables.hosts.part(known.core.host(node)?).content);
        let is_inert = match (host(from), host(to)) {
            (Some(sender), Some(receiver)) => {
                let (_, envelope) = tables.message(message.number);
                caught(|| P::is_inert(envelope, sender, receiver))?
            }
            _ => false,
        };
        known.inert.set(message.number, Answer::of(is_inert));
        Ok(is_inert)
    }

    /// Whether the message is inert in a world with this core, as far as that is known; of one that
    /// is, also that it would make no difference.
    pub(super) fn knows_inert(&self, place: CoreId, message: u32) -> Option<bool> {
        match self.known(place).inert.get(message) {
            Answer::No => Some(false),
            Answer::Confirmed => Some(true),
            Answer::Unasked | Answer::Yes => None,
        }
    }

    /// Whether the message, in a world with this core, would make a difference if it were delivered:
    /// see [`World::would_act_on`].
    ///
    /// # Errors
    /// The message, if the model panics.
    pub(super) fn would_act_on(
        &mut self,
        lab: Lab<'_, P>,
        place: CoreId,
        message: Handle,
    ) -> Result<bool, String> {
        let mut acts = true;
        if let Some(replies) = self.replies(lab, place, message)? {
            acts = false;
            for reply in replies.iter() {
                acts |= !self.is_inert(lab.tables, place, *reply)?;
            }
        }
        if !acts {
            let known = self.known_mut(place);
            known.inert.set(message.number, Answer::Confirmed);
        }
        Ok(acts)
    }

    /// What the message's receiver, in a world with this core, would answer to it; `None` if it would
    /// do more.
    fn replies(
        &mut self,
        lab: Lab<'_, P>,
        place: CoreId,
        message: Handle,
    ) -> Result<Option<Arc<[Handle]>>, String> {
        let Some(receiver) = self.core(place).host(message.link().1) else {
            return Ok(Some(Arc::default()));
        };
        if let Some(replies) = self.replies.get(&(message.number, receiver)) {
            return Ok(replies.clone());
        }
        let host = &lab.tables.hosts.part(receiver).content;
        let (_, envelope) = lab.tables.message(message.number);
        let replies = caught(|| host.answers_to(lab.scenario, envelope))?;
        let handle = |reply| lab.tables.handle(Arc::new(reply));
        let replies = replies.map(|replies| replies.into_iter().map(handle).collect());
        let known = (message.number, receiver);
        self.replies.insert(known, Option::clone(&replies));
        Ok(replies)
    }
}
