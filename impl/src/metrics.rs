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

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back an [`increment`](Self::increment).
    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Declares the counters and, behind a semicolon, the gauges once: their fields, their documentation, and their listing.
macro_rules! counters {
    ($($name:ident: $help:literal,)*; $($gauge:ident: $gauge_help:literal,)*) => {
        /// The counters and gauges of one node. Shared by its threads and its transport.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: Counter,)*
            $(#[doc = $gauge_help] pub $gauge: Gauge,)*
        }

        impl Metrics {
            /// Every counter as (name, help, value): what a metrics page lists.
            pub fn list(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help, self.$name.get()),)*]
            }

            /// Every gauge, likewise.
            pub fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($gauge), $gauge_help, self.$gauge.get()),)*]
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
    writes: "Writes to peer connections, each of one or more messages or a sign of life.",
    connects: "Connections to peers established.",
    disconnects: "Connections to peers lost.",
    connections_accepted: "Connections from peers accepted.",
    handshakes_refused: "Handshakes refused, here or by the peer.",
    malformed_frames: "Frames that could not be decoded; each closed its connection.",
    peers_silent: "Connections to and from peers closed because the peer gave no sign of life.",
    callers_evicted: "Callers on the peer port turned away before their handshake, to make room.",
    accepts_failed: "Connections that could not be accepted, most often for want of files.",
    client_connections_refused: "Connections from clients refused because all others were busy.",
    client_connections_evicted: "Idle connections from clients closed to make room for others.",
    client_connections_timed_out: "Connections from clients closed because a request did not come, or came too slowly.",
    ;
    client_connections: "Open connections on the client and the metrics port.",
}
