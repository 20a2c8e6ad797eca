//! What is wrong for clients.

use alloc::vec::Vec;

use crate::machine::StateMachine as _;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::spec::{Adder, Total};
use crate::session::{RequestId, Sessions};
use crate::specification::Mutant;
use crate::zab::state::Waiting;
use crate::zab::{Command, Event};

use super::{Z, step_and_rewrite};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-RETRY",
        defect: "a retried command is done again",
        source: "a seed program: writes had no ids",
        model: "zab/retries",
        inject: |scenario| scenario.step = forgets_sessions,
    },
    Mutant {
        id: "ZAB-SYNC-LOCAL",
        defect: "a synced read is answered from what is here",
        source: "Medeiros 2012, §2",
        model: "zab/reads",
        inject: |scenario| scenario.step = reads_locally,
    },
    Mutant {
        id: "ZAB-SYNC-DEPOSED",
        defect: "the leader answers a synced read from what it knows itself",
        source: "ZooKeeper's sync is no quorum operation",
        model: "zab/deposed",
        inject: |scenario| scenario.step = leader_reads_locally,
    },
    Mutant {
        id: "ZAB-ABANDON",
        defect: "clients are not told that their node has lost its leader",
        source: "a seed program: clients never heard",
        model: "zab/handover",
        inject: |scenario| scenario.step = leaves_clients_waiting,
    },
];

fn forgets_sessions(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    node.volatile.delivered.sessions = Sessions::default();
    zab.step(node, input, out);
}

fn reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn answer_now(node: &Node<Z>, request: RequestId, query: &Total, out: &mut Outbox<Z>) {
    let response = node.volatile.delivered.machine.query(query);
    out.emit(Event::Reply { request, response });
}

fn leader_reads_locally(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::SyncedRead { request, query }) if zab.leads_established(node) => {
            answer_now(node, request, &query, out);
        }
        input => zab.step(node, input, out),
    }
}

fn leaves_clients_waiting(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let waiting = node.volatile.waiting.clone();
    let mut left = Vec::new();
    step_and_rewrite(zab, node, input, out, |_, effect| match effect {
        Effect::Emit(Event::Abandoned { request }) => {
            left.push(request);
            None
        }
        effect => Some(effect),
    });
    let left = left.into_iter().filter_map(|request| {
        let waiting: Option<&Waiting<Adder>> = waiting.get(&request);
        Some((request, waiting?.clone()))
    });
    node.volatile.waiting.extend(left);
}
