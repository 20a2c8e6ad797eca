//! Which features have met: in how many runs each two of them have happened.

use std::collections::BTreeMap;

use models::Specification;
use models::world::{Action, Scenario, World};

use crate::examine;

/// In how many runs each two features have happened, by their positions in the table, the smaller
/// first; and each one, beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(BTreeMap<(usize, usize), u64>);

impl Pairs {
    /// Counts a run in which these features have happened, each a bit.
    pub fn add(&mut self, features: u64) {
        let has = |position: &usize| features >> position & 1 == 1;
        let happened: Vec<usize> = (0..64).filter(has).collect();
        for (at, &one) in happened.iter().enumerate() {
            for &other in &happened[at..] {
                *self.0.entry((one, other)).or_default() += 1;
            }
        }
    }

    /// In how many runs these two have happened.
    pub fn of(&self, one: usize, other: usize) -> u64 {
        let key = (one.min(other), one.max(other));
        self.0.get(&key).copied().unwrap_or(0)
    }
}

/// The features that happen in this transition, each a bit in the order of their table. Those that
/// have `happened` are not asked again.
///
/// # Panics
/// If a protocol has more features than there are bits.
pub(super) fn happening<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
    after: &World<P>,
    happened: u64,
) -> u64 {
    const { assert!(P::FEATURES.len() <= 64, "a feature for each bit") };
    let look = || {
        let features = (0..).zip(P::FEATURES);
        let news = features.filter(|(position, _)| happened >> position & 1 == 0);
        let happen = news.filter(|(_, row)| (row.happens)(scenario, before, action, after));
        happen.fold(happened, |bits, (position, _)| bits | 1 << position)
    };
    // Where looking panics, the properties that look at the same do, too.
    examine::caught(look).unwrap_or(happened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_features_meet_in_a_run_that_has_both() {
        let mut pairs = Pairs::default();
        pairs.add(0b0101);
        pairs.add(0b0110);
        assert_eq!([pairs.of(0, 2), pairs.of(2, 0), pairs.of(1, 2)], [1, 1, 1]);
        assert_eq!([pairs.of(0, 1), pairs.of(2, 2), pairs.of(3, 3)], [0, 2, 0]);
    }
}
