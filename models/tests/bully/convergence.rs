//! Whatever has happened: once faults stop and delays are bounded, all name the highest node.

use models::bully::spec::at_large;
use models::bully::{Bully, Timer, election};
use models::world::{Action, Faults, Scenario, Timing, World};
use models::{NodeId, Specification};
use proptest::prelude::*;

use crate::support::runs::{apply, choices, walk};

type Checked = Bully<u8>;

const OKAY: Timer = Timer::Election(election::Timer::Okay);
const COORDINATOR: Timer = Timer::Election(election::Timer::Coordinator);

/// Makes every action happen that `wanted` picks, one after the other, until there is none.
fn exhaust(
    scenario: &Scenario<Checked>,
    world: &mut World<Checked>,
    wanted: impl Fn(&Action<Checked>) -> bool,
) {
    while let Some(action) = world.actions(scenario).into_iter().find(&wanted) {
        apply(scenario, world, &action);
    }
}

fn deliver_all(scenario: &Scenario<Checked>, world: &mut World<Checked>) {
    exhaust(scenario, world, |action| {
        matches!(action, Action::Deliver(_))
    });
}

/// Each node that waits for this timer loses patience, and all hear of it.
fn fire_each(scenario: &Scenario<Checked>, world: &mut World<Checked>, timer: Timer) {
    for position in 0..scenario.nodes.len() as u16 {
        let node = NodeId(position);
        let action = Action::Fire { node, timer };
        if world.actions(scenario).contains(&action) {
            apply(scenario, world, &action);
            deliver_all(scenario, world);
        }
    }
}

/// Whom the nodes name.
fn named(world: &World<Checked>) -> Vec<Option<NodeId>> {
    let nodes = world.running();
    nodes.map(|(_, node)| node.volatile.leader()).collect()
}

/// Lets time pass until all name the highest node: shorter timeouts run out first. Returns how
/// often the longest had to.
fn settle(scenario: &Scenario<Checked>, world: &mut World<Checked>) -> usize {
    let candidates = scenario.nodes.iter().map(Bully::candidate);
    let highest = candidates.max().map(|highest| highest.id);
    for round in 0..6 {
        deliver_all(scenario, world);
        fire_each(scenario, world, OKAY);
        fire_each(scenario, world, Timer::Heartbeat);
        if named(world) == vec![highest; scenario.nodes.len()] {
            return round;
        }
        // Nobody repeats itself and nobody answers: now those lose patience who wait for the dead.
        fire_each(scenario, world, COORDINATOR);
    }
    panic!("not settled: {:?}", named(world));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn all_name_the_highest_in_the_end(
        size in 1usize..=5,
        is_bounded in any::<bool>(),
        choices in choices(160),
    ) {
        let timing = if is_bounded { Timing::Quiescent } else { Timing::Any };
        let troubled = at_large(size, timing);
        let mut world = walk(&troubled, &choices, |_, _, _| {});
        let calm = Scenario {
            timing: Timing::Quiescent,
            faults: Faults::default(),
            ..troubled
        };
        exhaust(&calm, &mut world, |action| {
            matches!(action, Action::Restart(_) | Action::Heal)
        });
        settle(&calm, &mut world);
        // And so it stays.
        let before = named(&world);
        fire_each(&calm, &mut world, Timer::Heartbeat);
        assert_eq!(named(&world), before);
        for invariant in Checked::INVARIANTS {
            assert!((invariant.holds)(&calm, &world), "{}", invariant.name);
        }
    }
}
