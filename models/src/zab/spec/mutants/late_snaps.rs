//! What is wrong with a SNAP that comes late.

use crate::protocol::{Input, Node, Outbox, Protocol};
use crate::raft::spec::Adder;
use crate::specification::Mutant;
use crate::zab::Event;
use crate::zab::history::Snapshot;
use crate::zab::message::Message;
use crate::zab::state::Record;

use super::{Z, following, message};

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-LATE-SNAP",
        defect: "a SNAP that comes late takes what has been acknowledged since",
        source: "DSN 2011, step f.2.1; Medeiros 2012, §4.2",
        model: "zab/snap-late",
        inject: |scenario| scenario.step = restores_late,
    },
    Mutant {
        id: "ZAB-STALE-SNAP",
        defect: "a SNAP of an earlier epoch takes what has been acknowledged to the leader of a later one",
        source: "DSN 2011, step f.2.1; Medeiros 2012, §4.2",
        model: "zab/snap-earlier-epoch",
        inject: |scenario| scenario.step = restores_of_an_earlier_epoch,
    },
];

/// Takes a snapshot of what is not delivered here, whatever else the node has.
fn restore(zab: &Z, node: &mut Node<Z>, snapshot: Snapshot<Adder>, out: &mut Outbox<Z>) {
    let zxid = snapshot.zxid;
    if zxid > node.volatile.delivered.zxid {
        node.write(Record::Restore(snapshot.clone()));
        node.volatile.delivered = snapshot;
        out.emit(Event::Restored { zxid });
        zab.answer_commands(node, out);
    }
}

fn restores_late(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match message(&input) {
        Some((leader, Message::Snap { epoch, snapshot })) if zab.follows(node, leader, *epoch) => {
            restore(zab, node, snapshot.clone(), out);
        }
        _ => zab.step(node, input, out),
    }
}

fn restores_of_an_earlier_epoch(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let accepted = node.durable().accepted_epoch;
    match message(&input) {
        Some((_, Message::Snap { epoch, snapshot }))
            if *epoch < accepted && following(node).is_some() =>
        {
            restore(zab, node, snapshot.clone(), out);
        }
        _ => zab.step(node, input, out),
    }
}
