//! When timers run out.

use models::NodeId;
use models::world::{Action, Disk, Faults, Kind, Scenario, Timing, World};
use proptest::prelude::*;

use crate::support::bench::Checked;
use crate::support::runs::{any_troubled, apply, choices, walk};
use crate::support::scribe::{Scribe, Tick, scribes};

fn tick(node: u16) -> Action<Scribe> {
    let (node, timer) = (NodeId(node), Tick);
    Action::Fire { node, timer }
}

fn quiescent(size: u16, faults: Faults) -> Scenario<Scribe> {
    Scenario {
        timing: Timing::Quiescent,
        faults,
        ..scribes(size, 6)
    }
}

#[test]
fn messages_beat_timers() {
    let scenario = quiescent(2, Faults::default());
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &tick(0));
    assert!(world.clone().apply(&scenario, &tick(1)).is_err());
    let message = world.network.in_flight().remove(0);
    apply(&scenario, &mut world, &Action::Deliver(message));
    apply(&scenario, &mut world, &tick(1));
}

/// A message that cannot arrive holds no timer back.
#[test]
fn messages_to_nowhere_do_not_hold_timers_back() {
    let faults = Faults {
        crashes: 1,
        cuts: 1,
        ..Faults::default()
    };
    for obstacle in [
        Action::Crash(NodeId(1)),
        Action::Cut {
            from: NodeId(0),
            to: NodeId(1),
        },
    ] {
        let scenario = quiescent(2, faults);
        let mut world = World::initial(&scenario);
        apply(&scenario, &mut world, &tick(0));
        apply(&scenario, &mut world, &obstacle);
        apply(&scenario, &mut world, &tick(0));
    }
}

#[test]
fn under_full_asynchrony_timers_run_out_at_any_time() {
    let scenario = scribes(2, 6);
    let mut world = World::initial(&scenario);
    for node in [0, 0, 1] {
        apply(&scenario, &mut world, &tick(node));
    }
    assert_eq!(world.network.in_flight().len(), 3);
}

/// A timer that has run out is disarmed before the step, which may arm it again; one that is
/// not armed, or that the bounds forbid, does not run out.
#[test]
fn only_armed_and_permitted_timers_run_out() {
    let scenario = scribes(2, 2);
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &tick(0));
    assert!(
        world.apply(&scenario, &tick(0)).is_err(),
        "two lines are noted"
    );
    let scenario = Scenario {
        boot: |_, _, _| Vec::new(),
        ..scribes(2, 6)
    };
    let mut world = World::initial(&scenario);
    assert!(world.apply(&scenario, &tick(0)).is_err(), "never armed");
    assert_eq!(world.actions(&scenario), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// No timer runs out while a message can be delivered; a crash within the handling of a
    /// timer is no exception.
    #[test]
    fn no_timer_runs_out_while_something_is_deliverable(
        scenario in any_troubled(&[Disk::WriteThrough]),
        choices in choices(100),
    ) {
        let scenario = Scenario { timing: Timing::Quiescent, ..scenario };
        walk(&scenario, &choices, |_, _, world| {
            let actions = world.actions(&scenario);
            let is_timer = |action: &Action<Checked>| {
                use models::Input;
                let within = matches!(action, Action::CrashWithin { input: Input::Fire(_), .. });
                action.kind() == Kind::Fire || within
            };
            let delivers = actions.iter().any(|action| action.kind() == Kind::Deliver);
            assert!(!delivers || !actions.iter().any(is_timer), "{actions:?}");
        });
    }
}
