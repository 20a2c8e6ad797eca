//! What a node counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Declares the counters once: their fields, their documentation, and their listing.
macro_rules! counters {
    ($($name:ident: $help:literal,)*) => {
        /// The counters of one node. Shared by its threads and its transport.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Metrics {
            /// Every counter as (name, help, value): what a metrics page lists.
            pub fn list(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name.get()),)*]
            }
        }
    };
}

counters! {
    steps: "Inputs stepped.",
    batches: "Batches of inputs stepped together.",
    records: "Records written by steps.",
    journal_frames: "Frames appended to the journal: steps that wrote something.",
    journal_bytes: "Bytes of records appended to the journal.",
    journal_flushes: "Times that the journal was flushed to disk.",
    checkpoints: "Checkpoints written to the journal.",
    events: "Events handed to the service.",
    commands_refused: "Commands refused because the node was busy.",
    inputs_dropped: "Messages from peers dropped because the node was busy.",
    messages_sent: "Messages handed to the operating system for a peer.",
    messages_received: "Messages received from peers.",
    messages_dropped: "Messages to peers dropped: queue full, peer unknown, or too large.",
    bytes_sent: "Bytes sent to peers.",
    bytes_received: "Bytes received from peers.",
    writes: "Writes to peer connections, each of one or more messages.",
    connects: "Connections to peers established.",
    disconnects: "Connections to peers lost.",
    connections_accepted: "Connections from peers accepted.",
    handshakes_refused: "Handshakes refused, here or by the peer.",
    malformed_frames: "Frames that could not be decoded; each closed its connection.",
}
