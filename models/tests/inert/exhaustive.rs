//! With and without the reduction: the same node states, the same verdict.

use models::raft::Timer;
use models::raft::log::Term;
use models::raft::spec::client_commands;
use models::raft::state::Record;
use models::world::{Delivery, Disk, Duplicates, Faults, Scenario, Timing};
use models::{Input, Node, NodeId, Outbox, Protocol};

use super::reduction::same_either_way;
use crate::support::bench::{Checked, disk, read};
use crate::support::runs::cluster;

/// Messages that arrive any number of times, and a crash, also within a step.
fn harsh(scenario: Scenario<Checked>, crashes: u8) -> Scenario<Checked> {
    Scenario {
        faults: Faults {
            duplicates: Duplicates::Unlimited,
            crashes,
            crash_within_step: true,
            ..Faults::default()
        },
        ..scenario
    }
}

#[test]
fn elections_of_two() {
    let (reduced, full) = same_either_way(harsh(cluster(2, 2), 1));
    assert!(full > 2 * reduced, "{reduced} of {full}: it hardly reduces");
}

#[test]
fn an_election_of_three() {
    let (reduced, full) = same_either_way(harsh(cluster(3, 1), 0));
    assert!(full > 2 * reduced, "{reduced} of {full}: it hardly reduces");
}

/// Three nodes, of which two stand in different terms, in order, so that the one's messages
/// are under way while the other's term begins.
#[test]
fn rival_candidates() {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        step: without_heartbeats,
        ..cluster(3, 1)
    };
    scenario.disks = vec![disk(0, None, &[]), disk(1, None, &[1]), disk(0, None, &[])];
    scenario.bounds.candidates = [(NodeId(0), Term(1)), (NodeId(1), Term(2))].into();
    same_either_way(scenario);
}

#[test]
fn replication_to_a_node_that_crashes() {
    let scenario = Scenario {
        scripts: client_commands(&[1]),
        ..harsh(cluster(2, 1), 1)
    };
    same_either_way(scenario);
}

#[test]
fn a_conflict_that_is_overwritten() {
    let mut scenario = harsh(cluster(2, 4), 0);
    scenario.disks = vec![disk(3, None, &[1, 3]), disk(3, None, &[1, 2, 2])];
    scenario.bounds.candidates = [(NodeId(0), Term(4))].into();
    same_either_way(scenario);
}

#[test]
fn a_read() {
    let mut scenario = harsh(cluster(2, 2), 0);
    scenario.scripts = vec![vec![read(1)]];
    scenario.bounds.candidates = [(NodeId(0), Term(1)), (NodeId(1), Term(2))].into();
    same_either_way(scenario);
}

/// An inert message is taken out of the middle of a channel too: the rest keeps its order.
/// Heartbeats have no end, and fill a channel; so there are none here.
#[test]
fn channels_in_order() {
    let scenario = Scenario {
        delivery: Delivery::Fifo,
        faults: Faults {
            crashes: 1,
            crash_within_step: true,
            drops: 1,
            ..Faults::default()
        },
        step: without_heartbeats,
        ..cluster(2, 2)
    };
    same_either_way(scenario);
}

/// A leader's heartbeat timer runs out without a word.
fn without_heartbeats(
    raft: &Checked,
    node: &mut Node<Checked>,
    input: Input<Checked>,
    out: &mut Outbox<Checked>,
) {
    if input != Input::Fire(Timer::Heartbeat) {
        raft.step(node, input, out);
    }
}

/// Messages beat timers, and an inert one must not hold a timer back for ever.
#[test]
fn quiescent_timing() {
    let scenario = Scenario {
        timing: Timing::Quiescent,
        faults: Faults {
            crashes: 1,
            drops: 2,
            ..Faults::default()
        },
        step: without_heartbeats,
        ..cluster(3, 1)
    };
    same_either_way(scenario);
}

/// A broken disk takes a node back to a term that it had left, where messages that it had
/// outgrown matter again: they are judged by what is on disk.
#[test]
fn disks_that_lag() {
    let scenario = Scenario {
        disk: Disk::SendBeforeSync,
        ..harsh(cluster(2, 2), 1)
    };
    same_either_way(scenario);
}

#[test]
fn disks_that_forget() {
    let scenario = Scenario {
        disk: Disk::Amnesia {
            forgets: |record| matches!(record, Record::Ballot { .. }),
        },
        ..harsh(cluster(2, 2), 1)
    };
    same_either_way(scenario);
}
