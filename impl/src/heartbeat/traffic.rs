//! How much a member sends, for whoever wants to know what heartbeats cost.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::packet::Packet;

/// What a member has sent.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    beats: AtomicU64,
    answers: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    largest: AtomicU64,
    over_tcp: AtomicU64,
    unsent: AtomicU64,
    strangers: AtomicU64,
    malformed: AtomicU64,
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
        let kind = match packet {
            Packet::Beat(_) => &self.beats,
            Packet::Answer(_) => &self.answers,
            Packet::Pointer(_)
            | Packet::Leave(_)
            | Packet::Refused(_)
            | Packet::WhoLives(_)
            | Packet::Living(_)
            | Packet::StaleRead { .. }
            | Packet::StaleValue(_) => &self.others,
        };
        let bytes = bytes as u64;
        kind.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.largest.fetch_max(bytes, Ordering::Relaxed);
        self.over_tcp
            .fetch_add(u64::from(over_tcp), Ordering::Relaxed);
    }

    pub(crate) fn unsent(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            beats: read(&self.beats),
            answers: read(&self.answers),
            others: read(&self.others),
            bytes: read(&self.bytes),
            largest: read(&self.largest),
            over_tcp: read(&self.over_tcp),
            unsent: read(&self.unsent),
            strangers: read(&self.strangers),
            malformed: read(&self.malformed),
        }
    }
}
