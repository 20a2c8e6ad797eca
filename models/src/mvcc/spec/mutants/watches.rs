//! Watches with one defect each, at the store or at the watcher.

use alloc::vec::Vec;

use crate::mvcc::standalone::{Message, Record, Seen};
use crate::protocol::{Effect, Input, Node, Protocol};
use crate::specification::Mutant;

use super::{Out, S};

pub(super) const MUTANTS: &[Mutant<S>] = &[
    Mutant {
        id: "MVCC-PAGE-SPLIT",
        defect: "a page ends within a revision, and the next one begins after it",
        source: "etcd's watch guarantees: atomic",
        model: "mvcc/watch",
        inject: |scenario| scenario.step = |s, n, i, o| changes_pages(s, n, i, o, splits),
    },
    Mutant {
        id: "MVCC-PAGE-FROM-NEXT",
        defect: "a page begins after the revision that was asked for",
        source: "etcd's watch guarantees: reliable",
        model: "mvcc/watch",
        inject: |scenario| scenario.step = |s, n, i, o| changes_pages(s, n, i, o, skips_the_first),
    },
    Mutant {
        id: "MVCC-PAGE-TWICE",
        defect: "a watcher takes any page, also one that it has taken",
        source: "etcd's watch guarantees: unique",
        model: "mvcc/watch",
        inject: |scenario| {
            scenario.step = takes_any_page;
            // To a watcher that takes any page none is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MVCC-GAP-UNTOLD",
        defect: "who asks for what is compacted is told what is left, as if it were all",
        source: "etcd's watch guarantees: a watch is cancelled by a compaction",
        model: "mvcc/watch",
        inject: |scenario| scenario.step = does_not_tell_of_gaps,
    },
    Mutant {
        id: "MVCC-GAP-INVENTED",
        defect: "who is far behind is told of a gap, though nothing is compacted",
        source: "etcd's watch guarantees: reliable",
        model: "mvcc/watch",
        inject: |scenario| scenario.step = |s, n, i, o| changes_pages(s, n, i, o, invents_a_gap),
    },
];

/// A step in which what the store tells watchers is changed so.
fn changes_pages(
    store: &S,
    node: &mut Node<S>,
    input: Input<S>,
    out: &mut Out,
    change: fn(&Node<S>, Message) -> Message,
) {
    store.step(node, input, out);
    let effects: Vec<Effect<S>> = out.drain().collect();
    for effect in effects {
        out.push(match effect {
            Effect::Send { to, message } => Effect::Send {
                to,
                message: change(node, message),
            },
            effect => effect,
        });
    }
}

fn splits(_: &Node<S>, message: Message) -> Message {
    match message {
        Message::Page(mut page) => {
            page.events.truncate(1);
            Message::Page(page)
        }
        message => message,
    }
}

fn skips_the_first(_: &Node<S>, message: Message) -> Message {
    match message {
        Message::Page(mut page) => {
            page.events.retain(|event| event.revision > page.from);
            Message::Page(page)
        }
        message => message,
    }
}

fn invents_a_gap(node: &Node<S>, message: Message) -> Message {
    match message {
        Message::Page(page) if page.next <= node.durable().store.revision() => Message::Compacted {
            from: page.from,
            compacted: node.durable().store.revision(),
        },
        message => message,
    }
}

fn takes_any_page(watcher: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    match input {
        Input::Deliver {
            message: Message::Page(page),
            ..
        } if page.next > page.from && !page.events.is_empty() => {
            let seen = page.events.into_iter().map(Seen::Event).collect();
            node.write(Record::Seen(seen, page.next));
        }
        input => watcher.step(node, input, out),
    }
}

fn does_not_tell_of_gaps(store: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out) {
    let Input::Deliver {
        from,
        message: Message::Changes(changes),
    } = input
    else {
        return store.step(node, input, out);
    };
    let compacted = node.durable().store.history().compacted();
    let mut asked = changes.clone();
    asked.from = asked.from.max(compacted);
    let message = Message::Changes(asked);
    store.step(node, Input::Deliver { from, message }, out);
    let effects: Vec<Effect<S>> = out.drain().collect();
    for effect in effects {
        if let Effect::Send {
            to,
            message: Message::Page(mut page),
        } = effect
        {
            page.from = changes.from;
            out.send(to, Message::Page(page));
        }
    }
}
