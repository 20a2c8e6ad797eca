//! Every interleaving of the gate's three threads, within a preemption bound.
//!
//! Verifies: an effect leaves only after its record's write is visible to the thread that
//! releases it; effects leave in order; shutting the gate, closed or poisoned, wakes every
//! thread that waits; after poison nothing leaves; who was told that there is no room hears when
//! there is; what leaves early waits for no record, keeps its order, and does not leave once the
//! oldest record has waited for too long.
//!
//! Does not verify: the journal, sockets, or more than two records in flight.

use std::collections::VecDeque;

use std::time::Duration;

use lockstep::runtime::gate::{Early, Gate, Released, Shut, Ticket};
use lockstep::runtime::queue::Queue;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::{LOST_WAKE_UP, check_refuted};

/// What a scenario needs of a gate, so that it can be run against a broken one.
trait Gatelike: Send + Sync + 'static {
    fn new(capacity: usize) -> Self;
    /// In seconds, of which the gate's patience has [`PATIENCE`].
    fn hold_at(&self, ticket: Ticket, item: u64, now: u64) -> Result<(), Shut>;
    fn pass_early(&self, item: u64, now: u64) -> Result<Early<u64>, Shut>;
    fn ask_for_room(&self) -> Result<bool, Shut>;
    fn advance(&self, ticket: Ticket);
    fn poison(&self);
    fn close(&self);
    fn release(&self) -> Result<Released<u64>, Shut>;

    fn hold(&self, ticket: Ticket, item: u64) -> Result<(), Shut> {
        self.hold_at(ticket, item, 0)
    }
}

const PATIENCE: u64 = 5;

impl Gatelike for Gate<u64> {
    fn new(capacity: usize) -> Self {
        Gate::new(capacity, Duration::from_secs(PATIENCE))
    }
    fn hold_at(&self, ticket: Ticket, item: u64, now: u64) -> Result<(), Shut> {
        Gate::hold(self, ticket, item, Duration::from_secs(now))
    }
    fn pass_early(&self, item: u64, now: u64) -> Result<Early<u64>, Shut> {
        Gate::pass_early(self, item, Duration::from_secs(now))
    }
    fn ask_for_room(&self) -> Result<bool, Shut> {
        Gate::ask_for_room(self)
    }
    fn advance(&self, ticket: Ticket) {
        Gate::advance(self, ticket);
    }
    fn poison(&self) {
        Gate::poison(self);
    }
    fn close(&self) {
        Gate::close(self);
    }
    fn release(&self) -> Result<Released<u64>, Shut> {
        Gate::release(self)
    }
}

/// The records as a disk would show them. Loads and stores are relaxed, so a load may see
/// the old value unless the gate itself orders the two threads.
#[derive(Clone)]
struct Disk(Arc<[AtomicU64; 2]>);

impl Disk {
    fn empty() -> Self {
        Self(Arc::new([AtomicU64::new(0), AtomicU64::new(0)]))
    }
    fn write(&self, ticket: Ticket) {
        self.0[ticket as usize - 1].store(1, Ordering::Relaxed);
    }
    fn holds(&self, ticket: Ticket) -> bool {
        self.0[ticket as usize - 1].load(Ordering::Relaxed) == 1
    }
}

/// Takes effects out until the gate shuts, and says why it did.
fn releaser<G: Gatelike>(gate: &Arc<G>, disk: &Disk) -> thread::JoinHandle<(Vec<u64>, Shut)> {
    let (gate, disk) = (gate.clone(), disk.clone());
    thread::spawn(move || {
        let mut seen = Vec::new();
        loop {
            match gate.release() {
                Ok(released) => seen.extend(released.items.into_iter().inspect(|item| {
                    assert!(
                        disk.holds(*item),
                        "effect {item} left before its record was on disk"
                    );
                })),
                Err(shut) => return (seen, shut),
            }
        }
    })
}

/// Two effects, two fsyncs, an orderly end.
fn everything_leaves_in_order<G: Gatelike>() {
    loom::model(|| {
        let (gate, disk) = (Arc::new(G::new(8)), Disk::empty());
        let released = releaser(&gate, &disk);
        let journal = {
            let (gate, disk) = (gate.clone(), disk.clone());
            thread::spawn(move || {
                for ticket in 1..=2 {
                    disk.write(ticket);
                    gate.advance(ticket);
                }
            })
        };
        gate.hold(1, 1).expect("open");
        gate.hold(2, 2).expect("open");
        gate.close();
        journal.join().expect("journal");
        let (seen, shut) = released.join().expect("releaser");
        assert_eq!((seen, shut), (vec![1, 2], Shut::Closed));
    });
}

