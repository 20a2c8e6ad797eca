//! What a list of commands comes to, computed anew and as simply as can be said: a map for each
//! revision, and nothing that the store has. Properties hold the store against it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::mvcc::command::{Command, Compare, Operation, Relation, Target, Txn};
use crate::mvcc::history::Revision;
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::lease::{Lease, LeaseId, Renewal, Ttl};
use crate::mvcc::query::{Query, Range, SortBy};
use crate::mvcc::response::{Entries, Fault, KeyValue, Outcome, Response};
use crate::mvcc::watch::{Changes, Event, Page};

/// The keys that there are at a revision.
pub(super) type Keys = BTreeMap<Bytes, KeyValue>;

/// The store by its definition.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The keys at each revision, from 1 on.
    pub(super) revisions: Vec<Keys>,
    /// The changes that made each.
    pub(super) events: Vec<Vec<Event>>,
    pub(super) compacted: Revision,
    pub(super) leases: BTreeMap<LeaseId, (Ttl, Renewal)>,
    /// Which lease each renewal was of, grants among them, in order.
    pub(super) renewed: Vec<LeaseId>,
}

/// A revision that is being made.
struct Draft {
    keys: Keys,
    events: Vec<Event>,
    revision: Revision,
    /// What there was before.
    earlier: Reference,
}

impl Reference {
    /// What these commands come to.
    pub(super) fn of(log: &[Command]) -> Self {
        let mut reference = Self {
            revisions: [Keys::new()].into(),
            events: [Vec::new()].into(),
            compacted: Revision(0),
            leases: BTreeMap::new(),
            renewed: Vec::new(),
        };
        for command in log {
            reference.apply(command);
        }
        reference
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(self.revisions.len() as u64)
    }

    /// The keys as they are.
    pub(super) fn latest(&self) -> &Keys {
        &self.revisions[self.revisions.len() - 1]
    }

    /// The keys as they were.
    pub(super) fn at(&self, revision: Revision) -> Result<&Keys, Fault> {
        if revision > self.revision() {
            return Err(Fault::FutureRevision);
        }
        if revision < self.compacted {
            let compacted = self.compacted;
            return Err(Fault::Compacted { compacted });
        }
        // Before the first revision there was nothing, as at it.
        let index = revision.0.saturating_sub(1) as usize;
        Ok(&self.revisions[index])
    }

    /// All changes, in order.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().flatten()
    }

    pub(super) fn apply(&mut self, command: &Command) -> Response {
        let outcome = match command {
            Command::Grant { lease, .. } if self.leases.contains_key(lease) => {
                Err(Fault::LeaseExists)
            }
            Command::Grant { lease, ttl } => self.renew(*lease, *ttl),
            Command::KeepAlive { lease } => match self.leases.get(lease) {
                None => Err(Fault::LeaseNotFound),
                Some(&(ttl, _)) => self.renew(*lease, ttl),
            },
            Command::Revoke { lease } => self.end(*lease),
            Command::Expire { lease, renewal } => match self.leases.get(lease) {
                Some((_, latest)) if latest != renewal => Ok(Outcome::Renewed),
                _ => self.end(*lease),
            },
            Command::Compact { revision } if *revision == self.compacted => Err(Fault::Compacted {
                compacted: self.compacted,
            }),
            Command::Compact { revision } => self.at(*revision).map(|_| ()).map(|()| {
                self.compacted = *revision;
                Outcome::Compacted
            }),
            Command::Put(put) => self.operate(Operation::Put(put.clone())),
            Command::DeleteRange(delete) => self.operate(Operation::DeleteRange(delete.clone())),
            Command::Txn(txn) if is_twofold(txn) => Err(Fault::DuplicateKey),
            Command::Txn(txn) => self.operate(Operation::Txn(txn.clone())),
        };
        Response {
            revision: self.revision(),
            outcome,
        }
    }

    fn operate(&mut self, operation: Operation) -> Result<Outcome, Fault> {
        self.change(|draft| draft.operate(&operation))
    }

    fn change(
        &mut self,
        operate: impl FnOnce(&mut Draft) -> Result<Outcome, Fault>,
    ) -> Result<Outcome, Fault> {
        let mut draft = Draft {
            keys: self.latest().clone(),
            events: Vec::new(),
            revision: Revision(self.revision().0 + 1),
            earlier: self.clone(),
        };
        let outcome = operate(&mut draft)?;
        if !draft.events.is_empty() {
            self.revisions.push(draft.keys);
            self.events.push(draft.events);
        }
        Ok(outcome)
    }

    fn renew(&mut self, lease: LeaseId, ttl: Ttl) -> Result<Outcome, Fault> {
        self.renewed.push(lease);
        let renewal = Renewal(self.renewed.len() as u64);
        self.leases.insert(lease, (ttl, renewal));
        Ok(Outcome::Alive { lease, ttl })
    }

    fn end(&mut self, lease: LeaseId) -> Result<Outcome, Fault> {
        if !self.leases.contains_key(&lease) {
            return Err(Fault::LeaseNotFound);
        }
        let held = self
            .latest()
            .iter()
            .filter(|(_, held)| held.lease == Some(lease));
        let held: Vec<Bytes> = held.map(|(key, _)| key.clone()).collect();
        self.leases.remove(&lease);
        self.change(|draft| {
            held.iter().for_each(|key| draft.delete(key));
            Ok(Outcome::Ended {
                keys: held.len() as u64,
            })
        })
    }

    pub(super) fn query(&self, query: &Query) -> Response {
        let outcome = match query {
            Query::Range(range) => self.range(range).map(Outcome::Range),
            Query::Leases => Ok(Outcome::Leases(self.leases.keys().copied().collect())),
            Query::Changes(changes) => self.page(changes).map(Outcome::Changes),
            Query::Lease { lease } => {
                let found = self.leases.get(lease).map(|(ttl, renewal)| {
                    let keys = self.latest().iter();
                    let keys = keys.filter(|(_, held)| held.lease == Some(*lease));
                    Lease {
                        ttl: *ttl,
                        renewal: *renewal,
                        keys: keys.map(|(key, _)| key.clone()).collect(),
                    }
                });
                Ok(Outcome::Lease(found))
            }
        };
        Response {
            revision: self.revision(),
            outcome,
        }
    }

    fn range(&self, range: &Range) -> Result<Entries, Fault> {
        let keys = self.at(range.revision.unwrap_or(self.revision()))?;
        Ok(entries(keys, range))
    }

    /// What has been changed, told as is asked.
    fn page(&self, asked: &Changes) -> Result<Page, Fault> {
        let compacted = self.compacted;
        if asked.from < compacted {
            return Err(Fault::Compacted { compacted });
        }
        let mut page = Page {
            from: asked.from,
            events: Vec::new(),
            next: Revision(self.revision().0 + 1).max(asked.from),
        };
        let mut looked_at = 0;
        for events in &self.events {
            let Some(first) = events.first().filter(|event| event.revision >= asked.from) else {
                continue;
            };
            if looked_at >= asked.limit {
                page.next = first.revision;
                break;
            }
            looked_at += events.len();
            let watched = events.iter().filter(|event| is_in(&asked.keys, &event.key));
            page.events
                .extend(watched.map(|event| self.told(event, asked.wants_previous)));
        }
        Ok(page)
    }

    /// A change as a watcher is told it.
    pub(super) fn told(&self, event: &Event, wants_previous: bool) -> Event {
        let before = Revision(event.revision.0 - 1);
        let is_told = wants_previous && before >= self.compacted;
        Event {
            previous: event.previous.clone().filter(|_| is_told),
            ..event.clone()
        }
    }
}

