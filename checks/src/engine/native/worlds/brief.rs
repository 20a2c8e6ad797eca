//! Steps in short: all that it takes to foresee where one leads, in one line of the cache.

use models::Specification;
use models::world::Change;

use super::lab::{Next, Step};
use super::memory::CoreId;
use super::tables::{Core, Handle, Hashed};

/// The most messages that a step in short puts on its way and takes off.
const MOST_CHANGES: usize = 6;

/// A step in short.
#[repr(align(64))]
pub(super) struct Brief {
    /// The hash of the core that it leads to.
    pub(super) hash: Hashed,
    /// The nodes that it changes or that send something.
    pub(super) touched: u64,
    /// The numbers of the messages that it puts on its way or takes off, times two; one more where
    /// it puts.
    changes: [u32; MOST_CHANGES],
    /// How many of them there are; `None` if the step breaks a law, or may, or does more.
    changed: Option<u8>,
    /// Where it leads.
    pub(super) end: CoreId,
    /// What is counted of it: see [`Step::counted`].
    pub(super) counted: (u16, Option<u16>),
}

const _: () = assert!(size_of::<Brief>() == 64);

impl Brief {
    /// The step to this core in short.
    pub(super) fn of<P: Specification>(step: &Step<P>, end: CoreId, core: &Core) -> Self {
        let mut brief = Self {
            hash: core.hash,
            touched: 0,
            changes: [0; MOST_CHANGES],
            changed: None,
            end,
            counted: step.counted,
        };
        if let Ok(next) = &step.outcome
            && !next.laws.is_open()
        {
            brief.touched = next.touched;
            brief.changed = brief.note(next);
        }
        brief
    }

    /// Notes what the step does to the messages, if there is room for it.
    fn note(&mut self, next: &Next) -> Option<u8> {
        let mut places = self.changes.iter_mut();
        for (is_put, handle) in net_changes(next) {
            *places.next()? = handle.number.checked_mul(2)? + u32::from(is_put);
        }
        Some((MOST_CHANGES - places.len()) as u8)
    }

    /// Which messages the step puts on its way, and which it takes off, by number, if it is known
    /// to break nothing.
    pub(super) fn changes(&self) -> Option<impl Iterator<Item = (bool, u32)>> {
        let changes = &self.changes[..usize::from(self.changed?)];
        Some(changes.iter().map(|change| (change % 2 == 1, change / 2)))
    }

    /// Whether the step takes the message with this number off.
    pub(super) fn takes(&self, number: u32) -> bool {
        let mut changes = self.changes().into_iter().flatten();
        changes.any(|change| change == (false, number))
    }
}

/// What a step does to a bag of messages: of each, what happens to it last. A crash takes nothing
/// off.
fn net_changes(next: &Next) -> impl Iterator<Item = (bool, Handle)> {
    let changes = next.changes.iter().enumerate();
    changes.filter_map(|(position, change)| {
        let (is_put, handle) = put_or_taken(change)?;
        let mut later = next.changes[position + 1..].iter();
        let is_last = later.all(|later| put_or_taken(later).is_none_or(|(_, it)| it != handle));
        is_last.then_some((is_put, handle))
    })
}

fn put_or_taken(change: &Change<Handle>) -> Option<(bool, Handle)> {
    match change {
        Change::Put(handle) => Some((true, *handle)),
        Change::Take(handle) => Some((false, *handle)),
        Change::Disconnect(_) => None,
    }
}