/// The second fsync fails: only the first effect may ever leave, and all threads end.
fn a_failed_fsync_stops_everything<G: Gatelike>() {
    loom::model(|| {
        let (gate, disk) = (Arc::new(G::new(1)), Disk::empty());
        let released = releaser(&gate, &disk);
        let journal = {
            let (gate, disk) = (gate.clone(), disk.clone());
            thread::spawn(move || {
                disk.write(1);
                gate.advance(1);
                gate.poison();
            })
        };
        let _ = gate.hold(1, 1);
        let _ = gate.hold(2, 2);
        journal.join().expect("journal");
        assert_eq!(gate.hold(2, 2), Err(Shut::Poisoned));
        let (seen, shut) = released.join().expect("releaser");
        assert!(
            seen.is_empty() || seen == [1],
            "left after poison: {seen:?}"
        );
        assert_eq!(shut, Shut::Poisoned);
    });
}

/// A stepper that finds no room waits, as it does for everything: at its queue, for a word that
/// the releaser puts there.
fn a_full_gate_says_when_there_is_room<G: Gatelike>() {
    loom::model(|| {
        let (gate, queue) = (Arc::new(G::new(1)), Arc::new(Queue::<(), ()>::new(1)));
        let releaser = {
            let (gate, queue) = (gate.clone(), queue.clone());
            thread::spawn(move || {
                while let Ok(released) = gate.release() {
                    if released.made_room {
                        queue.urge(()).expect("open");
                    }
                }
            })
        };
        let journal = {
            let gate = gate.clone();
            thread::spawn(move || gate.advance(1))
        };
        gate.hold(1, 1).expect("open");
        while !gate.ask_for_room().expect("open") {
            let (_, urgent) = queue.take(None, 0);
            assert!(!urgent.is_empty(), "it woke for nothing");
        }
        gate.close();
        journal.join().expect("journal");
        releaser.join().expect("releaser");
    });
}

/// An effect that depends on no record leaves while another waits for the disk, and in order.
/// The journal writes nothing before both have left.
fn early_effects_leave_past_what_is_held<G: Gatelike>() {
    loom::model(|| {
        let gate = Arc::new(G::new(8));
        let releaser = {
            let gate = gate.clone();
            thread::spawn(move || {
                let mut seen = Vec::new();
                while let Ok(released) = gate.release() {
                    seen.extend(released.items);
                    if seen.len() == 2 {
                        gate.advance(1);
                        gate.close();
                    }
                }
                seen
            })
        };
        gate.hold(1, 1).expect("open");
        assert_eq!(gate.pass_early(7, PATIENCE - 1), Ok(Early::Passes));
        assert_eq!(gate.pass_early(8, PATIENCE - 1), Ok(Early::Passes));
        assert_eq!(releaser.join().expect("releaser"), [7, 8, 1]);
    });
}

/// The first record has waited for as long as the gate bears, the second has not: an early
/// effect passes only if the first is on disk by then.
fn a_hung_disk_silences_early_effects<G: Gatelike>() {
    loom::model(|| {
        let (gate, disk) = (Arc::new(G::new(8)), Disk::empty());
        let journal = {
            let (gate, disk) = (gate.clone(), disk.clone());
            thread::spawn(move || {
                disk.write(1);
                gate.advance(1);
            })
        };
        gate.hold_at(1, 1, 0).expect("open");
        gate.hold_at(2, 2, PATIENCE - 1).expect("open");
        match gate.pass_early(7, PATIENCE).expect("open") {
            Early::Passes => assert!(disk.holds(1), "it passed while the disk hung"),
            Early::Refused(item) => assert_eq!(item, 7, "what is refused comes back"),
        }
        journal.join().expect("journal");
        let passes = gate.pass_early(8, PATIENCE);
        assert_eq!(passes, Ok(Early::Passes), "the disk has come back");
        gate.poison();
        assert_eq!(gate.pass_early(9, PATIENCE), Err(Shut::Poisoned));
        assert_eq!(gate.release(), Err(Shut::Poisoned));
    });
}

#[test]
fn the_gate_releases_everything_in_order_and_only_what_is_on_disk() {
    everything_leaves_in_order::<Gate<u64>>();
}

#[test]
fn the_gate_lets_nothing_leave_after_poison_and_wakes_all_who_wait() {
    a_failed_fsync_stops_everything::<Gate<u64>>();
}

#[test]
fn the_gate_says_when_there_is_room_again() {
    a_full_gate_says_when_there_is_room::<Gate<u64>>();
}

#[test]
fn the_gate_lets_early_effects_past_what_is_held() {
    early_effects_leave_past_what_is_held::<Gate<u64>>();
}

#[test]
fn the_gate_lets_nothing_leave_early_while_the_disk_hangs() {
    a_hung_disk_silences_early_effects::<Gate<u64>>();
}

