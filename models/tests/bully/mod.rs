//! What the Bully algorithm's paper says (Garcia-Molina 1982), and what this one adds, asked of
//! one node: an input goes in, effects come out.

mod bench;
mod configuration;
mod controls;
mod convergence;
mod coordinator;
mod election;
mod embedding;
mod failure_detection;
mod forged;
