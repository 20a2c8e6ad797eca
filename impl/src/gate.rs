//! The gate: decides which effects may leave a node.
//!
//! The stepper holds every effect under a [`Ticket`], the log sequence number of the last
//! record that the effect may depend on. The journal advances the flushed watermark once
//! those records are on disk. The releaser takes effects out, in order, and only those whose
//! ticket the watermark has reached.
//!
//! **An effect never leaves before the records that it depends on are on disk**, also when
//! the step that made it wrote nothing: it may have read what an earlier step wrote.
//!
//! **Holding never waits.** The gate has a capacity, and the stepper asks before it takes on
//! more; a node whose disk hangs still steps what cannot wait.
//!
//! A failed fsync poisons the gate: what was held is dropped and nothing leaves again, since
//! nobody can know what the disk holds (retrying an fsync reports success for pages that
//! the kernel has already dropped).

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex};

/// A log sequence number: the number of frames submitted to the journal so far.
pub type Ticket = u64;

/// Why a gate takes or gives nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// The gate was closed, and everything that was held has left.
    #[error("the gate is closed: everything held has left, and nothing more is taken")]
    Closed,
    /// The journal failed. What was held is dropped and will never leave.
    #[error("the gate is poisoned by a journal failure: what was held is dropped")]
    Poisoned,
}

/// What a releaser takes out of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// Items that may leave, in order.
    pub items: Vec<T>,
    /// Somebody has asked for room, was refused, and would now get it: tell them.
    pub made_room: bool,
}

/// Holds effects of type `T` until the records that they depend on are on disk.
#[derive(Debug)]
pub struct Gate<T> {
    state: Mutex<State<T>>,
    /// Signalled when something may have become releasable, or the gate shuts.
    releasable: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    held: VecDeque<(Ticket, T)>,
    wants_room: bool,
    last_ticket: Ticket,
    flushed: Ticket,
    shut: Option<Shut>,
}

impl<T> Gate<T> {
    /// An open gate. It has room until it holds `capacity` items (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                held: VecDeque::new(),
                wants_room: false,
                last_ticket: 0,
                flushed: 0,
                shut: None,
            }),
            releasable: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Holds `item` until the watermark reaches `ticket`, also beyond the capacity.
    ///
    /// # Errors
    /// When the gate is shut; `item` is dropped and never leaves.
    ///
    /// # Panics
    /// When tickets go backwards, which would let an effect overtake an earlier one.
    pub fn hold(&self, ticket: Ticket, item: T) -> Result<(), Shut> {
        let mut state = self.state.lock();
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        assert!(ticket >= state.last_ticket, "tickets must not go backwards");
        state.last_ticket = ticket;
        state.held.push_back((ticket, item));
        self.wake_releaser(&state);
        Ok(())
    }

    /// Whether there is room. Who is told that there is none is owed word: the release that
    /// makes room says so ([`Released::made_room`]), or the gate shuts.
    ///
    /// # Errors
    /// When the gate is shut.
    pub fn ask_for_room(&self) -> Result<bool, Shut> {
        let mut state = self.state.lock();
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        state.wants_room = state.held.len() >= self.capacity;
        Ok(!state.wants_room)
    }

    /// Whether every record that something held depends on is on disk.
    pub fn is_flushed(&self) -> bool {
        let state = self.state.lock();
        state.flushed >= state.last_ticket
    }

    /// Says that every record up to `ticket` is on disk. Call it after the fsync returned,
    /// never before. Has no effect on a poisoned gate.
    pub fn advance(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        state.flushed = state.flushed.max(ticket);
        self.wake_releaser(&state);
    }

    fn wake_releaser(&self, state: &State<T>) {
        let first = state.held.front();
        if first.is_some_and(|(ticket, _)| *ticket <= state.flushed) {
            self.releasable.notify_all();
        }
    }

    /// Drops what is held and lets nothing leave ever again.
    pub fn poison(&self) {
        let mut state = self.state.lock();
        state.shut = Some(Shut::Poisoned);
        let dropped = std::mem::take(&mut state.held);
        self.releasable.notify_all();
        // What an item does when dropped is its own business: not under our lock.
        drop(state);
        drop(dropped);
    }

    /// Takes no more items. What is held still leaves once its records are on disk.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.shut = state.shut.or(Some(Shut::Closed));
        self.releasable.notify_all();
    }

    /// Waits for, and takes out, everything that may leave now: at least one item, in order.
    ///
    /// # Errors
    /// When nothing will ever leave again.
    pub fn release(&self) -> Result<Released<T>, Shut> {
        let mut state = self.state.lock();
        loop {
            let released = state.take_releasable(self.capacity);
            if !released.items.is_empty() {
                return Ok(released);
            }
            if let Some(shut) = state.shut
                && (shut == Shut::Poisoned || state.held.is_empty())
            {
                return Err(shut);
            }
            state = self.releasable.wait(state);
        }
    }

    /// Takes out everything that may leave now, in order, without waiting.
    pub fn try_release(&self) -> Released<T> {
        self.state.lock().take_releasable(self.capacity)
    }
}

impl<T> State<T> {
    fn take_releasable(&mut self, capacity: usize) -> Released<T> {
        let count = self
            .held
            .partition_point(|(ticket, _)| *ticket <= self.flushed);
        let items = self.held.drain(..count).map(|(_, item)| item).collect();
        let made_room = self.wants_room && self.held.len() < capacity;
        self.wants_room &= !made_room;
        Released { items, made_room }
    }
}
