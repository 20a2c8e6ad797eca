//! The queue in front of a node: bounded for what comes from outside, which is refused
//! rather than piled up, and unbounded for the few things that must not be lost.

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::sync::{Condvar, Mutex};

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bound is reached.
    Full,
    /// The queue is closed.
    Closed,
}

/// Many producers of items `T` and of urgent items `U`, one consumer.
#[derive(Debug)]
pub struct Queue<T, U> {
    state: Mutex<State<T, U>>,
    /// Signalled when something arrives while the consumer waits.
    arrived: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T, U> {
    items: VecDeque<T>,
    urgent: VecDeque<U>,
    closed: bool,
    /// What the consumer waits for: waking nobody costs a system call too.
    waiting: Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Not,
    ForUrgent,
    ForAny,
}

impl<T, U> Queue<T, U> {
    /// A queue in which at most `capacity` items wait (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                urgent: VecDeque::new(),
                closed: false,
                waiting: Waiting::Not,
            }),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Adds an item, unless the queue is full or closed. What was added is handed out by
    /// [`Queue::take`] or [`Queue::close`], without exception.
    ///
    /// # Errors
    /// When the item was not taken.
    pub fn offer(&self, item: T) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        if state.waiting == Waiting::ForAny {
            self.wake(&mut state);
        }
        Ok(())
    }

    /// Adds an urgent item, unless the queue is closed.
    ///
    /// # Errors
    /// When the item was not taken.
    pub fn urge(&self, item: U) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        state.urgent.push_back(item);
        self.wake(&mut state);
        Ok(())
    }

    /// Waits until something is there, no longer than `nap` (`None`: for ever), and takes out
    /// every urgent item and at most `most` others, in order. Where `most` is 0 it waits for
    /// urgent items alone. May take nothing.
    pub fn take(&self, nap: Option<Duration>, most: usize) -> (Vec<T>, VecDeque<U>) {
        let mut state = self.state.lock();
        if state.urgent.is_empty() && (most == 0 || state.items.is_empty()) {
            state.waiting = if most == 0 {
                Waiting::ForUrgent
            } else {
                Waiting::ForAny
            };
            state = match nap {
                Some(nap) => self.arrived.wait_timeout(state, nap),
                None => self.arrived.wait(state),
            };
            state.waiting = Waiting::Not;
        }
        let count = state.items.len().min(most);
        let items = state.items.drain(..count).collect();
        (items, std::mem::take(&mut state.urgent))
    }

    /// Takes no more, and hands out what was taken before.
    pub fn close(&self) -> (VecDeque<T>, VecDeque<U>) {
        let mut state = self.state.lock();
        state.closed = true;
        (
            std::mem::take(&mut state.items),
            std::mem::take(&mut state.urgent),
        )
    }

    fn wake(&self, state: &mut State<T, U>) {
        if state.waiting != Waiting::Not {
            state.waiting = Waiting::Not;
            self.arrived.notify_all();
        }
    }
}
