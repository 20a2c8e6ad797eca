//! Reads keys as they are or were.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use bytes::Bytes;

use super::history::{History, Revision};
use super::key_range::KeyRange;
use super::query::{MAX_RANGE_BYTES, MAX_RANGE_ENTRIES, Order, Range, SortBy};
use super::response::{Entries, Fault, KeyValue};

type Entry<'a> = (&'a Bytes, &'a KeyValue);

/// What one answer may still hold, in bytes of keys and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_RANGE_BYTES)
    }
}

impl History {
    /// The keys of a range, as an answer of its own.
    ///
    /// # Errors
    /// If the revision cannot be read.
    pub fn range(&self, range: &Range) -> Result<Entries, Fault> {
        self.range_within(range, &mut Room::default())
    }

    /// The keys of a range, as much of it as there is room for.
    pub(super) fn range_within(&self, range: &Range, room: &mut Room) -> Result<Entries, Fault> {
        if let Some(revision) = range.revision {
            self.check_readable(revision)?;
        }
        // Within a transaction that has changed something, the keys are of the revision to come.
        let current = self.revision_of_current();
        let found = || match range.revision {
            Some(revision) if revision < current => self.at(&range.keys, revision),
            _ => Box::new(self.current(&range.keys)),
        };
        let count = range.counts.then(|| found().count() as u64);
        let mut entries = match range.order {
            order if order == Order::default() => page(found(), range.limit, room),
            order => page(sorted(found(), order).into_iter(), range.limit, room),
        };
        entries.count = count;
        Ok(entries)
    }

    /// The keys of a range that there were at a revision, in order.
    fn at<'a>(
        &'a self,
        range: &KeyRange,
        revision: Revision,
    ) -> Box<dyn Iterator<Item = Entry<'a>> + 'a> {
        let mut past = self.past_keys(range).peekable();
        let mut current = self.current(range).map(|(key, _)| key).peekable();
        let keys = core::iter::from_fn(move || match (past.peek(), current.peek()) {
            (Some(old), Some(new)) => match old.cmp(new) {
                Ordering::Less => past.next(),
                Ordering::Equal => {
                    current.next();
                    past.next()
                }
                Ordering::Greater => current.next(),
            },
            _ => past.next().or_else(|| current.next()),
        });
        let keys: Vec<&Bytes> = keys.collect();
        let was_there = move |key: &'a Bytes| Some((key, self.get_at(key, revision)?));
        Box::new(keys.into_iter().filter_map(was_there))
    }
}

fn sorted<'a>(found: impl Iterator<Item = Entry<'a>>, order: Order) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = found.collect();
    let compare = |a: &Entry<'a>, b: &Entry<'a>| match order.by {
        SortBy::Key => a.0.cmp(b.0),
        SortBy::Version => a.1.version.cmp(&b.1.version),
        SortBy::Create => a.1.create_revision.cmp(&b.1.create_revision),
        SortBy::Mod => a.1.mod_revision.cmp(&b.1.mod_revision),
        SortBy::Value => a.1.value.cmp(&b.1.value),
    };
    match order.descending {
        false => entries.sort_by(compare),
        true => entries.sort_by(|a, b| compare(b, a)),
    }
    entries
}

/// The first entries, as many as are asked for and have room.
fn page<'a>(found: impl Iterator<Item = Entry<'a>>, limit: usize, room: &mut Room) -> Entries {
    let mut rest = found.peekable();
    let mut entries = Vec::new();
    while entries.len() < limit.min(MAX_RANGE_ENTRIES)
        && room.0 > 0
        && let Some((key, version)) = rest.next()
    {
        room.0 = room.0.saturating_sub(key.len() + version.value.len());
        entries.push((key.clone(), version.clone()));
    }
    Entries {
        entries,
        more: rest.peek().is_some(),
        count: None,
    }
}
