//! Watches: what has been changed, from a revision on.

use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Store;
use super::history::Revision;
use super::key_range::KeyRange;
use super::query::MAX_RANGE_BYTES;
use super::response::{Fault, KeyValue};

/// Asks what has been changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Changes {
    /// The keys that are watched.
    pub keys: KeyRange,
    /// From this revision on.
    pub from: Revision,
    /// So many changes are looked at, of whichever keys, and more only to the end of their revision. Not 0.
    pub limit: usize,
    /// Whether the answer says what was there before.
    pub wants_previous: bool,
}

/// What has been changed from one revision up to another. Never a part of a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Page {
    /// The first revision that was looked at.
    pub from: Revision,
    /// The changes, in their order.
    pub events: Vec<Event>,
    /// The revision to go on with.
    pub next: Revision,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// The revision.
    pub revision: Revision,
    /// What is there now: nothing where it was removed.
    pub version: Option<KeyValue>,
    /// What was there before, where that was asked, something was, and it is not compacted.
    pub previous: Option<KeyValue>,
}

/// How far a watcher is. It takes each page once, and in order, whatever is lost or comes twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The keys that are watched.
    pub keys: KeyRange,
    /// The first revision that it has not seen.
    pub next: Revision,
    /// Whether it wants to know what was there before.
    pub wants_previous: bool,
}

impl Cursor {
    /// What to ask.
    pub fn question(&self, limit: usize) -> Changes {
        Changes {
            keys: self.keys.clone(),
            from: self.next,
            limit,
            wants_previous: self.wants_previous,
        }
    }

    /// Takes a page, if it is the next one: the events that are new.
    pub fn take(&mut self, page: Page) -> Vec<Event> {
        if page.from != self.next {
            return Vec::new();
        }
        self.next = page.next;
        page.events
    }
}

impl Store {
    /// What has been changed.
    ///
    /// # Errors
    /// If that is compacted.
    pub(super) fn changes(&self, asked: &Changes) -> Result<Page, Fault> {
        if asked.from < self.history.compacted {
            return Err(Fault::Compacted {
                compacted: self.history.compacted,
            });
        }
        let mut page = Page {
            from: asked.from,
            events: Vec::new(),
            next: asked.from.max(self.revision().next()),
        };
        let mut bytes = 0;
        let changes = self.history.changes.range((asked.from, 0)..);
        for (looked_at, (&(revision, nth), key)) in changes.enumerate() {
            let is_full = looked_at >= asked.limit || bytes >= MAX_RANGE_BYTES;
            if is_full && nth == 0 {
                page.next = revision;
                break;
            }
            if asked.keys.contains(key) {
                let event = self.event(key, revision, asked.wants_previous);
                bytes += event.bytes();
                page.events.push(event);
            }
        }
        Ok(page)
    }

    fn event(&self, key: &Bytes, revision: Revision, wants_previous: bool) -> Event {
        let before = Revision(revision.0 - 1);
        let is_known = wants_previous && before >= self.history.compacted;
        let previous = is_known.then(|| self.history.get_at(key, before)).flatten();
        Event {
            key: key.clone(),
            revision,
            version: self.history.version(key, revision).cloned(),
            previous: previous.cloned(),
        }
    }
}

impl Event {
    fn bytes(&self) -> usize {
        let versions = self.version.iter().chain(&self.previous);
        self.key.len() + versions.map(|version| version.value.len()).sum::<usize>()
    }
}
