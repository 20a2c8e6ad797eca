//! Worlds in which the membership changes (§6).

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::leadership::{guarded, take_office};
use super::{
    Checked, at_large, candidates, client_commands, clients, disk_holding, elect, election,
    is_read_here, one_append_at_a_time, read, request,
};
use crate::protocol::NodeId;
use crate::raft::configuration::Configuration;
use crate::raft::log::Content;
use crate::raft::membership::Change;
use crate::raft::spec::machine::{Add, Adder, Total};
use crate::raft::spec::prologue::Prologue;
use crate::raft::state::Persistent;
use crate::raft::{Command, Raft, Timer};
use crate::world::{Action, Delivery, Faults, Scenario, Timing};

/// `voters` nodes that have founded a cluster, and behind them `joining` that have not; any
/// message lost, duplicated any number of times and reordered, and `crashes` crashes. A client
/// asks for each of `changes`, in order.
pub(super) fn changing(voters: u16, joining: u16, crashes: u8, changes: Vec<Change>) -> Checked {
    let mut scenario = election(voters + joining, 0, crashes);
    scenario.nodes = nodes(voters, joining);
    scenario.scripts = vec![script(0, changes)];
    scenario
}

/// A disk at term 1 that knows n0, n1 and n2 to vote, and n3 to learn.
pub(super) fn with_learner() -> Persistent<Adder> {
    holding(&[configuration(&[], &[0, 1, 2], &[3])])
}

pub(in crate::raft::spec) fn nodes(voters: u16, joining: u16) -> Vec<Raft<Adder>> {
    let founders = (0..voters).map(|id| Raft::new(NodeId(id), ids(0..voters)));
    let others = (voters..voters + joining).map(|id| Raft::joining(NodeId(id)));
    founders.chain(others).map(one_append_at_a_time).collect()
}

/// The script of a client that asks for `changes`.
fn script(client: usize, changes: Vec<Change>) -> Vec<Command<Adder>> {
    let commands = changes.into_iter().enumerate().map(|(sequence, change)| {
        let request = request(client, sequence);
        Command::ChangeMembership { request, change }
    });
    commands.collect()
}

fn ids(ids: impl IntoIterator<Item = u16>) -> BTreeSet<NodeId> {
    ids.into_iter().map(NodeId).collect()
}

fn configuration(outgoing: &[u16], voters: &[u16], learners: &[u16]) -> Content<Add> {
    let set = |nodes: &[u16]| ids(nodes.iter().copied());
    Content::Configuration(Configuration {
        voters: set(voters),
        outgoing: set(outgoing),
        learners: set(learners),
        ..Configuration::default()
    })
}

/// A disk at term 1 whose log holds the no-op of term 1 and these configurations.
fn holding(configurations: &[Content<Add>]) -> Persistent<Adder> {
    let entries = [Content::Noop].into_iter().chain(configurations.to_vec());
    disk_holding(1, entries.map(|content| (1, content)))
}

/// A cluster of one moves from n0 to n1, whose disk is empty: n1 learns, votes, and n0, the
/// leader, leaves. Both stand for term 2.
pub(in crate::raft::spec) fn move_house() -> Checked {
    let steps = vec![
        Change::add(NodeId(1)),
        Change::promote(NodeId(1)),
        Change::remove(NodeId(0)),
    ];
    let mut scenario = changing(1, 1, 1, steps);
    scenario.tries = 2;
    candidates(&mut scenario, &[(0, 2), (1, 2)]);
    scenario
}

