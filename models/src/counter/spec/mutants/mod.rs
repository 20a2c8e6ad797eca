//! The counter with one defect each, by what of the protocol they are about. A mutant runs in
//! the protocol's place: mostly a step function that does something before or after the right
//! one, so that the right one knows nothing of mutants.

mod duties;
mod exchange;
mod fold;
mod identity;
mod increment;

use crate::counter::Counter;
use crate::counter::message::Message;
use crate::counter::state::Record;
use crate::protocol::{Effect, Input, Node, Outbox};
use crate::specification::Mutant;
use crate::world::{Disk, Scenario};

/// Every mutant of the counter.
pub const MUTANTS: &[&[Mutant<Counter>]] = &[
    identity::MUTANTS,
    increment::MUTANTS,
    exchange::MUTANTS,
    duties::MUTANTS,
    fold::MUTANTS,
    super::live::MUTANTS,
];

type Out = Outbox<Counter>;

fn forget(scenario: &mut Scenario<Counter>, forgets: fn(&Record) -> bool) {
    scenario.disk = Disk::Amnesia { forgets };
}

/// Lets the effects of the step so far through `map`, which may take them out.
fn map_effects(out: &mut Out, map: impl Fn(Effect<Counter>) -> Option<Effect<Counter>>) {
    let effects: alloc::vec::Vec<Effect<Counter>> = out.drain().collect();
    for effect in effects.into_iter().filter_map(map) {
        out.push(effect);
    }
}

/// The message that is delivered, if one is.
fn message(input: &Input<Counter>) -> Option<&Message> {
    match input {
        Input::Deliver { message, .. } => Some(message),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

/// A copy of the node after the right step, and the step's effects: what would have been.
fn foresee(counter: &Counter, node: &Node<Counter>, input: Input<Counter>) -> (Node<Counter>, Out) {
    use crate::protocol::Protocol;
    let (mut node, mut out) = (node.clone(), Outbox::new());
    counter.step(&mut node, input, &mut out);
    (node, out)
}
