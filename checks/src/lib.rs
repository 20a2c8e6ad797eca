//! Everything that tries to break the models: engines that walk every state of a world, a
//! fuzzer that samples larger ones, mutants that both must refute, and replay.

pub mod arms;
pub mod catalogue;
pub mod cli;
pub mod command;
pub mod diagram;
mod distinct;
pub mod engine;
pub mod examine;
pub mod fuzz;
pub mod generated;
pub mod guide;
pub mod lasso;
pub mod matrix;
pub mod memory;
mod nearest;
pub mod progress;
pub mod replay;
pub mod report;
pub mod shrink;
pub mod subject;
pub mod symmetry;
pub mod trace_file;
mod veiled;
mod weather;
