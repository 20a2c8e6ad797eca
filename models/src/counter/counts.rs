//! All that a replica knows: the grand total, and the buckets of the sliding window. Both are
//! grow-only counters, so their product is again a join-semilattice, and a part of it is a
//! delta.
//!
//! What has been [folded](super::fold) is a part of the grand total, and which nodes are gone for
//! good is known beside it. The least upper bound of two states has the later fold of both, and of the
//! components those that it does not cover. This is a join as long as folds are a chain.

use alloc::collections::BTreeSet;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::fold::folded::Folded;
use super::g_counter::{GCounter, ReplicaId};
use super::window::{Bucket, Buckets};
use crate::protocol::NodeId;

/// What a replica knows, or a part of that: a delta, a group of deltas, a whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Everything that was ever counted and is not folded.
    pub total: GCounter,
    /// What was counted lately, by the time at which it was.
    pub buckets: Buckets,
    /// What was counted under names that are dead, and is folded.
    pub folded: Folded,
    /// The nodes that are gone for good, and of which that is not folded.
    pub departed: BTreeSet<NodeId>,
}

/// No counts.
pub(super) static NOTHING: Counts = Counts {
    total: GCounter::none(),
    buckets: Buckets::none(),
    folded: Folded::none(),
    departed: BTreeSet::new(),
};

impl Counts {
    /// "query value": everything that was ever counted.
    pub fn value(&self) -> u128 {
        self.folded.sum.saturating_add(self.total.value())
    }

    /// The least upper bound.
    pub fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        self.buckets.merge(&other.buckets);
        self.take_over(other);
    }

    /// Whether it is known that this node is gone for good.
    pub fn has_departed(&self, node: NodeId) -> bool {
        self.departed.contains(&node) || self.folded.names.has_departed(node)
    }

    /// Whether `other` ≤ `self`, so that merging it would change nothing.
    pub fn includes(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The least part of this that makes of `other` the merge of both.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut total = self.total.difference(&other.total);
        total.drop_where(|name| other.folded.covers(name));
        let departed = self.departed.iter().copied();
        Self {
            total,
            buckets: self.buckets.difference(&other.buckets),
            folded: if self.folded > other.folded {
                self.folded.clone()
            } else {
                Folded::none()
            },
            departed: departed.filter(|&node| !other.has_departed(node)).collect(),
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

    /// What `replica` has counted and is not folded.
    #[must_use]
    pub fn of(&self, replica: ReplicaId) -> Self {
        let buckets = self.buckets.iter();
        Self {
            total: self.total.of(replica),
            buckets: buckets
                .map(|(bucket, counter)| (bucket, counter.of(replica)))
                .collect(),
            ..Self::default()
        }
    }

    /// The same without the components that `others` has.
    #[must_use]
    pub fn except(&self, others: &Self) -> Self {
        Self {
            total: self.total.only(|name| others.total.count(name) == 0),
            buckets: self.buckets.except(&others.buckets),
            folded: self.folded.clone(),
            departed: self.departed.clone(),
        }
    }

    /// The components of names of which `wanted` is true.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(ReplicaId) -> bool) -> Self {
        let mut buckets = self.buckets.clone();
        buckets.drop_where(|name| !wanted(name));
        Self {
            total: self.total.only(wanted),
            buckets,
            ..Self::default()
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.total.is_empty()
            && self.buckets.is_empty()
            && self.folded.is_empty()
            && self.departed.is_empty()
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
        self.take_over(other);
    }

    /// Takes over the later fold and who is gone for good, and forgets what is folded: components that
    /// are in the sum, and nodes whose end is among its names.
    fn take_over(&mut self, other: &Self) {
        if other.folded > self.folded {
            self.folded = other.folded.clone();
        }
        self.departed.extend(&other.departed);
        if self.folded.is_empty() {
            return;
        }
        let names = &self.folded.names;
        self.total.drop_where(|name| names.covers(name));
        self.departed.retain(|&node| !names.has_departed(node));
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.total)?;
        for (bucket, counter) in self.buckets.iter() {
            write!(f, " {bucket}:{counter}")?;
        }
        if !self.folded.is_empty() {
            write!(f, " {}", self.folded)?;
        }
        for node in &self.departed {
            write!(f, " {node} departed")?;
        }
        Ok(())
    }
}
