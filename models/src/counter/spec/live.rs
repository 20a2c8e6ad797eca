//! The worlds in which the counter's liveness is decided, and the mutants that only liveness
//! refutes while nodes go on exchanging what they know.

use crate::counter::Counter;
use crate::counter::message::Message;
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::Scenario;

use super::folding;
use super::scenarios::{self, Limits};

/// Every model in which the counter's liveness is decided.
pub const MODELS: &[LiveModel<Counter>] = &[
    LiveModel {
        model: Model {
            name: "counter/live",
            size: Size::Gate,
            purpose: "what is counted anywhere gets everywhere, and deltas are acknowledged",
            faults: "1 crash, also within a step; 1 message lost",
            bounds: "2 replicas, 1 increment at one, channels in order, messages beat timers",
            states: Some(555),
            reaches: &["an increment is acknowledged"],
            scenario: || patient(scenarios::connected(2, &[1], Limits::ALL, 1, 0, 1)),
        },
        decides: DECIDES,
    },
    LiveModel {
        model: Model {
            name: "counter/live-partition",
            size: Size::Gate,
            purpose: "what is counted anywhere gets everywhere once links are whole again",
            faults: "1 cut",
            bounds: "2 replicas, 1 increment at each, channels in order, messages beat timers",
            states: Some(10_827),
            reaches: &["an increment is acknowledged"],
            scenario: || patient(scenarios::connected(2, &[1, 1], Limits::ALL, 0, 1, 0)),
        },
        decides: DECIDES,
    },
    LiveModel {
        model: Model {
            name: "counter/live-leave",
            size: Size::Gate,
            purpose: "a node that is to leave learns when it may",
            faults: "1 crash, also within a step; 1 message lost",
            bounds: "2 replicas, 1 increment, channels in order, messages beat timers",
            states: Some(10_347),
            reaches: &[
                "an increment is acknowledged",
                "a node has told all that it knows and may leave",
            ],
            scenario: || patient(scenarios::leaving_connected(1, 1)),
        },
        decides: &["Who wants to leave may in the end"],
    },
    LiveModel {
        model: Model {
            name: "counter/live-fold",
            size: Size::Gate,
            purpose: "what is dead is folded, and all hear of it",
            faults: "1 crash, also within a step; 1 message lost",
            bounds: "2 replicas, n1 has had a disk before, channels in order, messages beat timers",
            states: Some(7_746),
            reaches: &["all have folded what was dead"],
            scenario: || patient(folding::live()),
        },
        decides: &[
            "All replicas come to the exact sum",
            "Every delta is acknowledged",
            "What is dead is folded in the end",
            "The network falls silent again and again",
        ],
    },
    LiveModel {
        model: Model {
            name: "counter/live-fold-departed",
            size: Size::Gate,
            purpose: "what is dead is folded without a node that is gone for good, and has begun to",
            faults: "1 message lost",
            bounds: "2 replicas and n2, which is gone for good, as n1 is told, and has begun to fold what was counted \
                     on a disk of n1's before; channels in order, messages beat timers",
            states: Some(1_824),
            reaches: &["an acceptor has accepted a fold"],
            scenario: || patient(folding::live_departed()),
        },
        decides: &["What is dead is folded in the end"],
    },
    LiveModel {
        model: Model {
            name: "counter/live-fold-lost-disk",
            size: Size::Gate,
            purpose: "what is dead is folded although a disk is lost with what it has promised",
            faults: "1 crash, 1 disk lost",
            bounds: "2 replicas, n1 has had a disk before; 2 incarnations drawn; channels in \
                     order, messages beat timers",
            states: Some(22_655),
            reaches: &["all have folded what was dead"],
            scenario: || patient(folding::live_lost_disk()),
        },
        decides: &["What is dead is folded in the end"],
    },
];

const DECIDES: &[&str] = &[
    "All replicas come to the exact sum",
    "Every delta is acknowledged",
    "The network falls silent again and again",
];

/// Mutants in the worlds in which liveness is decided.
pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-TELLS-ONCE",
        defect: "there is no push-pull, and what a node has counted is sent once: not again when \
                 nothing came of it",
        source: "Shapiro et al. 2011, §2.2.1: updates are delivered to all replicas in the end",
        model: "counter/live",
        inject: |scenario| scenario.step = tells_once,
    },
    Mutant {
        id: "CNT-UNACKNOWLEDGED",
        defect: "a delta is taken over and not acknowledged: it is sent for ever",
        source: "Almeida et al. 2018, Algorithm 2: on receive delta",
        model: "counter/live",
        inject: |scenario| scenario.step = acknowledges_nothing,
    },
    Mutant {
        id: "CNT-ASKS-BACK",
        defect: "who is asked for what it knows asks back at once: two replicas exchange all that they \
                 know as fast as the network is, for ever",
        source: "Demers et al. 1987, §1.3: a push and a pull, and no more until the next is due",
        model: "counter/live",
        inject: |scenario| scenario.step = asks_back,
    },
    Mutant {
        id: "CNT-LEAVES-UNTOLD",
        defect: "a node that is to leave tells the others nothing any more of its own accord: what it \
                 alone knows stays on its disk, and it may never leave",
        source: "Shapiro et al. 2011, §2.2.1: updates are delivered to all replicas in the end",
        model: "counter/live-leave",
        inject: |scenario| scenario.step = leaves_untold,
    },
];

/// A client asks often enough.
fn patient(scenario: Scenario<Counter>) -> Scenario<Counter> {
    Scenario {
        tries: 3,
        ..scenario
    }
}

/// What is counted is sent at once; the timers run, and nothing comes of it.
fn tells_once(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Outbox<Counter>,
) {
    let counts = matches!(input, Input::Ask(_));
    let is_timer = matches!(input, Input::Fire(_));
    step_and_drop(counter, node, input, out, |effect| {
        is_timer && matches!(effect, Effect::Send { .. })
    });
    for (&member, peer) in &node.volatile.members {
        if counts && !peer.pending.is_empty() {
            let counts = peer.pending.clone();
            out.send(member, Message::Delta { counts });
        }
    }
}

/// Unless it has something to tell: that it does before.
fn asks_back(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Outbox<Counter>,
) {
    let asker = match &input {
        Input::Deliver {
            from,
            message: Message::PushPull { .. },
        } => Some(*from),
        _ => None,
    };
    counter.step(node, input, out);
    if let Some(asker) = asker.filter(|_| node.volatile.is_settled()) {
        let counts = node.durable().counts.clone();
        out.send(asker, Message::PushPull { counts });
    }
}

fn acknowledges_nothing(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Outbox<Counter>,
) {
    step_and_drop(counter, node, input, out, |effect| match effect {
        Effect::Send { message, .. } | Effect::SendEarly { message, .. } => {
            matches!(message, Message::DeltaAck { .. })
        }
        Effect::Arm(_) | Effect::Disarm(_) | Effect::Emit(_) => false,
    });
}

fn leaves_untold(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Outbox<Counter>,
) {
    let is_mute = node.volatile.leaving && matches!(input, Input::Fire(_));
    step_and_drop(counter, node, input, out, |effect| {
        is_mute && matches!(effect, Effect::Send { .. })
    });
}

/// Lets the protocol take its step, and leaves out the effects of which `is_dropped` is true.
fn step_and_drop(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Outbox<Counter>,
    is_dropped: impl Fn(&Effect<Counter>) -> bool,
) {
    let mut right = Outbox::new();
    counter.step(node, input, &mut right);
    for effect in right.drain().filter(|effect| !is_dropped(effect)) {
        out.push(effect);
    }
}