/// The faults that the scenarios above must refute.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    WatermarkOneAhead,
    RelaxedWatermark,
    NewestFirst,
    AdvanceTellsNobody,
    CloseTellsNobody,
    PoisonTellsNobody,
    ReleaseTellsNobody,
    PoisonKeepsReleasing,
    EarlyTellsNobody,
    EarlyNewestFirst,
    EarlyIgnoresTheDisk,
    EarlyAsksTheNewestRecord,
    EarlyForgetsTheFlush,
    EarlyAfterPoison,
}

type Held = VecDeque<(Ticket, u64)>;

#[derive(Default)]
struct Inside {
    held: Held,
    early: VecDeque<u64>,
    unflushed: VecDeque<(Ticket, u64)>,
    wants_room: bool,
    shut: Option<Shut>,
}

/// A gate with one planted fault. Its watermark is an atomic beside the lock, as somebody
/// in search of speed might write it, so that its ordering can be broken too.
struct Broken<const FAULT: usize> {
    state: Mutex<Inside>,
    flushed: AtomicU64,
    releasable: Condvar,
    capacity: usize,
}

const FAULTS: [Fault; 15] = [
    Fault::None,
    Fault::WatermarkOneAhead,
    Fault::RelaxedWatermark,
    Fault::NewestFirst,
    Fault::AdvanceTellsNobody,
    Fault::CloseTellsNobody,
    Fault::PoisonTellsNobody,
    Fault::ReleaseTellsNobody,
    Fault::PoisonKeepsReleasing,
    Fault::EarlyTellsNobody,
    Fault::EarlyNewestFirst,
    Fault::EarlyIgnoresTheDisk,
    Fault::EarlyAsksTheNewestRecord,
    Fault::EarlyForgetsTheFlush,
    Fault::EarlyAfterPoison,
];

impl<const FAULT: usize> Broken<FAULT> {
    const HAS: Fault = FAULTS[FAULT];

    fn take(&self, held: &mut Held) -> Vec<u64> {
        let order = if Self::HAS == Fault::RelaxedWatermark {
            Ordering::Relaxed
        } else {
            Ordering::Acquire
        };
        let lead = u64::from(Self::HAS == Fault::WatermarkOneAhead);
        let flushed = self.flushed.load(order) + lead;
        let count = held.partition_point(|(ticket, _)| *ticket <= flushed);
        let mut items: Vec<u64> = held.drain(..count).map(|(_, item)| item).collect();
        if Self::HAS == Fault::NewestFirst {
            items.reverse();
        }
        items
    }
}

impl<const FAULT: usize> Gatelike for Broken<FAULT> {
    fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(Inside::default()),
            flushed: AtomicU64::new(0),
            releasable: Condvar::new(),
            capacity,
        }
    }

    fn hold_at(&self, ticket: Ticket, item: u64, now: u64) -> Result<(), Shut> {
        let mut state = self.state.lock().expect("lock");
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        if ticket > self.flushed.load(Ordering::Acquire) {
            state.unflushed.push_back((ticket, now));
        }
        state.held.push_back((ticket, item));
        self.releasable.notify_all();
        Ok(())
    }

    fn pass_early(&self, item: u64, now: u64) -> Result<Early<u64>, Shut> {
        let mut state = self.state.lock().expect("lock");
        match state.shut {
            Some(Shut::Poisoned) if Self::HAS == Fault::EarlyAfterPoison => {}
            Some(shut) => return Err(shut),
            None => {}
        }
        let waiting = match Self::HAS {
            Fault::EarlyIgnoresTheDisk => None,
            Fault::EarlyAsksTheNewestRecord => state.unflushed.back(),
            _ => state.unflushed.front(),
        };
        if waiting.is_some_and(|(_, since)| now - since >= PATIENCE) {
            return Ok(Early::Refused(item));
        }
        if Self::HAS == Fault::EarlyNewestFirst {
            state.early.push_front(item);
        } else {
            state.early.push_back(item);
        }
        if Self::HAS != Fault::EarlyTellsNobody {
            self.releasable.notify_all();
        }
        Ok(Early::Passes)
    }

    fn ask_for_room(&self) -> Result<bool, Shut> {
        let mut state = self.state.lock().expect("lock");
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        state.wants_room = state.held.len() >= self.capacity;
        Ok(!state.wants_room)
    }

    fn advance(&self, ticket: Ticket) {
        if Self::HAS == Fault::RelaxedWatermark {
            // Published before the lock is taken: nobody misses it, but nothing orders it
            // after the write of the record either.
            self.flushed.store(ticket, Ordering::Relaxed);
            let _state = self.state.lock().expect("lock");
            self.releasable.notify_all();
            return;
        }
        let mut state = self.state.lock().expect("lock");
        self.flushed.store(ticket, Ordering::Release);
        if Self::HAS != Fault::EarlyForgetsTheFlush {
            state.unflushed.retain(|(held, _)| *held > ticket);
        }
        if Self::HAS != Fault::AdvanceTellsNobody {
            self.releasable.notify_all();
        }
    }

    fn poison(&self) {
        let mut state = self.state.lock().expect("lock");
        state.shut = Some(Shut::Poisoned);
        state.early.clear();
        if Self::HAS == Fault::PoisonKeepsReleasing {
            self.flushed.store(u64::MAX, Ordering::Release);
        } else {
            state.held.clear();
        }
        if Self::HAS != Fault::PoisonTellsNobody {
            self.releasable.notify_all();
        }
    }

    fn close(&self) {
        let mut state = self.state.lock().expect("lock");
        state.shut = state.shut.or(Some(Shut::Closed));
        if Self::HAS != Fault::CloseTellsNobody {
            self.releasable.notify_all();
        }
    }

    fn release(&self) -> Result<Released<u64>, Shut> {
        let mut state = self.state.lock().expect("lock");
        loop {
            let mut items: Vec<u64> = state.early.drain(..).collect();
            items.extend(self.take(&mut state.held));
            if !items.is_empty() {
                let made_room = state.wants_room && state.held.len() < self.capacity;
                state.wants_room &= !made_room;
                let made_room = made_room && Self::HAS != Fault::ReleaseTellsNobody;
                return Ok(Released { items, made_room });
            }
            match state.shut {
                Some(Shut::Poisoned) => return Err(Shut::Poisoned),
                Some(Shut::Closed) if state.held.is_empty() => return Err(Shut::Closed),
                _ => state = self.releasable.wait(state).expect("lock"),
            }
        }
    }
}