impl Draft {
    fn operate(&mut self, operation: &Operation) -> Result<Outcome, Fault> {
        match operation {
            Operation::Put(put) => {
                let held = self.keys.get(&put.key).cloned();
                if held.is_none() && (put.value.is_none() || put.keep_lease) {
                    return Err(Fault::KeyNotFound);
                }
                let kept = held.as_ref();
                let version = KeyValue {
                    value: match &put.value {
                        Some(value) => value.clone(),
                        None => kept.map(|kept| kept.value.clone()).unwrap_or_default(),
                    },
                    create_revision: kept.map_or(self.revision, |kept| kept.create_revision),
                    mod_revision: self.revision,
                    version: kept.map_or(0, |kept| kept.version) + 1,
                    lease: match put.keep_lease {
                        true => kept.and_then(|kept| kept.lease),
                        false => put.lease,
                    },
                };
                let leases = &self.earlier.leases;
                if version
                    .lease
                    .is_some_and(|lease| !leases.contains_key(&lease))
                {
                    return Err(Fault::LeaseNotFound);
                }
                self.keys.insert(put.key.clone(), version.clone());
                self.changed(&put.key, Some(version), held.clone());
                Ok(Outcome::Put {
                    replaced: held.as_ref().map(|held| held.mod_revision),
                    previous: held.filter(|_| put.wants_previous),
                })
            }
            Operation::DeleteRange(delete) => {
                let there = self
                    .keys
                    .iter()
                    .filter(|(key, _)| is_in(&delete.range, key));
                let there: Vec<(Bytes, KeyValue)> = there
                    .map(|(key, held)| (key.clone(), held.clone()))
                    .collect();
                there.iter().for_each(|(key, _)| self.delete(key));
                Ok(Outcome::Deleted {
                    count: there.len() as u64,
                    replaced: there.iter().map(|(_, held)| held.mod_revision).max(),
                    previous: match delete.wants_previous {
                        true => there,
                        false => Vec::new(),
                    },
                })
            }
            Operation::Range(range) => {
                // The revision that is being made is none yet.
                let keys = match range.revision {
                    Some(revision) => self.earlier.at(revision)?,
                    None => &self.keys,
                };
                Ok(Outcome::Range(entries(keys, range)))
            }
            Operation::Txn(txn) => {
                let succeeded = txn
                    .compare
                    .iter()
                    .all(|compare| holds(compare, self.earlier.latest()));
                let operations = if succeeded {
                    &txn.success
                } else {
                    &txn.failure
                };
                let mut outcomes = Vec::new();
                for operation in operations {
                    outcomes.push(self.operate(operation)?);
                }
                Ok(Outcome::Txn {
                    succeeded,
                    outcomes,
                })
            }
        }
    }

