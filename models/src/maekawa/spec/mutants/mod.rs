//! Maekawa's algorithm with one defect each. A mutant runs in the protocol's place: mostly a step
//! function that does something before or after the right one, so that the right one knows
//! nothing of mutants.

mod arbiter;
mod carried;
mod endings;
mod epochs;
mod health;
mod late;
mod locks;
mod membership;
mod quorums;
mod requester;
mod told;

use alloc::collections::VecDeque;

use crate::maekawa::message::{Message, Token};
use crate::maekawa::state::{Arbiter, Attempt, Claim, Grant, Local, Membership, Volatile};
use crate::maekawa::{Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::Mutant;

pub use self::quorums::FLAWED_TABLE_OF_21;

use super::{membership_of, the_lock};

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
    locks::MUTANTS,
    carried::MUTANTS,
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

/// What the node knows as the arbiter, in a world of one lock.
fn arbiter_of(node: &Node<Maekawa>) -> Option<&Arbiter> {
    membership_of(node)?.arbiters.get(&the_lock())
}

/// Whom the arbiter is locked for, in a world of one lock.
fn locked(node: &Node<Maekawa>) -> Option<Grant> {
    arbiter_of(node)?.locked
}

/// Changes what the node knows as the arbiter, in a world of one lock.
fn amend<T>(node: &mut Node<Maekawa>, change: impl FnOnce(&mut Arbiter) -> T) -> Option<T> {
    let (member, lock) = (member_mut(node)?, the_lock());
    let changed = change(member.arbiters.entry(lock.clone()).or_default());
    member.settle(&lock, usize::MAX);
    Some(changed)
}

/// The node's request, in a world of one lock.
fn attempt_of(node: &Node<Maekawa>) -> Option<&Attempt> {
    membership_of(node)?.attempts.get(&the_lock())
}

fn attempt_mut(node: &mut Node<Maekawa>) -> Option<&mut Attempt> {
    member_mut(node)?.attempts.get_mut(&the_lock())
}

/// The token, if the node is in the critical section, in a world of one lock.
fn held(node: &Node<Maekawa>) -> Option<Token> {
    attempt_of(node)?.held
}

/// The claims, oldest first, in a world of one lock.
fn queue_mut(local: &mut Local) -> Option<&mut VecDeque<Claim>> {
    local.claims.get_mut(&the_lock())
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
    let looks_locked = |made: &Attempt| made.arbiters.values().all(|it| it.standing.is_locked());
    if attempt_of(node).is_some_and(looks_locked) {
        enter(node, out);
    }
}

/// Enters the critical section, with a token that no other node can have and that does not tell
/// on it by being less than those before.
fn enter(node: &mut Node<Maekawa>, out: &mut Outbox<Maekawa>) {
    let Some(local) = local_mut(node) else {
        return;
    };
    let claim = local.all_claims().next().cloned();
    let (Some(membership), Some(claim)) = (&mut local.membership, claim) else {
        return;
    };
    let attempt = membership.attempts.get_mut(&claim.lock);
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
