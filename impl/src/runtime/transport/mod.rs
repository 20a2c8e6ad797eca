//! How messages get from node to node: over [TCP](tcp) in production, within a process over
//! a [`LocalNetwork`], and in the [simulation](crate::runtime::sim) by its own rules.
//!
//! **A transport may lose messages, and never blocks its node.** Protocols bear loss, so a
//! full queue drops and counts. It never reorders what goes from one node to another.

mod local;
pub mod tcp;
mod wire;

pub use local::{LocalNetwork, LocalTransport};
pub use wire::{FrameError, decode_frame, encode_frame};
pub(crate) use wire::{KEEP_ALIVE, take_keep_alive};

use models::NodeId;

/// Sends messages to peers.
pub trait Transport<M>: Send + 'static {
    /// Sends `message` to `to`, or drops it. Never blocks.
    fn send(&mut self, to: NodeId, message: M);
}

/// Takes messages that a transport has received.
pub trait Deliver<M>: Clone + Send + Sync + 'static {
    /// Takes a message from `from`, or drops it when the node is busy. Never blocks.
    fn deliver(&self, from: NodeId, message: M);
}

/// Sends nothing anywhere: for a node without peers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTransport;

impl<M> Transport<M> for NoTransport {
    fn send(&mut self, _to: NodeId, _message: M) {}
}
