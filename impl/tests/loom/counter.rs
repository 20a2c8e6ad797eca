//! Replicas of a counter that threads share, and that merge into each other.
//!
//! Verifies: the ways to hold what two replicas have while one is merged into the other. It
//! must not matter who merges into whom (by turns of lock and lock this is a deadlock), and
//! what is counted meanwhile must not be lost.
//!
//! Does not verify: the service, where a replica has one thread and others send it messages,
//! so that nobody ever holds two. These copies show why.

use loom::sync::{Arc, Mutex};
use loom::thread;
use models::NodeId;
use models::counter::g_counter::{GCounter, ReplicaId};

use crate::check_refuted;

/// How [`Replica::merge`] goes about it.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Locks both, the one of the lesser name first, whoever asks.
    ByName,
    /// Copies the other under its lock, and merges the copy under its own.
    CopyThenMerge,
    /// Locks its own, then the other's.
    CallersOrder,
    /// Copies both, merges the copies, and puts the result in its place.
    WritesBack,
}

const WAYS: [Way; 4] = [
    Way::ByName,
    Way::CopyThenMerge,
    Way::CallersOrder,
    Way::WritesBack,
];
const BY_NAME: usize = 0;
const COPY_THEN_MERGE: usize = 1;
const CALLERS_ORDER: usize = 2;
const WRITES_BACK: usize = 3;

struct Replica<const WAY: usize> {
    name: ReplicaId,
    counter: Mutex<GCounter>,
}

impl<const WAY: usize> Replica<WAY> {
    fn new(node: u16) -> Arc<Self> {
        let name = ReplicaId {
            node: NodeId(node),
            ..ReplicaId::default()
        };
        let counter = Mutex::new(GCounter::default());
        Arc::new(Self { name, counter })
    }

    fn increment(&self, amount: u64) {
        let mut counter = self.counter.lock().expect("lock");
        counter.increment(self.name, amount).expect("small amounts");
    }

    fn value(&self) -> u128 {
        self.counter.lock().expect("lock").value()
    }

    fn copy(&self) -> GCounter {
        self.counter.lock().expect("lock").clone()
    }

    fn merge(&self, other: &Self) {
        match WAYS[WAY] {
            Way::ByName if other.name < self.name => {
                let other = other.counter.lock().expect("lock");
                self.counter.lock().expect("lock").merge(&other);
            }
            Way::ByName | Way::CallersOrder => {
                let mut counter = self.counter.lock().expect("lock");
                counter.merge(&other.counter.lock().expect("lock"));
            }
            Way::CopyThenMerge => {
                let other = other.copy();
                self.counter.lock().expect("lock").merge(&other);
            }
            Way::WritesBack => {
                let (mut merged, other) = (self.copy(), other.copy());
                merged.merge(&other);
                *self.counter.lock().expect("lock") = merged;
            }
        }
    }
}

/// Each is merged into the other at the same time: both end, with the sum.
fn both_ways<const WAY: usize>() {
    loom::model(|| {
        let (a, b) = (Replica::<WAY>::new(0), Replica::<WAY>::new(1));
        a.increment(1);
        b.increment(2);
        let other = {
            let (a, b) = (a.clone(), b.clone());
            thread::spawn(move || b.merge(&a))
        };
        a.merge(&b);
        other.join().expect("other");
        assert_eq!((a.value(), b.value()), (3, 3), "both have the sum");
    });
}

/// One is merged into the other while that one counts.
fn counting_meanwhile<const WAY: usize>() {
    loom::model(|| {
        let (a, b) = (Replica::<WAY>::new(0), Replica::<WAY>::new(1));
        b.increment(2);
        let merging = {
            let (a, b) = (a.clone(), b.clone());
            thread::spawn(move || a.merge(&b))
        };
        a.increment(1);
        merging.join().expect("merging");
        assert_eq!(a.value(), 3, "what was counted meanwhile is there");
    });
}

#[test]
fn replicas_that_are_locked_by_name_merge_both_ways() {
    both_ways::<BY_NAME>();
    counting_meanwhile::<BY_NAME>();
}

#[test]
fn replicas_that_are_copied_merge_both_ways() {
    both_ways::<COPY_THEN_MERGE>();
    counting_meanwhile::<COPY_THEN_MERGE>();
}

#[test]
fn every_planted_fault_is_refuted() {
    check_refuted(
        "counter::every_planted_fault_is_refuted",
        &[
            (
                "locks in the caller's order",
                both_ways::<CALLERS_ORDER>,
                "deadlock",
            ),
            (
                "writes back a copy",
                counting_meanwhile::<WRITES_BACK>,
                "what was counted meanwhile is there",
            ),
        ],
    );
}
