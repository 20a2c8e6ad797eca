//! What has been folded so far.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::dead::DeadNames;
use crate::counter::counted;
use crate::counter::g_counter::{GCounter, ReplicaId};

/// The sum of all components that have been folded, and whose they were.
///
/// Folds are a chain: each contains the one before. Where two replicas have different ones, the later
/// is the least upper bound of both, and who is behind drops the components that it covers, for they
/// are in its sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Folded {
    /// How many folds there have been. Zero: none.
    pub number: u64,
    /// What was counted under all names that have been folded.
    #[serde(with = "counted")]
    pub sum: u128,
    /// Those names. What comes of them late is dropped.
    pub names: DeadNames,
}

impl Folded {
    /// No fold.
    pub const fn none() -> Self {
        Self {
            number: 0,
            sum: 0,
            names: DeadNames::none(),
        }
    }

    /// The next fold: these names as well, of which so much was counted. It takes 2⁶⁴ components to
    /// overflow the sum; a forged one stays at the end of the range.
    #[must_use]
    pub fn next(&self, dead: &DeadNames, counts: &GCounter) -> Self {
        let mut names = self.names.clone();
        names.merge(dead);
        Self {
            number: self.number.saturating_add(1),
            sum: self.sum.saturating_add(counts.value()),
            names,
        }
    }

    /// Whether this name has been folded.
    pub fn covers(&self, name: ReplicaId) -> bool {
        self.names.covers(name)
    }

    /// Whether there has been no fold.
    pub fn is_empty(&self) -> bool {
        *self == Self::none()
    }
}

impl Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, sum, names } = self;
        write!(f, "fold {number} of {names}={sum}")
    }
}
