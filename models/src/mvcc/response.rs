//! What the store answers.

use alloc::vec::Vec;
use core::fmt::{self, Display};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::history::Revision;
use super::lease::{Lease, LeaseId, Ttl};
use super::watch::Page;

/// What a command or a query answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Response {
    /// The revision of the store then.
    pub revision: Revision,
    /// What came of it.
    pub outcome: Result<Outcome, Fault>,
}

/// What came of a command or a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The key is set.
    Put {
        /// The revision of what was there before, if something was.
        replaced: Option<Revision>,
        /// What was there before, where that was asked and something was.
        previous: Option<KeyValue>,
    },
    /// The keys are not there any more.
    Deleted {
        /// How many were.
        count: u64,
        /// The latest of their revisions.
        replaced: Option<Revision>,
        /// What was there before, where that was asked.
        previous: Vec<(Bytes, KeyValue)>,
    },
    /// Keys and their values.
    Range(Entries),
    /// A transaction was done.
    Txn {
        /// Whether all comparisons held.
        succeeded: bool,
        /// What came of each operation.
        outcomes: Vec<Outcome>,
    },
    /// The lease has begun, or goes on.
    Alive {
        /// The lease.
        lease: LeaseId,
        /// For so long after this.
        ttl: Ttl,
    },
    /// The lease is over, and its keys are gone.
    Ended {
        /// How many keys it held.
        keys: u64,
    },
    /// The lease has been renewed meanwhile, and goes on.
    Renewed,
    /// What was changed before is forgotten.
    Compacted,
    /// A lease, if there is one.
    Lease(Option<Lease>),
    /// All leases, in the order of their numbers.
    Leases(Vec<LeaseId>),
    /// What has been changed.
    Changes(Page),
}

/// Keys and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entries {
    /// In the order that was asked.
    pub entries: Vec<(Bytes, KeyValue)>,
    /// Whether there are more after the last one.
    pub more: bool,
    /// How many there are in all, where that was asked.
    pub count: Option<u64>,
}

/// A key's value, and when it came to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyValue {
    /// The value.
    pub value: Bytes,
    /// The revision that created the key.
    pub create_revision: Revision,
    /// The revision of its latest change.
    pub mod_revision: Revision,
    /// How often it was written since it was created: 1 by its creation.
    pub version: u64,
    /// The lease that holds it.
    pub lease: Option<LeaseId>,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// What was there at that revision is forgotten.
    Compacted {
        /// The oldest revision that can be read.
        compacted: Revision,
    },
    /// There has been no such revision yet.
    FutureRevision,
    /// The key, whose value or lease was to be kept, is not there.
    KeyNotFound,
    /// There is no such lease.
    LeaseNotFound,
    /// There is a lease of that number.
    LeaseExists,
    /// A transaction would set a key twice, or set and remove it.
    DuplicateKey,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted { compacted } => write!(
                f,
                "what was there at that revision is compacted; the oldest that can be read is {compacted}"
            ),
            Self::FutureRevision => f.write_str("there has been no such revision yet"),
            Self::KeyNotFound => {
                f.write_str("the key, whose value or lease was to be kept, is not there")
            }
            Self::LeaseNotFound => {
                f.write_str("there is no such lease: it was never granted, or is over")
            }
            Self::LeaseExists => f.write_str("there is a lease of this number already"),
            Self::DuplicateKey => {
                f.write_str("the transaction would set a key twice, or set and remove it")
            }
        }
    }
}
