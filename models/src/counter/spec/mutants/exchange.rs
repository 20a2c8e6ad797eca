//! What replicas tell each other.

use super::{Out, foresee, forget, map_effects, message};
use crate::counter::counts::Counts;
use crate::counter::g_counter::GCounter;
use crate::counter::message::Message;
use crate::counter::state::Record;
use crate::counter::window::{Bucket, Buckets};
use crate::counter::{Counter, Timer};
use crate::protocol::{Effect, Input, Node, Protocol};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<Counter>] = &[
    Mutant {
        id: "CNT-FOREIGN-BUCKETS",
        defect: "buckets of another width than this window's are taken",
        source: "a bucket is known by its start and its width",
        model: "counter/mixed-windows",
        inject: |scenario| scenario.step = takes_all_buckets,
    },
    Mutant {
        id: "CNT-4",
        defect: "a merge adds instead of taking the maximum",
        source: "a seed program",
        model: "counter/deltas",
        inject: |scenario| scenario.step = adds,
    },
    Mutant {
        id: "CNT-6",
        defect: "a bucket is merged into the one that has its place in the ring now",
        source: "a seed program",
        model: "counter/window",
        inject: |scenario| scenario.step = merges_by_place_in_the_ring,
    },
    Mutant {
        id: "CNT-EXPIRED-RETURNS",
        defect: "a bucket that has expired is merged again",
        source: "a late delta brings it back",
        model: "counter/window",
        inject: |scenario| {
            scenario.step = merges_expired_buckets;
            // What has expired here is only inert if it stays so.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-EXPIRED-OWED",
        defect: "a bucket is owed to who has not acknowledged it, also when it has expired",
        source: "what is kept for a member that is cut off grows without bound",
        model: "counter/window",
        inject: |scenario| scenario.step = owes_what_has_expired,
    },
    Mutant {
        id: "CNT-LAST-WRITER-WINS",
        defect: "of two components the one that came last is kept",
        source: "Shapiro et al. 2011, Specification 6: merge",
        model: "counter/push-pull",
        inject: |scenario| {
            scenario.step = keeps_the_last;
            // What says nothing new changes nothing only if the maximum is kept.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-LARGER-SUM-WINS",
        defect: "of two states the one of larger value is kept whole",
        source: "Shapiro et al. 2011, Specification 6: merge",
        model: "counter/push-pull-later",
        inject: |scenario| scenario.step = keeps_the_larger,
    },
    Mutant {
        id: "CNT-ANSWERS-ANSWERED",
        defect: "the answer to a push-pull is answered like one: by what it did not say, for ever",
        source: "Demers et al. 1987, §1.3: a push and a pull, and no more",
        model: "counter/push-pull",
        inject: |scenario| scenario.step = answers_answers,
    },
    Mutant {
        id: "CNT-BUFFER-RESET",
        defect: "the delta-buffer is reset when it is sent, not when it is acknowledged",
        source: "Almeida et al. 2018, Algorithm 2",
        model: "counter/deltas",
        inject: |scenario| scenario.step = forgets_what_it_has_sent,
    },
    Mutant {
        id: "CNT-DELTA-LOST",
        defect: "deltas are sent once, and there is no push-pull",
        source: "Almeida et al. 2018, Algorithm 2; Demers et al. 1987, §1.3",
        model: "counter/connections",
        inject: |scenario| scenario.step = sends_once,
    },
    Mutant {
        id: "CNT-STALE-ACK",
        defect: "an acknowledgement settles everything, whatever it acknowledges",
        source: "Almeida et al. 2018, Algorithm 2: on receive ack",
        model: "counter/deltas",
        inject: |scenario| {
            scenario.step = settles_with_any_acknowledgement;
            // What is old settles nothing only if it settles what it names.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "CNT-ACK-UNMERGED",
        defect: "a delta is acknowledged, and not merged",
        source: "Almeida et al. 2018, Algorithm 2: on receive delta",
        model: "counter/deltas",
        inject: |scenario| scenario.step = acknowledges_without_merging,
    },
    Mutant {
        id: "CNT-TOTAL-UNSENT",
        defect: "a delta about a bucket carries no total",
        source: "the total outlives its buckets",
        model: "counter/window",
        inject: |scenario| scenario.step = sends_buckets_alone,
    },
    Mutant {
        id: "CNT-ACK-UNSYNCED",
        defect: "what was learned from others is acknowledged, and kept in memory",
        source: "Almeida et al. 2018, Algorithm 2: durable state",
        model: "counter/deltas",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Learned { .. })),
    },
    Mutant {
        id: "CNT-SENT-TWICE-NEVER",
        defect: "the broadcast timer is not armed again while something is owed",
        source: "Almeida et al. 2018, Algorithm 2: periodically",
        model: "counter/deltas",
        inject: |scenario| scenario.step = broadcasts_once,
    },
    Mutant {
        id: "CNT-TIMER-IN-VAIN",
        defect: "the timer for what is owed runs on when nothing is owed any more",
        source: "Almeida et al. 2018, Algorithm 2, periodically",
        model: "counter/deltas",
        inject: |scenario| scenario.step = never_stops_its_timer,
    },
    Mutant {
        id: "CNT-PUSH-ONLY",
        defect: "a push-pull is not answered",
        source: "Demers et al. 1987, §1.3",
        model: "counter/push-pull",
        inject: |scenario| scenario.step = only_pushes,
    },
    Mutant {
        id: "CNT-ANSWER-TRUSTS-DISK",
        defect: "the answer of a push-pull leaves out all that the other has said that it knows",
        source: "the total outlives its buckets, also where a disk was lost before the answer came",
        model: "counter/window-lost-disk",
        inject: |scenario| scenario.step = answers_what_is_missing,
    },
];

/// Changes what a message that is to be merged says.
fn amend(input: Input<Counter>, change: impl FnOnce(&mut Counts)) -> Input<Counter> {
    match input {
        Input::Deliver { from, mut message } => {
            match &mut message {
                Message::Delta { counts }
                | Message::PushPull { counts }
                | Message::PushPullReply { counts } => change(counts),
                Message::DeltaAck { .. } | Message::Fold(_) => {}
            }
            Input::Deliver { from, message }
        }
        input => input,
    }
}

fn adds(counter: &Counter, node: &mut Node<Counter>, input: Input<Counter>, out: &mut Out) {
    let known = node.durable().counts.total.clone();
    let own = node.durable().identity;
    let input = amend(input, |counts| {
        let others = counts
            .total
            .components()
            .filter(|(name, _)| Some(*name) != own);
        counts.total = others
            .map(|(name, count)| (name, count + known.count(name)))
            .collect();
    });
    counter.step(node, input, out);
}

fn merges_by_place_in_the_ring(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let known = node.durable().counts.buckets.clone();
    let place = |bucket: Bucket| bucket.start / bucket.width % 2;
    let here = |bucket: Bucket| {
        let mut live = known.iter().map(|(bucket, _)| bucket);
        live.find(|&other| place(other) == place(bucket))
            .unwrap_or(bucket)
    };
    let input = amend(input, |counts| {
        let buckets = counts.buckets.iter();
        counts.buckets = buckets
            .map(|(bucket, counter)| (here(bucket), counter.clone()))
            .collect();
    });
    counter.step(node, input, out);
}

fn merges_expired_buckets(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let horizon = node.durable().horizon;
    let counts = message(&input).map(Message::counts);
    let expired = counts.map(|counts| counts.buckets.only(|bucket| bucket.start < horizon));
    counter.step(node, input, out);
    if let Some(buckets) = expired.filter(|buckets| *buckets != Buckets::default()) {
        let counts = Counts {
            buckets,
            ..Counts::default()
        };
        node.write(Record::Learned { counts });
    }
}

fn owes_what_has_expired(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let owed = node.volatile.members.clone();
    counter.step(node, input, out);
    let horizon = node.durable().horizon;
    for (member, peer) in &mut node.volatile.members {
        if let Some(before) = owed.get(member) {
            let expired = before.pending.buckets.only(|bucket| bucket.start < horizon);
            peer.pending.buckets.merge(&expired);
        }
    }
}

/// The total that a message to be merged has, of others.
fn told(node: &Node<Counter>, input: &Input<Counter>) -> Option<GCounter> {
    let own = node.durable().identity;
    match message(input)? {
        Message::DeltaAck { .. } => None,
        message => {
            let components = message.counts().total.components();
            Some(components.filter(|(name, _)| Some(*name) != own).collect())
        }
    }
}

fn answers_answers(
    counter: &Counter,
    node: &mut Node<Counter>,
    mut input: Input<Counter>,
    out: &mut Out,
) {
    if let Input::Deliver { message, .. } = &mut input
        && let Message::PushPullReply { counts } = message
    {
        let counts = core::mem::take(counts);
        *message = Message::PushPull { counts };
    }
    counter.step(node, input, out);
}

fn overwrite(node: &mut Node<Counter>, total: GCounter) {
    let counts = Counts {
        total,
        ..Counts::default()
    };
    node.write(Record::Learned { counts });
}

fn keeps_the_last(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let last = told(node, &input);
    counter.step(node, input, out);
    let known = &node.durable().counts.total;
    if let Some(last) = last.filter(|last| !last.includes(known) && !last.is_empty()) {
        let last = last.components().filter(|(name, _)| known.count(*name) > 0);
        let last = last.collect();
        overwrite(node, last);
    }
}

fn keeps_the_larger(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let larger = match message(&input) {
        Some(Message::PushPull { counts } | Message::PushPullReply { counts }) => {
            let is_larger = counts.total.value() > node.durable().counts.total.value();
            is_larger.then(|| counts.total.clone())
        }
        _ => None,
    };
    counter.step(node, input, out);
    if let Some(larger) = larger {
        overwrite(node, larger);
    }
}

fn forgets_what_it_has_sent(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let sends = input == Input::Fire(Timer::Broadcast);
    counter.step(node, input, out);
    if sends {
        for peer in node.volatile.members.values_mut() {
            peer.pending = Counts::default();
        }
        out.disarm(Timer::Broadcast);
    }
}

fn sends_once(counter: &Counter, node: &mut Node<Counter>, input: Input<Counter>, out: &mut Out) {
    forgets_what_it_has_sent(counter, node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send {
            message: Message::PushPull { .. },
            ..
        } => None,
        effect => Some(effect),
    });
}

