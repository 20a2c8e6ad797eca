//! A cluster on this machine, and what the demo shows with it.

pub mod cluster;
pub mod demo;
