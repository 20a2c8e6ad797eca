//! The worlds in which the store's liveness is decided, and the mutants that only liveness refutes.

use super::scenarios;
use crate::mvcc::standalone::{Message, Standalone, Timer};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::specification::{LiveModel, Model, Mutant, Size};

/// Every model in which the store's liveness is decided.
pub const MODELS: &[LiveModel<Standalone>] = &[
    LiveModel {
        model: Model {
            name: "mvcc/live-watch",
            size: Size::Gate,
            purpose: "a watcher sees one change after the other, and all in the end",
            faults: "1 crash, also within a step; 2 messages lost",
            bounds: "1 watcher; 2 clients, 4 requests; channels in order, messages beat timers",
            states: Some(1_758),
            reaches: &[
                "a watcher sees a change",
                "a watcher is told of a gap",
                "a watcher has seen all there is",
            ],
            scenario: scenarios::live_watch,
        },
        decides: DECIDES,
    },
    LiveModel {
        model: Model {
            name: "mvcc/live-watch-key",
            size: Size::Gate,
            purpose: "a watcher of one key gets past what is changed of others",
            faults: "1 crash, also within a step; 2 messages lost",
            bounds: "1 watcher; 2 clients, 4 requests; channels in order, messages beat timers",
            states: Some(2_490),
            reaches: &["a watcher sees a change", "a watcher has seen all there is"],
            scenario: scenarios::live_watch_key,
        },
        decides: DECIDES,
    },
];

const DECIDES: &[&str] = &[
    "Every watcher comes to see all there is",
    "The network falls silent again and again",
];

/// Mutants in the worlds in which liveness is decided.
pub(super) const MUTANTS: &[Mutant<Standalone>] = &[
    Mutant {
        id: "MVCC-ASKS-ONCE",
        defect: "a watcher asks once what has been changed, and never again",
        source: "etcd's watch guarantees: reliable",
        model: "mvcc/live-watch",
        inject: |scenario| scenario.step = asks_once,
    },
    Mutant {
        id: "MVCC-ASKS-WHEN-ANSWERED",
        defect: "a watcher asks again when it is answered, and not when nothing comes: a page that is lost is \
                 waited for for ever",
        source: "etcd's watch guarantees: reliable, resumable",
        model: "mvcc/live-watch",
        inject: |scenario| scenario.step = asks_when_answered,
    },
    Mutant {
        id: "MVCC-GAP-STAYS",
        defect: "who asks for what is compacted is told nothing, as often as it asks",
        source: "etcd's watch guarantees: a watch is cancelled by a compaction, and says where to go on",
        model: "mvcc/live-watch",
        inject: |scenario| scenario.step = says_nothing_of_gaps,
    },
    Mutant {
        id: "MVCC-PAGE-OF-NOTHING",
        defect: "a page without events is not sent: a watcher never gets past what it does not watch",
        source: "etcd's API reference, WatchCreateRequest.progress_notify: a watcher without events is told the \
                 revision, to resume from there",
        model: "mvcc/live-watch-key",
        inject: |scenario| scenario.step = sends_no_empty_page,
    },
    Mutant {
        id: "MVCC-ASKS-AT-ONCE",
        defect: "who has been told all there is asks again at once, as fast as the network is, for ever",
        source: "what is asked again is asked when the timer runs out",
        model: "mvcc/live-watch",
        inject: |scenario| scenario.step = asks_at_once,
    },
];

type S = Standalone;
type Out = Outbox<S>;

fn asks_once(watcher: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    step_and_drop(watcher, node, input, out, |effect| {
        matches!(effect, Effect::Arm(Timer::Poll))
    });
}

fn asks_when_answered(watcher: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    let is_answer = matches!(
        input,
        Input::Deliver {
            message: Message::Page(_) | Message::Compacted { .. },
            ..
        }
    );
    asks_once(watcher, node, input, out);
    if is_answer {
        out.arm(Timer::Poll);
    }
}

fn says_nothing_of_gaps(store: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    step_and_drop(store, node, input, out, |effect| {
        let message = sent(effect);
        matches!(message, Some(Message::Compacted { .. }))
    });
}

fn sends_no_empty_page(store: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    step_and_drop(store, node, input, out, |effect| match sent(effect) {
        Some(Message::Page(page)) => page.events.is_empty(),
        _ => false,
    });
}

fn asks_at_once(watcher: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    let is_page = matches!(
        input,
        Input::Deliver {
            message: Message::Page(_),
            ..
        }
    );
    watcher.step(node, input, out);
    if is_page {
        watcher.step(node, Input::Fire(Timer::Poll), out);
    }
}

fn sent(effect: &Effect<S>) -> Option<&Message> {
    match effect {
        Effect::Send { message, .. } | Effect::SendEarly { message, .. } => Some(message),
        Effect::Arm(_) | Effect::Disarm(_) | Effect::Emit(_) => None,
    }
}

/// Lets the protocol take its step, and leaves out the effects of which `is_dropped` is true.
fn step_and_drop(
    node_of: &S,
    node: &mut Node<S>,
    input: Input<S>,
    out: &mut Out,
    is_dropped: impl Fn(&Effect<S>) -> bool,
) {
    let mut right = Outbox::new();
    node_of.step(node, input, &mut right);
    for effect in right.drain().filter(|effect| !is_dropped(effect)) {
        out.push(effect);
    }
}
