//! What is inert stays so, in the worlds of every model of the protocols that have inert messages.

use models::specification::Model;
use models::{Specification, counter, maekawa, raft, zab};

use super::reduction::{
    assert_brings_about_what_is_inert, assert_changes_nothing, assert_stays_inert, lasting,
};
use crate::support::runs::{fixed_choices, walk};

/// Walks each model's worlds, in which messages are never used up, and returns how many inert
/// ones have been delivered.
fn delivered<P: Specification>(groups: &[&[Model<P>]]) -> usize {
    let mut delivered = 0;
    let scenarios = groups.iter().copied().flatten();
    let scenarios = scenarios.map(|model| (model.scenario)());
    // Where a scenario drops none, none is said to be inert.
    for scenario in scenarios.filter(|scenario| scenario.drop_inert) {
        let cuts = scenario.faults.cuts;
        let mut scenario = lasting(scenario);
        // Where a model begins some links may be cut already.
        scenario.faults.cuts = cuts;
        for seed in 0..4 {
            walk(
                &scenario,
                &fixed_choices(seed, 100),
                |before, action, after| {
                    delivered += assert_changes_nothing(&scenario, after);
                    assert_stays_inert(before, action, after);
                    assert_brings_about_what_is_inert(&scenario, after);
                },
            );
        }
    }
    delivered
}

/// That what is inert stays so must not hold only because there is nothing of the kind.
fn assert_of_many<P: Specification>(models: &[&[Model<P>]], fuzzed: &[&[Model<P>]]) {
    let inert = delivered(models) + delivered(fuzzed);
    assert!(inert > 500, "{inert}");
}

#[test]
fn of_raft() {
    assert_of_many(raft::spec::MODELS, raft::spec::FUZZED);
}

#[test]
fn of_zab() {
    assert_of_many(zab::spec::MODELS, &[zab::spec::FUZZED]);
}

#[test]
fn of_maekawa() {
    assert_of_many(maekawa::spec::MODELS, maekawa::spec::FUZZED);
}

#[test]
fn of_the_counter() {
    assert_of_many(counter::spec::MODELS, counter::spec::FUZZED);
}
