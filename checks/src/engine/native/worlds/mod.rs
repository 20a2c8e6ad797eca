//! A scenario's worlds as a state space.
//!
//! A state is a core, the numbers of a world's parts but for what is under way, and the
//! numbers of the messages under way. Steps between cores are taken once and remembered; what
//! they do to the messages under way is done to their numbers.

mod lab;
mod memory;
mod tables;

use std::sync::Arc;

use models::Specification;
use models::world::{Action, Delivery, Flight, Scenario, Timing, Travels as _, World};

use self::lab::Lab;
use self::lab::Step;
use self::memory::{CoreId, Memory};
use self::tables::{Core, Handle, Tables};
use super::bytes;
use super::space::{Breach, Marks, Sink, Space};
use super::visited::Fingerprint;
use crate::arms;
use crate::engine::Fired;
use crate::examine::{INERT_IS_INERT, NO_PANIC, caught};

/// The worlds of a scenario.
pub(super) struct Worlds<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    tables: Tables<P>,
    initial: (Core, Flight<Handle>),
}

/// A state in a thread's memory.
struct State {
    core: CoreId,
    flight: Flight<Handle>,
}

/// A thread's memory, and room to work.
pub(super) struct Worker<P: Specification> {
    memory: Memory<P>,
    /// What is under way after the step that is being looked at.
    flight: Flight<Handle>,
    /// What has become inert by it.
    dropped: Vec<Handle>,
}

impl<'a, P: Specification> Worlds<'a, P> {
    /// The worlds of `scenario`, from `initial` on.
    pub(super) fn new(scenario: &'a Scenario<P>, mut initial: World<P>) -> Self {
        const { assert!(P::REACHABLE.len() <= Marks::BITS as usize) };
        let nodes = scenario.nodes.len();
        assert!(
            nodes + 2 <= MOST_PARTS,
            "{nodes} nodes: no engine could walk that"
        );
        let tables = Tables::new();
        let under_way = initial.network.veil();
        let handles = under_way
            .iter()
            .map(|envelope| tables.handle(Arc::clone(envelope)));
        let flight = Flight::of(scenario.delivery, handles.collect());
        let core = tables.core(initial);
        Self {
            scenario,
            tables,
            initial: (core, flight),
        }
    }

