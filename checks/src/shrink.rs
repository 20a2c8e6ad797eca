//! Makes a violation's trace as short as leaving steps out can make it.
//!
//! Delta debugging (Zeller and Hildebrandt 2002) over the actions. Where a step is left
//! out, later ones may become impossible; a message is then replaced by one like it, from
//! the same node to the same node, and what still is impossible is left out as well. The
//! result is 1-minimal: without any one of its steps the same property is not violated.
//!
//! What it does not verify: that there is no shorter trace. Another order of events, or
//! other events, may do with fewer.

use models::world::{Action, Kind, Scenario, World};
use models::{Input, NodeId, Specification};

use crate::engine::Violation;
use crate::examine::{self, NO_PANIC, Outcome};

/// The violation with as few of its steps as show the same property violated. One that
/// does not replay is returned as it is.
pub fn minimal<P: Specification>(scenario: &Scenario<P>, violation: Violation<P>) -> Violation<P> {
    let Violation {
        property,
        panic,
        actions,
        loop_start,
    } = violation;
    let shrunk = violating(scenario, actions.iter(), property).map(|actions| {
        let shorter = ddmin(scenario, actions, property);
        one_minimal(scenario, shorter, property)
    });
    Violation {
        property,
        panic,
        actions: shrunk.unwrap_or(actions),
        loop_start,
    }
}

/// Takes the steps that are possible where they stand, or others that are like them, and
/// leaves the rest out. The steps taken, up to the first violation, if that is one of
/// `property`.
pub fn violating<'a, P: Specification>(
    scenario: &Scenario<P>,
    candidates: impl Iterator<Item = &'a Action<P>>,
    property: &str,
) -> Option<Vec<Action<P>>> {
    let mut world = examine::initial(scenario).ok()?;
    if let Some(broken) = examine::broken_invariant(scenario, &world) {
        return (broken == property).then(Vec::new);
    }
    let mut taken = Vec::new();
    for action in candidates {
        let Some((action, outcome)) = take_alike(scenario, &world, action) else {
            continue;
        };
        let broken = match outcome {
            Outcome::NotEnabled => continue,
            Outcome::Panicked(_) => Some(NO_PANIC),
            Outcome::Next(after, law) => {
                world = after;
                law.or_else(|| examine::broken_invariant(scenario, &world))
            }
        };
        taken.push(action);
        if let Some(broken) = broken {
            return (broken == property).then_some(taken);
        }
    }
    None
}

/// Takes `action`, or, where that is not possible, one like it.
///
/// Without that, a step left out early would leave hardly any later one possible: after one
/// election less every message has another term in it.
fn take_alike<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    action: &Action<P>,
) -> Option<(Action<P>, Outcome<P>)> {
    let outcome = examine::take(scenario, world, action);
    if !matches!(outcome, Outcome::NotEnabled) {
        return Some((action.clone(), outcome));
    }
    let shape = shape(action)?;
    let possible = examine::actions(scenario, world);
    let alike = |other: &Action<P>| self::shape(other).as_ref() == Some(&shape);
    // The last has the largest values in it: it is the newest.
    let other = possible.into_iter().rfind(alike)?;
    let outcome = examine::take(scenario, world, &other);
    Some((other, outcome))
}

/// What an action that carries a message has in common with those like it: its kind, the
/// message's ends, and the first word of its label, which says what message it is. Other
/// actions carry nothing that could differ.
fn shape<P: Specification>(action: &Action<P>) -> Option<(Kind, NodeId, NodeId, String)> {
    let (from, to, message) = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) | Action::Drop(envelope) => {
            (envelope.from, envelope.to, &envelope.message)
        }
        Action::CrashWithin {
            node,
            input: Input::Deliver { from, message },
            ..
        } => (*from, *node, message),
        _ => return None,
    };
    let label = P::message_label(message);
    let name = label.split(' ').next().unwrap_or_default();
    Some((action.kind(), from, to, name.to_owned()))
}

/// Leaves out parts, large ones first, then ever smaller ones.
fn ddmin<P: Specification>(
    scenario: &Scenario<P>,
    mut actions: Vec<Action<P>>,
    property: &str,
) -> Vec<Action<P>> {
    let mut parts = 2;
    while parts <= actions.len() {
        let size = actions.len().div_ceil(parts);
        let without = |part: usize| {
            let (from, to) = (part * size, (part + 1) * size);
            let rest = actions.iter().enumerate();
            let rest = rest.filter(move |(position, _)| !(from..to).contains(position));
            violating(scenario, rest.map(|(_, action)| action), property)
        };
        match (0..parts).find_map(without) {
            Some(shorter) if shorter.len() < actions.len() => {
                actions = shorter;
                parts = (parts - 1).max(2);
            }
            _ => parts *= 2,
        }
    }
    actions
}

/// Leaves out single steps, the last first, until none can be left out.
fn one_minimal<P: Specification>(
    scenario: &Scenario<P>,
    mut actions: Vec<Action<P>>,
    property: &str,
) -> Vec<Action<P>> {
    let mut position = actions.len();
    while position > 0 {
        position -= 1;
        let rest = actions.iter().enumerate();
        let rest = rest.filter(|(other, _)| *other != position);
        if let Some(shorter) = violating(scenario, rest.map(|(_, action)| action), property) {
            actions = shorter;
            position = actions.len();
        }
    }
    actions
}
