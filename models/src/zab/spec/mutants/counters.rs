//! What goes wrong where the counters of two zxids are compared, and not their epochs.

use crate::protocol::{Input, Node, Outbox, Protocol};
use crate::specification::Mutant;
use crate::zab::message::Message;
use crate::zab::state::Record;

use super::{Z, last_zxid, message};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-NEXT-BY-COUNTER",
        defect: "a follower takes a proposal for the next one by its counter alone: the second of an epoch \
                 follows the first of the one before",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/broadcast-later-epoch",
        inject: |scenario| scenario.step = takes_the_next_by_counters,
    },
    Mutant {
        id: "ZAB-COMPACTS-BY-COUNTER",
        defect: "what a snapshot has is told by the counters alone: of a later epoch what is not delivered is \
                 deleted with it",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/broadcast-later-epoch",
        inject: |scenario| scenario.step = compacts_by_counters,
    },
    Mutant {
        id: "ZAB-TRUNC-BY-COUNTER",
        defect: "what a TRUNC takes is told by the counters alone: a transaction of a later epoch stays",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/trunc-later-epoch",
        inject: |scenario| scenario.step = truncates_by_counters,
    },
    Mutant {
        id: "ZAB-CONTRADICTED-BY-COUNTER",
        defect: "whether a TRUNC would take what is delivered is told by the counters alone: the node looks \
                 for another leader, for ever",
        source: "DSN 2011, §III.C: zxids are ordered by epoch, then by counter",
        model: "zab/two-ensembles-later",
        inject: |scenario| scenario.step = is_contradicted_by_counters,
    },
];

fn takes_the_next_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, Message::Propose(transaction))) = message(&input)
        && zab.has_joined(node, leader, transaction.zxid.epoch)
        && transaction.zxid > last_zxid(node)
        && transaction.zxid.counter == last_zxid(node).counter + 1
    {
        let zxid = transaction.zxid;
        node.write(Record::Append(transaction.clone()));
        return out.send(leader, Message::Ack { zxid });
    }
    zab.step(node, input, out);
}

fn compacts_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let since = node.durable().history.snapshot().zxid;
    let last = last_zxid(node);
    let (mut foreseen, mut right) = (node.clone(), Outbox::new());
    zab.step(&mut foreseen, input.clone(), &mut right);
    let taken = foreseen.durable().history.snapshot().zxid;
    if taken > since && taken < last && last.counter <= taken.counter {
        node.write(Record::Compact {
            snapshot: taken,
            forgotten: last,
        });
    }
    zab.step(node, input, out);
}

fn truncates_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let last = last_zxid(node);
    match message(&input) {
        Some((_, Message::Trunc { from, to, .. }))
            if *from == last && last.counter <= to.counter => {}
        _ => zab.step(node, input, out),
    }
}

fn is_contradicted_by_counters(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let delivered = node.volatile.delivered.zxid;
    match message(&input) {
        Some((leader, &Message::Trunc { epoch, from, to }))
            if zab.follows(node, leader, epoch)
                && from == last_zxid(node)
                && to < delivered
                && to.counter >= delivered.counter =>
        {
            zab.look_for_leader(node, out);
        }
        _ => zab.step(node, input, out),
    }
}
