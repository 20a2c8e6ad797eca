//! A scenario's worlds as a state space.
//!
//! A state is a core, the numbers of a world's parts but for what is under way, and the
//! numbers of the messages under way. Steps between cores are taken once and remembered; what
//! they do to the messages under way is done to their numbers.

mod answers;
mod brief;
mod commuting;
mod foresight;
mod inertness;
mod lab;
mod lessons;
mod looking;
mod memory;
mod mirror;
mod outlook;
mod pages;
mod state;
mod table;
mod tables;
mod taking;
pub(in crate::engine) mod transitions;

use std::io;
use std::sync::Arc;

use models::Specification;
use models::world::{Action, Flight, Scenario, Timing, World};

use self::commuting::Way;
use self::foresight::Foresight;
use self::lab::Lab;
use self::lessons::Lessons;
use self::memory::{CoreId, Memory};
use self::state::{Asleep, MOST_PARTS, State, hash, sum, write};
use self::tables::{Core, Handle, Tables};
use super::checkpoint::{Reader, Writer};
use super::space::{Breach, Marks, Sink, Space};
use super::visited::Fingerprint;
use crate::arms;
use crate::engine::{Bits, Fired, Limits, Reductions};
use crate::symmetry::Renaming;

/// The most steps that are remembered, by all threads together, and by each of them.
const MOST_STEPS: usize = 1 << 19;

/// How many bytes a step takes in each of these places, with all that is remembered beside, or so.
const STEP_BYTES: u64 = 300;

/// The worlds of a scenario.
pub(super) struct Worlds<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    /// Whether to take one order of steps that commute. Which one is a matter of names: not
    /// where anything changes places.
    commuting: bool,
    /// The ways in which what is alike changes places.
    renamings: Vec<Renaming>,
    tables: Tables<P>,
    lessons: Lessons<P>,
    /// The most steps that are remembered by all threads together, and by each of them.
    most_steps: usize,
    /// How many bytes a step takes in all these places.
    step_bytes: u64,
    /// Whether fingerprints have 128 bits.
    wide: bool,
    initial: (Core, Flight<Handle>),
}

/// A thread's memory, and room to work.
pub(super) struct Worker<P: Specification> {
    memory: Memory<P>,
    /// What is under way after the step that is being looked at.
    flight: Flight<Handle>,
    /// What has become inert by it.
    dropped: Vec<Handle>,
    /// The steps from the state that is being looked at.
    enabled: Vec<Enabled>,
    foresight: Foresight,
}

/// A step that is possible in a state.
#[derive(Clone, Copy)]
struct Enabled {
    /// Its position.
    step: usize,
    /// The message that has part in it, if one does.
    message: Option<Handle>,
    /// Whether it leads nowhere that no other step leads to.
    is_asleep: bool,
}

impl<'a, P: Specification> Worlds<'a, P> {
    /// The worlds of `scenario`, from `initial` on.
    pub(super) fn new(
        scenario: &'a Scenario<P>,
        reductions: Reductions,
        limits: &Limits,
        mut initial: World<P>,
    ) -> Self {
        const { assert!(P::REACHABLE.len() <= Marks::BITS as usize) };
        let nodes = scenario.nodes.len();
        assert!(
            nodes + 2 <= MOST_PARTS,
            "{nodes} nodes: no engine could walk that"
        );
        let renamings = match reductions.symmetry {
            true => Renaming::all(scenario),
            false => Vec::new(),
        };
        // An eighth of the memory is for what makes the rest faster.
        let step_bytes = STEP_BYTES * (1 + limits.threads.get() as u64);
        let fit = limits.memory.map(|memory| memory / 8 / step_bytes);
        let most_steps = fit.map_or(MOST_STEPS, |fit| MOST_STEPS.min(fit as usize));
        let tables = Tables::new(scenario.delivery);
        let under_way = initial.network.veil();
        let handles = under_way
            .iter()
            .map(|envelope| tables.handle(Arc::clone(envelope)));
        let flight = Flight::of(scenario.delivery, handles.collect());
        let core = tables.core(initial);
        Self {
            scenario,
            commuting: reductions.commuting && renamings.is_empty(),
            renamings,
            tables,
            lessons: Lessons::new(most_steps),
            most_steps,
            step_bytes,
            wide: limits.fingerprints == Bits::Wide,
            initial: (core, flight),
        }
    }

