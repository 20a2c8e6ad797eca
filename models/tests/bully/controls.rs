//! The checks are specific: a defect is found where it shows, and not where it cannot.

use std::collections::BTreeSet;

use models::bully::spec::{MUTANTS, asynchronous, cold_start, crashes, lossy};
use models::bully::{Bully, Timer, election};
use models::specification::Invariant;
use models::world::{Action, Scenario, World};
use models::{NodeId, Specification};

use crate::support::runs::{apply, broken, explore, explore_but, explore_until, fingerprint};

const NOTHING: [&str; 0] = [];

fn with(id: &str, mut scenario: Scenario<Bully<u8>>) -> Scenario<Bully<u8>> {
    let mut mutants = MUTANTS.iter().copied().flatten();
    let mutant = mutants.find(|mutant| mutant.id == id);
    (mutant.expect("it is in the catalogue").inject)(&mut scenario);
    scenario
}

/// A seed program believed every Coordinator message, and said each once. Where delays are bounded
/// and one of three nodes fails, for good, nobody ever hears a wrong one: all agree, even there.
#[test]
fn three_nodes_agree_after_one_crash_even_if_they_believe_everybody() {
    let mut scenario = crashes(3, 3, 1);
    scenario.bounds.heartbeats = false;
    assert_eq!(broken_without_recovery(&scenario), NOTHING);
    assert_eq!(
        broken_without_recovery(&with("BUL-1", scenario.clone())),
        NOTHING
    );
    let recovering = explore(&with("BUL-1", scenario)).broken;
    assert!(
        recovering.contains(&"An old election is over"),
        "{recovering:?}"
    );
}

/// Visits every world that can be reached while who has failed stays down.
fn broken_without_recovery(scenario: &Scenario<Bully<u8>>) -> Vec<&'static str> {
    let initial = World::initial(scenario);
    let mut seen = BTreeSet::from([fingerprint(&initial)]);
    let mut frontier = vec![initial];
    while let Some(world) = frontier.pop() {
        for action in world.actions(scenario) {
            if matches!(action, Action::Restart(_)) {
                continue;
            }
            let mut next = world.clone();
            apply(scenario, &mut next, &action);
            let broken = broken(scenario, &world, &action, &next);
            if !broken.is_empty() {
                return broken;
            }
            if seen.insert(fingerprint(&next)) {
                frontier.push(next);
            }
        }
    }
    assert!(seen.len() > 500, "{} worlds are too few", seen.len());
    Vec::new()
}

/// Where they are not, three nodes that come up together end up with different leaders: when
/// all is said, and nobody is electing any more.
#[test]
fn three_nodes_that_believe_everybody_end_up_divided() {
    let scenario = asynchronous(3, 1, 1);
    let divided = impatient_start(&with("BUL-1", scenario.clone()));
    let named = |world: &World<Bully<u8>>| -> Vec<Option<NodeId>> {
        let nodes = world.running();
        nodes.map(|(_, node)| node.volatile.leader()).collect()
    };
    assert_eq!(
        named(&divided),
        [2, 2, 1].map(|leader| Some(NodeId(leader)))
    );
    let leads =
        |invariant: &&Invariant<Bully<u8>>| invariant.name == "The highest node that is up leads";
    let agreement = Bully::<u8>::INVARIANTS.iter().find(leads);
    let agreement = agreement.expect("it is in the table");
    assert!(!(agreement.holds)(&scenario, &divided));

    let right = impatient_start(&scenario);
    assert!((agreement.holds)(&scenario, &right));
    assert_eq!(named(&right), [None; 3], "another election");
}

/// All three lose patience before a message has arrived; then all messages arrive.
fn impatient_start(scenario: &Scenario<Bully<u8>>) -> World<Bully<u8>> {
    let mut world = World::initial(scenario);
    let timer = Timer::Election(election::Timer::Okay);
    for node in [0, 1, 2].map(NodeId) {
        apply(scenario, &mut world, &Action::Fire { node, timer });
    }
    let delivery = |action: &Action<_>| matches!(action, Action::Deliver(_));
    while let Some(action) = world.actions(scenario).into_iter().find(delivery) {
        apply(scenario, &mut world, &action);
    }
    world
}

/// A loss is what it takes for a lower node to claim that it leads.
#[test]
fn lower_coordinators_are_harmless_until_a_message_is_lost() {
    let calm = with("BUL-LOWER-COORDINATOR", cold_start(3, 3));
    assert_eq!(explore(&calm).broken, NOTHING);
    let property = "Nobody follows a lower node";
    let lossy = with("BUL-LOWER-COORDINATOR", lossy(3, 2, 1));
    assert!(explore_until(&lossy, property).broken.contains(&property));
}

/// The properties that ask for an answer, whatever would come of it.
const ANSWERS: &[&str] = &[
    "Candidates are answered →",
    "Winners are followed or told →",
    "Who has missed an election stands again →",
    "Heartbeats go to all →",
];

/// Without a crash nobody needs the answers that are given on another's behalf, nor the
/// number to go on from: not all is said that should be, but nothing comes of it.
#[test]
fn what_recovery_needs_is_not_missed_before_a_crash() {
    for id in [
        "BUL-OKAY-ITSELF-ALONE",
        "BUL-BELOW-THE-HIGHEST",
        "BUL-REUSED-NUMBER",
        "BUL-NO-HALT",
        "BUL-OLD-LEADER",
    ] {
        let scenario = with(id, cold_start(3, 2));
        let broken = explore_but(&scenario, ANSWERS).broken;
        assert_eq!(broken, NOTHING, "{id}");
    }
}
