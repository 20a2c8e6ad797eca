//! A cluster of processes on this machine.

pub mod cluster;
pub mod demo;
