//! The fuzzer: samples runs of worlds that are too large to walk.
//!
//! A case is a schedule, drawn by proptest: which faults are on in this run and how fast
//! each node is (swarm testing: a run that can do everything does nothing often), and a
//! list of choices, each resolved against what is possible where it comes to its turn.
//! Every step is examined against the same tables as in a verified model. A violation is
//! shrunk, first as a schedule by proptest, then as a list of actions by delta debugging.
//!
//! What it does not show: that no violation is left. A property that held here held in the
//! runs that were sampled. And because a fuzzer in whose runs nothing happens finds
//! nothing, each model names what its runs must have shown.
//!
//! A case depends on the seed, the model and its number alone: neither on the number of
//! threads nor on what other cases came to.

mod campaign;
mod known;
pub mod pairs;
mod report;
mod sample;
mod schedule;

use std::num::NonZero;
use std::time::Instant;

pub use self::campaign::{Campaign, Found, Grounds, run};
pub use self::report::{FuzzReport, FuzzVerdict, WitnessReport};

/// How much to sample.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What all randomness comes from.
    pub seed: u64,
    /// After how many cases of each model to stop.
    pub cases: Option<u64>,
    /// When to stop.
    pub deadline: Option<Instant>,
    /// The longest run.
    pub steps: usize,
    /// How many threads to use. Makes no difference to what is found.
    pub threads: NonZero<usize>,
}

impl Plan {
    /// The seed of the gate: the same code gives the same result.
    pub const GATE_SEED: u64 = 2014;
    /// How many runs of each model, unless it is asked for otherwise.
    pub const CASES: u64 = 2000;
    /// How many the gate makes.
    pub const GATE_CASES: u64 = 3000;
    /// The longest run, unless it is asked for otherwise.
    pub const STEPS: u32 = 400;

    /// What a gate can afford: a fixed seed and a fixed number of cases.
    pub fn for_gate(threads: NonZero<usize>) -> Self {
        Self {
            seed: Self::GATE_SEED,
            cases: Some(Self::GATE_CASES),
            deadline: None,
            steps: Self::STEPS as usize,
            threads,
        }
    }
}
