//! The models of ZAB that `checks` verifies.

mod broadcast;
mod discovery;
mod epochs;
mod leadership;
mod synchronization;

use crate::raft::spec::Adder;
use crate::specification::Model;
use crate::zab::Zab;

use super::Oracle;

const LOSSY: &str = "any loss and reordering";
const LOSSY_AND_CRASH: &str =
    "any loss and reordering; 1 crash, also between any two records of a step";

/// Every model of ZAB.
pub const MODELS: &[&[Model<Zab<Adder, Oracle>>]] = &[
    discovery::MODELS,
    synchronization::MODELS,
    broadcast::MODELS,
    leadership::MODELS,
    epochs::MODELS,
];
