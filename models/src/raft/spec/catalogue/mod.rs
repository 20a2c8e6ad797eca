//! The models of Raft that `checks` verifies, by what of the protocol they are about.

mod buffered;
mod core;
mod disks;
mod fuzzed;
mod leadership;
mod log;
mod membership;

use super::machine::Adder;
use crate::raft::Raft;
use crate::specification::{Drawn, Model};

const LOSSY: &str = "any loss, duplication and reordering";
const LOSSY_AND_CRASH: &str = "any loss, duplication and reordering; 1 crash, also within a step";

/// Every model of Raft that can be walked.
pub const MODELS: &[&[Model<Raft<Adder>>]] = &[
    core::MODELS,
    log::MODELS,
    membership::MODELS,
    leadership::MODELS,
    disks::MODELS,
    buffered::MODELS,
];

/// Every model of Raft that is too large to walk, and is sampled instead.
pub const FUZZED: &[&[Model<Raft<Adder>>]] =
    &[fuzzed::FUZZED, membership::FUZZED, leadership::FUZZED];

/// Worlds of Raft that are drawn, and sampled.
pub const DRAWN: &[Drawn<Raft<Adder>>] = fuzzed::DRAWN;