/// The control: without a fault the hand-written copy passes too, so it is the planted
/// fault, and nothing else, that the next test finds.
#[test]
fn a_copy_without_a_fault_passes() {
    everything_leaves_in_order::<Broken<0>>();
    a_failed_fsync_stops_everything::<Broken<0>>();
    a_full_gate_says_when_there_is_room::<Broken<0>>();
    early_effects_leave_past_what_is_held::<Broken<0>>();
    a_hung_disk_silences_early_effects::<Broken<0>>();
}

const LEFT_EARLY: &str = "left before its record was on disk";
const OUT_OF_ORDER: &str = "assertion `left == right` failed";
const PASSED_A_HUNG_DISK: &str = "it passed while the disk hung";

#[test]
fn every_planted_fault_is_refuted() {
    check_refuted(
        "gate::every_planted_fault_is_refuted",
        &[
            (
                "watermark one ahead",
                everything_leaves_in_order::<Broken<1>>,
                LEFT_EARLY,
            ),
            (
                "relaxed watermark",
                everything_leaves_in_order::<Broken<2>>,
                LEFT_EARLY,
            ),
            (
                "newest first",
                everything_leaves_in_order::<Broken<3>>,
                OUT_OF_ORDER,
            ),
            (
                "advance tells nobody",
                everything_leaves_in_order::<Broken<4>>,
                LOST_WAKE_UP,
            ),
            (
                "close tells nobody",
                everything_leaves_in_order::<Broken<5>>,
                LOST_WAKE_UP,
            ),
            (
                "poison tells nobody",
                a_failed_fsync_stops_everything::<Broken<6>>,
                LOST_WAKE_UP,
            ),
            (
                "release tells nobody",
                a_full_gate_says_when_there_is_room::<Broken<7>>,
                LOST_WAKE_UP,
            ),
            (
                "poison keeps releasing",
                a_failed_fsync_stops_everything::<Broken<8>>,
                LEFT_EARLY,
            ),
            (
                "early tells nobody",
                early_effects_leave_past_what_is_held::<Broken<9>>,
                LOST_WAKE_UP,
            ),
            (
                "early, newest first",
                early_effects_leave_past_what_is_held::<Broken<10>>,
                OUT_OF_ORDER,
            ),
            (
                "early ignores the disk",
                a_hung_disk_silences_early_effects::<Broken<11>>,
                PASSED_A_HUNG_DISK,
            ),
            (
                "early asks the newest record",
                a_hung_disk_silences_early_effects::<Broken<12>>,
                PASSED_A_HUNG_DISK,
            ),
            (
                "early forgets the flush",
                a_hung_disk_silences_early_effects::<Broken<13>>,
                "the disk has come back",
            ),
            (
                "early after poison",
                a_hung_disk_silences_early_effects::<Broken<14>>,
                OUT_OF_ORDER,
            ),
        ],
    );
}
