//! The runtime, tested from outside. One binary, one module per concern.
#![cfg(not(lockstep_loom))]

mod driver;
mod journal_crash;
mod journal_file;
mod local_network;
mod simulation;
mod support;
mod tcp;
mod wire;
