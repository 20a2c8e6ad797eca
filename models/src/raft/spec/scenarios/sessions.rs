//! Worlds in which sessions expire by the eighth.

use crate::protocol::NodeId;
use crate::raft::Timer;
use crate::raft::session::{Position, RequestId};
use crate::world::{Delivery, Faults, Scenario, Timing};

use super::super::prologue::Prologue;
use super::{Checked, ask_as, candidates, client_commands, clients, request};

/// Two nodes that keep eight sessions. n0 leads n1, and has done a command for each of eight clients,
/// in an order that is neither that of their names nor its reverse. The two that it has served first
/// ask again, and two others for the first time. One message may be lost.
pub(in crate::raft::spec) fn eight_sessions() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = Scenario {
        scripts: client_commands(&[2, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        asks_at: |_, node| node == NodeId(0),
        ..clients(2, 1, &[])
    };
    candidates(&mut scenario, &[(0, 1)]);
    for node in &mut scenario.nodes {
        node.max_sessions = 8;
    }
    let mut prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0);
    for client in [0, 1, 7, 2, 6, 3, 5, 4] {
        prologue = prologue.ask(client, n0).deliver(n0, n1).deliver(n1, n0);
    }
    scenario.prologue = prologue.steps;
    scenario
}

/// Two nodes that keep one session; n1 takes a snapshot of three entries. n0 leads, and has done a command
/// for each of three clients, and let the first two expire, one after the other. n1 has all of that in its
/// log; it has started again since from a snapshot that is older than both expiries, and stands for term
/// 2: when it is elected it knows of neither.
pub(in crate::raft::spec) fn expiry_after_restart() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = Scenario {
        scripts: client_commands(&[1, 1, 1]),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            crashes: 1,
            ..Faults::default()
        },
        asks_at: |_, node| node == NodeId(0),
        ..clients(2, 1, &[])
    };
    candidates(&mut scenario, &[(0, 1), (1, 2)]);
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
    }
    scenario.nodes[1].compaction.snapshot_after = 3;
    // It asks when the first session has expired.
    let id = request(2, 0);
    let client = id.client.anew(Position(1));
    ask_as(&mut scenario, (2, 0), RequestId { client, ..id });
    let mut prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0);
    for client in [0, 1] {
        prologue = prologue.ask(client, n0).deliver(n0, n1).deliver(n1, n0);
    }
    scenario.prologue = prologue
        .deliver(n0, n1)
        .deliver(n1, n0)
        .fire(n1, Timer::Snapshot)
        .ask(2, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .restart(n1)
        .steps;
    scenario
}
