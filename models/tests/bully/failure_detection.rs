//! How a node notices that its leader has failed.

use models::bully::Timer;
use models::{Effect, NodeId};

use super::bench::*;

/// A leader says again and again that it leads.
#[test]
fn a_leader_repeats_itself() {
    let mut bench = Bench::candidate(2, 3);
    let effects = bench.fire(OKAY);
    assert!(effects.contains(&Effect::Arm(Timer::Heartbeat)));
    let expected = [
        send(0, coordinator(1)),
        send(1, coordinator(1)),
        Effect::Arm(Timer::Heartbeat),
    ];
    assert_eq!(bench.fire(Timer::Heartbeat), expected);
    assert_eq!(bench.fire(Timer::Heartbeat), expected);
}

/// Each time its followers' patience begins anew; nothing else begins it anew.
#[test]
fn a_heartbeat_renews_patience() {
    let mut bench = Bench::follower(0, 3, 2);
    assert_eq!(
        bench.deliver(2, coordinator(1)),
        [Effect::Arm(Timer::Leader)]
    );
    assert_eq!(bench.deliver(1, okay(1)), []);
    assert_eq!(bench.deliver(1, coordinator(0)), []);
}

/// A node that finds the leader failed begins an election.
#[test]
fn a_silent_leader_is_replaced() {
    let mut bench = Bench::follower(1, 3, 2);
    assert_eq!(bench.fire(Timer::Leader), stands(2, &[0, 2]));
    bench.fire(OKAY);
    assert_eq!(bench.leads(), Some((1, 2)));
}

/// A repeated Coordinator makes good for one that was lost.
#[test]
fn a_lost_coordinator_is_made_good() {
    let mut leader = Bench::candidate(2, 3);
    leader.fire(OKAY);
    let mut deaf = Bench::waiting(0, 3, 2);
    for effect in leader.fire(Timer::Heartbeat) {
        if let Effect::Send {
            to: NodeId(0),
            message,
        } = effect
        {
            deaf.deliver(2, message);
        }
    }
    assert_eq!(deaf.leads(), Some((2, 1)));
}
