//! A step from a state, taken: what is under way then, what has become inert, and the laws.

use std::sync::Arc;

use models::Specification;
use models::world::{Action, Travels as _, World};

use super::lab::Next;
use super::memory::CoreId;
use super::state::State;
use super::{Worker, Worlds};
use crate::engine::native::space::Breach;
use crate::examine::{INERT_IS_INERT, NO_PANIC, caught};
use crate::symmetry::ALIKE;

impl<P: Specification> Worlds<'_, P> {
    /// Takes a step: the core that it leads to. What is then under way, and what has become
    /// inert by it, is with the worker.
    ///
    /// # Errors
    /// The first law that it breaks.
    pub(super) fn take(
        &self,
        worker: &mut Worker<P>,
        state: &State,
        is_first: bool,
        step: usize,
    ) -> Result<CoreId, Breach> {
        let Worker { memory, flight, .. } = worker;
        let core = memory.end(step);
        let next = match &memory.step(step).outcome {
            Ok(next) => next,
            Err(message) => return Err(panicked(message.clone())),
        };
        flight.copy_from(&state.flight);
        next.changes.iter().for_each(|change| flight.change(change));
        let (touched, is_open) = (next.touched, next.laws.is_open());
        self.drop_inert(worker, core, touched, is_first)
            .map_err(panicked)?;
        if is_open && let Some(broken) = self.broken_law(worker, state, step) {
            return Err(broken);
        }
        for position in 0..worker.dropped.len() {
            let dropped = worker.dropped[position];
            let acts = worker.memory.would_act_on(self.lab(), core, dropped);
            if acts.map_err(panicked)? {
                return Err(breach(INERT_IS_INERT));
            }
        }
        Ok(core)
    }

    /// Drops what has become inert by a step to this core that has touched these nodes.
    ///
    /// Whether a message is inert is a matter of its two ends. Of those whose ends are what they
    /// were none is: they were dropped at once. But for what was under way at the start, when
    /// nothing had happened yet.
    ///
    /// # Errors
    /// The message, if the specification panics.
    pub(super) fn drop_inert(
        &self,
        worker: &mut Worker<P>,
        core: CoreId,
        touched: u64,
        is_first: bool,
    ) -> Result<(), String> {
        let Worker {
            memory,
            flight,
            dropped,
            ..
        } = worker;
        dropped.clear();
        if !self.scenario.drop_inert {
            return Ok(());
        }
        let mut panic = None;
        flight.retain(|handle| {
            let (from, to) = handle.link();
            let is_touched = touched & (1 << from.0 | 1 << to.0) != 0;
            if !is_touched && !is_first {
                return true;
            }
            let is_inert = memory.is_inert(&self.tables, core, *handle);
            let is_inert = is_inert.unwrap_or_else(|message| {
                panic = Some(message);
                false
            });
            if is_inert {
                dropped.push(*handle);
            }
            !is_inert
        });
        panic.map_or(Ok(()), Err)
    }

    /// The first law that a step breaks that has been taken.
    fn broken_law(&self, worker: &mut Worker<P>, state: &State, step: usize) -> Option<Breach> {
        let Worker { memory, flight, .. } = worker;
        let (core, step) = (memory.end(step), Arc::clone(memory.step(step)));
        let next = step.outcome.as_ref().ok()?;
        let mut broken = Ok(next.laws.broken.map(usize::from));
        if !next.laws.look.is_empty() {
            let before = memory.lend_world(&self.tables, state.core, &state.flight, &[]);
            let after = memory.lend_world(&self.tables, core, flight, &next.changes);
            broken = next.laws.look_again(|row| {
                (P::LAWS[row].holds)(self.scenario, &before, &step.action, &after)
            });
            let way = memory.way(self.lab(), state.core);
            let is_lopsided = way
                .is_some_and(|way| self.is_lopsided_step(way, next, &before, &step.action, &after));
            memory.give_back(core, after);
            memory.give_back(state.core, before);
            if is_lopsided {
                return Some(breach(ALIKE));
            }
        }
        match broken {
            Ok(row) => row.map(|row| breach(P::LAWS[row].name)),
            Err(message) => Some(panicked(message)),
        }
    }

    /// Whether a law that looks at what is under way says something else of a step where what is
    /// alike has changed places in this way.
    fn is_lopsided_step(
        &self,
        way: usize,
        next: &Next,
        before: &World<P>,
        action: &Action<P>,
        after: &World<P>,
    ) -> bool {
        let names = &self.renamings[way];
        let mirrored = (
            before.renamed(names),
            action.renamed(names),
            after.renamed(names),
        );
        let is_same = |&row: &u16| {
            let holds = P::LAWS[usize::from(row)].holds;
            holds(self.scenario, before, action, after)
                == holds(self.scenario, &mirrored.0, &mirrored.1, &mirrored.2)
        };
        caught(|| next.laws.look.iter().all(is_same)) != Ok(true)
    }
}

/// A property that is broken.
pub(super) fn breach(property: &'static str) -> Breach {
    Breach {
        property,
        panic: None,
    }
}

fn panicked(message: String) -> Breach {
    Breach {
        property: NO_PANIC,
        panic: Some(message),
    }
}
