//! The worlds in which Bully's liveness is decided, and the mutants that nothing else refutes.

use crate::bully::election::{self, Message, Standing};
use crate::bully::{Bully, Event, Number, Timer};
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
        "The network falls silent again and again",
    ],
}];

/// Mutants that only liveness refutes.
pub(super) const MUTANTS: &[Mutant<B>] = &[
    Mutant {
        id: "BUL-PING-PONG",
        defect: "who is asked by a higher node gives way and asks back, and is asked again: no \
                 time-out is ever due",
        source: "Assertion 2: an election ends",
        model: "bully/live",
        inject: |scenario| scenario.step = asks_back,
    },
    Mutant {
        id: "BUL-HEARTBEAT-HALTS",
        defect: "a leader halts all others before it says again that it leads: at each heartbeat \
                 they have no leader for a while",
        source: "Assertion 2: once elected, a leader remains the leader",
        model: "bully/live",
        inject: |scenario| scenario.step = halts_at_each_heartbeat,
    },
    Mutant {
        id: "BUL-OKAY-ANSWERED",
        defect: "an Okay that comes when the election is over is answered by another: two nodes that \
                 agree on their leader answer each other as fast as the network is, for ever",
        source: "§II: a time-out is longer than all that it sets off takes",
        model: "bully/live",
        inject: |scenario| scenario.step = answers_okay,
    },
];

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

fn answers_okay(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let okay = match &input {
        Input::Deliver {
            from,
            message: Message::Okay { election },
        } => Some((*from, *election)),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    bully.step(node, input, out);
    if let Some((to, election)) = okay
        && node.volatile.leader().is_some()
    {
        out.send(to, Message::Okay { election });
    }
}

/// An Okay, which halts a candidate, halts a follower as well.
fn halts_at_each_heartbeat(bully: &B, node: &mut Node<B>, input: Input<B>, out: &mut Outbox<B>) {
    let state = &mut node.volatile;
    let election = state.election;
    match &input {
        Input::Fire(Timer::Heartbeat) => {
            for &peer in bully.peers() {
                out.send(peer, Message::Okay { election });
            }
        }
        Input::Deliver {
            from,
            message: Message::Okay { election: told },
        } if *told == election && state.leader() == Some(*from) => {
            state.standing = Standing::Waiting;
            out.disarm(Timer::Leader);
            out.emit(Event::Election(election::Event::Electing { election }));
            return out.arm(Timer::Election(election::Timer::Coordinator));
        }
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => {}
    }
    bully.step(node, input, out);
}
