//! The grow-only counter itself (Shapiro et al. 2011, Specification 6, "State-based
//! increment-only counter"): a join-semilattice, with nothing of networks or disks in it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::counted::Count;
use crate::protocol::NodeId;

/// Where a node stands. Nodes of different data centres may bear the same number in all but
/// the transport.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DataCentre(pub u16);

/// Which of a node's disks this is. Drawn by the host for an empty disk, and never again:
/// see [`Event::IdentityNeeded`](super::Event::IdentityNeeded). Where components are
/// [folded](super::fold), a later disk has a greater one: the host draws it from the time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The name of one component of a counter: the paper's `myID()`. Exactly one disk ever counts
/// under it, for the maximum of two components is only right if one of them is the other's
/// past.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ReplicaId {
    /// Where the node stands.
    pub data_centre: DataCentre,
    /// The node.
    pub node: NodeId,
    /// Which of its disks.
    pub incarnation: Incarnation,
}

impl Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data_centre,
            node,
            incarnation,
        } = self;
        write!(f, "dc{}/{node}#{}", data_centre.0, incarnation.0)
    }
}

/// The component cannot grow by so much. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the component would overflow 64 bits; nothing was counted")
    }
}

impl core::error::Error for Overflow {}

/// A component for each replica that has ever counted. In a normal form: a component of
/// zero is not there, so equal counters are equal values.
///
/// What is received from others is brought into the normal form as it is read: of a
/// component that is named twice the larger counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(
    from = "Vec<(ReplicaId, Count<u64>)>",
    into = "Vec<(ReplicaId, Count<u64>)>"
)]
pub struct GCounter {
    components: BTreeMap<ReplicaId, u64>,
}

impl From<Vec<(ReplicaId, Count<u64>)>> for GCounter {
    fn from(components: Vec<(ReplicaId, Count<u64>)>) -> Self {
        let components = components.into_iter();
        components
            .map(|(replica, Count(count))| (replica, count))
            .collect()
    }
}

impl From<GCounter> for Vec<(ReplicaId, Count<u64>)> {
    fn from(counter: GCounter) -> Self {
        let components = counter.components.into_iter();
        components
            .map(|(replica, count)| (replica, Count(count)))
            .collect()
    }
}

impl FromIterator<(ReplicaId, u64)> for GCounter {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(components: I) -> Self {
        let mut counter = Self::default();
        for (replica, count) in components {
            counter.raise(replica, count);
        }
        counter
    }
}

impl GCounter {
    /// Nobody has counted.
    pub(super) const fn none() -> Self {
        Self {
            components: BTreeMap::new(),
        }
    }

    /// `query value`: the sum of all components. It cannot overflow: no memory holds the
    /// 2⁶⁴ components that this would take.
    pub fn value(&self) -> u128 {
        self.components.values().copied().map(u128::from).sum()
    }

    /// The component of `replica`: 0 if it has never counted.
    pub fn count(&self, replica: ReplicaId) -> u64 {
        self.components.get(&replica).copied().unwrap_or_default()
    }

    /// The components, by replica. None is zero.
    pub fn components(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.components
            .iter()
            .map(|(&replica, &count)| (replica, count))
    }

    /// Whether nobody has ever counted.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// `update increment`, by `amount`. Answers with the delta: merging it into a counter
    /// that has what this one had before does the same (Almeida et al. 2018, §4, "δ-mutators").
    ///
    /// # Errors
    /// [`Overflow`] if the component would not fit 64 bits. The counter is then unchanged.
    pub fn increment(&mut self, replica: ReplicaId, amount: u64) -> Result<Self, Overflow> {
        let count = self.count(replica).checked_add(amount).ok_or(Overflow)?;
        self.raise(replica, count);
        Ok(self.of(replica))
    }

    /// `merge`: the least upper bound, component by component the maximum.
    pub fn merge(&mut self, other: &Self) {
        for (replica, count) in other.components() {
            self.raise(replica, count);
        }
    }

    /// `compare`: whether `other` ≤ `self`, so that merging it would change nothing.
    pub fn includes(&self, other: &Self) -> bool {
        let mut components = other.components();
        components.all(|(replica, count)| count <= self.count(replica))
    }

    /// The least part of this counter that makes of `other` the merge of both: the components
    /// in which it is ahead.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let ahead = self.components();
        ahead
            .filter(|&(replica, count)| count > other.count(replica))
            .collect()
    }

    /// The component of `replica` alone.
    #[must_use]
    pub fn of(&self, replica: ReplicaId) -> Self {
        core::iter::once((replica, self.count(replica))).collect()
    }

    /// The components of the replicas of which `wanted` is true.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(ReplicaId) -> bool) -> Self {
        let components = self.components();
        components.filter(|(name, _)| wanted(*name)).collect()
    }

    /// Forgets the components of the replicas of which `unwanted` is true.
    pub(super) fn drop_where(&mut self, unwanted: impl Fn(ReplicaId) -> bool) {
        self.components.retain(|name, _| !unwanted(*name));
    }

    fn raise(&mut self, replica: ReplicaId, count: u64) {
        if count > self.count(replica) {
            self.components.insert(replica, count);
        }
    }

    /// Makes a component what a record says that it is.
    pub(super) fn assign(&mut self, other: &Self) {
        self.components.extend(other.components());
    }
}

impl Display for GCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (position, (replica, count)) in self.components().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{replica}={count}")?;
        }
        f.write_str("]")
    }
}