/// n0 leads n1 and the learner n2, which is to vote. n1 stands for term 3.
pub(in crate::raft::spec) fn grow(crashes: u8) -> Checked {
    let mut scenario = changing(2, 1, crashes, vec![Change::promote(NodeId(2))]);
    let disk = holding(&[configuration(&[], &[0, 1], &[2])]);
    scenario.disks = vec![disk; 3];
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 leads n1 and the learner n2, which goes on learning while n1 is to leave. n1 stands for term 3, and
/// a client reads. A message may be lost.
pub(in crate::raft::spec) fn joint_with_learner() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(2, 1, 0, vec![Change::remove(NodeId(1))])
    };
    scenario.faults = Faults {
        drops: 1,
        ..Faults::default()
    };
    scenario.disks = vec![holding(&[configuration(&[], &[0, 1], &[2])]); 3];
    scenario.scripts.push(vec![read(1, 0)]);
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 alone votes, and leads the learner n1, which is to leave. Each may crash, and n0 stand again.
pub(in crate::raft::spec) fn learner_leaves() -> Checked {
    let mut scenario = changing(1, 1, 1, vec![Change::remove(NodeId(1))]);
    scenario.disks = vec![holding(&[configuration(&[], &[0], &[1])]); 2];
    candidates(&mut scenario, &[(0, 3)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[]);
    scenario
}

/// n0 alone votes and leads, and has a configuration of its own in its log from before n1 was heard of.
/// n1 is to learn: it gets the log from there on, an entry an append.
pub(in crate::raft::spec) fn joins_changed_cluster() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(1, 1, 0, vec![Change::add(NodeId(1))])
    };
    scenario.faults = Faults {
        drops: 1,
        ..Faults::default()
    };
    scenario.disks = vec![
        holding(&[configuration(&[], &[0], &[])]),
        Persistent::default(),
    ];
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
    }
    candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[]);
    scenario
}

/// As [`learner_leaves`], and n0 takes a snapshot of each entry: who the members were before is in that
/// alone.
pub(in crate::raft::spec) fn learner_leaves_compacted() -> Checked {
    let mut scenario = learner_leaves();
    scenario.nodes[0].compaction.snapshot_after = 1;
    scenario
}

/// n0 leads n1 and the learner n2, which is to leave. n1 stands for term 3. A message may be lost.
pub(in crate::raft::spec) fn learner_of_two_leaves() -> Checked {
    let mut scenario = joint_with_learner();
    scenario.scripts = vec![script(0, vec![Change::remove(NodeId(2))])];
    scenario
}

/// As [`learner_of_two_leaves`], without a successor, while another client writes: both may be committed
/// at once.
pub(in crate::raft::spec) fn learner_leaves_with_a_write() -> Checked {
    let mut scenario = learner_of_two_leaves();
    scenario
        .scripts
        .extend(client_commands(&[0, 1]).split_off(1));
    scenario.asks_at = |_, node| node == NodeId(0);
    candidates(&mut scenario, &[(0, 2)]);
    scenario
}

