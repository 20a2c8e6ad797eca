//! `checks`, from outside.

mod catalogue;
mod checkpoint;
mod command_line;
mod cube;
mod diagram;
mod engines;
mod eventually;
mod explore;
mod fuzz;
mod graph;
mod inert;
mod liveness;
mod readme;
mod refuted;
mod shrink;
mod simulate;
mod support;
mod symmetry;
