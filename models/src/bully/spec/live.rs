//! The worlds in which Bully's liveness is decided, and the mutants that nothing else refutes.

use crate::bully::election::{Message, Standing};
use crate::bully::{Bully, Number};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::{Scenario, Timing};

use super::scenarios;

type B = Bully<u8>;

/// Every model in which Bully's liveness is decided.
pub const MODELS: &[LiveModel<B>] = &[LiveModel {
    model: Model {
        name: "bully/live",
        size: Size::Gate,
        purpose: "nodes fail, elections end, and the highest that is up leads",
        faults: "2 crashes, of any nodes, at any time",
        bounds: "3 nodes, elections ≤ 6; channels in order, time-outs that are chosen well",
        states: Some(11_429),
        reaches: &[],
        scenario: || synchronous(3, 6, 2),
    },
    decides: &[
        "Every election ends",
        "Eventually all name the highest node that is up",
    ],
}];

/// Mutants that only liveness refutes.
pub(super) const MUTANTS: &[Mutant<B>] = &[Mutant {
    id: "BUL-PING-PONG",
    defect: "who is asked by a higher node gives way and asks back, and is asked again: no \
             time-out is ever due",
    source: "Assertion 2: an election ends",
    model: "bully/live",
    inject: |scenario| scenario.step = asks_back,
}];

fn synchronous(size: usize, elections: u64, crashes: u8) -> Scenario<B> {
    Scenario {
        timing: Timing::Synchronous,
        ..scenarios::crashes(size, elections, crashes)
    }
}

fn asks_back(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let asker = match &input {
        Input::Deliver {
            from,
            message: Message::Election { election, .. },
        } if *election == node.volatile.election => Some(*from),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    bully.step(node, input, out);
    if let Some(to) = asker
        && node.volatile.standing == Standing::Waiting
    {
        out.push(question(bully, node.volatile.election, to));
    }
}

fn question(bully: &B, election: Number, to: NodeId) -> Effect<B> {
    let rank = bully.candidate().rank;
    let message = Message::Election { election, rank };
    Effect::Send { to, message }
}
