//! One node of any protocol, running: it knows none of them.
//!
//! [`driver`] runs the step function, [`journal`] is the disk, [`transport`] the network, [`clock`]
//! and [`timers`] the time; [`recording`] keeps what a node did; [`sim`] runs a whole cluster on one thread from a seed. [`gate`] and
//! [`queue`] are the hand-written concurrent pieces: they are built over `sync`, which is std, or
//! loom.

#[cfg(not(lockstep_loom))]
pub mod clock;
#[cfg(not(lockstep_loom))]
pub(crate) mod codec;
#[cfg(not(lockstep_loom))]
pub(crate) mod connection_limit;
#[cfg(not(lockstep_loom))]
pub mod driver;
pub mod gate;
#[cfg(not(lockstep_loom))]
pub mod identity;
#[cfg(not(lockstep_loom))]
pub mod journal;
#[cfg(not(lockstep_loom))]
pub mod metrics;
pub mod queue;
#[cfg(not(lockstep_loom))]
pub mod recording;
#[cfg(not(lockstep_loom))]
pub(crate) mod secure_stream;
#[cfg(not(lockstep_loom))]
pub mod sim;
pub(crate) mod sync;
#[cfg(not(lockstep_loom))]
pub(crate) mod throttle;
#[cfg(not(lockstep_loom))]
pub mod timers;
#[cfg(not(lockstep_loom))]
pub mod tls;
#[cfg(not(lockstep_loom))]
pub mod transport;