    fn delete(&mut self, key: &Bytes) {
        let removed = self.keys.remove(key);
        self.changed(key, None, removed);
    }

    fn changed(&mut self, key: &Bytes, version: Option<KeyValue>, previous: Option<KeyValue>) {
        self.events.push(Event {
            key: key.clone(),
            revision: self.revision,
            version,
            previous,
        });
    }
}

/// Whether a key is in a range, by its definition.
fn is_in(range: &KeyRange, key: &Bytes) -> bool {
    key >= range.start() && range.end().is_none_or(|end| key < end)
}

fn entries(keys: &Keys, range: &Range) -> Entries {
    let found = keys.iter().filter(|(key, _)| is_in(&range.keys, key));
    let mut all: Vec<(Bytes, KeyValue)> = found
        .map(|(key, held)| (key.clone(), held.clone()))
        .collect();
    let rank = |held: &KeyValue| match range.order.by {
        SortBy::Key => (0, Bytes::new()),
        SortBy::Version => (held.version, Bytes::new()),
        SortBy::Create => (held.create_revision.0, Bytes::new()),
        SortBy::Mod => (held.mod_revision.0, Bytes::new()),
        SortBy::Value => (0, held.value.clone()),
    };
    match (range.order.by, range.order.descending) {
        (SortBy::Key, true) => all.reverse(),
        (_, false) => all.sort_by_key(|(_, held)| rank(held)),
        (_, true) => all.sort_by_key(|(_, held)| core::cmp::Reverse(rank(held))),
    }
    let count = all.len();
    all.truncate(range.limit);
    Entries {
        more: all.len() < count,
        entries: all,
        count: range.counts.then_some(count as u64),
    }
}

fn holds(compare: &Compare, keys: &Keys) -> bool {
    let there: Vec<&KeyValue> = { keys.iter() }
        .filter(|(key, _)| is_in(&compare.range, key))
        .map(|(_, held)| held)
        .collect();
    match there.is_empty() {
        true => holds_of(compare, None),
        false => there.iter().all(|held| holds_of(compare, Some(held))),
    }
}

/// Whether a comparison holds of a key, or of one that is not there.
fn holds_of(compare: &Compare, held: Option<&KeyValue>) -> bool {
    let relation = compare.relation;
    match &compare.target {
        Target::Value(than) => {
            held.is_some_and(|held| relates(relation, held.value.as_ref(), than.as_ref()))
        }
        Target::Version(than) => relates(relation, held.map_or(0, |held| held.version), *than),
        Target::Create(than) => {
            let created = held.map_or(Revision(0), |held| held.create_revision);
            relates(relation, created, *than)
        }
        Target::Mod(than) => {
            let changed = held.map_or(Revision(0), |held| held.mod_revision);
            relates(relation, changed, *than)
        }
        Target::Lease(than) => relates(relation, held.and_then(|held| held.lease), *than),
    }
}

fn relates<T: Ord>(relation: Relation, one: T, other: T) -> bool {
    match relation {
        Relation::Equal => one == other,
        Relation::NotEqual => one != other,
        Relation::Less => one < other,
        Relation::Greater => one > other,
    }
}

/// Whether one of a transaction's lists changes a key twice, other than by removing it twice.
fn is_twofold(txn: &Txn) -> bool {
    let lists = [&txn.success, &txn.failure];
    lists.iter().any(|operations| {
        let writes: Vec<Vec<Write>> = operations.iter().map(writes).collect();
        let nested = operations.iter().any(|operation| match operation {
            Operation::Txn(txn) => is_twofold(txn),
            _ => false,
        });
        let collide = |one: &Vec<Write>, other: &Vec<Write>| {
            one.iter()
                .any(|one| other.iter().any(|other| one.collides(other)))
        };
        let pairs = (0..writes.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        nested
            || pairs
                .into_iter()
                .any(|(a, b)| collide(&writes[a], &writes[b]))
    })
}

enum Write<'a> {
    Put(&'a Bytes),
    Delete(&'a KeyRange),
}

impl Write<'_> {
    fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Put(one), Self::Put(other)) => one == other,
            (Self::Put(key), Self::Delete(range)) | (Self::Delete(range), Self::Put(key)) => {
                is_in(range, key)
            }
            (Self::Delete(_), Self::Delete(_)) => false,
        }
    }
}

fn writes(operation: &Operation) -> Vec<Write<'_>> {
    match operation {
        Operation::Put(put) => [Write::Put(&put.key)].into(),
        Operation::DeleteRange(delete) => [Write::Delete(&delete.range)].into(),
        Operation::Range(_) => Vec::new(),
        Operation::Txn(txn) => { txn.success.iter().chain(&txn.failure) }
            .flat_map(writes)
            .collect(),
    }
}
