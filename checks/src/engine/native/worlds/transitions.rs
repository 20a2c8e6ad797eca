//! A scenario's worlds and all transitions between them: what liveness is decided on.
//!
//! The search has held every step against the laws, and every state against the invariants, by
//! the time that this is asked. Here each step is taken from each state, whatever commutes, and
//! no more is asked of a state than what the liveness properties say of it and what its bounds
//! withhold. Both are remembered by core: see [`Outlook`].

use std::sync::Arc;

use models::Specification;
use models::specification::OfState;
use models::world::{Action, Scenario, Timing, World};

use super::memory::CoreId;
use super::outlook::{self, Outlook};
use super::state::{State, hash, sum, write};
use super::tables::Hashed;
use super::{Worker, Worlds};
use crate::engine::native::space::Space as _;
use crate::engine::{Limits, Reductions};
use crate::examine::caught;

/// The worlds of a scenario, and a place among them.
pub(in crate::engine) struct Transitions<'a, P: Specification> {
    worlds: Worlds<'a, P>,
    predicates: &'a [OfState<P>],
    worker: Worker<P>,
    /// What is known of cores, by their places in the worker's memory.
    outlooks: Vec<Option<Outlook<P>>>,
    /// The state in which it stands.
    here: State,
    /// Whether that is the initial one.
    is_initial: bool,
    /// Whether timers may run out there.
    timers: bool,
    /// The steps from there that have not been taken, the next one last.
    open: Vec<usize>,
    /// The core of the state that the last step has led to. What is under way there is with the
    /// worker.
    there: CoreId,
}

/// A step that has been taken.
pub(in crate::engine) struct Taken<P: Specification> {
    /// What happened. The same actions are one.
    pub(in crate::engine) action: Arc<Action<P>>,
    /// The hash of the state that it led to.
    pub(in crate::engine) hash: Hashed,
}

impl<'a, P: Specification> Transitions<'a, P> {
    /// The transitions between the worlds of `scenario`, from `initial` on, of which these
    /// predicates are to be known.
    pub(in crate::engine) fn new(
        scenario: &'a Scenario<P>,
        predicates: &'a [OfState<P>],
        limits: &Limits,
        initial: World<P>,
    ) -> Self {
        let alone = Limits {
            threads: std::num::NonZero::<usize>::MIN,
            ..*limits
        };
        let worlds = Worlds::new(scenario, Reductions::NONE, &alone, initial);
        let mut worker = worlds.worker();
        let here = worlds.initial(&mut worker.memory);
        worker.flight.copy_from(&here.flight);
        Self {
            predicates,
            outlooks: Vec::new(),
            is_initial: true,
            timers: false,
            open: Vec::new(),
            there: here.core,
            here,
            worker,
            worlds,
        }
    }

    /// Goes to the initial state, as if a step had led there: its hash.
    pub(in crate::engine) fn begin(&mut self) -> Hashed {
        let State { core, flight } = self.worlds.initial(&mut self.worker.memory);
        self.worker.flight.copy_from(&flight);
        self.there = core;
        self.hash()
    }

    /// Stands in the state at the front of the bytes, before any of its steps is taken.
    pub(in crate::engine) fn stand(&mut self, is_initial: bool, states: &mut &[u8]) {
        self.worker.memory.make_room();
        if self.worker.memory.is_empty() {
            self.outlooks.clear();
        }
        let (worlds, memory) = (&self.worlds, &mut self.worker.memory);
        let parts = worlds.initial.0.numbers.len();
        (self.here, _) = State::read(memory, &worlds.tables, parts, states);
        self.is_initial = is_initial;
        self.list();
    }

    /// Lists the steps from where it stands, in the order of [`World::actions`] as far as that
    /// is one of content.
    fn list(&mut self) {
        let (worlds, memory) = (&self.worlds, &mut self.worker.memory);
        let core = self.here.core;
        let mut can_arrive = false;
        self.open.clear();
        for head in self.here.flight.heads() {
            let reactions = memory.reactions(worlds.lab(), core, *head);
            can_arrive |= reactions.is_deliverable;
            self.open.extend(reactions.steps.range());
        }
        self.timers = !can_arrive || worlds.scenario.timing == Timing::Any;
        let others = memory.others(worlds.lab(), core, self.timers);
        self.open.extend(others.range());
        self.open.reverse();
    }