    fn lab(&self) -> Lab<'_, P> {
        Lab {
            scenario: self.scenario,
            tables: &self.tables,
        }
    }

    /// The state that the worlds begin in.
    fn initial(&self, memory: &mut Memory<P>) -> State {
        let (core, flight) = &self.initial;
        State {
            core: memory.place(core.hash, || core.numbers.clone()),
            flight: flight.clone(),
        }
    }

    /// The positions of the steps from a state, in the order of their numbers.
    fn steps(&self, memory: &mut Memory<P>, state: &State) -> Vec<usize> {
        let mut steps = Vec::new();
        let heads = state.flight.heads();
        let can_arrive = memory.reactions(self.lab(), state.core, heads, &mut steps);
        let timers = !can_arrive || self.scenario.timing == Timing::Any;
        steps.extend(memory.others(self.lab(), state.core, timers));
        steps
    }

    /// Takes a step: the core that it leads to. What is then under way, and what has become
    /// inert by it, is with the worker.
    ///
    /// # Errors
    /// The first law that it breaks.
    fn take(
        &self,
        worker: &mut Worker<P>,
        state: &State,
        is_first: bool,
        step: usize,
    ) -> Result<CoreId, Breach> {
        let Worker {
            memory,
            flight,
            dropped,
        } = worker;
        let (core, next) = match &memory.step(step).outcome {
            Ok((core, next)) => (*core, next),
            Err(message) => return Err(panicked(message.clone())),
        };
        flight.copy_from(&state.flight);
        next.changes.iter().for_each(|change| flight.change(change));
        let (touched, is_open) = (next.touched, next.laws.is_open());
        dropped.clear();
        if self.scenario.drop_inert {
            // Whether a message is inert is a matter of its two ends. Of those whose ends are
            // what they were none is: they were dropped at once. But for what was under way at
            // the start, when nothing had happened yet.
            flight.retain(|handle| {
                let (from, to) = handle.link();
                let is_touched = touched & (1 << from.0 | 1 << to.0) != 0;
                let is_doomed =
                    (is_touched || is_first) && memory.is_inert(&self.tables, core, *handle);
                if is_doomed {
                    dropped.push(*handle);
                }
                !is_doomed
            });
        }
        if is_open && let Some(broken) = self.broken_law(worker, state, step) {
            return Err(broken);
        }
        let memory = &mut worker.memory;
        let mut dropped = worker.dropped.iter();
        let act = dropped.any(|handle| memory.would_act_on(self.lab(), core, *handle));
        if act {
            Err(breach(INERT_IS_INERT))
        } else {
            Ok(core)
        }
    }

    /// The first law that a step breaks that has been taken.
    fn broken_law(&self, worker: &mut Worker<P>, state: &State, step: usize) -> Option<Breach> {
        let Worker { memory, flight, .. } = worker;
        let Step {
            outcome, action, ..
        } = memory.step(step);
        let (core, next) = outcome.as_ref().ok()?;
        let mut broken = Ok(next.laws.broken);
        if !next.laws.look.is_empty() {
            let (core, changes, action) = (*core, next.changes.clone(), action.clone());
            let before = memory.lend_world(&self.tables, state.core, &state.flight, &[]);
            let after = memory.lend_world(&self.tables, core, flight, &changes);
            if let Ok((_, next)) = &memory.step(step).outcome {
                broken = next.laws.look_again(|row| {
                    (P::LAWS[row].holds)(self.scenario, &before, &action, &after)
                });
            }
            memory.give_back(core, after);
            memory.give_back(state.core, before);
        }
        match broken {
            Ok(row) => row.map(|row| breach(P::LAWS[row].name)),
            Err(message) => Some(panicked(message)),
        }
    }

    /// What a state shows that has not been shown.
    ///
    /// # Errors
    /// The invariant that it breaks.
    fn look(
        &self,
        memory: &mut Memory<P>,
        core: CoreId,
        flight: &Flight<Handle>,
        marked: Marks,
    ) -> Result<Marks, Breach> {
        let sight = memory.sight(self.lab(), core);
        let sight = sight.map_err(|_| breach(NO_PANIC))?;
        let is_seen = |row: &usize| marked & (1 << *row) != 0;
        if sight.invariants.look.is_empty() && sight.look.iter().all(is_seen) {
            return match sight.invariants.broken {
                Some(row) => Err(breach(P::INVARIANTS[row].name)),
                None => Ok(sight.marks),
            };
        }
        let world = memory.lend_world(&self.tables, core, flight, &[]);
        let looked = self.look_at(memory, core, &world, is_seen);
        memory.give_back(core, world);
        looked
    }

    /// What a world shows, without a veil.
    fn look_at(
        &self,
        memory: &mut Memory<P>,
        core: CoreId,
        world: &World<P>,
        is_seen: impl Fn(&usize) -> bool,
    ) -> Result<Marks, Breach> {
        let sight = memory.sight(self.lab(), core);
        let sight = sight.map_err(|_| breach(NO_PANIC))?;
        let broken = sight
            .invariants
            .look_again(|row| (P::INVARIANTS[row].holds)(self.scenario, world));
        if let Some(row) = broken.map_err(|_| breach(NO_PANIC))? {
            return Err(breach(P::INVARIANTS[row].name));
        }
        let unseen = sight.look.iter().filter(|row| !is_seen(row));
        let marks = caught(|| {
            let shown = unseen.filter(|row| (P::REACHABLE[**row].seen)(self.scenario, world));
            shown.fold(sight.marks, |marks, row| marks | 1 << row)
        });
        marks.map_err(|_| breach(NO_PANIC))
    }

    /// What the search has counted, by name: kinds of actions, and arms of the step function.
    pub(super) fn named(&self, tally: &[u64]) -> Fired {
        let (kinds, arms) = tally.split_at(tally.len().min(arms::KINDS.len()));
        let kinds = kinds.iter().enumerate();
        let kinds = kinds.map(|(number, &count)| (format!("{:?}", arms::KINDS[number]), count));
        let name = |number: u32| String::clone(&self.tables.arms.part(number).content);
        let arms = (0..).map(name).zip(arms.iter().copied());
        Fired {
            actions: kinds.filter(|(_, count)| *count > 0).collect(),
            arms: arms.take(self.tables.arms.len()).collect(),
        }
    }

    /// The actions with these numbers, each taken where the last one led.
    pub(super) fn retrace(&self, path: &[u32]) -> Vec<Action<P>> {
        let mut worker = self.worker();
        let mut state = self.initial(&mut worker.memory);
        let mut actions = Vec::new();
        for (taken, &number) in path.iter().enumerate() {
            let step = self.steps(&mut worker.memory, &state)[number as usize];
            actions.push(worker.memory.step(step).action.clone());
            // Only the last one may break anything, and nobody goes on from there.
            if let Ok(core) = self.take(&mut worker, &state, taken == 0, step) {
                let flight = worker.flight.clone();
                state = State { core, flight };
            }
        }
        actions
    }

    /// The state at the front of the bytes.
    fn read(&self, memory: &mut Memory<P>, states: &mut &[u8]) -> State {
        let (hash, rest) = states
            .split_first_chunk()
            .expect("a state begins with its core");
        *states = rest;
        let mut numbers = [0; MOST_PARTS];
        let numbers = &mut numbers[..self.initial.0.numbers.len()];
        numbers.fill_with(|| bytes::read(states) as u32);
        let core = memory.place(u64::from_le_bytes(*hash), || Box::from(&*numbers));
        let messages = bytes::read(states);
        let handles = (0..messages).map(|_| {
            let number = bytes::read(states) as u32;
            memory.handle(&self.tables, number)
        });
        // They were written in their order.
        let flight = Flight::in_order(self.scenario.delivery, handles.collect());
        State { core, flight }
    }
}