fn settles_with_any_acknowledgement(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let input = match input {
        Input::Deliver {
            from,
            message: Message::DeltaAck { .. },
        } => {
            let pending = node.volatile.members.get(&from);
            let counts = pending.map(|peer| peer.pending.clone()).unwrap_or_default();
            let message = Message::DeltaAck { counts };
            Input::Deliver { from, message }
        }
        input => input,
    };
    counter.step(node, input, out);
}

fn acknowledges_without_merging(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    if let Some(Message::Delta { .. }) = message(&input) {
        let (_, mut right) = foresee(counter, node, input);
        right
            .drain()
            .filter(|effect| matches!(effect, Effect::Send { .. }))
            .for_each(|effect| out.push(effect));
    } else {
        counter.step(node, input, out);
    }
}

fn sends_buckets_alone(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send {
            to,
            message: Message::Delta { mut counts },
        } => {
            counts.total = GCounter::default();
            let message = Message::Delta { counts };
            Some(Effect::Send { to, message })
        }
        effect => Some(effect),
    });
}

fn broadcasts_once(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let fires = input == Input::Fire(Timer::Broadcast);
    counter.step(node, input, out);
    if fires {
        out.disarm(Timer::Broadcast);
    }
}

fn never_stops_its_timer(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    counter.step(node, input, out);
    map_effects(out, |effect| {
        (effect != Effect::Disarm(Timer::Broadcast)).then_some(effect)
    });
}