/// n0 leads n1 and n2, and is to leave. n1 stands for term 2.
pub(in crate::raft::spec) fn leader_leaves(crashes: u8) -> Checked {
    let mut scenario = changing(3, 0, crashes, vec![Change::remove(NodeId(0))]);
    candidates(&mut scenario, &[(0, 1), (1, 2)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// As [`last_but_one`], with PreVote and CheckQuorum, and without a crash.
pub(in crate::raft::spec) fn last_but_one_asks() -> Checked {
    let mut scenario = guarded(last_but_one());
    scenario.faults.crashes = 0;
    candidates(&mut scenario, &[(0, 2), (1, 2)]);
    scenario
}

/// n0 leads n1, and leaves n1 alone: from the moment at which both have the joint
/// configuration. Each may crash and stand again.
pub(in crate::raft::spec) fn last_but_one() -> Checked {
    let mut scenario = changing(2, 0, 1, vec![]);
    let disk = holding(&[configuration(&[0, 1], &[1], &[])]);
    scenario.disks = vec![disk; 2];
    candidates(&mut scenario, &[(0, 3), (1, 3)]);
    scenario
}

/// n0 leads n1, n2 and the learner n3, which is to take the place of n0 itself. n1 stands for
/// term 3.
pub(in crate::raft::spec) fn replace() -> Checked {
    let mut scenario = changing(3, 1, 0, vec![Change::replace(NodeId(0), NodeId(3))]);
    scenario.disks = vec![with_learner(); 4];
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 has begun to leave, and lost its office: it alone has the joint configuration of term
/// 1. n1 has just been elected for term 2, and is asked to remove n2; n0 stands for term 3.
pub(in crate::raft::spec) fn overruled() -> Checked {
    let mut scenario = changing(3, 0, 0, vec![Change::remove(NodeId(2))]);
    let begun = configuration(&[0, 1, 2], &[1, 2], &[]);
    let begun = disk_holding(2, [(1, Content::Noop), (1, begun)]);
    scenario.disks = vec![begun, holding(&[]), holding(&[])];
    candidates(&mut scenario, &[(0, 3), (1, 2)]);
    scenario.prologue = elect(&scenario, NodeId(1), &[NodeId(2)]);
    scenario
}

/// A cluster that began with n0 and n1: n0 leads term 2, and has committed that n2 votes as well, and
/// compacted its log up to there. It has been cut off since, until the links heal, and has begun to
/// remove n2: it alone has the joint configuration, and nothing before it but a snapshot. n1 stands
/// for term 3.
///
/// The election and the commitment are played: a configuration that a disk was prepared with behind its
/// snapshot would be known to no property.
pub(in crate::raft::spec) fn overruled_compacted() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(2, 1, 0, vec![Change::remove(NodeId(2))])
    };
    scenario.faults = Faults {
        cuts: 1,
        ..Faults::default()
    };
    scenario.disks = vec![holding(&[configuration(&[], &[0, 1, 2], &[])]); 3];
    scenario.nodes[0].compaction.snapshot_after = 1;
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .isolate(n0)
        .fire(n0, Timer::Snapshot)
        .ask(0, n0)
        .steps;
    scenario
}

/// n0 has lost its office in the middle of a change, n2 for itself: all have the joint
/// configuration, and nobody knows whether it is committed. n1 has just been elected for term
/// 2, and n2 stands for term 3.
pub(in crate::raft::spec) fn inherited() -> Checked {
    let mut scenario = changing(2, 1, 0, vec![]);
    let joint = holding(&[configuration(&[0, 1], &[1, 2], &[])]);
    scenario.disks = vec![joint; 3];
    candidates(&mut scenario, &[(1, 2), (2, 3)]);
    scenario.prologue = elect(&scenario, NodeId(1), &[NodeId(0), NodeId(2)]);
    scenario
}

/// n0, which led n1, a learner, has lost its office in the middle of a change that lets n1 vote: it
/// alone has the joint configuration. Both stand, as far as term 4.
pub(in crate::raft::spec) fn begun() -> Checked {
    let mut scenario = changing(1, 1, 0, vec![]);
    let learning = configuration(&[], &[0], &[1]);
    let joint = configuration(&[0], &[0, 1], &[]);
    scenario.disks = vec![holding(&[learning.clone(), joint]), holding(&[learning])];
    candidates(&mut scenario, &[(0, 4), (1, 4)]);
    scenario
}

/// n0 leads n1 and the learner n2, with CheckQuorum, and has begun to let n2 vote, as a client has
/// asked: it alone has the joint configuration. n1 is cut off until the links heal. Another client asks
/// for the same; a third reads at n0, then at n2.
pub(in crate::raft::spec) fn asked_amid_change() -> Checked {
    let [n0, n1, n2] = [0, 1, 2].map(NodeId);
    let promote = || vec![Change::promote(n2)];
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        asks_at: |command, node| node == NodeId(if is_read_here(command) { 2 } else { 0 }),
        ..changing(2, 1, 0, promote())
    };
    scenario.faults = Faults {
        cuts: 1,
        ..Faults::default()
    };
    scenario.disks = vec![holding(&[configuration(&[], &[0, 1], &[2])]); 3];
    for node in &mut scenario.nodes {
        node.check_quorum = true;
    }
    let read_there = Command::ReadHere {
        request: request(2, 1),
        query: Total,
    };
    scenario.scripts.push(script(1, promote()));
    scenario.scripts.push(vec![read(2, 0), read_there]);
    candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n2)
        .deliver(n2, n0)
        .ask(0, n0)
        .isolate(n1)
        .steps;
    scenario
}

