//! What a node counts of its packets.

use prometheus_client::metrics::counter::Counter;

/// Of SWIM's packets.
#[derive(Debug, Default)]
pub(crate) struct SwimCounts {
    /// Packets sent,
    pub(crate) sent: Counter,
    /// and the bytes in them.
    pub(crate) sent_bytes: Counter,
    /// Packets received that were a member's,
    pub(crate) received: Counter,
    /// and the bytes in them.
    pub(crate) received_bytes: Counter,
    /// Packets dropped: of another cluster, or without a signature by the cluster's key,
    pub(crate) strangers: Counter,
    /// that could not be read,
    pub(crate) malformed: Counter,
    /// or that could not be sent.
    pub(crate) unsent: Counter,
}
