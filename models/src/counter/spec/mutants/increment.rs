//! What is done for clients.

use super::{Out, foresee, map_effects};
use crate::counter::counts::Counts;
use crate::counter::g_counter::GCounter;
use crate::counter::message::Message;
use crate::counter::recent::Known;
use crate::counter::state::Record;
use crate::counter::{Command, Counter, Event, Refusal};
use crate::protocol::{Effect, Input, Node, Protocol};
use crate::specification::Mutant;
use crate::world::Disk;

pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-5",
        defect: "components wrap around",
        source: "a seed program",
        model: "counter/overflow",
        inject: |scenario| scenario.step = wraps_around,
    },
    Mutant {
        id: "CNT-5-PANIC",
        defect: "a delta whose components do not fit 64 bits together brings the node down",
        source: "a seed program",
        model: "counter/overflow",
        inject: |scenario| scenario.step = sums_in_64_bits,
    },
    Mutant {
        id: "CNT-SUM-OVERFLOW",
        defect: "the sum of the components wraps around unnoticed",
        source: "no component overflows, and yet their sum does",
        model: "counter/overflow",
        inject: |scenario| scenario.step = tells_64_bits,
    },
    Mutant {
        id: "CNT-RETRY-COUNTED",
        defect: "a request that is asked again is counted again",
        source: "the answer was lost, not the request",
        model: "counter/retries",
        inject: |scenario| scenario.step = forgets_requests,
    },
    Mutant {
        id: "CNT-OVERTAKEN",
        defect: "a request that comes after a later one of its client is counted, and known for the \
                 client's last: the later one, asked again, is counted again",
        source: "a client's requests may overtake each other",
        model: "counter/overtaken",
        inject: |scenario| scenario.step = counts_what_was_overtaken,
    },
    Mutant {
        id: "CNT-LEAVING-COUNTS",
        defect: "a node that is about to leave goes on counting",
        source: "its disk is not needed when it is drained, and what it counts then is lost",
        model: "counter/leaving-alone",
        inject: |scenario| scenario.step = counts_while_it_leaves,
    },
    Mutant {
        id: "CNT-REMEMBERS-ALL",
        defect: "no client is ever forgotten",
        source: "a disk grows with the clients that have ever counted",
        model: "counter/sessions",
        inject: |scenario| scenario.step = remembers_all,
    },
    Mutant {
        id: "CNT-FORGETS-THE-LATEST",
        defect: "who has just counted is forgotten, to make room for others",
        source: "a retry at the same node counts once",
        model: "counter/sessions",
        inject: |scenario| scenario.step = forgets_the_latest,
    },
    Mutant {
        id: "CNT-SEND-BEFORE-SYNC",
        defect: "answers and deltas leave before the increment is on disk",
        source: "the driver's law; Almeida et al. 2018, Algorithm 2: durable state",
        model: "counter/deltas",
        inject: |scenario| scenario.disk = Disk::SendBeforeSync,
    },
    Mutant {
        id: "CNT-DELTA-EARLY",
        defect: "a delta carries an increment that is not written yet",
        source: "Almeida et al. 2018, Algorithm 2: durable state",
        model: "counter/retries",
        inject: |scenario| scenario.step = broadcasts_before_it_counts,
    },
    Mutant {
        id: "CNT-FORGED-SLOT",
        defect: "a node counts into another's component",
        source: "Shapiro et al. 2011, Specification 6: g = myID()",
        model: "counter/deltas",
        inject: |scenario| scenario.step = counts_for_another,
    },
    Mutant {
        id: "CNT-WRONG-BUCKET",
        defect: "an increment falls into the latest bucket, whenever it was",
        source: "each bucket has what was counted in its span of time",
        model: "counter/window",
        inject: |scenario| scenario.step = counts_into_the_latest_bucket,
    },
    Mutant {
        id: "CNT-EXPIRY-SHRINKS",
        defect: "what a bucket had is taken from the total when it expires",
        source: "the total outlives its buckets",
        model: "counter/window",
        inject: |scenario| scenario.step = takes_expired_from_total,
    },
];

/// How much the increment is by, if it was refused because that is too much.
fn overflowing(out: &Out, input: &Input<Counter>) -> Option<u64> {
    let Input::Ask(Command::Increment(increment)) = input else {
        return None;
    };
    let refused = Effect::Emit(Event::Refused {
        request: increment.request,
        why: Refusal::Overflow,
    });
    out.effects().contains(&refused).then_some(increment.amount)
}

