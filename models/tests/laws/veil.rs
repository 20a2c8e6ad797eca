//! The veil over the messages under way: what is found out behind it without a look holds
//! whatever is under way.

use models::Specification;
use models::world::{Action, World};

use crate::support::walks::{Visitor, Walk, through_every_protocol};

/// A step from a veiled world does the same, but for what is under way, as one from the world;
/// nobody looks; and what was noted, done to what was under way, gives what is under way now.
#[test]
fn a_step_does_not_depend_on_what_is_under_way() {
    let mut steps = Steps(0);
    through_every_protocol(&mut steps);
    assert!(steps.0 > 10_000, "{} steps", steps.0);
}

struct Steps(usize);

impl Visitor for Steps {
    fn step<P: Specification>(
        &mut self,
        walk: &Walk<'_, P>,
        before: &World<P>,
        action: &Action<P>,
        after: &World<P>,
    ) {
        self.0 += 1;
        let mut veiled = before.clone();
        let mut flight = veiled.network.veil();
        veiled.enact(walk.scenario, action);
        assert!(!veiled.network.take_looked(), "{}: {action:?}", walk.model);
        for change in veiled.network.take_changes() {
            flight.change(&change);
        }
        let sent = veiled.network.sent().cloned().collect::<Vec<_>>();
        assert!(sent.iter().eq(after.network.sent()), "{}", walk.model);
        veiled.network.unveil(flight, Vec::new());
        // What became inert by the step is left to who takes it.
        let mut expected = before.clone();
        expected.enact(walk.scenario, action);
        assert_eq!(veiled, expected, "{}: {action:?}", walk.model);
        let left = |world: &World<P>| world.network.under_way().count();
        assert!(left(after) <= left(&veiled), "{}", walk.model);
    }
}

/// What may happen to a message, and what else may happen, is all that may happen, and no other
/// message has a part in it.
#[test]
fn what_may_happen_to_a_message_does_not_depend_on_the_others() {
    through_every_protocol(&mut Actions);
}

struct Actions;

impl Visitor for Actions {
    fn step<P: Specification>(
        &mut self,
        walk: &Walk<'_, P>,
        before: &World<P>,
        _: &Action<P>,
        _: &World<P>,
    ) {
        let mut veiled = before.clone();
        let flight = veiled.network.veil();
        let mut found = Vec::new();
        let mut can_arrive = false;
        for envelope in flight.heads() {
            can_arrive |= veiled.is_deliverable(envelope);
            found.extend(veiled.actions_with(walk.scenario, envelope));
        }
        let timers = !can_arrive || walk.scenario.timing == models::world::Timing::Any;
        found.extend(veiled.other_actions(walk.scenario, timers));
        assert!(!veiled.network.take_looked(), "{}", walk.model);
        assert_eq!(found, before.actions(walk.scenario), "{}", walk.model);
    }
}

/// Who looks is noted, in a copy too, once for each time it is asked.
#[test]
fn a_look_is_noted() {
    struct Looks;
    impl Visitor for Looks {
        fn step<P: Specification>(
            &mut self,
            walk: &Walk<'_, P>,
            before: &World<P>,
            _: &Action<P>,
            _: &World<P>,
        ) {
            let mut veiled = before.clone();
            veiled.network.veil();
            let copy = veiled.clone();
            assert!(!veiled.network.take_looked(), "{}", walk.model);
            assert_eq!(copy.network.in_flight(), []);
            assert!(veiled.network.has_been_looked_at());
            assert!(veiled.network.take_looked());
            assert!(!copy.network.take_looked());
            assert_eq!(copy, veiled, "{}", walk.model);
            assert!(veiled.network.take_looked(), "to compare is to look");
        }
    }
    through_every_protocol(&mut Looks);
}
