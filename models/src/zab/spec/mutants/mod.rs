//! ZAB with one defect each, by the phase that it is in. A mutant runs in the protocol's place:
//! mostly a step function that does something before, after or instead of the right one, so
//! that the right one knows nothing of mutants.

mod broadcast;
mod clients;
mod contact;
mod counters;
mod discovery;
mod disks;
mod late_snaps;
mod synchronization;

use alloc::vec::Vec;

use crate::machine::StateMachine as _;
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::spec::{Add, Adder};
use crate::specification::Mutant;
use crate::world::{Disk, Scenario};
use crate::zab::election::Election;
use crate::zab::history::{Content, Transaction};
use crate::zab::spec::Oracle;
use crate::zab::state::{Following, Leading, Primary, Record, Role};
use crate::zab::zxid::Zxid;
use crate::zab::{Event, Zab};

pub(super) use self::broadcast::does_not_count_itself;
pub(super) use self::discovery::reigns_without_promises;

type Z = Zab<Adder, Oracle>;
type M = <Z as Protocol>::Message;

/// All mutants of ZAB.
pub const MUTANTS: &[&[Mutant<Z>]] = &[
    discovery::MUTANTS,
    synchronization::MUTANTS,
    late_snaps::MUTANTS,
    counters::MUTANTS,
    broadcast::MUTANTS,
    clients::MUTANTS,
    contact::MUTANTS,
    disks::MUTANTS,
];

fn forget(scenario: &mut Scenario<Z>, forgets: fn(&Record<Adder>) -> bool) {
    scenario.disk = Disk::Amnesia { forgets };
}

/// The message that the input delivers, and its sender.
fn message(input: &Input<Z>) -> Option<(NodeId, &M)> {
    match input {
        Input::Deliver { from, message } => Some((*from, message)),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

fn office<E: Election>(node: &Node<Zab<Adder, E>>) -> Option<&Primary> {
    match &node.volatile.role {
        Role::Leading(Leading::Primary(primary)) => Some(primary),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    }
}

fn following(node: &Node<Z>) -> Option<Following> {
    match node.volatile.role {
        Role::Following(following) => Some(following),
        Role::Looking | Role::Leading(_) => None,
    }
}

fn last_zxid(node: &Node<Z>) -> Zxid {
    node.durable().history.last_zxid()
}

/// Lets the protocol take its step, then rewrites what it does.
pub(super) fn step_and_rewrite<E: Election>(
    zab: &Zab<Adder, E>,
    node: &mut Node<Zab<Adder, E>>,
    input: Input<Zab<Adder, E>>,
    out: &mut Outbox<Zab<Adder, E>>,
    mut rewrite: impl FnMut(
        &Node<Zab<Adder, E>>,
        Effect<Zab<Adder, E>>,
    ) -> Option<Effect<Zab<Adder, E>>>,
) {
    let mut right = Outbox::new();
    zab.step(node, input, &mut right);
    for effect in right.drain() {
        if let Some(effect) = rewrite(node, effect) {
            out.push(effect);
        }
    }
}

fn apply_again(node: &mut Node<Z>, transaction: &Transaction<Add>, out: &mut Outbox<Z>) {
    if let Content::Command { command, .. } = &transaction.content {
        node.volatile.delivered.machine.apply(command);
    }
    let transaction = transaction.clone();
    out.emit(Event::Delivered { transaction });
}

/// The transactions that the node has and has not delivered.
fn undelivered(node: &Node<Z>) -> Vec<Transaction<Add>> {
    let delivered = node.volatile.delivered.zxid;
    node.durable().history.after(delivered).to_vec()
}
