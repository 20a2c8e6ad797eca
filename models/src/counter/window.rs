//! A sliding window: one grow-only counter for each bucket of time.
//!
//! A counter that forgot what is too old could not be merged. Buckets can: each is a
//! grow-only counter of its own, known by the time at which it starts, and only buckets of
//! the same start and width are ever merged. What is too old is a whole bucket, and goes as
//! one. The grand total is counted beside the buckets and outlives them.
//!
//! Time is the host's, in units of its choice, and comes with the commands that need it.
//! Clocks of different hosts need not agree: an increment falls into the bucket of the clock
//! of its own replica.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::g_counter::{GCounter, ReplicaId};

/// A bucket's name: the span of time from `start` on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Bucket {
    /// When it starts, a multiple of its width, in the host's units of time.
    pub start: u64,
    /// How long it lasts, in the same units. Part of the name, so that nodes that were
    /// configured differently never mix what they count.
    pub width: u64,
}

impl Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.start, self.width)
    }
}

/// How the sliding window is made: of the latest `buckets` buckets, the running one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    width: u64,
    buckets: u64,
}

impl Window {
    /// A window of so many `buckets`, each `width` units of time wide.
    ///
    /// # Panics
    /// If either is zero.
    pub fn new(width: u64, buckets: u64) -> Self {
        assert!(width > 0 && buckets > 0, "a window without extent");
        Self { width, buckets }
    }

    /// How wide a bucket is, in the host's units of time.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// How many buckets it is of, the running one included.
    pub fn buckets(&self) -> u64 {
        self.buckets
    }

    /// The bucket that runs at `now`.
    pub fn bucket_at(&self, now: u64) -> Bucket {
        Bucket {
            start: now - now % self.width,
            width: self.width,
        }
    }

    /// The start of the oldest bucket that belongs to the window at `now`.
    pub fn start_at(&self, now: u64) -> u64 {
        self.latest_at(now, self.buckets)
    }

    /// The start of the oldest of the so many `latest` buckets at `now`: at least the running one,
    /// and at most all that the window has.
    pub fn latest_at(&self, now: u64, latest: u64) -> u64 {
        let older = latest.clamp(1, self.buckets) - 1;
        let span = self.width.saturating_mul(older);
        self.bucket_at(now).start.saturating_sub(span)
    }

    /// Whether this is a bucket as this window has them.
    pub fn has(&self, bucket: Bucket) -> bool {
        bucket.width == self.width && bucket.start.is_multiple_of(self.width)
    }
}

/// A grow-only counter for each bucket. In a normal form, as those: a bucket in which nobody
/// has counted is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<(Bucket, GCounter)>", into = "Vec<(Bucket, GCounter)>")]
pub struct Buckets {
    buckets: BTreeMap<Bucket, GCounter>,
}

impl From<Vec<(Bucket, GCounter)>> for Buckets {
    fn from(buckets: Vec<(Bucket, GCounter)>) -> Self {
        buckets.into_iter().collect()
    }
}

impl From<Buckets> for Vec<(Bucket, GCounter)> {
    fn from(buckets: Buckets) -> Self {
        buckets.buckets.into_iter().collect()
    }
}

impl FromIterator<(Bucket, GCounter)> for Buckets {
    fn from_iter<I: IntoIterator<Item = (Bucket, GCounter)>>(buckets: I) -> Self {
        let mut all = Self::default();
        for (bucket, counter) in buckets
            .into_iter()
            .filter(|(_, counter)| !counter.is_empty())
        {
            all.buckets.entry(bucket).or_default().merge(&counter);
        }
        all
    }
}

impl Buckets {
    /// Nobody has counted.
    pub(super) const fn none() -> Self {
        Self {
            buckets: BTreeMap::new(),
        }
    }

    /// The buckets, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, &GCounter)> {
        self.buckets
            .iter()
            .map(|(&bucket, counter)| (bucket, counter))
    }

    /// Whether nobody has counted in any bucket.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// What `replica` has counted in `bucket`.
    pub fn count(&self, bucket: Bucket, replica: ReplicaId) -> u64 {
        let counter = self.buckets.get(&bucket);
        counter.map_or(0, |counter| counter.count(replica))
    }

    /// The sum of the buckets that `window` has and that start from `since` to `until`.
    pub fn value(&self, window: Window, since: u64, until: u64) -> u128 {
        let wanted =
            |bucket: &Bucket| window.has(*bucket) && since <= bucket.start && bucket.start <= until;
        let within = self.iter().filter(|(bucket, _)| wanted(bucket));
        within.map(|(_, counter)| counter.value()).sum()
    }

    /// The least upper bound: bucket by bucket, and never across.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, counter) in other.iter() {
            self.buckets.entry(bucket).or_default().merge(counter);
        }
    }

    /// Whether merging `other` would change nothing.
    pub fn includes(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The parts of the buckets in which this is ahead of `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let nothing = GCounter::default();
        let ahead = self.iter().map(|(bucket, counter)| {
            let known = other.buckets.get(&bucket).unwrap_or(&nothing);
            (bucket, counter.difference(known))
        });
        ahead.collect()
    }

    /// The buckets of which `wanted` is true.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(Bucket) -> bool) -> Self {
        let kept = self.iter().filter(|(bucket, _)| wanted(*bucket));
        kept.map(|(bucket, counter)| (bucket, counter.clone()))
            .collect()
    }

    /// The same without the components that `others` has.
    #[must_use]
    pub fn except(&self, others: &Self) -> Self {
        let rest = self.iter().map(|(bucket, counter)| {
            let rest = counter.only(|name| others.count(bucket, name) == 0);
            (bucket, rest)
        });
        rest.collect()
    }

    /// Forgets the components of the replicas of which `unwanted` is true.
    pub(super) fn drop_where(&mut self, unwanted: impl Fn(ReplicaId) -> bool) {
        let counters = self.buckets.values_mut();
        counters.for_each(|counter| counter.drop_where(&unwanted));
        self.buckets.retain(|_, counter| !counter.is_empty());
    }

    /// Makes components what a record says that they are.
    pub(super) fn assign(&mut self, other: &Self) {
        for (bucket, counter) in other.iter() {
            self.buckets.entry(bucket).or_default().assign(counter);
        }
    }

    /// Forgets the buckets that start before this time.
    pub(super) fn expire(&mut self, before: u64) {
        self.buckets.retain(|bucket, _| bucket.start >= before);
    }
}
