//! Where steps lead, foreseen from what is remembered of them.
//!
//! Of ten steps nine lead where another one has led. To tell that one does, its fingerprint is
//! enough, and that of a bag of messages is a sum: what the step sends is added to what it was, what
//! the step takes off is subtracted, and nothing is built. What cannot be told in this way, because
//! something about it has not been asked before or depends on all that is under way, is not
//! foreseen: such a step is taken.

use models::Specification;
use models::world::{Delivery, Travels as _};

use super::brief::Brief;
use super::memory::Memory;
use super::state::{State, add, hash, subtract, sum, weight};
use super::tables::Hashed;
use super::{Enabled, Worlds};
use crate::engine::native::positions::Positions;
use crate::engine::native::visited::Fingerprint;

/// Foresees where steps lead.
#[derive(Default)]
pub(super) struct Foresight {
    /// The fingerprints of the states that the steps from a state lead to, as far as they can be
    /// foreseen.
    arrivals: Vec<Option<Fingerprint>>,
    /// The numbers of the messages that are under way in that state.
    under_way: Positions,
}

impl Foresight {
    /// Looks where these steps lead from a state.
    pub(super) fn look<P: Specification>(
        &mut self,
        worlds: &Worlds<'_, P>,
        memory: &Memory<P>,
        state: &State,
        is_first: bool,
        steps: &[Enabled],
    ) {
        self.arrivals.clear();
        if worlds.scenario.delivery != Delivery::Bag || !worlds.renamings.is_empty() {
            self.arrivals.resize(steps.len(), None);
            return;
        }
        let numbers = || state.flight.iter().map(|handle| handle.number as usize);
        self.under_way.make_room(memory.messages());
        numbers().for_each(|number| self.under_way.insert(number));
        let from = Departure {
            state,
            under_way: &self.under_way,
            sum: sum(&state.flight, |handle| handle.hash),
            drops: worlds.scenario.drop_inert,
            is_first,
        };
        self.arrivals.extend(steps.iter().map(|taken| {
            if taken.is_asleep {
                return None;
            }
            let brief = memory.brief(taken.step);
            let sum = from.sum_after(memory, brief)?;
            Some(Fingerprint::of(hash(brief.hash, sum, worlds.wide)))
        }));
        numbers().for_each(|number| self.under_way.remove(number));
    }

    /// Where the steps lead, in their order, as far as it can be foreseen.
    pub(super) fn arrivals(&self) -> &[Option<Fingerprint>] {
        &self.arrivals
    }
}

/// Where steps begin.
struct Departure<'a> {
    state: &'a State,
    /// The numbers of the messages under way.
    under_way: &'a Positions,
    /// Their sum.
    sum: Hashed,
    /// Whether what becomes inert is dropped.
    drops: bool,
    /// Whether nothing has happened yet.
    is_first: bool,
}

impl Departure<'_> {
    /// The sum of what is under way after a step, if that can be foreseen.
    fn sum_after<P: Specification>(&self, memory: &Memory<P>, step: &Brief) -> Option<Hashed> {
        let mut sum = self.sum;
        for (is_put, number) in step.changes()? {
            let weight = || weight(memory.met(number).hash, 0);
            match (self.under_way.contains(number as usize), is_put) {
                (false, true) if !self.is_dropped(memory, step, number)? => add(&mut sum, weight()),
                (true, false) => subtract(&mut sum, weight()),
                _ => {}
            }
        }
        if self.drops {
            self.drop_others(memory, step, &mut sum)?;
        }
        Some(sum)
    }

    fn is_dropped<P: Specification>(
        &self,
        memory: &Memory<P>,
        step: &Brief,
        number: u32,
    ) -> Option<bool> {
        match self.drops {
            true => memory.knows_inert(step.end, number),
            false => Some(false),
        }
    }

    /// Subtracts what was under way before and becomes inert by the step.
    fn drop_others<P: Specification>(
        &self,
        memory: &Memory<P>,
        step: &Brief,
        sum: &mut Hashed,
    ) -> Option<()> {
        for handle in self.state.flight.iter() {
            let (from, to) = handle.link();
            let is_touched = step.touched & (1 << from.0 | 1 << to.0) != 0;
            if (is_touched || self.is_first)
                && !step.takes(handle.number)
                && memory.knows_inert(step.end, handle.number)?
            {
                subtract(sum, weight(handle.hash, 0));
            }
        }
        Some(())
    }
}
