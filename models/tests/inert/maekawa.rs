//! Maekawa's inert messages, by the same measures as Raft's.

use models::maekawa::Maekawa;
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{at_large, duplicated, join_datagrams, restart};
use models::world::{Delivery, Scenario, Timing};
use proptest::prelude::*;

use super::reduction::{assert_changes_nothing, assert_holds_of_samples, lasting, same_either_way};
use crate::support::runs::{fixed_choices, walk};

fn large() -> Scenario<Maekawa> {
    at_large(Delivery::Bag, Timing::Any)
}

#[test]
fn what_is_inert_changes_nothing_then_and_ever_after() {
    assert_holds_of_samples(48, Just(large()));
}

/// The test above meets inert messages, by the thousand.
#[test]
fn there_are_inert_messages() {
    let scenario = lasting(large());
    let mut delivered = 0;
    for seed in 0..20 {
        walk(&scenario, &fixed_choices(seed, 160), |_, _, world| {
            delivered += assert_changes_nothing(&scenario, world);
        });
    }
    assert!(delivered > 1_000, "{delivered}");
}

/// Searched with and without the reduction, small worlds have the same node states and the same
/// verdict.
#[test]
fn small_worlds_are_the_same_either_way() {
    let two = duplicated(2, Construction::Plane, &[(1, 1), (2, 1)]);
    let three = duplicated(3, Construction::Plane, &[(1, 1), (2, 1)]);
    for scenario in [two, three, restart(), join_datagrams()] {
        same_either_way(scenario);
    }
}
