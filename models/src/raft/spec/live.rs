//! The worlds in which Raft's liveness is decided, and the mutants that nothing else refutes:
//! they do nothing wrong, and come to nothing.

use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::message::Message;
use crate::raft::{Raft, Timer};
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::{Delivery, Faults, Scenario, Timing};

use super::machine::Adder;
use super::scenarios;

type R = Raft<Adder>;

/// Every model in which Raft's liveness is decided.
pub const MODELS: &[LiveModel<R>] = &[
    LiveModel {
        model: Model {
            name: "raft/live-crash",
            size: Size::Gate,
            purpose: "who leads fails, another is elected, and the client is answered",
            faults: "1 crash",
            bounds: "time-outs that are chosen well, channels in order; terms ≤ 2, 1 command, \
                     asked up to 2 times",
            states: Some(148_042),
            reaches: &[
                "a leader is elected",
                "the leader changes",
                "a command is answered",
                "a crashed node recovers and catches up",
            ],
            scenario: || synchronous(3, 2, 1, 0),
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "raft/live-loss",
            size: Size::Gate,
            purpose: "messages are lost, and what they said is said again",
            faults: "2 messages lost",
            bounds: "time-outs that are chosen well, channels in order; 2 nodes, terms ≤ 4, \
                     1 command, asked up to 2 times",
            states: Some(9_238),
            reaches: &["a leader is elected", "a command is answered"],
            scenario: || synchronous(2, 4, 0, 2),
        },
        decides: ALL,
    },
];

const ALL: &[&str] = &[
    "Eventually one leader for ever",
    "Every request is answered",
    "Every node catches up",
];

/// Mutants that only liveness refutes.
pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-STANDS-ONCE",
        defect: "a candidate does not start its election timer anew: after a split vote nobody stands",
        source: "§5.2: \"each candidate will time out and start a new election\"",
        model: "raft/live-loss",
        inject: |scenario| scenario.step = stands_once,
    },
    Mutant {
        id: "RAFT-SENDS-ONCE",
        defect: "what a lost append carried is not sent again",
        source: "§5.3: \"the leader retries AppendEntries RPCs indefinitely\"",
        model: "raft/live-loss",
        inject: |scenario| scenario.step = sends_once,
    },
];

/// `size` nodes in the synchronous period: terms up to `max_term`, a client with one command.
fn synchronous(size: u16, max_term: u64, crashes: u8, drops: u8) -> Scenario<R> {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Synchronous,
        faults: Faults {
            crashes,
            drops,
            ..Faults::default()
        },
        tries: 2,
        ..scenarios::replication(size, max_term, crashes, &[1])
    }
}

fn stands_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let stands = input == Input::Fire(Timer::Election);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        if !stands || effect != Effect::Arm(Timer::Election) {
            out.push(effect);
        }
    }
}

/// The heartbeat shows that the leader is up, and no more.
fn sends_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let beats = input == Input::Fire(Timer::Heartbeat);
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for mut effect in right.drain() {
        if let Effect::Send {
            message: Message::AppendEntries { entries, .. },
            ..
        } = &mut effect
            && beats
        {
            entries.clear();
        }
        out.push(effect);
    }
}
