//! What changes the store.

use alloc::vec::Vec;
use core::cmp::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::history::Revision;
use super::key_range::KeyRange;
use super::lease::{LeaseId, Renewal, Ttl};
use super::query::Range;

/// What goes through the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Sets a key.
    Put(Put),
    /// Removes keys.
    DeleteRange(DeleteRange),
    /// Compares, and does one of two lists of operations, all of it or nothing.
    Txn(Txn),
    /// Begins a lease.
    Grant {
        /// The lease: its number is chosen by who asks, or by who serves it.
        lease: LeaseId,
        /// How long it goes on without a sign of life.
        ttl: Ttl,
    },
    /// Says that whoever has the lease lives.
    KeepAlive {
        /// The lease.
        lease: LeaseId,
    },
    /// Ends a lease: its keys go.
    Revoke {
        /// The lease.
        lease: LeaseId,
    },
    /// From the host: the lease's time was up after this renewal. Nothing if it was renewed since, or has
    /// ended and was granted again.
    Expire {
        /// The lease.
        lease: LeaseId,
        /// The latest renewal that the host has seen.
        renewal: Renewal,
    },
    /// Forgets what was changed before this revision. What was there at it can still be read.
    Compact {
        /// The revision.
        revision: Revision,
    },
}

/// Sets a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Put {
    /// The key.
    pub key: Bytes,
    /// Its value; none to keep that which it has.
    pub value: Option<Bytes>,
    /// The lease that is to hold it.
    pub lease: Option<LeaseId>,
    /// Whether the lease that holds it is to go on holding it.
    pub keep_lease: bool,
    /// Whether the answer says what was there before.
    pub wants_previous: bool,
}

impl Put {
    /// Sets a key that no lease holds.
    pub fn new(key: Bytes, value: Bytes) -> Self {
        Self {
            key,
            value: Some(value),
            lease: None,
            keep_lease: false,
            wants_previous: false,
        }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Removes keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeleteRange {
    /// The keys.
    pub range: KeyRange,
    /// Whether the answer says what was there before.
    pub wants_previous: bool,
}

/// A transaction: where all comparisons hold, the operations of `success`, else those of `failure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Txn {
    /// What must hold.
    pub compare: Vec<Compare>,
    /// What is done if it does.
    pub success: Vec<Operation>,
    /// What is done if not.
    pub failure: Vec<Operation>,
}

/// One of a transaction's operations. They are done in order: each sees those before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Sets a key.
    Put(Put),
    /// Removes keys.
    DeleteRange(DeleteRange),
    /// Reads keys.
    Range(Range),
    /// A transaction within this one.
    Txn(Txn),
}

/// Something that must hold of each key of a range, or, where there is none in it, of a key that is not
/// there: all its numbers are 0, and no comparison with its value holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Compare {
    /// The keys.
    pub range: KeyRange,
    /// What is compared, and with what.
    pub target: Target,
    /// How the key's must compare to that.
    pub relation: Relation,
}

/// What of a key is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// How often it was written since it was created.
    Version(u64),
    /// The revision that created it.
    Create(Revision),
    /// The revision of its latest change.
    Mod(Revision),
    /// Its value.
    Value(Bytes),
    /// The lease that holds it.
    Lease(Option<LeaseId>),
}

/// How two things must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    Greater,
}

impl Relation {
    /// Whether two things that compare so are as they must be.
    pub(super) fn allows(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

impl Command {
    /// Room that its keys and values take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Put(put) => put.bytes(),
            Self::DeleteRange(delete) => delete.range.bytes(),
            Self::Txn(txn) => txn.bytes(),
            Self::Grant { .. }
            | Self::KeepAlive { .. }
            | Self::Revoke { .. }
            | Self::Expire { .. }
            | Self::Compact { .. } => 0,
        }
    }
}

impl Txn {
    fn bytes(&self) -> usize {
        let compared = self.compare.iter().map(|compare| match &compare.target {
            Target::Value(value) => compare.range.bytes() + value.len(),
            _ => compare.range.bytes(),
        });
        let operations = self.success.iter().chain(&self.failure);
        // Each has tags and lengths of its own.
        let overhead = super::COMMAND_OVERHEAD * (self.compare.len() + operations.clone().count());
        overhead + compared.sum::<usize>() + operations.map(Operation::bytes).sum::<usize>()
    }
}

impl Operation {
    fn bytes(&self) -> usize {
        match self {
            Self::Put(put) => put.bytes(),
            Self::DeleteRange(delete) => delete.range.bytes(),
            Self::Range(range) => range.keys.bytes(),
            Self::Txn(txn) => txn.bytes(),
        }
    }
}
