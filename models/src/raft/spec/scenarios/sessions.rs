//! Worlds in which sessions expire by the eighth.

use crate::protocol::NodeId;
use crate::raft::Timer;
use crate::world::{Delivery, Faults, Scenario, Timing};

use super::super::prologue::Prologue;
use super::{Checked, candidates, client_commands, clients};

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