    /// Takes the next step from where it stands, if there is one left.
    ///
    /// # Errors
    /// The message, if the model panics.
    pub(in crate::engine) fn take(&mut self) -> Option<Result<Taken<P>, String>> {
        let step = self.open.pop()?;
        Some(self.follow(step).map(|()| Taken {
            action: Arc::clone(&self.worker.memory.step(step).action),
            hash: self.hash(),
        }))
    }

    /// Goes where a step leads; what has become inert by it is dropped.
    fn follow(&mut self, step: usize) -> Result<(), String> {
        let Worker { memory, flight, .. } = &mut self.worker;
        let core = memory.end(step);
        let next = memory.step(step).outcome.as_ref().map_err(String::clone)?;
        flight.copy_from(&self.here.flight);
        next.changes.iter().for_each(|change| flight.change(change));
        let touched = next.touched;
        self.worlds
            .drop_inert(&mut self.worker, core, touched, self.is_initial)?;
        self.there = core;
        Ok(())
    }

    fn hash(&self) -> Hashed {
        let Worker { memory, flight, .. } = &self.worker;
        let core = memory.core(self.there).hash;
        let under_way = sum(flight, |handle| handle.hash);
        hash(core, under_way, self.worlds.wide)
    }

    /// Appends the bytes of the state that the last step has led to.
    pub(in crate::engine) fn write(&self, into: &mut Vec<u8>) {
        let Worker { memory, flight, .. } = &self.worker;
        write(memory.core(self.there), flight, 0, into);
    }

    /// What the predicates say of the state that the last step has led to: bit `i` for number
    /// `i`.
    ///
    /// # Errors
    /// The message, if one of them panics.
    pub(in crate::engine) fn marks(&mut self) -> Result<u64, String> {
        let core = self.there;
        let outlook = self.outlook(core);
        let marks = outlook.marks.clone()?;
        if outlook.look.is_empty() {
            return Ok(marks);
        }
        let look = outlook.look.clone();
        let (worlds, predicates) = (&self.worlds, self.predicates);
        let Worker { memory, flight, .. } = &mut self.worker;
        let world = memory.lend_world(&worlds.tables, core, flight, &[]);
        let seen = caught(|| {
            let holds = |number: &&u8| predicates[usize::from(**number)](worlds.scenario, &world);
            look.iter()
                .filter(holds)
                .fold(marks, |marks, number| marks | 1 << number)
        });
        memory.give_back(core, world);
        seen
    }

    /// What the bounds withhold where it stands: timers by what would happen, then clients.
    pub(in crate::engine) fn withheld(&mut self) -> (&[Arc<Action<P>>], &[usize]) {
        let timers = self.timers;
        let outlook = self.outlook(self.here.core);
        let withheld = if timers { &*outlook.timers } else { &[] };
        (withheld, &outlook.requests)
    }

    /// What is known of a core.
    fn outlook(&mut self, core: CoreId) -> &Outlook<P> {
        let position = core.position();
        if self.outlooks.len() <= position {
            self.outlooks.resize_with(position + 1, || None);
        }
        let (worlds, memory) = (&self.worlds, &mut self.worker.memory);
        self.outlooks[position].get_or_insert_with(|| {
            let world = memory.veiled(&worlds.tables, core);
            outlook::of(worlds.lab(), world, self.predicates)
        })
    }

    /// The actions at these positions, each of them taken where the one before has led.
    pub(in crate::engine) fn retrace(&mut self, positions: &[u32]) -> Vec<Action<P>> {
        self.begin();
        let mut actions = Vec::new();
        for (taken, &position) in positions.iter().enumerate() {
            let mut state = Vec::new();
            self.write(&mut state);
            self.stand(taken == 0, &mut state.as_slice());
            self.open.truncate(self.open.len() - position as usize);
            let step = self
                .open
                .last()
                .copied()
                .expect("the graph has an edge for it");
            actions.push(Action::clone(&self.worker.memory.step(step).action));
            // Only the last one may panic, and nobody goes on from there.
            if self.follow(step).is_err() {
                break;
            }
        }
        actions
    }

    /// The memory taken by what is remembered.
    pub(in crate::engine) fn memory(&self) -> u64 {
        self.worlds.bytes()
    }
}