/// n0 leads n1 and the learner n2, with CheckQuorum. n1 is cut off until the links heal: of the others
/// only the learner answers.
pub(in crate::raft::spec) fn heard_by_a_learner() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(2, 1, 0, vec![])
    };
    scenario.faults = Faults {
        cuts: 1,
        ..Faults::default()
    };
    scenario.disks = vec![holding(&[configuration(&[], &[0, 1], &[2])]); 3];
    for node in &mut scenario.nodes {
        node.check_quorum = true;
    }
    candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .isolate(n1)
        .steps;
    scenario
}

/// Ongaro, "Bug in single-server membership changes" (raft-dev, 2015): of four nodes n0, which
/// has led term 1, and n4 have a configuration in which n4 votes; n1 has just been elected for
/// term 2 by n2 and n3, has committed nothing, and is asked to remove n0. n0 stands for term
/// 3.
pub(in crate::raft::spec) fn single_server_change() -> Checked {
    let mut scenario = changing(4, 1, 0, vec![Change::remove(NodeId(0))]);
    let grown = configuration(&[], &[0, 1, 2, 3, 4], &[]);
    scenario.disks = vec![holding(&[]); 5];
    scenario.disks[0] = disk_holding(2, [(1, Content::Noop), (1, grown.clone())]);
    scenario.disks[4] = holding(&[grown]);
    candidates(&mut scenario, &[(0, 3), (1, 2)]);
    scenario.prologue = elect(&scenario, NodeId(1), &[NodeId(2), NodeId(3)]);
    scenario
}

/// Three voters and two that join, all of which may stand, with crashes: two changes, the
/// second of which replaces two voters at once.
pub(in crate::raft::spec) fn changes() -> Checked {
    let both = Change {
        promote: ids([3, 4]),
        remove: ids([0, 1]),
        ..Change::default()
    };
    let mut scenario = changing(3, 2, 2, vec![both, Change::remove(NodeId(2))]);
    let disk = holding(&[configuration(&[], &[0, 1, 2], &[3, 4])]);
    scenario.disks = vec![disk; 5];
    candidates(&mut scenario, &[(0, 2), (1, 3), (2, 3), (3, 4), (4, 4)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1), NodeId(2)]);
    scenario
}

/// n0 leads n1, n2 and the learner n3, to which a client wants to transfer the leadership.
pub(in crate::raft::spec) fn transfer_to_learner() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(3, 1, 0, vec![])
    };
    scenario.faults = Faults::default();
    scenario.disks = vec![with_learner(); 4];
    scenario.scripts = vec![vec![Command::TransferLeadership {
        request: request(0, 0),
        to: NodeId(3),
    }]];
    candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 leads n1 and n2, and has begun to remove n2: the joint configuration is on its disk and
