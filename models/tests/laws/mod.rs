//! The contracts of the protocol trait and of the world, held against random runs.

mod clients;
mod disks;
mod history;
mod json;
mod linearizability;
mod log;
mod lost_disks;
mod network;
mod quorums;
mod steps;
mod timing;
mod veil;
mod world;
