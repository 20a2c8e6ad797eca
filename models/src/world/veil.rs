//! A veil over the messages under way.
//!
//! What a step does to the nodes, the clients and the ghost does not depend on what else is
//! under way, and few properties look there. A search that wants to remember what a step did
//! takes it in a world whose network is veiled: what the step puts on its way and takes off it
//! is noted and not done, and whether anybody looked at what is under way is noted too. What
//! was found out without a look holds whatever is under way.
#![expect(
    clippy::disallowed_types,
    reason = "who only reads notes that it has looked; steps never see a world"
)]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::network::Envelope;
use crate::protocol::NodeId;

/// What a step does to what is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<E> {
    /// Something is sent.
    Put(E),
    /// Something that may arrive next is taken off.
    Take(E),
    /// What is under way to or from this node is lost.
    Disconnect(NodeId),
}

/// What is noted instead of being done or seen. Copies of a world share the note of looks.
#[derive(Clone, Debug)]
pub(super) struct Veil<T> {
    looked: Arc<AtomicBool>,
    changes: Vec<Change<Arc<Envelope<T>>>>,
}

impl<T> Default for Veil<T> {
    fn default() -> Self {
        Self {
            looked: Arc::default(),
            changes: Vec::new(),
        }
    }
}

impl<T> Veil<T> {
    // Relaxed: a world is looked at by the thread that then asks.
    pub(super) fn note_look(&self) {
        self.looked.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_change(&mut self, change: Change<Arc<Envelope<T>>>) {
        self.changes.push(change);
    }

    pub(super) fn looked(&self) -> bool {
        self.looked.load(Ordering::Relaxed)
    }

    pub(super) fn take_looked(&self) -> bool {
        self.looked.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_changes(&mut self) -> Vec<Change<Arc<Envelope<T>>>> {
        core::mem::take(&mut self.changes)
    }
}