/// Nodes, and two more.
const MOST_PARTS: usize = 66;

impl<P: Specification> Space for Worlds<'_, P> {
    type Worker = Worker<P>;

    fn worker(&self) -> Worker<P> {
        Worker {
            memory: Memory::new(),
            flight: Flight::new(self.scenario.delivery),
            dropped: Vec::new(),
        }
    }

    fn begin(&self, worker: &mut Worker<P>, sink: &mut Sink<'_>) {
        let State { core, flight } = self.initial(&mut worker.memory);
        match self.look(&mut worker.memory, core, &flight, 0) {
            Err(breach) => sink.broken(breach),
            Ok(marks) => {
                let core = worker.memory.core(core);
                let write = |bytes: &mut Vec<u8>| write(core, &flight, bytes);
                sink.add(fingerprint(core, &flight), marks, write);
            }
        }
    }

    fn expand(&self, worker: &mut Worker<P>, states: &mut &[u8], sink: &mut Sink<'_>) {
        worker.memory.make_room();
        let is_first = sink.parent() == 0;
        let state = self.read(&mut worker.memory, states);
        for step in self.steps(&mut worker.memory, &state) {
            let (kind, arm) = worker.memory.step(step).counted;
            sink.count(kind);
            if let Some(arm) = arm {
                sink.count(arm);
            }
            let core = match self.take(worker, &state, is_first, step) {
                Ok(core) => core,
                Err(breach) => return sink.broken(breach),
            };
            let Worker { memory, flight, .. } = worker;
            let fingerprint = fingerprint(memory.core(core), flight);
            if !sink.is_new(fingerprint) {
                sink.pass();
                continue;
            }
            match self.look(memory, core, flight, sink.marked()) {
                Err(breach) => return sink.broken(breach),
                Ok(marks) => {
                    let core = memory.core(core);
                    sink.add(fingerprint, marks, |bytes| write(core, flight, bytes));
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.tables.bytes()
    }
}

fn breach(property: &'static str) -> Breach {
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

/// A state as bytes.
fn write(core: &Core, flight: &Flight<Handle>, into: &mut Vec<u8>) {
    into.extend_from_slice(&core.hash.to_le_bytes());
    for &number in &core.numbers {
        bytes::write(into, number.into());
    }
    bytes::write(into, flight.iter().len() as u64);
    for handle in flight.iter() {
        bytes::write(into, handle.number.into());
    }
}

/// The fingerprint of a state: of its core, and of its messages; of those of one channel in
/// their order.
fn fingerprint(core: &Core, flight: &Flight<Handle>) -> Fingerprint {
    let mut sum = 0u64;
    let (mut last, mut place) = (None, 0u64);
    for handle in flight.iter() {
        if flight.delivery() == Delivery::Fifo {
            let same = last.replace(handle.link()) == Some(handle.link());
            place = if same { place + 1 } else { 0 };
        }
        sum = sum.wrapping_add(fold(handle.hash ^ place, 0x9e37_79b9_7f4a_7c15));
    }
    Fingerprint::new(fold(
        core.hash ^ 0x2545_f491_4f6c_dd1d,
        sum ^ 0xd6e8_feb8_6659_fd93,
    ))
}

/// Mixes two numbers: the product's halves.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
