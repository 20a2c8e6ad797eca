//! What happens in a simulation, told to who follows it step by step.

use derive_where::derive_where;
use models::{Input, NodeId, Protocol};

/// Something that has happened. What a step says comes behind it, when it leaves.
#[derive_where(Clone, Debug)]
pub enum Traced<P: Protocol> {
    /// A node has started from its disk.
    Booted {
        /// The node.
        node: NodeId,
    },
    /// A node has taken a step.
    Stepped {
        /// The node.
        node: NodeId,
        /// What it was handed.
        input: Input<P>,
        /// How many frames it has written since it was started, this step's included.
        frames: u64,
    },
    /// An fsync has returned.
    Flushed {
        /// The node.
        node: NodeId,
        /// How many of the frames since the node was started are on disk by it.
        frames: u64,
    },
    /// A message has left.
    Sent {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// What it says.
        message: P::Message,
        /// Whether it will never arrive.
        lost: bool,
    },
    /// An event has left.
    Said {
        /// The node.
        node: NodeId,
        /// What it says.
        event: P::Event,
    },
    /// A message has arrived where nobody runs, and is gone.
    Missed {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// What it said.
        message: P::Message,
    },
    /// A node was stopped, and what it had not flushed is lost.
    Crashed {
        /// The node.
        node: NodeId,
    },
    /// A node was stopped, and an empty disk is in the place of its own.
    DiskLost {
        /// The node.
        node: NodeId,
    },
}
