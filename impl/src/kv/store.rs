//! The replicated map: what a command changes, what a query answers.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;
use models::raft::machine::{Checksum, StateMachine};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// No key is longer.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// No value is larger.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// A range answers at most so many entries,
pub const MAX_RANGE_ENTRIES: usize = 1000;
/// and ends with the entry that reaches this many bytes of keys and values.
pub const MAX_RANGE_BYTES: usize = 1 << 20;
/// A log entry's room in a message beside its key and value: term, session, lengths, tags.
/// Each number takes at most ten bytes.
pub const ENTRY_OVERHEAD: usize = 64;
/// An append takes entries until their weight reaches this. The last one may exceed it, so
/// that a message has at most `MAX_APPEND_WEIGHT + ENTRY_OVERHEAD + MAX_KEY_BYTES +
/// MAX_VALUE_BYTES` bytes of commands: about 2 MiB, far below the transport's 64 MiB.
pub const MAX_APPEND_WEIGHT: usize = 1 << 20;

/// A value and when it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// The revision of the store that wrote it.
    pub revision: u64,
}

/// The store: a map of byte strings. Clones share what they have in common, so that a clone
/// costs the same for a store of any size: a checkpoint begins with one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kv {
    entries: OrdMap<Bytes, Versioned>,
    /// Counts changes; each change's number is unique.
    revision: u64,
    /// What the commands so far come to.
    checksum: u64,
}

/// What changes the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Sets a key.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// What asks about the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Query {
    /// The value of a key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// The keys that begin with `prefix`, in order.
    Range {
        /// The prefix; empty for all keys.
        prefix: Bytes,
        /// Only keys greater than this one: the last of the page before.
        after: Option<Bytes>,
        /// At most so many, and never more than [`MAX_RANGE_ENTRIES`].
        limit: usize,
    },
}

/// What a command or a query answers.
///
/// A write answers revisions and not the value that was there: each session keeps its last
/// answer for as long as the log lives, and should not keep a megabyte with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Response {
    /// The key was set.
    Put {
        /// The revision of this change.
        revision: u64,
        /// The revision of the value that it replaced.
        previous: Option<u64>,
    },
    /// The key is not there any more.
    Deleted {
        /// The revision of the store after it: unchanged where the key was not there.
        revision: u64,
        /// The revision of the value that it removed.
        previous: Option<u64>,
    },
    /// The value of the key, if it has one.
    Value(Option<Versioned>),
    /// A page of a range.
    Range {
        /// Keys and values, in the order of the keys.
        entries: Vec<(Bytes, Versioned)>,
        /// Whether there are more after the last one.
        more: bool,
    },
}

impl Kv {
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Versioned> {
        self.entries.get(key)
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Versioned)> {
        self.entries.iter()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of changes so far.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The running checksum, in hexadecimal digits.
    pub fn checksum_words(&self) -> String {
        format!("{:016x}", self.checksum)
    }

    /// Chains a command to those before it. XXH3 is the same on every machine and in every build.
    fn chain(&mut self, command: &Command) {
        let (kind, key, value) = match command {
            Command::Put { key, value } => (0u8, key, value.as_ref()),
            Command::Delete { key } => (1, key, [].as_slice()),
        };
        for part in [&[kind], key.as_ref(), value] {
            self.checksum = xxh3_64_with_seed(part, self.checksum);
        }
    }

    fn put(&mut self, key: &Bytes, value: &Bytes) -> Response {
        self.revision += 1;
        let revision = self.revision;
        let value = value.clone();
        let replaced = self
            .entries
            .insert(key.clone(), Versioned { value, revision });
        Response::Put {
            revision,
            previous: replaced.map(|replaced| replaced.revision),
        }
    }

    fn delete(&mut self, key: &Bytes) -> Response {
        let removed = self.entries.remove(key);
        self.revision += u64::from(removed.is_some());
        Response::Deleted {
            revision: self.revision,
            previous: removed.map(|removed| removed.revision),
        }
    }

    fn range(&self, prefix: &Bytes, after: Option<&Bytes>, limit: usize) -> Response {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rest = self
            .entries
            .range::<_, Bytes>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .peekable();
        let mut entries = Vec::new();
        let mut bytes = 0;
        while entries.len() < limit.min(MAX_RANGE_ENTRIES)
            && bytes < MAX_RANGE_BYTES
            && let Some((key, versioned)) = rest.next()
        {
            bytes += key.len() + versioned.value.len();
            entries.push((key.clone(), versioned.clone()));
        }
        let more = rest.peek().is_some();
        Response::Range { entries, more }
    }
}

impl StateMachine for Kv {
    type Command = Command;
    type Query = Query;
    type Response = Response;

    fn checksum(&self) -> Option<Checksum> {
        Some(Checksum(self.checksum))
    }

    fn apply(&mut self, command: &Command) -> Response {
        self.chain(command);
        match command {
            Command::Put { key, value } => self.put(key, value),
            Command::Delete { key } => self.delete(key),
        }
    }

    fn query(&self, query: &Query) -> Response {
        match query {
            Query::Get { key } => Response::Value(self.get(key).cloned()),
            Query::Range {
                prefix,
                after,
                limit,
            } => self.range(prefix, after.as_ref(), *limit),
        }
    }

    fn weight(command: &Command) -> usize {
        let bytes = match command {
            Command::Put { key, value } => key.len() + value.len(),
            Command::Delete { key } => key.len(),
        };
        ENTRY_OVERHEAD + bytes
    }
}

/// What is wrong with a key or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The key is empty.
    #[error("the key is empty; nothing was changed. Name a key: /kv/KEY")]
    EmptyKey,
    /// The key is too long.
    #[error("the key has {0} bytes, and at most {MAX_KEY_BYTES} are allowed; nothing was changed")]
    KeyTooLong(usize),
    /// The value is too large.
    #[error(
        "the value has more than the {MAX_VALUE_BYTES} bytes that are allowed; nothing was changed"
    )]
    ValueTooLarge,
}

/// Checks a key.
///
/// # Errors
/// When it is empty or too long.
pub fn check_key(key: &[u8]) -> Result<(), Unfit> {
    match key.len() {
        0 => Err(Unfit::EmptyKey),
        1..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(Unfit::KeyTooLong(bytes)),
    }
}

/// Checks a command: what is not refused here goes into every node's log.
///
/// # Errors
/// When its key or value is not fit.
pub fn check_command(command: &Command) -> Result<(), Unfit> {
    match command {
        Command::Put { value, .. } if value.len() > MAX_VALUE_BYTES => Err(Unfit::ValueTooLarge),
        Command::Put { key, .. } | Command::Delete { key } => check_key(key),
    }
}