/// n1's. One client wants n1 to lead, another wants n1 to leave. A message may be lost, and n1
/// does not stand unless it is told to.
///
/// No message is dropped as inert: an old answer of n1's makes n0 tell it again to stand.
pub(in crate::raft::spec) fn transfer_amid_change() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..changing(3, 0, 0, vec![Change::remove(NodeId(1))])
    };
    scenario.faults = Faults {
        drops: 1,
        ..Faults::default()
    };
    let joint = holding(&[configuration(&[0, 1, 2], &[0, 1], &[])]);
    scenario.disks = vec![joint.clone(), joint, holding(&[])];
    scenario.scripts.push(vec![Command::TransferLeadership {
        request: request(1, 0),
        to: NodeId(1),
    }]);
    scenario.asks_at = |_, node| node == NodeId(0);
    candidates(&mut scenario, &[(0, 2)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 leads n1 and n2. One client wants n2 to leave, one wants n1 to lead, and another n2.
pub(in crate::raft::spec) fn transfer_asked_twice() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        asks_at: |_, node| node == NodeId(0),
        ..changing(3, 0, 0, vec![Change::remove(NodeId(2))])
    };
    scenario.faults = Faults::default();
    for client in 1..=2u16 {
        scenario.scripts.push(vec![Command::TransferLeadership {
            request: request(usize::from(client), 0),
            to: NodeId(client),
        }]);
    }
    candidates(&mut scenario, &[(0, 1)]);
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// n0 leads n1, which hears it, both in time and with PreVote and CheckQuorum; n2 is cut off until
/// the links heal, asks nobody before it stands, as far as term 3, and is to be removed.
pub(in crate::raft::spec) fn removed() -> Checked {
    let mut scenario = removing();
    scenario.nodes[2].pre_vote = false;
    candidates(&mut scenario, &[(0, 1), (2, 3)]);
    scenario.bounds.in_time.extend([NodeId(0), NodeId(1)]);
    scenario.prologue = take_office(&scenario);
    scenario.prologue.push(Action::Isolate(NodeId(2)));
    scenario
}

/// n0 leads n1 and is to remove n2; a link or a node may be cut off.
fn removing() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..guarded(changing(3, 0, 0, vec![Change::remove(NodeId(2))]))
    };
    scenario.faults = Faults {
        cuts: 1,
        ..Faults::default()
    };
    scenario
}

/// As [`removed`], with PreVote everywhere, any link or node cut off, and time that runs out.
pub(in crate::raft::spec) fn removed_and_cut_off() -> Checked {
    let mut scenario = removing();
    candidates(&mut scenario, &[(0, 1), (1, 2), (2, 3)]);
    scenario.prologue = take_office(&scenario);
    scenario
}

/// A cluster of one takes n1 in, whose disk is empty: n1 learns, and votes. n0 stands.
pub(in crate::raft::spec) fn join() -> Checked {
    let steps = vec![Change::add(NodeId(1)), Change::promote(NodeId(1))];
    let mut scenario = changing(1, 1, 1, steps);
    candidates(&mut scenario, &[(0, 2)]);
    scenario
}

/// n0 alone votes, and n1, whose disk is empty, learns from it. One client asks two commands.
pub(in crate::raft::spec) fn one_learner() -> Checked {
    let mut scenario = clients(2, 1, &[2]);
    scenario.nodes = nodes(1, 1);
    let learning = holding(&[configuration(&[], &[0], &[1])]);
    scenario.disks = vec![learning, Persistent::default()];
    candidates(&mut scenario, &[(0, 2)]);
    scenario
}

/// As [`at_large`], with three founders, two nodes that join with empty disks, and a client that
/// brings them in, lets them vote and sends others away, down to two nodes and back.
pub(in crate::raft::spec) fn members_at_large(delivery: Delivery) -> Checked {
    let node = NodeId;
    let mut scenario = at_large(5, delivery);
    for (node, member) in scenario.nodes.iter_mut().zip(nodes(3, 2)) {
        let limits = mem::replace(node, member);
        node.max_append_weight = limits.max_append_weight;
        node.window = limits.window;
        node.compaction = limits.compaction;
        node.max_chunk_bytes = limits.max_chunk_bytes;
    }
    let client = scenario.scripts.len();
    scenario.scripts.push(script(
        client,
        vec![
            Change::add(node(3)),
            Change::replace(node(0), node(3)),
            Change {
                add: ids([0, 4]),
                remove: ids([1]),
                ..Change::default()
            },
            Change::promote(node(4)),
            Change::remove(node(2)),
            Change::promote(node(0)),
        ],
    ));
    scenario
}
