//! Raft with one defect each, by the part of the protocol that it is in. A mutant runs in the
//! protocol's place: mostly a step function that does something before or after the right
//! one, so that the right one knows nothing of mutants.

mod clients;
mod conflicts;
mod disks;
mod disruption;
mod early;
mod election;
mod heartbeat;
mod leaving;
mod membership;
mod office;
mod pending;
mod pipelining;
mod reads;
mod replication;
mod snapshots;
mod timers;
mod told;
mod transfer;

use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::Raft;
use crate::raft::state::{Record, Role};
use crate::specification::Mutant;
use crate::world::{Disk, Scenario};

use crate::raft::spec::machine::Adder;

type R = Raft<Adder>;
type M = <R as Protocol>::Message;

/// All mutants of Raft.
pub const MUTANTS: &[&[Mutant<R>]] = &[
    election::MUTANTS,
    replication::MUTANTS,
    conflicts::MUTANTS,
    clients::MUTANTS,
    reads::MUTANTS,
    pending::MUTANTS,
    office::MUTANTS,
    membership::MUTANTS,
    leaving::MUTANTS,
    told::MUTANTS,
    disruption::MUTANTS,
    transfer::MUTANTS,
    heartbeat::MUTANTS,
    early::MUTANTS,
    snapshots::MUTANTS,
    timers::MUTANTS,
    pipelining::MUTANTS,
    disks::MUTANTS,
    super::live::MUTANTS,
];

fn forget(scenario: &mut Scenario<R>, forgets: fn(&Record<Adder>) -> bool) {
    scenario.disk = Disk::Amnesia { forgets };
}

fn leads(node: &Node<R>) -> bool {
    matches!(node.volatile.role, Role::Leader(_))
}

/// The message that the input delivers.
fn message(input: &Input<R>) -> Option<&M> {
    match input {
        Input::Deliver { message, .. } => Some(message),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

/// Lets the protocol take its step, then rewrites what it sends.
fn step_and_rewrite(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    mut rewrite: impl FnMut(&Node<R>, Effect<R>) -> Effect<R>,
) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        out.push(rewrite(node, effect));
    }
}
