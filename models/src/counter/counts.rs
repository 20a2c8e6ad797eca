//! All that a replica knows: the grand total, and the buckets of the sliding window. Both are
//! grow-only counters, so their product is again a join-semilattice, and a part of it is a
//! delta.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::g_counter::{GCounter, ReplicaId};
use super::window::{Bucket, Buckets};

/// What a replica knows, or a part of that: a delta, a group of deltas, a whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Everything that was ever counted.
    pub total: GCounter,
    /// What was counted lately, by the time at which it was.
    pub buckets: Buckets,
}

impl Counts {
    /// The least upper bound.
    pub fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.buckets.merge(&other.buckets);
    }

    /// Whether `other` ≤ `self`, so that merging it would change nothing.
    pub fn includes(&self, other: &Self) -> bool {
        self.total.includes(&other.total) && self.buckets.includes(&other.buckets)
    }

    /// The least part of this that makes of `other` the merge of both.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self {
            total: self.total.difference(&other.total),
            buckets: self.buckets.difference(&other.buckets),
        }
    }

    /// This part of `whole`, with the total of every replica that has a count in one of its buckets.
    /// Whoever may have nothing is told no bucket without its total.
    #[must_use]
    pub fn with_totals(mut self, whole: &Self) -> Self {
        for (_, counter) in self.buckets.iter() {
            for (replica, _) in counter.components() {
                self.total.merge(&whole.total.of(replica));
            }
        }
        self
    }

    /// What `replica` has counted.
    #[must_use]
    pub fn of(&self, replica: ReplicaId) -> Self {
        let buckets = self.buckets.iter();
        Self {
            total: self.total.of(replica),
            buckets: buckets
                .map(|(bucket, counter)| (bucket, counter.of(replica)))
                .collect(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.total.is_empty() && self.buckets.is_empty()
    }

    /// Every component: those of the total without a bucket, then those of each bucket.
    pub fn components(&self) -> impl Iterator<Item = (Option<Bucket>, ReplicaId, u64)> + '_ {
        let total = self.total.components();
        let total = total.map(|(replica, count)| (None, replica, count));
        let buckets = self.buckets.iter().flat_map(|(bucket, counter)| {
            let components = counter.components();
            components.map(move |(replica, count)| (Some(bucket), replica, count))
        });
        total.chain(buckets)
    }

    /// One component: of the total, or of a bucket.
    pub fn count(&self, bucket: Option<Bucket>, replica: ReplicaId) -> u64 {
        match bucket {
            None => self.total.count(replica),
            Some(bucket) => self.buckets.count(bucket, replica),
        }
    }

    /// Makes components what a record says that they are.
    pub(super) fn assign(&mut self, other: &Self) {
        self.total.assign(&other.total);
        self.buckets.assign(&other.buckets);
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total)?;
        for (bucket, counter) in self.buckets.iter() {
            write!(f, " {bucket}:{counter}")?;
        }
        Ok(())
    }
}