    fn lab(&self) -> Lab<'_, P> {
        Lab {
            scenario: self.scenario,
            tables: &self.tables,
            lessons: &self.lessons,
            renamings: &self.renamings,
        }
    }

    /// The state that the worlds begin in.
    fn initial(&self, memory: &mut Memory<P>) -> State {
        let (core, flight) = &self.initial;
        State {
            core: memory.place(core),
            flight: flight.clone(),
        }
    }

    /// The steps from a state, in the order of their numbers.
    fn enabled(
        &self,
        memory: &mut Memory<P>,
        state: &State,
        asleep: Asleep,
        into: &mut Vec<Enabled>,
    ) {
        into.clear();
        let mut can_arrive = false;
        for (position, head) in state.flight.heads().enumerate() {
            let reactions = memory.reactions(self.lab(), state.core, *head);
            can_arrive |= reactions.is_deliverable;
            let is_asleep = position < Asleep::BITS as usize && asleep & (1 << position) != 0;
            into.extend(reactions.steps.range().map(|step| Enabled {
                step,
                message: Some(*head),
                // What a law says that looks at what is under way must be asked here, too.
                is_asleep: is_asleep && memory.step(step).is_closed(),
            }));
        }
        let timers = !can_arrive || self.scenario.timing == Timing::Any;
        let others = memory.others(self.lab(), state.core, timers);
        into.extend(others.range().map(|step| Enabled {
            step,
            message: None,
            is_asleep: false,
        }));
    }

    /// Which messages need not be delivered in the state that this step led to.
    fn asleep(
        &self,
        memory: &mut Memory<P>,
        from: &State,
        taken: Enabled,
        flight: &Flight<Handle>,
    ) -> Asleep {
        // Where timers wait for messages, whether one may run out depends on what is under way.
        let is_timed = taken.message.is_none() && self.scenario.timing != Timing::Any;
        if !self.commuting || is_timed {
            return 0;
        }
        let way = Way {
            core: from.core,
            step: taken.step,
            message: taken.message,
        };
        // Both are in the same order.
        let mut before = from.flight.heads().peekable();
        let heads = flight.heads().take(Asleep::BITS as usize).enumerate();
        heads.fold(0, |asleep, (position, head)| {
            while before.next_if(|before| *before < head).is_some() {}
            let is_behind = taken.message.is_none_or(|message| message < *head);
            let sleeps =
                is_behind && before.peek() == Some(&head) && memory.commute(self.lab(), way, *head);
            asleep | Asleep::from(sleeps) << position
        })
    }

    /// The fingerprint of a state; where nodes are alike, that of all states that differ from it in
    /// their places: the least of their hashes.
    fn fingerprint(
        &self,
        memory: &mut Memory<P>,
        place: CoreId,
        flight: &Flight<Handle>,
    ) -> Fingerprint {
        let under_way = sum(flight, |handle| handle.hash);
        let plain = hash(memory.core(place).hash, under_way, self.wide);
        if self.renamings.is_empty() {
            return Fingerprint::of(plain);
        }
        let lab = self.lab();
        let mirrored = (0..self.renamings.len()).map(|way| {
            let core = memory.mirrored_core(lab, place, way);
            let under_way = sum(flight, |handle| memory.mirrored(lab, *handle, way));
            hash(core, under_way, self.wide)
        });
        // The least are all small: multiplied by an odd number they are spread as others are, and
        // no two become the same.
        let [low, high] = mirrored.fold(plain, Ord::min);
        Fingerprint::of([low.wrapping_mul(0x9e37_79b9_7f4a_7c15), high])
    }

    /// How many times as many pairs of states with one fingerprint are to be expected as of
    /// hashes that are spread evenly: the least of `g` hashes is near zero, and the density of two
    /// of those at one place, the integral of (g(1 − x)^(g − 1))², is g²/(2g − 1).
    pub(super) fn crowding(&self) -> f64 {
        let hashes = (1 + self.renamings.len()) as f64;
        hashes * hashes / (2.0 * hashes - 1.0)
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
            arms: arms
                .take(self.tables.arms.len())
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }

    /// The actions with these numbers, each taken where the last one led.
    pub(super) fn retrace(&self, path: &[u32]) -> Vec<Action<P>> {
        let mut worker = self.worker();
        let mut state = self.initial(&mut worker.memory);
        let mut actions = Vec::new();
        for (taken, &number) in path.iter().enumerate() {
            let Worker {
                memory, enabled, ..
            } = &mut worker;
            self.enabled(memory, &state, 0, enabled);
            let step = enabled[number as usize].step;
            actions.push(Action::clone(&worker.memory.step(step).action));
            // Only the last one may break anything, and nobody goes on from there.
            if let Ok(core) = self.take(&mut worker, &state, taken == 0, step) {
                let flight = worker.flight.clone();
                state = State { core, flight };
            }
        }
        actions
    }

    /// Tells of a step from a state.
    ///
    /// # Errors
    /// What it breaks.
    fn follow(
        &self,
        worker: &mut Worker<P>,
        state: &State,
        is_first: bool,
        (taken, foreseen): (Enabled, Option<Fingerprint>),
        sink: &mut Sink<'_>,
    ) -> Result<(), Breach> {
        let (kind, arm) = worker.memory.brief(taken.step).counted;
        sink.count(kind.into());
        if let Some(arm) = arm {
            sink.count(arm.into());
        }
        if taken.is_asleep {
            sink.leave_out();
            return Ok(());
        }
        if foreseen.is_some_and(|fingerprint| !sink.is_new(fingerprint)) {
            sink.pass();
            return Ok(());
        }
        let core = self.take(worker, state, is_first, taken.step)?;
        let Worker { memory, flight, .. } = worker;
        let fingerprint = self.fingerprint(memory, core, flight);
        debug_assert!(foreseen.is_none_or(|foreseen| foreseen == fingerprint));
        if !sink.is_new(fingerprint) {
            sink.pass();
            return Ok(());
        }
        let marks = self.look(memory, core, flight, sink.marked())?;
        let asleep = self.asleep(memory, state, taken, flight);
        let core = memory.core(core);
        sink.add(fingerprint, marks, |bytes| {
            write(core, flight, asleep, bytes);
        });
        Ok(())
    }
}

