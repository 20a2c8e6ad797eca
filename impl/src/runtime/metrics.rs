//! What a node counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The upper ends of the histogram's buckets, in seconds: from a fast disk's fsync to one that
/// elects another leader.
const BUCKETS: [f64; 13] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// How long flushes took, and how long the one under way has taken already. One thread begins and
/// ends them, any may look.
#[derive(Debug)]
pub struct FlushTimes {
    start: Instant,
    /// When the one under way began, in microseconds since `start`, plus 1; 0 if there is none.
    begun: AtomicU64,
    last: AtomicU64,
    ended: Histogram,
}

impl Default for FlushTimes {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            last: AtomicU64::new(0),
            ended: Histogram::new(BUCKETS),
        }
    }
}

impl FlushTimes {
    pub(crate) fn begin(&self) {
        self.begun.store(self.now() + 1, Ordering::Relaxed);
    }

    /// Returns how long it took.
    pub(crate) fn end(&self) -> Duration {
        let begun = self.begun.swap(0, Ordering::Relaxed);
        let took = (self.now() + 1).saturating_sub(begun);
        self.last.store(took, Ordering::Relaxed);
        let took = Duration::from_micros(took);
        self.ended.observe(took.as_secs_f64());
        took
    }

    /// How long the flush under way has taken already; none if none is.
    pub fn in_progress(&self) -> Option<Duration> {
        let begun = self.begun.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_micros(self.now().saturating_sub(begun)))
    }

    /// How long the last flush took that has ended; 0 before the first.
    pub fn last(&self) -> Duration {
        Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// How long those took that have ended, in seconds.
    pub fn ended(&self) -> &Histogram {
        &self.ended
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }

    /// Lists how long flushes take, and the one under way: without the node, for it may wait for
    /// its disk.
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "journal_flush",
            "How long it took to put a group of frames on disk: a write and an fsync",
            Unit::Seconds,
            self.ended.clone(),
        );
        let lasts = self.in_progress().unwrap_or_default().as_secs_f64();
        registry.register_with_unit(
            "journal_flush_in_progress",
            "How long the flush under way has taken already; 0 while there is none",
            Unit::Seconds,
            ConstGauge::new(lasts),
        );
    }
}

/// Declares the counters and, behind a semicolon, the gauges once: their fields, their
/// documentation, and their listing. The full stop behind a help text is the page's to add.
macro_rules! counters {
    ($($name:ident: $help:literal,)*; $($gauge:ident: $gauge_help:literal,)*) => {
        /// The counters and gauges of one node. Shared by its threads and its transport.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = concat!($help, ".")] pub $name: Counter,)*
            /// How long the journal took to put each group of frames on disk.
            pub flushes: FlushTimes,
            $(#[doc = concat!($gauge_help, ".")] pub $gauge: Gauge,)*
        }

        impl Metrics {
            /// Every counter, by name.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }

            /// Lists everything in `registry`, as it is from now on; how long the flush under way
            /// lasts, as it is now.
            pub fn register(&self, registry: &mut Registry) {
                $(registry.register(stringify!($name), $help, self.$name.clone());)*
                self.flushes.register(registry);
                $(registry.register(stringify!($gauge), $gauge_help, self.$gauge.clone());)*
            }
        }
    };
}

counters! {
    steps: "Inputs stepped",
    batches: "Batches of inputs stepped together",
    records: "Records written by steps",
    journal_frames: "Frames appended to the journal: steps that wrote something",
    journal_bytes: "Bytes of records appended to the journal",
    journal_flushes: "Times that the journal was flushed to disk",
    journal_flushes_slow: "Flushes of the journal that took longer than they should",
    checkpoints: "Checkpoints of the durable state taken",
    checkpoints_failed: "Checkpoints that could not be taken; each is tried again",
    events: "Events handed to the service",
    commands_refused: "Commands refused because the node was busy",
    inputs_dropped: "Messages from peers dropped because the node was busy",
    early_dropped: "Messages that need no disk, dropped because the disk did not return for so long that others should take the node for gone",
    messages_sent: "Messages handed to the operating system for a peer",
    messages_received: "Messages received from peers",
    messages_dropped: "Messages to peers dropped: queue full, peer unknown, or too large",
    sent_bytes: "Bytes sent to peers",
    received_bytes: "Bytes received from peers",
    writes: "Writes to peer connections, each of one or more messages or a sign of life",
    connects: "Connections to peers established",
    disconnects: "Connections to peers lost",
    connections_accepted: "Connections from peers accepted",
    handshakes_refused: "Handshakes refused, here or by the peer",
    malformed_frames: "Frames that could not be decoded; each closed its connection",
    peers_silent: "Connections to and from peers closed because the peer gave no sign of life",
    callers_evicted: "Callers on the peer port turned away before their handshake, to make room",
    accepts_failed: "Connections that could not be accepted, most often for want of files",
    client_connections_refused: "Connections from clients refused because all others were busy",
    client_requests_refused: "Requests of clients refused because as many were under way as a node bears",
    client_connections_evicted: "Idle connections from clients closed to make room for others",
    recording_bytes: "Bytes written to the recording",
    recording_gaps: "Times that the recording was interrupted, because its disk did not keep up",
    client_connections_timed_out: "Connections from clients closed because a request did not come, or came too slowly",
    ;
    client_connections: "Open connections on the client and the metrics port",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_seen_while_it_lasts_and_counted_when_it_has_ended() {
        let times = FlushTimes::default();
        assert_eq!((times.in_progress(), times.ended().count()), (None, 0));
        times.begin();
        std::thread::sleep(Duration::from_millis(3));
        let so_far = times.in_progress().expect("it lasts");
        assert_eq!(times.ended().count(), 0);
        let took = times.end();
        assert!(took >= so_far && so_far >= Duration::from_millis(3));
        assert_eq!((times.in_progress(), times.last()), (None, took));
        assert_eq!(times.ended().count(), 1);
        assert_eq!(times.ended().sum(), took.as_secs_f64());
    }
}