fn only_pushes(counter: &Counter, node: &mut Node<Counter>, input: Input<Counter>, out: &mut Out) {
    counter.step(node, input, out);
    map_effects(out, |effect| match effect {
        Effect::Send {
            message: Message::PushPullReply { .. },
            ..
        } => None,
        effect => Some(effect),
    });
}

fn answers_what_is_missing(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let pushed = message(&input).map(|message| message.counts().clone());
    counter.step(node, input, out);
    map_effects(out, |effect| match (effect, &pushed) {
        (
            Effect::Send {
                to,
                message: Message::PushPullReply { counts },
            },
            Some(pushed),
        ) => Some(Effect::Send {
            to,
            message: Message::PushPullReply {
                counts: counts.difference(pushed),
            },
        }),
        (effect, _) => Some(effect),
    });
}

fn takes_all_buckets(
    counter: &Counter,
    node: &mut Node<Counter>,
    input: Input<Counter>,
    out: &mut Out,
) {
    let told = match message(&input) {
        Some(
            Message::Delta { counts }
            | Message::PushPull { counts }
            | Message::PushPullReply { counts },
        ) => Some(counts.clone()),
        _ => None,
    };
    counter.step(node, input, out);
    if let Some(counts) = told {
        let horizon = node.durable().horizon;
        let mut news = counts.difference(&node.durable().counts);
        news.buckets = news.buckets.only(|bucket| bucket.start >= horizon);
        if !news.is_empty() {
            node.write(Record::Learned { counts: news });
        }
    }
}
