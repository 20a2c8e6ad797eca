//! What asks about the store.

use serde::{Deserialize, Serialize};

use super::history::Revision;
use super::key_range::KeyRange;
use super::lease::LeaseId;
use super::watch::Changes;

/// A range answers at most so many entries,
pub const MAX_RANGE_ENTRIES: usize = 1000;
/// and ends with the entry that reaches this many bytes of keys and values.
pub const MAX_RANGE_BYTES: usize = 1 << 20;

/// What does not go through the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Query {
    /// Keys and their values.
    Range(Range),
    /// A lease.
    Lease {
        /// The lease.
        lease: LeaseId,
    },
    /// All leases.
    Leases,
    /// What has been changed.
    Changes(Changes),
}

/// Keys, as they are or were.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The keys.
    pub keys: KeyRange,
    /// At which revision; none for the latest.
    pub revision: Option<Revision>,
    /// At most so many, and never more than [`MAX_RANGE_ENTRIES`].
    pub limit: usize,
    /// In which order, before the limit counts.
    pub order: Order,
    /// Whether all that there are within the range are counted, which takes the longer the more there are.
    pub counts: bool,
}

impl Range {
    /// The keys of a range as they are, in their order.
    pub fn new(keys: KeyRange) -> Self {
        Self {
            keys,
            revision: None,
            limit: MAX_RANGE_ENTRIES,
            order: Order::default(),
            counts: false,
        }
    }
}

/// The order of a range. What is equal in it is in the order of the keys.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Order {
    /// By what.
    pub by: SortBy,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// By what keys are sorted. Any but by the key itself looks at all that are in the range.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[allow(missing_docs)]
pub enum SortBy {
    #[default]
    Key,
    Version,
    Create,
    Mod,
    Value,
}
