//! Engines: ways to walk a world's states, all of them or many.

pub mod liveness;
pub mod native;
mod reductions;
pub mod simulate;
pub mod stateright;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use models::Specification;
use models::world::Action;

pub use self::reductions::Reductions;
use self::simulate::Simulated;
use crate::progress::Progress;

/// Which engine walks the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Our breadth-first search: shortest counterexamples, all cores.
    Native,
    /// Stateright's breadth-first search.
    StaterightBfs,
    /// Stateright's depth-first search.
    #[value(alias = "stateright")]
    StaterightDfs,
    /// Weighted random walks, all cores: deep bugs, and no more than `bounded`.
    Simulate,
}

impl Engine {
    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::StaterightBfs => "stateright-bfs",
            Self::StaterightDfs => "stateright-dfs",
            Self::Simulate => "simulate",
        }
    }
}

/// How far a search may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many threads to use.
    pub threads: NonZero<usize>,
    /// When to stop.
    pub deadline: Option<Instant>,
    /// After how many unique states to stop; a simulation, which remembers none, after how many
    /// steps.
    pub max_states: Option<u64>,
    /// After how many steps from the start to go no further. Not heeded by Stateright.
    pub max_depth: Option<usize>,
    /// How many bytes of memory the states may take. Heeded by the native engine.
    pub memory: Option<u64>,
    /// What a visited state is remembered by. Heeded by the native engine.
    pub fingerprints: Bits,
}

/// How many bits of a state's hash are remembered. Two states with the same ones are taken for
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    /// 64: eight bytes a state. Of a billion states some three in a hundred runs mistake one.
    #[default]
    #[value(name = "64")]
    Narrow,
    /// 128: twice as much, and one in 10²⁰.
    #[value(name = "128")]
    Wide,
}

impl Bits {
    /// How many.
    pub fn number(self) -> u32 {
        match self {
            Self::Narrow => 64,
            Self::Wide => 128,
        }
    }
}

impl Limits {
    /// With more threads some would have nothing to do: so many pieces of work there are at a time.
    pub const MOST_THREADS: usize = 128;

    /// How many states of a large model are looked at where there is no time for all: those near the
    /// start.
    pub const STATES_OF_A_LARGE_MODEL: u64 = 200_000;

    /// No limits, on all cores.
    pub fn none() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            deadline: None,
            max_states: None,
            max_depth: None,
            memory: None,
            fingerprints: Bits::Narrow,
        }
    }

    /// No limits, on so many threads, or on all cores.
    pub fn on(threads: Option<NonZero<usize>>) -> Self {
        let all = Self::none();
        Self {
            threads: threads.unwrap_or(all.threads),
            ..all
        }
    }

    /// Stops after `budget` from now, if there is one.
    pub fn within(self, budget: Option<Duration>) -> Self {
        let deadline = budget.map(|budget| Instant::now() + budget);
        Self { deadline, ..self }
    }

    /// Why the search must stop now, if it must.
    pub fn exceeded(&self, progress: &Progress) -> Option<Stop> {
        if progress.is_interrupted() {
            Some(Stop::Interrupted)
        } else if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            Some(Stop::Time)
        } else if self.max_states.is_some_and(|max| progress.unique() >= max) {
            Some(Stop::States)
        } else {
            None
        }
    }
}

/// Why a search stopped before it had seen every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The time was up.
    Time,
    /// The number of states was reached.
    States,
    /// The number of steps was reached.
    Steps,
    /// The depth was reached.
    Depth,
    /// What has been visited takes all the memory that it may.
    Memory,
    /// States could not be written to the disk, or not be read from there.
    Disk,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Stop {
    /// Whether it is a limit that nobody sets but on purpose, and that means the same on any
    /// machine. What time or memory cuts short is where it happens to be.
    pub fn is_chosen(self) -> bool {
        match self {
            Self::States | Self::Steps | Self::Depth => true,
            Self::Time | Self::Memory | Self::Disk | Self::Interrupted => false,
        }
    }

    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Time => "the time was up",
            Self::States => "the number of states was reached",
            Self::Steps => "the number of steps was reached",
            Self::Depth => "the depth was reached",
            Self::Memory => "what was visited took all the memory that it may (--memory)",
            Self::Disk => "the disk took no more waiting states: is the temporary folder full?",
            Self::Interrupted => "interrupted",
        }
    }
}

impl serde::Serialize for Stop {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reason())
    }
}

/// What kind of property it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of every state.
    Invariant,
    /// Of every transition.
    Law,
    /// Of some state.
    Reachable,
    /// Of every fair run.
    Liveness,
}

/// A property that does not hold, and how to see it.
pub struct Violation<P: Specification> {
    /// The property's name.
    pub property: &'static str,
    /// The message of a panic, where that is what happened.
    pub panic: Option<String>,
    /// The steps from the initial world to the violation.
    pub actions: Vec<Action<P>>,
    /// Where the violation is what never happens: the position of the step from which on the
    /// steps repeat for ever. Behind the last step: nothing more happens.
    pub loop_start: Option<usize>,
}

/// What a search has found.
pub struct Findings<P: Specification> {
    /// Distinct states; of a simulation, about how many.
    pub unique: u64,
    /// States generated, the initial one included.
    pub generated: u64,
    /// How deep the search went: the greatest distance from the initial state in a
    /// breadth-first search, the longest path walked in any other.
    pub depth: usize,
    /// The names of the reachability properties seen.
    pub seen: BTreeSet<&'static str>,
    /// What was violated first.
    pub violation: Option<Violation<P>>,
    /// Why not every state was seen; `None` when every state was.
    pub stopped: Option<Stop>,
    /// How often what happened, where the engine counts.
    pub fired: Option<Fired>,
    /// How many of the steps were not taken, because they lead where others lead, where it says.
    pub left_out: Option<u64>,
    /// How many pairs of states are to be expected that the engine takes for one, where it says.
    pub expected_collisions: Option<f64>,
    /// What a simulation tells beside.
    pub simulated: Option<Simulated>,
}

/// How often what happened: of every step, also of those to states seen before.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Fired {
    /// Each kind of action that did, by its name.
    pub actions: BTreeMap<String, u64>,
    /// Each arm of the step function that did, by its [name](crate::arms).
    pub arms: BTreeMap<String, u64>,
}
