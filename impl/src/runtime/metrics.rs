//! What a node counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// The upper ends of the histogram's buckets, in milliseconds: from a fast disk's fsync to
/// one that elects another leader.
const BUCKETS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// How long flushes took, as a histogram, and how long the one under way has taken already.
/// One thread begins and ends them, any may look.
#[derive(Debug)]
pub struct FlushTimes {
    start: Instant,
    /// When the one under way began, in microseconds since `start`, plus 1; 0 if there is none.
    begun: AtomicU64,
    last: AtomicU64,
    sum: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MS.len()],
    longer: AtomicU64,
}

/// A histogram as Prometheus has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// For each upper end, how many were no longer than that.
    pub buckets: Vec<(Duration, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long all of them took together.
    pub sum: Duration,
}

impl Default for FlushTimes {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            last: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            buckets: Default::default(),
            longer: AtomicU64::new(0),
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
        self.sum.fetch_add(took, Ordering::Relaxed);
        let bucket = BUCKETS_MS.iter().position(|end| took <= end * 1000);
        let bucket = bucket.map_or(&self.longer, |bucket| &self.buckets[bucket]);
        bucket.fetch_add(1, Ordering::Relaxed);
        Duration::from_micros(took)
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

    /// All that have ended. A flush that ends meanwhile may be missing from the sum.
    pub fn histogram(&self) -> Histogram {
        let mut count = 0;
        let mut up_to = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let ends = BUCKETS_MS.map(Duration::from_millis).into_iter();
        let buckets = ends.zip(self.buckets.iter().map(&mut up_to)).collect();
        let count = up_to(&self.longer);
        Histogram {
            buckets,
            count,
            sum: Duration::from_micros(self.sum.load(Ordering::Relaxed)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
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

/// Declares the counters and, behind a semicolon, the gauges once: their fields, their
/// documentation, and their listing.
macro_rules! counters {
    ($($name:ident: $help:literal,)*; $($gauge:ident: $gauge_help:literal,)*) => {
        /// The counters and gauges of one node. Shared by its threads and its transport.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: Counter,)*
            /// How long the journal took to put each group of frames on disk.
            pub flushes: FlushTimes,
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
    journal_flushes_slow: "Flushes of the journal that took longer than they should.",
    checkpoints: "Checkpoints of the durable state taken.",
    checkpoints_failed: "Checkpoints that could not be taken; each is tried again.",
    events: "Events handed to the service.",
    commands_refused: "Commands refused because the node was busy.",
    inputs_dropped: "Messages from peers dropped because the node was busy.",
    early_dropped: "Messages that need no disk, dropped because the disk did not return for so long that others should take the node for gone.",
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
    client_requests_refused: "Requests of clients refused because as many were under way as a node bears.",
    client_connections_evicted: "Idle connections from clients closed to make room for others.",
    client_connections_timed_out: "Connections from clients closed because a request did not come, or came too slowly.",
    ;
    client_connections: "Open connections on the client and the metrics port.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_seen_while_it_lasts_and_counted_when_it_has_ended() {
        let times = FlushTimes::default();
        assert_eq!((times.in_progress(), times.histogram().count), (None, 0));
        times.begin();
        std::thread::sleep(Duration::from_millis(3));
        let so_far = times.in_progress().expect("it lasts");
        assert_eq!(times.histogram().count, 0);
        let took = times.end();
        assert!(took >= so_far && so_far >= Duration::from_millis(3));
        assert_eq!((times.in_progress(), times.last()), (None, took));
        let histogram = times.histogram();
        assert_eq!((histogram.count, histogram.sum), (1, took));
        for (end, count) in histogram.buckets {
            assert_eq!(count, u64::from(took <= end), "{took:?} and {end:?}");
        }
    }
}
