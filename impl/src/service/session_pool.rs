//! Sessions of the serving node, for requests that bring none of their own.
//!
//! A command is applied at most once for each client and sequence. A request without them
//! borrows a slot: a client id of this process with a sequence of its own and one request
//! outstanding. So the table of sessions, which every node keeps, grows with how many
//! requests run at the same time and not with how many there are. A slot that is not used for
//! long may find its session expired, where sessions expire, and begins another. A process that is
//! started again draws other ids.

use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use models::session::{ClientId, Position, RequestId, Sequence};

use crate::runtime::sync::Mutex;

/// Client ids from here on belong to the nodes; those below it to clients.
pub const FIRST_RESERVED: u64 = 1 << 63;

/// A process's slots.
#[derive(Debug)]
pub struct Sessions {
    /// Where this process's ids begin: random, so that no two processes share an id.
    base: u64,
    slots: Mutex<Slots>,
    capacity: usize,
    reads: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    /// The last one freed is the next one used, which keeps the number of slots small.
    free: Vec<Slot>,
    made: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    client: ClientId,
    next: Sequence,
}

/// A slot in use. Free again when dropped, with its next sequence: a late effect of the
/// request that had it is then superseded and changes nothing, or was first.
#[derive(Debug)]
pub struct Lease<'a> {
    sessions: &'a Sessions,
    slot: Slot,
}

impl Sessions {
    /// Slots for `capacity` requests at a time, with ids drawn from `seed`.
    pub fn new(seed: u64, capacity: usize) -> Self {
        Self {
            base: Rng::with_seed(seed).u64(..),
            slots: Mutex::new(Slots::default()),
            capacity,
            reads: AtomicU64::new(0),
        }
    }

    /// A slot for one write, or none while all are in use.
    pub fn lease(&self) -> Option<Lease<'_>> {
        let mut slots = self.slots.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None if slots.made < self.capacity => {
                slots.made += 1;
                Slot {
                    client: self.client(slots.made as u64),
                    next: Sequence(1),
                }
            }
            None => return None,
        };
        let sessions = self;
        Some(Lease { sessions, slot })
    }

    /// An id for one read. A read leaves nothing in the table: all share one client.
    pub fn read(&self) -> RequestId {
        RequestId {
            client: self.client(0),
            sequence: Sequence(self.reads.fetch_add(1, Ordering::Relaxed) + 1),
        }
    }

    fn client(&self, slot: u64) -> ClientId {
        ClientId::new(self.base.wrapping_add(slot) | FIRST_RESERVED)
    }
}

impl Lease<'_> {
    /// Gives the slot a session that begins at `since`: the one that it had has expired.
    pub fn renew(&mut self, since: Position) {
        self.slot.client = self.slot.client.anew(since);
    }

    /// The id of the request that has this slot.
    pub fn request(&self) -> RequestId {
        RequestId {
            client: self.slot.client,
            sequence: self.slot.next,
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let used = self.slot;
        self.sessions.slots.lock().free.push(Slot {
            next: Sequence(used.next.0 + 1),
            ..used
        });
    }
}
