//! A key-value store with revisions, leases and watches: the data model of etcd's version 3, as one
//! deterministic state machine that any log of commands can serve.
//!
//! Each command that changes something makes a new *revision* of the whole store. A key remembers the
//! revision that created it and that of its latest change, and its *version*: how often it has been written
//! since it was created. Earlier revisions can be read, and their changes be watched from any of them on,
//! until they are *compacted*. A *lease* holds keys, which all go in one revision when it ends.
//!
//! **Time is none of the store's business.** Whoever hosts it has clocks, and says that a lease has run out
//! ([`Command::Expire`]); the store asks whether it has been renewed since, so that the order of the log
//! decides, and every replica comes to the same.
//!
//! Clones share what they have in common, so that a clone costs the same for a store of any size, and a
//! transaction that fails goes back to the one that was taken before.
//!
//! [`Store`] is the machine: [`history`] holds the versions of keys, `transaction`, `lease` and `watch` what
//! is done with them. [`standalone`] is one store and its watchers as a protocol: how it is checked.

pub mod command;
pub mod history;
pub mod key_range;
pub mod lease;
pub mod query;
pub mod response;
pub mod spec;
pub mod standalone;
pub mod watch;

mod read;
mod transaction;

use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::command::{Command, DeleteRange, Put};
use self::history::{History, Revision};
use self::key_range::KeyRange;
use self::lease::Leases;
use self::query::Query;
use self::response::{Fault, KeyValue, Outcome, Response};
use crate::machine::{Checksum, StateMachine};

/// Room that a command takes in a message beside its keys and values: tags, lengths, numbers.
pub const COMMAND_OVERHEAD: usize = 96;

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Store {
    history: History,
    leases: Leases,
    /// What the commands so far come to.
    checksum: u64,
}

impl Store {
    /// The revision of the latest change: 1 before the first.
    pub fn revision(&self) -> Revision {
        self.history.revision()
    }

    /// The versions of keys.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The leases.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The running checksum, in hexadecimal digits.
    pub fn checksum_words(&self) -> alloc::string::String {
        alloc::format!("{:016x}", self.checksum)
    }

    /// Chains a command to those before it. XXH3 is the same on every machine and in every build, and so
    /// is what postcard makes of a command.
    fn chain(&mut self, command: &Command) {
        // What cannot be encoded was never in a log.
        let encoded = postcard::to_allocvec(command).unwrap_or_default();
        self.checksum = xxh3_64_with_seed(&encoded, self.checksum);
    }

    /// Does what `change` does in one revision: a new one if it changes a key, and none if not. `change`
    /// changes nothing where it fails.
    fn in_one_revision(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<Outcome, Fault>,
    ) -> Result<Outcome, Fault> {
        let outcome = change(self);
        self.history.end_revision();
        outcome
    }

    fn put(&mut self, put: &Put) -> Result<Outcome, Fault> {
        let held = self.history.get(&put.key);
        let value = match (&put.value, held) {
            (Some(value), _) => value.clone(),
            (None, Some(held)) => held.value.clone(),
            (None, None) => return Err(Fault::KeyNotFound),
        };
        let lease = match (put.keep_lease, held) {
            (false, _) => put.lease,
            (true, Some(held)) => held.lease,
            (true, None) => return Err(Fault::KeyNotFound),
        };
        if lease.is_some_and(|lease| !self.leases.contains(lease)) {
            return Err(Fault::LeaseNotFound);
        }
        let previous = self.history.put(&put.key, value, lease);
        let held_by = previous.as_ref().and_then(|previous| previous.lease);
        self.leases.hand_over(&put.key, held_by, lease);
        Ok(Outcome::Put {
            replaced: previous.as_ref().map(|previous| previous.mod_revision),
            previous: previous.filter(|_| put.wants_previous),
        })
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Outcome {
        let keys: Vec<Bytes> = self.keys_in(&delete.range);
        let (mut replaced, mut previous) = (None, Vec::new());
        for key in &keys {
            let Some(removed) = self.delete(key) else {
                continue;
            };
            replaced = replaced.max(Some(removed.mod_revision));
            if delete.wants_previous {
                previous.push((key.clone(), removed));
            }
        }
        Outcome::Deleted {
            count: keys.len() as u64,
            replaced,
            previous,
        }
    }

    fn delete(&mut self, key: &Bytes) -> Option<KeyValue> {
        let removed = self.history.delete(key)?;
        self.leases.hand_over(key, removed.lease, None);
        Some(removed)
    }

    fn keys_in(&self, range: &KeyRange) -> Vec<Bytes> {
        self.history
            .current(range)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn compact(&mut self, to: Revision) -> Result<Outcome, Fault> {
        self.history.check_readable(to)?;
        if to == self.history.compacted() {
            return Err(Fault::Compacted {
                compacted: self.history.compacted(),
            });
        }
        self.history.compact(to);
        Ok(Outcome::Compacted)
    }

    fn answer(&self, outcome: Result<Outcome, Fault>) -> Response {
        Response {
            revision: self.revision(),
            outcome,
        }
    }
}

impl StateMachine for Store {
    type Command = Command;
    type Query = Query;
    type Response = Response;

    fn apply(&mut self, command: &Command) -> Response {
        self.chain(command);
        let outcome = match command {
            Command::Put(put) => self.in_one_revision(|store| store.put(put)),
            Command::DeleteRange(delete) => {
                self.in_one_revision(|store| Ok(store.delete_range(delete)))
            }
            Command::Txn(txn) => self.in_one_revision(|store| store.transact(txn)),
            Command::Grant { lease, ttl } => self.grant(*lease, *ttl),
            Command::KeepAlive { lease } => self.keep_alive(*lease),
            Command::Revoke { lease } => self.in_one_revision(|store| store.revoke(*lease)),
            Command::Expire { lease, renewal } => {
                self.in_one_revision(|store| store.expire(*lease, *renewal))
            }
            Command::Compact { revision } => self.compact(*revision),
        };
        self.answer(outcome)
    }

    fn query(&self, query: &Query) -> Response {
        let outcome = match query {
            Query::Range(range) => self.history.range(range).map(Outcome::Range),
            Query::Lease { lease } => Ok(Outcome::Lease(self.leases.get(*lease).cloned())),
            Query::Leases => Ok(Outcome::Leases(self.leases.ids())),
            Query::Changes(changes) => self.changes(changes).map(Outcome::Changes),
        };
        self.answer(outcome)
    }

    fn checksum(&self) -> Option<Checksum> {
        Some(Checksum(self.checksum))
    }

    fn weight(command: &Command) -> usize {
        COMMAND_OVERHEAD + command.bytes()
    }
}
