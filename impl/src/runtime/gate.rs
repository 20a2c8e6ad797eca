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
//! Some effects depend on no record: a leader's heartbeat promises nothing about its disk.
//! [`Gate::pass_early`] lets them out past what is held, but not while the oldest record has
//! waited for the disk for too long: a leader that can commit nothing should fall silent, so
//! that the others elect one that can.
//!
//! A failed fsync poisons the gate: what was held is dropped and nothing leaves again, since
//! nobody can know what the disk holds (retrying an fsync reports success for pages that
//! the kernel has already dropped).

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::sync::{Condvar, Mutex};

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

/// What became of an item that was to leave early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early<T> {
    /// It leaves, behind those that were let out early before it.
    Passes,
    /// The oldest record has waited for the disk for too long. The item is handed back, and the
    /// gate is as it was.
    Refused(T),
}

/// What a releaser takes out of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released<T> {
    /// Items that may leave, in order: the early ones first.
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
    /// Items leave early only while the oldest record has waited for less.
    patience: Duration,
}

#[derive(Debug)]
struct State<T> {
    held: VecDeque<(Ticket, T)>,
    early: VecDeque<T>,
    /// When records were handed to the journal that are not known to be on disk, oldest first.
    unflushed: VecDeque<(Ticket, Duration)>,
    wants_room: bool,
    last_ticket: Ticket,
    flushed: Ticket,
    shut: Option<Shut>,
}

impl<T> Gate<T> {
    /// An open gate. It has room until it holds `capacity` items (at least one). Items leave
    /// early while the oldest record has waited for the disk for less than `patience`.
    pub fn new(capacity: usize, patience: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                held: VecDeque::new(),
                early: VecDeque::new(),
                unflushed: VecDeque::new(),
                wants_room: false,
                last_ticket: 0,
                flushed: 0,
                shut: None,
            }),
            releasable: Condvar::new(),
            capacity: capacity.max(1),
            patience,
        }
    }

    /// Holds `item` until the watermark reaches `ticket`, also beyond the capacity. Records up
    /// to `ticket` count as handed to the journal at `now`, those that were not before.
    ///
    /// # Errors
    /// When the gate is shut; `item` is dropped and never leaves.
    ///
    /// # Panics
    /// When tickets go backwards, which would let an effect overtake an earlier one.
    pub fn hold(&self, ticket: Ticket, item: T, now: Duration) -> Result<(), Shut> {
        let mut state = self.state.lock();
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        assert!(ticket >= state.last_ticket, "tickets must not go backwards");
        if ticket > state.last_ticket.max(state.flushed) {
            state.unflushed.push_back((ticket, now));
        }
        state.last_ticket = ticket;
        state.held.push_back((ticket, item));
        self.wake_releaser(&state);
        Ok(())
    }

    /// Lets `item` leave past what is held: only what depends on no record, and promises
    /// nothing about the disk. Early items keep their order among themselves.
    ///
    /// # Errors
    /// When the gate is shut; `item` is dropped and never leaves.
    pub fn pass_early(&self, item: T, now: Duration) -> Result<Early<T>, Shut> {
        let mut state = self.state.lock();
        if let Some(shut) = state.shut {
            return Err(shut);
        }
        let oldest = state.unflushed.front().map(|(_, since)| *since);
        if oldest.is_some_and(|since| now.saturating_sub(since) >= self.patience) {
            return Ok(Early::Refused(item));
        }
        state.early.push_back(item);
        self.wake_releaser(&state);
        Ok(Early::Passes)
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

    /// Whether every record that was handed to the journal is on disk.
    pub fn is_flushed(&self) -> bool {
        self.state.lock().unflushed.is_empty()
    }

    /// Says that every record up to `ticket` is on disk. Call it after the fsync returned,
    /// never before. Has no effect on a poisoned gate.
    pub fn advance(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        state.flushed = state.flushed.max(ticket);
        let flushed = state.flushed;
        let count = state
            .unflushed
            .partition_point(|(ticket, _)| *ticket <= flushed);
        state.unflushed.drain(..count);
        self.wake_releaser(&state);
    }

    fn wake_releaser(&self, state: &State<T>) {
        let first = state.held.front();
        let is_on_disk = first.is_some_and(|(ticket, _)| *ticket <= state.flushed);
        if is_on_disk || !state.early.is_empty() {
            self.releasable.notify_all();
        }
    }

    /// Drops what is held and lets nothing leave ever again.
    pub fn poison(&self) {
        let mut state = self.state.lock();
        state.shut = Some(Shut::Poisoned);
        let dropped = std::mem::take(&mut state.held);
        let early = std::mem::take(&mut state.early);
        self.releasable.notify_all();
        // What an item does when dropped is its own business: not under our lock.
        drop(state);
        drop((dropped, early));
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
        let early = self.early.drain(..);
        let held = self.held.drain(..count).map(|(_, item)| item);
        let items = early.chain(held).collect();
        let made_room = self.wants_room && self.held.len() < capacity;
        self.wants_room &= !made_room;
        Released { items, made_room }
    }
}
