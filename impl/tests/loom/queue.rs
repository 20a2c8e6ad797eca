//! The queue in front of a node.
//!
//! Verifies: nothing that was taken is lost, neither to a missed wake-up nor to closing;
//! items of one producer stay in order; the bound holds.
//!
//! Does not verify: waits that time out (loom knows no time), or more than two producers.

use std::collections::VecDeque;

use lockstep::runtime::queue::{Queue, Refused};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::{LOST_WAKE_UP, check_refuted};

trait Queuelike: Send + Sync + 'static {
    fn new(capacity: usize) -> Self;
    fn offer(&self, item: u64) -> Result<(), Refused>;
    fn urge(&self, item: u64) -> Result<(), Refused>;
    fn take(&self) -> (Vec<u64>, VecDeque<u64>);
    fn close(&self) -> (VecDeque<u64>, VecDeque<u64>);
}

impl Queuelike for Queue<u64, u64> {
    fn new(capacity: usize) -> Self {
        Queue::new(capacity)
    }
    fn offer(&self, item: u64) -> Result<(), Refused> {
        Queue::offer(self, item)
    }
    fn urge(&self, item: u64) -> Result<(), Refused> {
        Queue::urge(self, item)
    }
    fn take(&self) -> (Vec<u64>, VecDeque<u64>) {
        Queue::take(self, None, 8)
    }
    fn close(&self) -> (VecDeque<u64>, VecDeque<u64>) {
        Queue::close(self)
    }
}

/// Two producers, and a consumer that waits until it has everything.
fn everything_arrives<Q: Queuelike>() {
    loom::model(|| {
        let queue = Arc::new(Q::new(8));
        let peer = {
            let queue = queue.clone();
            thread::spawn(move || (1..=2).for_each(|item| queue.offer(item).expect("taken")))
        };
        let inspector = {
            let queue = queue.clone();
            thread::spawn(move || queue.urge(9).expect("taken"))
        };
        let (mut items, mut urgent) = (Vec::new(), Vec::new());
        while items.len() + urgent.len() < 3 {
            let taken = queue.take();
            items.extend(taken.0);
            urgent.extend(taken.1);
        }
        assert_eq!((items, urgent), (vec![1, 2], vec![9]));
        peer.join().expect("peer");
        inspector.join().expect("inspector");
    });
}

/// A producer races with the end: whatever it was told is taken must be handed out.
fn closing_loses_nothing<Q: Queuelike>() {
    loom::model(|| {
        let queue = Arc::new(Q::new(8));
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || (1..=2).filter(|item| queue.offer(*item).is_ok()).collect())
        };
        let (items, _) = queue.close();
        let taken: Vec<u64> = producer.join().expect("producer");
        assert_eq!(items, taken, "said to be taken, and handed out");
    });
}

/// Two producers race for one place.
fn the_bound_holds<Q: Queuelike>() {
    loom::model(|| {
        let queue = Arc::new(Q::new(1));
        let other = {
            let queue = queue.clone();
            thread::spawn(move || queue.offer(1).is_ok())
        };
        let taken = usize::from(queue.offer(2).is_ok()) + usize::from(other.join().expect("other"));
        assert_eq!(
            (taken, queue.close().0.len()),
            (1, 1),
            "one of two was taken"
        );
    });
}

#[test]
fn the_queue_hands_out_everything_in_order() {
    everything_arrives::<Queue<u64, u64>>();
}

#[test]
fn the_queue_loses_nothing_when_it_closes() {
    closing_loses_nothing::<Queue<u64, u64>>();
}

#[test]
fn the_queue_keeps_its_bound() {
    the_bound_holds::<Queue<u64, u64>>();
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    OfferTellsNobody,
    UrgeTellsNobody,
    LooksThenWaits,
    ChecksThenAdds,
}

const FAULTS: [Fault; 5] = [
    Fault::None,
    Fault::OfferTellsNobody,
    Fault::UrgeTellsNobody,
    Fault::LooksThenWaits,
    Fault::ChecksThenAdds,
];

#[derive(Default)]
struct State {
    items: VecDeque<u64>,
    urgent: VecDeque<u64>,
    closed: bool,
}

/// A queue with one planted fault.
struct Broken<const FAULT: usize> {
    state: Mutex<State>,
    arrived: Condvar,
    capacity: usize,
}

impl<const FAULT: usize> Broken<FAULT> {
    const HAS: Fault = FAULTS[FAULT];
}

impl<const FAULT: usize> Queuelike for Broken<FAULT> {
    fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            arrived: Condvar::new(),
            capacity,
        }
    }

    fn offer(&self, item: u64) -> Result<(), Refused> {
        let mut state = self.state.lock().expect("lock");
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        if Self::HAS == Fault::ChecksThenAdds {
            drop(state);
            state = self.state.lock().expect("lock");
        }
        state.items.push_back(item);
        if Self::HAS != Fault::OfferTellsNobody {
            self.arrived.notify_all();
        }
        Ok(())
    }

    fn urge(&self, item: u64) -> Result<(), Refused> {
        let mut state = self.state.lock().expect("lock");
        if state.closed {
            return Err(Refused::Closed);
        }
        state.urgent.push_back(item);
        if Self::HAS != Fault::UrgeTellsNobody {
            self.arrived.notify_all();
        }
        Ok(())
    }

    fn take(&self) -> (Vec<u64>, VecDeque<u64>) {
        let mut state = self.state.lock().expect("lock");
        if state.items.is_empty() && state.urgent.is_empty() {
            if Self::HAS == Fault::LooksThenWaits {
                drop(state);
                state = self.state.lock().expect("lock");
            }
            state = self.arrived.wait(state).expect("lock");
        }
        let items = state.items.drain(..).collect();
        (items, std::mem::take(&mut state.urgent))
    }

    fn close(&self) -> (VecDeque<u64>, VecDeque<u64>) {
        let mut state = self.state.lock().expect("lock");
        state.closed = true;
        (
            std::mem::take(&mut state.items),
            std::mem::take(&mut state.urgent),
        )
    }
}

#[test]
fn a_copy_without_a_fault_passes() {
    everything_arrives::<Broken<0>>();
    closing_loses_nothing::<Broken<0>>();
    the_bound_holds::<Broken<0>>();
}

#[test]
fn every_planted_fault_is_refuted() {
    check_refuted(
        "queue::every_planted_fault_is_refuted",
        &[
            (
                "offer tells nobody",
                everything_arrives::<Broken<1>>,
                LOST_WAKE_UP,
            ),
            (
                "urge tells nobody",
                everything_arrives::<Broken<2>>,
                LOST_WAKE_UP,
            ),
            (
                "looks, then waits",
                everything_arrives::<Broken<3>>,
                LOST_WAKE_UP,
            ),
            (
                "checks for the end, then adds",
                closing_loses_nothing::<Broken<4>>,
                "handed out",
            ),
            (
                "checks for room, then adds",
                the_bound_holds::<Broken<4>>,
                "one of two was taken",
            ),
        ],
    );
}
