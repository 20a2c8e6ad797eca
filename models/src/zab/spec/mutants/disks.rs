//! What is wrong on a lost disk, and where a leader is not to be obeyed.

use crate::protocol::{Input, Node, Outbox, Protocol};
use crate::raft::spec::Adder;
use crate::specification::Mutant;
use crate::zab::message::Message;
use crate::zab::state::{Record, Volatile};

use super::{Z, forget, last_zxid, message};
use crate::zab::spec::Oracle;

/// Those mutants.
pub(super) const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-BLANK-TAKES-PART",
        defect: "a member whose disk is empty joins with zxid 0: a quorum of emptied and lagging \
                 members elects a history without what is committed",
        source: "ZooKeeper, whose servers start on an empty folder; KAFKA-12181",
        model: "zab/lost-disk",
        inject: |scenario| {
            scenario.drop_inert = false;
            scenario.boot = looks_all_the_same;
            scenario.step = begins_anew;
        },
    },
    Mutant {
        id: "ZAB-TRUNCATES-DELIVERED",
        defect: "a follower truncates whatever its leader lacks, also what it has delivered",
        source: "DSN 2011, §III.B: what is delivered stays",
        model: "zab/two-ensembles",
        inject: |scenario| scenario.step = truncates_delivered,
    },
    Mutant {
        id: "ZAB-HALT-FORGOTTEN",
        defect: "that it has halted a node keeps in memory alone",
        source: "what a node must not forget is on its disk",
        model: "zab/two-ensembles",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Halt(_))),
    },
    Mutant {
        id: "ZAB-HALT-SPEAKS",
        defect: "a node that has halted acknowledges what it is sent",
        source: "nothing that a contradicted node says counts",
        model: "zab/two-ensembles",
        inject: |scenario| {
            scenario.drop_inert = false;
            scenario.step = acknowledges_halted;
        },
    },
];

fn looks_all_the_same(
    zab: &Z,
    durable: &<Z as Protocol>::Durable,
    out: &mut Outbox<Z>,
) -> Volatile<Adder, Oracle> {
    let mut disk = durable.clone();
    disk.is_member = true;
    zab.boot(&disk, out)
}

fn begins_anew(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if !node.durable().is_member {
        node.write(Record::Initialize);
    }
    zab.step(node, input, out);
}

fn truncates_delivered(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::Trunc { epoch, from, to })) = message(&input)
        && zab.follows(node, leader, epoch)
        && from == last_zxid(node)
    {
        return node.write(Record::Truncate { to });
    }
    zab.step(node, input, out);
}

fn acknowledges_halted(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    if let Some((leader, &Message::NewLeader { epoch, last_zxid })) = message(&input)
        && node.durable().halted.is_some()
    {
        return out.send(leader, Message::AckNewLeader { epoch, last_zxid });
    }
    zab.step(node, input, out);
}
