//! `checks`, from outside.

mod catalogue;
mod checkpoint;
mod command_line;
mod cube;
mod diagram;
mod engines;
mod explore;
mod fuzz;
mod inert;
mod liveness;
mod shrink;
mod simulate;
mod support;
mod symmetry;
