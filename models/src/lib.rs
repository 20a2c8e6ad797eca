//! Distributed protocols as pure step functions, the world they are checked in, and their
//! properties.
//!
//! **`models` never reads a clock, takes chance from anywhere, or does I/O** (a world that is drawn
//! follows from its number alone), and no checked
//! state holds a container whose order is not defined. The crate is `no_std` and forbids
//! unsafe code, so breaking the first rule does not build; `clippy.toml` gives the reasons.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bully;
pub mod counter;
mod draw;
pub mod linearizability;
pub mod machine;
pub mod maekawa;
pub mod mvcc;
mod pairs;
pub mod protocol;
pub mod raft;
pub mod session;
pub mod specification;
pub mod trace;
pub mod world;
pub mod zab;

pub use protocol::{Data, DiskId, Durable, Effect, Input, Node, NodeId, Outbox, Protocol};
pub use specification::Specification;