fn wraps_around(counter: &Counter, node: &mut Node<Counter>, input: Input<Counter>, out: &mut Out) {
    let (_, right) = foresee(counter, node, input.clone());
    let overflowing = overflowing(&right, &input);
    let (Some(amount), Some(name)) = (overflowing, node.durable().identity) else {
        return counter.step(node, input, out);
    };
    let Input::Ask(Command::Increment(increment)) = input else {
        return;
    };
    let count = node.durable().counts.total.count(name).wrapping_add(amount);
    let counts = Counts {
        total: GCounter::from_iter([(name, count)]),
        ..Counts::default()
    };
    let request = increment.request;
    node.write(Record::Counted { request, counts });
    out.emit(Event::Incremented {
        request,
        value: node.durable().counts.total.value(),
        repeated: false,
    });
}

fn sums_in_64_bits(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    let mut components = node.durable().counts.total.components();
    let sum = components.try_fold(0u64, |sum, (_, count)| sum.checked_add(count));
    assert!(sum.is_some(), "attempt to add with overflow");
}

fn tells_64_bits(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    map_effects(out, |effect| {
        Some(match effect {
            Effect::Emit(Event::Value { request, value }) => Effect::Emit(Event::Value {
                request,
                value: u128::from(value as u64),
            }),
            effect => effect,
        })
    });
}

fn forgets_requests(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::Increment(increment)) = &input {
        node.write(Record::Forgotten(increment.request.client));
    }
    counter.step(node, input, out);
}

fn counts_what_was_overtaken(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Ask(Command::Increment(increment)) = &input
        && node.durable().recent.find(increment.request) == Known::Superseded
    {
        node.write(Record::Forgotten(increment.request.client));
    }
    counter.step(node, input, out);
}

fn remembers_all(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let roomy = Counter {
        max_sessions: usize::MAX,
        ..counter.clone()
    };
    roomy.step(node, input, out);
}

fn forgets_the_latest(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let client = match &input {
        Input::Ask(Command::Increment(increment)) => Some(increment.request.client),
        _ => None,
    };
    counter.step(node, input, out);
    if let Some(client) = client {
        node.write(Record::Forgotten(client));
    }
}

/// Sends what it would have counted, and then loses the request.
fn broadcasts_before_it_counts(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let is_increment = matches!(input, Input::Ask(Command::Increment(_)));
    if !is_increment {
        return counter.step(node, input, out);
    }
    let (counted, _) = foresee(counter, node, input.clone());
    if counted.durable().own() == node.durable().own() {
        return counter.step(node, input, out);
    }
    for &member in node.volatile.members.keys() {
        let counts = counted.durable().own();
        out.send(member, Message::Delta { counts });
    }
}

fn counts_for_another(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let is_increment = matches!(input, Input::Ask(Command::Increment(_)));
    counter.step(node, input, out);
    let mine = node.durable().identity;
    let total = &node.durable().counts.total;
    let another = total.components().find(|&(name, _)| Some(name) != mine);
    if let Some((other, count)) = another.filter(|_| is_increment) {
        let counts = Counts {
            total: GCounter::from_iter([(other, count.saturating_add(1))]),
            ..Counts::default()
        };
        node.write(Record::Learned { counts });
    }
}

fn counts_into_the_latest_bucket(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let input = match input {
        Input::Ask(Command::Increment(mut increment)) => {
            let buckets = node.durable().counts.buckets.iter();
            let latest = buckets.map(|(bucket, _)| bucket.start).last();
            increment.now = increment.now.max(latest.unwrap_or_default());
            Input::Ask(Command::Increment(increment))
        }
        input => input,
    };
    counter.step(node, input, out);
}

fn takes_expired_from_total(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let before = node.durable().clone();
    counter.step(node, input, out);
    let horizon = node.durable().horizon;
    let expired = before.counts.buckets.only(|bucket| bucket.start < horizon);
    let total = before.counts.total.components().map(|(name, count)| {
        let buckets = expired.iter().map(|(_, counter)| counter.count(name));
        (name, count - buckets.sum::<u64>())
    });
    let total: GCounter = total.collect();
    if !expired.is_empty() && !total.is_empty() {
        let counts = Counts {
            total,
            ..Counts::default()
        };
        node.write(Record::Learned { counts });
    }
}

fn counts_while_it_leaves(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let leaves = core::mem::take(&mut node.volatile.leaving);
    let asks = matches!(input, Input::Ask(Command::Increment(_)));
    if asks {
        counter.step(node, input, out);
        node.volatile.leaving = leaves;
    } else {
        node.volatile.leaving = leaves;
        counter.step(node, input, out);
    }
}
