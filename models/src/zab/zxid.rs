//! Epochs and transaction ids (DSN 2011, §III.C).

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// The number of a leader's reign. Epoch 0 is before the first leader.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// How far ahead of a node's own an epoch may be. Epochs count leaders: a cluster that had
    /// one each microsecond would take two weeks to get so far. A message from beyond is
    /// damaged or forged, and must not use up the epochs there are.
    pub const FURTHEST_AHEAD: u64 = 1 << 40;

    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether a node at this epoch may believe in `other`.
    pub fn may_reach(self, other: Self) -> bool {
        other.0 <= self.0.saturating_add(Self::FURTHEST_AHEAD)
    }
}

impl Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// The id of a transaction: the epoch of the primary that broadcast it, and its position
/// among that primary's transactions, from 1. Ids are ordered by epoch, then by counter.
/// The zero id is before every transaction.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Zxid {
    /// The primary's epoch.
    pub epoch: Epoch,
    /// The position within the epoch.
    pub counter: u64,
}

impl Zxid {
    /// The id that a primary of `epoch` gives to the transaction that follows this one.
    pub fn successor_in(self, epoch: Epoch) -> Self {
        let counter = if self.epoch == epoch {
            self.counter.saturating_add(1)
        } else {
            1
        };
        Self { epoch, counter }
    }
}

impl Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.counter)
    }
}
