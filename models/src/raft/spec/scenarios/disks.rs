//! Worlds in which a disk is lost, or two clusters meet.

use alloc::collections::BTreeMap;
use alloc::vec;

use super::membership::{changing, with_learner};
use super::{
    Checked, candidates, client_commands, cluster, connected, disk, disk_holding, election, request,
};
use crate::protocol::{DiskId, Durable, NodeId};
use crate::raft::configuration::{Configuration, Contact};
use crate::raft::log::{Content, Index};
use crate::raft::membership::Change;
use crate::raft::spec::machine::{Add, Adder};
use crate::raft::spec::prologue::Prologue;
use crate::raft::state::{Persistent, Record};
use crate::raft::{Command, Timer};
use crate::world::{Delivery, Faults, Scenario, Timing};

/// Three nodes, elections, a client that writes, and a node that crashes; its disk may be lost, and
/// it starts again on an empty one.
pub(in crate::raft::spec) fn lost_disk() -> Checked {
    let mut scenario = connected(2, 1, 0, 1);
    scenario.faults.lost_disks = 1;
    scenario
}

/// One after the other, and messages that beat timers.
fn in_order(scenario: Checked) -> Checked {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults::default(),
        ..scenario
    }
}

/// n2 is away; n0 and n1 have acknowledged a write, and are both down; n1's disk is lost
/// meanwhile. Now n2 is back, and the others may start again. All stand for election, up to term
/// 3, and another client writes.
pub(in crate::raft::spec) fn emptied() -> Checked {
    let (n0, n1) = (NodeId(0), NodeId(1));
    let mut scenario = in_order(cluster(3, 3));
    scenario.scripts = client_commands(&[1, 1]);
    scenario.faults.crashes = 2;
    scenario.faults.lost_disks = 1;
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .ask(0, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .crash(n0)
        .lose_disk(n1)
        .steps;
    scenario
}

/// n0 leads n1 and has lost n2, whose disk is gone, for good: the learner n3 is to take its place,
/// while another client writes. n1 stands for term 3.
pub(in crate::raft::spec) fn lost_and_replaced() -> Checked {
    let (n0, n1, n2, n3) = (NodeId(0), NodeId(1), NodeId(2), NodeId(3));
    let mut scenario = in_order(changing(3, 1, 0, vec![Change::replace(n2, n3)]));
    scenario.disks = vec![with_learner(); 4];
    let (request, command) = (request(1, 0), Add(1));
    let write = Command::Propose { request, command };
    scenario.scripts.push(vec![write]);
    scenario.asks_at = |_, node| node.0 < 2;
    without_n2(&mut scenario, (n0, n1), n2);
    scenario
}

/// As [`lost_and_replaced`], and n2 is to come back under its own id: it is removed, and added with
/// the disk that it has now.
pub(in crate::raft::spec) fn lost_and_readmitted() -> Checked {
    let (n0, n1, n2) = (NodeId(0), NodeId(1), NodeId(2));
    let contact = |disk: u8| Contact {
        disk: DiskId([disk; 16]),
        ..Contact::default()
    };
    let mut known = Configuration::new([n0, n1, n2]);
    known.contacts = BTreeMap::from([(n0, contact(0)), (n1, contact(1)), (n2, contact(2))]);
    let changes = vec![Change::remove(n2), Change::add_with(n2, contact(9))];
    let mut scenario = in_order(changing(3, 0, 0, changes));
    let entries = [(1, Content::Noop), (1, Content::Configuration(known))];
    scenario.disks = vec![disk_holding(1, entries); 3];
    scenario.asks_at = |_, node| node.0 < 2;
    without_n2(&mut scenario, (n0, n1), n2);
    scenario
}

/// The first leads term 2, elected by the second, which stands for term 3; the disk of the third is
/// lost.
fn without_n2(scenario: &mut Checked, (leader, voter): (NodeId, NodeId), lost: NodeId) {
    candidates(scenario, &[(leader.0, 2), (voter.0, 3)]);
    scenario.faults.crashes = 1;
    scenario.faults.lost_disks = 1;
    scenario.prologue = Prologue::of(scenario)
        .fire(leader, Timer::Election)
        .deliver(leader, voter)
        .deliver(voter, leader)
        .lose_disk(lost)
        .steps;
}

/// Two nodes of two clusters that bear one name: by its snapshot n0 has committed an entry of term
/// 1, where n1 has one of term 2. n1 stands for term 3 and is elected by n0. A node may crash.
pub(in crate::raft::spec) fn two_clusters() -> Checked {
    let mut scenario = meeting(disk(1, &[1]), disk(2, &[2]));
    candidates(&mut scenario, &[(1, 3)]);
    scenario
}

/// Two nodes whose logs agree, and whose states do not: as when two clusters bear one name, or one
/// node has applied what it should not. n1 stands for term 2.
pub(in crate::raft::spec) fn two_states() -> Checked {
    let holding = |client: usize, amount: u8| {
        let (request, command) = (request(client, 0), Add(amount));
        disk_holding(1, [(1, Content::Command { request, command })])
    };
    let mut other = holding(1, 2);
    other.apply(&Record::Snapshot { through: Index(1) });
    let mut scenario = meeting(holding(0, 1), other);
    candidates(&mut scenario, &[(1, 2)]);
    scenario
}

/// Two nodes with these disks; the first has a snapshot of its first entry.
fn meeting(mut one: Persistent<Adder>, other: Persistent<Adder>) -> Checked {
    one.apply(&Record::Snapshot { through: Index(1) });
    let mut scenario = election(2, 0, 1);
    scenario.disks = vec![one, other];
    scenario
}
