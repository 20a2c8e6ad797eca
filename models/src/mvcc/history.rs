//! The versions of keys, and the order in which they came.

use core::fmt::{self, Display};
use core::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::key_range::KeyRange;
use super::lease::LeaseId;
use super::response::{Fault, KeyValue};

/// A revision of the store. Each change makes another, one greater than the last; that of an empty store is
/// 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a version that was replaced takes beside its key and its value, about: places in two maps, numbers.
pub const VERSION_OVERHEAD: usize = 256;

/// The place of a change: its revision, and how many of the same revision came before it.
type Place = (Revision, u32);

/// Every version of every key since the last compaction.
///
/// A command's changes are of the revision after the latest one, which ends with the command: a key
/// is changed at most once in a revision, so a key and a revision name a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct History {
    pub(super) revision: Revision,
    /// What can be read is of this revision or a later one.
    pub(super) compacted: Revision,
    /// The keys that there are.
    pub(super) current: OrdMap<Bytes, KeyValue>,
    /// The versions that were replaced, and the removals, which leave nothing, each with its revision.
    pub(super) past: OrdMap<(Bytes, Revision), Option<KeyValue>>,
    /// Which keys were changed, in order, from the last compaction on.
    pub(super) changes: OrdMap<Place, Bytes>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            revision: Revision(1),
            compacted: Revision(0),
            current: OrdMap::new(),
            past: OrdMap::new(),
            changes: OrdMap::new(),
        }
    }
}

impl History {
    /// The revision of the latest change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be read: 0 where nothing was compacted.
    pub fn compacted(&self) -> Revision {
        self.compacted
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// How many changes are remembered.
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// The key as it is, if it is there.
    pub fn get(&self, key: &[u8]) -> Option<&KeyValue> {
        self.current.get(key)
    }

    /// The keys of a range that there are, in order.
    pub fn current(&self, range: &KeyRange) -> impl Iterator<Item = (&Bytes, &KeyValue)> {
        // The bounds of an empty range may be the wrong way round.
        let is_empty = range.is_empty();
        let within = (!is_empty).then(|| self.current.range::<_, Bytes>(range.bounds()));
        within.into_iter().flatten()
    }

    /// The key as it was at a revision, if it was there. Of a revision that is compacted it does not know.
    pub(super) fn get_at(&self, key: &Bytes, revision: Revision) -> Option<&KeyValue> {
        match self.current.get(key) {
            Some(held) if held.mod_revision <= revision => Some(held),
            _ => self.past_at(key, revision),
        }
    }

    fn past_at(&self, key: &Bytes, revision: Revision) -> Option<&KeyValue> {
        let ((found, _), version) = self.past.get_prev(&(key.clone(), revision))?;
        version.as_ref().filter(|_| found == key)
    }

    /// What a change left of a key: nothing where it removed it.
    pub(super) fn version(&self, key: &Bytes, revision: Revision) -> Option<&KeyValue> {
        match self.current.get(key) {
            Some(held) if held.mod_revision == revision => Some(held),
            _ => self.past.get(&(key.clone(), revision))?.as_ref(),
        }
    }

    /// The keys of a range that have versions in the past, in order.
    pub(super) fn past_keys(&self, range: &KeyRange) -> impl Iterator<Item = &Bytes> {
        let first = |key: &Bytes| (key.clone(), Revision(0));
        let start = Bound::Included(first(range.start()));
        let end = range.end().map(first);
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let within = (!range.is_empty()).then(|| self.past.range((start, end)));
        let mut last = None;
        let keys = within.into_iter().flatten().map(|((key, _), _)| key);
        keys.filter(move |key| last.replace(*key) != Some(*key))
    }

    /// The oldest revision to which this can be compacted so that the versions which were replaced later
    /// take no more than so many bytes, with [`VERSION_OVERHEAD`] each. Where they take no more already, the
    /// revision to which it is compacted.
    pub fn oldest_within(&self, bytes: usize) -> Revision {
        let mut room = bytes;
        for (&(revision, _), key) in self.changes.iter().rev() {
            let replaced = self.past_at(key, Revision(revision.0.saturating_sub(1)));
            let value = replaced.map_or(0, |version| version.value.len());
            match room.checked_sub(key.len() + value + VERSION_OVERHEAD) {
                Some(rest) => room = rest,
                None => return revision,
            }
        }
        self.compacted
    }

    /// Whether what was there at a revision can be read.
    ///
    /// # Errors
    /// If it is to come, or is compacted.
    pub fn check_readable(&self, revision: Revision) -> Result<(), Fault> {
        if revision > self.revision {
            return Err(Fault::FutureRevision);
        }
        match revision < self.compacted {
            true => Err(Fault::Compacted {
                compacted: self.compacted,
            }),
            false => Ok(()),
        }
    }

    /// Sets a key. What was there, if something was.
    pub(super) fn put(
        &mut self,
        key: &Bytes,
        value: Bytes,
        lease: Option<LeaseId>,
    ) -> Option<KeyValue> {
        let revision = self.note(key);
        let held = self.current.get(key);
        let version = KeyValue {
            value,
            create_revision: held.map_or(revision, |held| held.create_revision),
            mod_revision: revision,
            version: held.map_or(1, |held| held.version + 1),
            lease,
        };
        let replaced = self.current.insert(key.clone(), version)?;
        self.keep(key, replaced.clone());
        Some(replaced)
    }

    /// Removes a key. What was there, if something was.
    pub(super) fn delete(&mut self, key: &Bytes) -> Option<KeyValue> {
        let removed = self.current.remove(key)?;
        let revision = self.note(key);
        self.keep(key, removed.clone());
        self.past.insert((key.clone(), revision), None);
        Some(removed)
    }

    /// Notes a change of a key, and of which revision it is.
    fn note(&mut self, key: &Bytes) -> Revision {
        let revision = self.revision.next();
        let last = self.changes.get_max().map(|(place, _)| *place);
        let earlier = match last {
            Some((last, earlier)) if last == revision => earlier + 1,
            _ => 0,
        };
        self.changes.insert((revision, earlier), key.clone());
        revision
    }

    fn keep(&mut self, key: &Bytes, version: KeyValue) {
        let place = (key.clone(), version.mod_revision);
        self.past.insert(place, Some(version));
    }

    /// Ends the revision of the latest changes, if there are any since the last one ended.
    pub(super) fn end_revision(&mut self) {
        self.revision = self.revision_of_current();
    }

    /// The revision that the keys are of: the one that is being made, if something has been changed since
    /// the latest one ended.
    pub(super) fn revision_of_current(&self) -> Revision {
        let latest = self.changes.get_max().map(|((revision, _), _)| *revision);
        latest.map_or(self.revision, |latest| latest.max(self.revision))
    }

    /// Forgets what is not needed to read at `to` or later, nor to tell the changes from `to` on.
    pub(super) fn compact(&mut self, to: Revision) {
        let before = self.changes.clone();
        for (&place, key) in before.range(..=(to, u32::MAX)) {
            self.forget(key, place, to);
        }
        self.compacted = to;
    }

    /// Forgets what a change that lies at `to` or before has replaced, and, where it lies before, itself.
    fn forget(&mut self, key: &Bytes, (revision, nth): Place, to: Revision) {
        let replaced = (key.clone(), Revision(0))..(key.clone(), revision);
        let older = self.past.clone();
        for (place, _) in older.range(replaced) {
            self.past.remove(place);
        }
        if revision == to {
            return;
        }
        self.changes.remove(&(revision, nth));
        let place = (key.clone(), revision);
        if self.past.get(&place) == Some(&None) {
            self.past.remove(&place);
        }
    }
}
