//! How much a member sends and receives, for whoever wants to know what heartbeats cost.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use serde_json::{Map, Value};

use super::packet::{ANSWER, BEAT, KINDS, Packet};
use crate::service::metrics_page::CounterByLabel;

/// What a member has sent and received.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: ByKind,
    pub(crate) received: ByKind,
    largest: AtomicU64,
    pub(crate) over_tcp: Counter,
    pub(crate) unsent: Counter,
    pub(crate) strangers: Counter,
    pub(crate) malformed: Counter,
}

/// Packets and their bytes, by what they say.
#[derive(Debug)]
pub(crate) struct ByKind {
    pub(crate) packets: CounterByLabel,
    pub(crate) bytes: CounterByLabel,
}

impl Default for ByKind {
    fn default() -> Self {
        let (packets, bytes) = (CounterByLabel::default(), CounterByLabel::default());
        for kind in KINDS {
            // There from the start, as 0: else the first of a kind would be no increase.
            drop(packets.get_or_create(&[("kind", kind)]));
            drop(bytes.get_or_create(&[("kind", kind)]));
        }
        Self { packets, bytes }
    }
}

impl ByKind {
    fn count(&self, packet: &Packet, bytes: usize) {
        let label = [("kind", packet.kind())];
        self.packets.get_or_create(&label).inc();
        self.bytes.get_or_create(&label).inc_by(bytes as u64);
    }

    fn packets(&self, kind: &'static str) -> u64 {
        self.packets.get_or_create(&[("kind", kind)]).get()
    }

    fn bytes(&self, kind: &'static str) -> u64 {
        self.bytes.get_or_create(&[("kind", kind)]).get()
    }

    /// How many packets and bytes, by kind.
    pub(crate) fn variables(&self) -> Value {
        let by_kind = KINDS.map(|kind| {
            let counts = [("packets", self.packets(kind)), ("bytes", self.bytes(kind))];
            let counts = counts.map(|(name, count)| (name.to_owned(), count.into()));
            (kind.to_owned(), Value::Object(Map::from_iter(counts)))
        });
        Value::Object(Map::from_iter(by_kind))
    }
}

/// What a member has sent and dropped since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets that say that this member lives.
    pub beats: u64,
    /// Packets that answer those, as a leader.
    pub answers: u64,
    /// Other packets.
    pub others: u64,
    /// Bytes of all these.
    pub bytes: u64,
    /// The bytes of the largest.
    pub largest: u64,
    /// How many of them went over TCP, because they are larger than a datagram may be.
    pub over_tcp: u64,
    /// Packets that could not be sent.
    pub unsent: u64,
    /// Packets that have come from elsewhere than a member of this cluster, and were dropped.
    pub strangers: u64,
    /// Packets that have come and could not be read.
    pub malformed: u64,
}

impl Counters {
    pub(crate) fn sent(&self, packet: &Packet, bytes: usize, over_tcp: bool) {
        self.sent.count(packet, bytes);
        self.largest.fetch_max(bytes as u64, Ordering::Relaxed);
        self.over_tcp.inc_by(u64::from(over_tcp));
    }

    pub(crate) fn received(&self, packet: &Packet, bytes: usize) {
        self.received.count(packet, bytes);
    }

    pub(crate) fn read(&self) -> Traffic {
        let others = KINDS
            .into_iter()
            .filter(|kind| ![BEAT, ANSWER].contains(kind));
        Traffic {
            beats: self.sent.packets(BEAT),
            answers: self.sent.packets(ANSWER),
            others: others.map(|kind| self.sent.packets(kind)).sum(),
            bytes: KINDS.into_iter().map(|kind| self.sent.bytes(kind)).sum(),
            largest: self.largest.load(Ordering::Relaxed),
            over_tcp: self.over_tcp.get(),
            unsent: self.unsent.get(),
            strangers: self.strangers.get(),
            malformed: self.malformed.get(),
        }
    }
}
