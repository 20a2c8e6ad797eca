//! The veil over the messages under way: what is found out behind it without a look holds
//! whatever is under way.

use models::Specification;
use models::world::{Done, Timing, World};

use crate::support::walks::{Step, Visitor, through_every_protocol};

/// A step from a veiled world does the same, but for what is under way, as one from the world;
/// nobody looks; and what was noted, done to what was under way, gives what is under way now.
#[test]
fn a_step_does_not_depend_on_what_is_under_way() {
    struct Steps(usize);
    impl Visitor for Steps {
        fn step<P: Specification>(&mut self, step: &Step<'_, P>) {
            self.0 += 1;
            let (model, action) = (step.model, &step.action);
            let mut veiled = step.before.clone();
            let mut flight = veiled.network.veil();
            veiled.enact(step.scenario, action);
            assert!(!veiled.network.take_looked(), "{model}: {action:?}");
            for change in veiled.network.take_changes() {
                flight.change(&change);
            }
            let sent: Vec<_> = veiled.network.sent().cloned().collect();
            assert!(sent.iter().eq(step.after.network.sent()), "{model}");
            veiled.network.unveil(flight, Vec::new());
            // What became inert by the step is left to who takes it.
            let mut expected = step.before.clone();
            expected.enact(step.scenario, action);
            assert_eq!(veiled, expected, "{model}: {action:?}");
            let left = |world: &World<P>| world.network.under_way().count();
            assert!(left(&step.after) <= left(&veiled), "{model}");
        }
    }
    let mut steps = Steps(0);
    through_every_protocol(&mut steps);
    assert!(steps.0 > 10_000, "{} steps", steps.0);
}

/// The timers that a step is remembered to have started anew, and the events that it said, are those
/// of the same step when it is taken again.
#[test]
fn what_a_step_has_done_is_remembered() {
    #[derive(Default)]
    struct Steps {
        renewed: usize,
        emitted: usize,
        none: usize,
    }
    impl Visitor for Steps {
        fn step<P: Specification>(&mut self, step: &Step<'_, P>) {
            let (model, action) = (step.model, &step.action);
            let takes_step = step.before.effects(step.scenario, action).is_some();
            assert_eq!(
                step.after.last_step.is_some(),
                takes_step,
                "{model}: {action:?}"
            );
            let remembered = step.before.done(step.scenario, action, &step.after);
            let again = step.before.done_again(step.scenario, action);
            assert_eq!(remembered, again, "{model}: {action:?}");
            let of =
                |is: fn(&Done<P>) -> bool| remembered.as_ref().is_some_and(|(_, done)| is(done));
            let renewed = of(|done| !done.renewed.is_empty());
            let emitted = of(|done| !done.emitted.is_empty());
            self.renewed += usize::from(renewed);
            self.emitted += usize::from(emitted);
            self.none += usize::from(!renewed && !emitted);
        }
    }
    let mut steps = Steps::default();
    through_every_protocol(&mut steps);
    let Steps {
        renewed,
        emitted,
        none,
    } = steps;
    assert!(
        renewed.min(emitted).min(none) > 500,
        "{renewed}, {emitted}, {none} steps"
    );
}

/// What may happen to a message, and what else may happen, is all that may happen, and no other
/// message has a part in it.
#[test]
fn what_may_happen_to_a_message_does_not_depend_on_the_others() {
    struct Actions;
    impl Visitor for Actions {
        fn step<P: Specification>(&mut self, step: &Step<'_, P>) {
            let mut veiled = step.before.clone();
            let flight = veiled.network.veil();
            let mut found = Vec::new();
            let mut can_arrive = false;
            for envelope in flight.heads() {
                can_arrive |= veiled.is_deliverable(envelope);
                found.extend(veiled.actions_with(step.scenario, envelope));
            }
            let timers = !can_arrive || step.scenario.timing == Timing::Any;
            found.extend(veiled.other_actions(step.scenario, timers));
            assert!(!veiled.network.take_looked(), "{}", step.model);
            assert_eq!(found, step.before.actions(step.scenario), "{}", step.model);
        }
    }
    through_every_protocol(&mut Actions);
}

/// Who looks is noted, in a copy too, once for each time it is asked.
#[test]
fn a_look_is_noted() {
    struct Looks;
    impl Visitor for Looks {
        fn step<P: Specification>(&mut self, step: &Step<'_, P>) {
            let mut veiled = step.before.clone();
            veiled.network.veil();
            let copy = veiled.clone();
            assert!(!veiled.network.take_looked(), "{}", step.model);
            assert_eq!(copy.network.in_flight(), []);
            assert!(veiled.network.has_been_looked_at());
            assert!(veiled.network.take_looked());
            assert!(!copy.network.take_looked());
            assert_eq!(copy, veiled, "{}", step.model);
            assert!(veiled.network.take_looked(), "to compare is to look");
        }
    }
    through_every_protocol(&mut Looks);
}