impl<P: Specification> Space for Worlds<'_, P> {
    type Worker = Worker<P>;

    fn worker(&self) -> Worker<P> {
        Worker {
            memory: Memory::new(self.renamings.len(), self.most_steps),
            flight: Flight::new(self.scenario.delivery),
            dropped: Vec::new(),
            enabled: Vec::new(),
            foresight: Foresight::default(),
        }
    }

    fn begin(&self, worker: &mut Worker<P>, sink: &mut Sink<'_>) {
        let State { core, flight } = self.initial(&mut worker.memory);
        match self.look(&mut worker.memory, core, &flight, 0) {
            Err(breach) => sink.broken(breach),
            Ok(marks) => {
                let fingerprint = self.fingerprint(&mut worker.memory, core, &flight);
                let core = worker.memory.core(core);
                let write = |bytes: &mut Vec<u8>| write(core, &flight, 0, bytes);
                sink.add(fingerprint, marks, write);
            }
        }
    }

    fn expand(&self, worker: &mut Worker<P>, states: &mut &[u8], sink: &mut Sink<'_>) {
        worker.memory.make_room();
        let is_first = sink.parent() == 0;
        let (state, asleep) = State::read(
            &mut worker.memory,
            &self.tables,
            self.initial.0.numbers.len(),
            states,
        );
        let mut enabled = std::mem::take(&mut worker.enabled);
        let mut foresight = std::mem::take(&mut worker.foresight);
        self.enabled(&mut worker.memory, &state, asleep, &mut enabled);
        foresight.look(self, &worker.memory, &state, is_first, &enabled);
        sink.prepare(foresight.arrivals().iter().flatten().copied());
        for (&step, &foreseen) in enabled.iter().zip(foresight.arrivals()) {
            if let Err(breach) = self.follow(worker, &state, is_first, (step, foreseen), sink) {
                sink.broken(breach);
                break;
            }
        }
        worker.enabled = enabled;
        worker.foresight = foresight;
    }

    fn bytes(&self) -> u64 {
        self.tables.bytes() + self.lessons.steps() as u64 * self.step_bytes
    }

    fn save(&self, into: &mut Writer<'_>) -> io::Result<()> {
        self.tables.save(into)
    }

    fn load(&self, from: &mut Reader) -> io::Result<()> {
        self.tables.load(from)
    }
}
