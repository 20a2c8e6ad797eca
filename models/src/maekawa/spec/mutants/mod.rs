//! Maekawa's algorithm with one defect each. A mutant runs in the protocol's place: mostly a step
//! function that does something before or after the right one, so that the right one knows
//! nothing of mutants.

mod arbiter;
mod endings;
mod epochs;
mod health;
mod late;
mod membership;
mod quorums;
mod requester;
mod told;

use crate::maekawa::message::{Message, Token};
use crate::maekawa::state::{Attempt, Local, Membership, Volatile};
use crate::maekawa::{Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::Mutant;

pub use self::quorums::FLAWED_TABLE_OF_21;

type N = Node<Maekawa>;
type In = Input<Maekawa>;
type Out = Outbox<Maekawa>;

/// All mutants.
pub const MUTANTS: &[&[Mutant<Maekawa>]] = &[
    requester::MUTANTS,
    arbiter::MUTANTS,
    late::MUTANTS,
    quorums::MUTANTS,
    epochs::MUTANTS,
    endings::MUTANTS,
    health::MUTANTS,
    told::MUTANTS,
    membership::MUTANTS,
    super::live::MUTANTS,
];

/// The message that the input delivers, and its sender.
fn delivered(input: &Input<Maekawa>) -> Option<(NodeId, &Message)> {
    match input {
        Input::Deliver { from, message } => Some((*from, message)),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

fn local_mut(node: &mut Node<Maekawa>) -> Option<&mut Local> {
    match &mut node.volatile {
        Volatile::Node(local) => Some(local),
        Volatile::Orchestrator(_) => None,
    }
}

fn member_mut(node: &mut Node<Maekawa>) -> Option<&mut Membership> {
    local_mut(node)?.membership.as_mut()
}

/// Lets the protocol take its step, then changes or suppresses what it lets out.
fn step_and_rewrite(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
    mut rewrite: impl FnMut(&mut Node<Maekawa>, Effect<Maekawa>) -> Option<Effect<Maekawa>>,
) {
    let mut right = Outbox::new();
    maekawa.step(node, input, &mut right);
    for effect in right.drain() {
        if let Some(effect) = rewrite(node, effect) {
            out.push(effect);
        }
    }
}

/// Enters the critical section as the right step would, if all arbiters look locked.
fn enter_if_all_look_locked(node: &mut Node<Maekawa>, out: &mut Outbox<Maekawa>) {
    let attempt = member_mut(node).and_then(|member| member.attempt.as_ref());
    let looks_locked = |made: &Attempt| made.arbiters.values().all(|it| it.standing.is_locked());
    if attempt.is_some_and(looks_locked) {
        enter(node, out);
    }
}

/// Enters the critical section, with a token that no other node can have and that does not tell
/// on it by being less than those before.
fn enter(node: &mut Node<Maekawa>, out: &mut Outbox<Maekawa>) {
    let Some(local) = local_mut(node) else {
        return;
    };
    let (Some(membership), Some(&claim)) = (&mut local.membership, local.claims.front()) else {
        return;
    };
    let attempt = membership.attempt.as_mut();
    let Some(attempt) = attempt.filter(|attempt| attempt.held.is_none()) else {
        return;
    };
    let numbers = attempt.arbiters.values().map(|view| view.number);
    let node = u64::from(attempt.request.node.0);
    let token = Token {
        epoch: membership.epoch,
        counter: numbers
            .chain([membership.counter + 1, node])
            .max()
            .unwrap_or(node),
    };
    attempt.held = Some(token);
    membership.counter = token.counter;
    out.disarm(Timer::Retry);
    out.emit(Event::Granted { claim, token });
}
