//! Clusters on this machine: the demos.

pub mod cluster;
pub mod demo;
pub mod election_latency;
pub mod load_balance;
mod processes;
pub mod scaling;
mod story;
