//! Dropping inert messages is a reduction: it must change no verdict.

use models::Specification;
use models::maekawa::Maekawa;
use models::maekawa::message::Message;
use models::maekawa::quorum::Construction;
use models::maekawa::spec::{at_large, duplicated, join_datagrams, restart};
use models::world::{Action, Delivery, Duplicates, Envelope, Faults, Scenario, Timing, World};
use proptest::prelude::*;

use crate::support::runs::{choices, explore, fixed_choices, walk};

/// The messages under way that are inert now.
fn inert(world: &World<Maekawa>) -> Vec<Envelope<Message>> {
    let mut under_way = world.network.in_flight();
    under_way.retain(|envelope| {
        let (sender, receiver) = (world.host(envelope.from), world.host(envelope.to));
        sender
            .zip(receiver)
            .is_some_and(|(sender, receiver)| Maekawa::is_inert(envelope, sender, receiver))
    });
    under_way
}

/// A large world in which messages are never used up, so that what was inert at any time can
/// still be delivered at any later time.
fn lasting() -> Scenario<Maekawa> {
    let scenario = at_large(Delivery::Bag, Timing::Any);
    Scenario {
        drop_inert: false,
        faults: Faults {
            duplicates: Duplicates::Unlimited,
            drops: 0,
            cuts: 0,
            ..scenario.faults
        },
        ..scenario
    }
}

/// Delivers each inert message on the side: nothing but the network may change, and what it
/// brings about is inert in turn. Returns how many there were.
fn assert_changes_nothing(scenario: &Scenario<Maekawa>, world: &World<Maekawa>) -> usize {
    let mut delivered = 0;
    for envelope in inert(world) {
        let action = Action::Deliver(envelope);
        let mut after = world.clone();
        if after.apply(scenario, &action).is_err() {
            continue;
        }
        delivered += 1;
        assert_eq!(after.hosts, world.hosts, "{action:?}");
        assert_eq!(after.ghost, world.ghost, "{action:?}");
        assert_eq!(after.clients, world.clients, "{action:?}");
        let (before, still) = (world.network.in_flight(), inert(&after));
        let mut news = after.network.in_flight();
        news.retain(|sent| !before.contains(sent));
        assert!(
            news.iter().all(|sent| still.contains(sent)),
            "{action:?}: {news:?}"
        );
    }
    delivered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_inert_message_changes_nothing_and_stays_inert(choices in choices(160)) {
        let scenario = lasting();
        walk(&scenario, &choices, |before, action, after| {
            assert_changes_nothing(&scenario, after);
            let still = inert(after);
            for envelope in inert(before) {
                assert!(still.contains(&envelope), "{envelope:?} lives again after {action:?}");
            }
        });
    }
}

/// The test above meets inert messages, by the thousand.
#[test]
fn there_are_inert_messages() {
    let scenario = lasting();
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
    for (name, scenario) in [
        ("two", two),
        ("three", three),
        ("restart", restart()),
        ("join", join_datagrams()),
    ] {
        let reduced = explore(&scenario);
        let full = explore(&Scenario {
            drop_inert: false,
            ..scenario
        });
        assert_eq!(
            (&reduced.broken, &full.broken),
            (&vec![], &vec![]),
            "{name}"
        );
        let states = |explored: crate::support::runs::Explored| {
            explored.node_states.into_keys().collect::<Vec<_>>()
        };
        assert!(reduced.worlds <= full.worlds, "{name}");
        assert_eq!(states(reduced), states(full), "{name}");
    }
}
