//! The orchestrator's end of an epoch change.

use models::maekawa::message::{Epoch, HeldLocks, Message};
use models::maekawa::quorum::Construction;
use models::maekawa::state::Record;
use models::maekawa::{Event, Timer};
use models::{Effect, NodeId};

use super::bench::*;

fn register(after: u64) -> Message {
    let after = Epoch(after);
    Message::Register { after }
}

fn freeze(epoch: u64) -> Message {
    let epoch = Epoch(epoch);
    Message::Freeze { epoch }
}

/// A change freezes, drains, installs, in this order; and each is on disk before it is said.
#[test]
fn an_epoch_is_drained_before_the_next_begins() {
    let mut bench = Bench::orchestrator(2);
    let effects = bench.deliver(3, register(0));
    assert_eq!(bench.records, [Record::Enrol(NodeId(3)), Record::Change]);
    assert_eq!(effects, [send(1, freeze(1)), send(2, freeze(1))]);
    assert_eq!(bench.deliver(1, frozen(1)), []);
    assert_eq!(bench.deliver(1, frozen(1)), [], "one member, twice");
    assert_eq!(bench.deliver(3, frozen(1)), [], "no member of this epoch");
    let effects = bench.deliver(2, frozen(1));
    assert_eq!(bench.records, [begin(Construction::Plane)]);
    let expected: Vec<_> = (1..=3).map(|to| send(to, install(2, 1..=3))).collect();
    assert_eq!(sent(&effects), expected);
    let begun = Event::Installed {
        epoch: Epoch(2),
        members: ids(1..=3),
    };
    assert!(effects.contains(&Effect::Emit(begun)));
}

/// The first members need nobody's leave.
#[test]
fn the_first_epoch_begins_at_once() {
    let mut bench = Bench::start(0, &[]);
    let effects = bench.deliver(1, register(0));
    assert_eq!(sent(&effects), [send(1, install(1, [1]))]);
}

/// Who comes while an epoch ends is in the next.
#[test]
fn who_comes_meanwhile_is_in_the_next_epoch() {
    let mut bench = Bench::orchestrator(1);
    bench.deliver(2, register(0));
    assert_eq!(bench.deliver(3, register(0)), []);
    let effects = bench.deliver(1, frozen(1));
    assert!(
        sent(&effects).contains(&send(3, install(2, 1..=3))),
        "{effects:?}"
    );
}

/// A member that leaves is told of the epoch in which it is none.
#[test]
fn who_leaves_hears_of_it() {
    let mut bench = Bench::orchestrator(2);
    let deregister = Message::Deregister { epoch: Epoch(1) };
    let effects = bench.deliver(1, deregister.clone());
    assert_eq!(sent(&effects), [send(1, freeze(1)), send(2, freeze(1))]);
    bench.deliver(1, frozen(1));
    let effects = bench.deliver(2, frozen(1));
    assert_eq!(
        sent(&effects),
        [send(1, install(2, [2])), send(2, install(2, [2]))]
    );
    let again = bench.deliver(1, deregister);
    assert_eq!(again, [send(1, install(2, [2]))], "it has not heard");
}

/// A member that registers after the current epoch has been in it and is so no more: it has
/// crashed. That drains it. One that registers after an earlier one has not heard.
#[test]
fn a_member_that_registers_again_has_crashed() {
    let mut bench = Bench::orchestrator(2);
    assert_eq!(bench.deliver(1, register(0)), [send(1, install(1, [1, 2]))]);
    let effects = bench.deliver(1, register(1));
    assert_eq!(sent(&effects), [send(2, freeze(1))]);
    let effects = bench.deliver(2, frozen(1));
    assert_eq!(
        sent(&effects),
        [send(1, install(2, [1, 2])), send(2, install(2, [1, 2]))]
    );
}

/// A node that leaves too many health checks unanswered is dead: it is struck off, and not waited
/// for.
#[test]
fn the_silent_are_expelled() {
    let mut bench = Bench::orchestrator(2);
    let pong = Message::Pong { epoch: Epoch(1) };
    for check in 0..3 {
        let effects = bench.fire(Timer::HealthCheck);
        assert_eq!(
            sent(&effects),
            [send(1, ping(1, check == 0)), send(2, ping(1, true))],
            "a lease is renewed where the last answer has arrived"
        );
        assert_eq!(bench.deliver(2, pong.clone()), []);
    }
    let effects = bench.fire(Timer::HealthCheck);
    let suspected = Event::Suspected { node: NodeId(1) };
    assert!(effects.contains(&Effect::Emit(suspected)));
    assert_eq!(bench.records, [Record::Strike(NodeId(1)), Record::Change]);
    assert!(sent(&effects).contains(&send(2, freeze(1))));
    assert!(
        !sent(&effects).contains(&send(1, ping(1, false))),
        "{effects:?}"
    );
    let effects = bench.deliver(2, frozen(1));
    assert!(sent(&effects).contains(&send(2, install(2, [2]))));
}

/// A sign of life, whenever it comes, begins the count anew.
#[test]
fn a_sign_of_life_counts() {
    let mut bench = Bench::orchestrator(1);
    for _ in 0..2 {
        bench.fire(Timer::HealthCheck);
    }
    bench.deliver(1, Message::Pong { epoch: Epoch(1) });
    assert!(bench.orchestration().silent.is_empty());
    for _ in 0..3 {
        let effects = bench.fire(Timer::HealthCheck);
        assert_eq!(bench.records, [], "{effects:?}");
    }
}

/// With an epoch its leases begin, and so does the count: what was left unanswered before, by one
/// that was to be a member and is one now, does not count.
#[test]
fn an_epoch_begins_with_a_new_count() {
    let mut bench = Bench::orchestrator(1);
    bench.deliver(2, register(0));
    for _ in 0..2 {
        bench.fire(Timer::HealthCheck);
        bench.deliver(1, Message::Pong { epoch: Epoch(1) });
    }
    assert_eq!(bench.orchestration().silent[&NodeId(2)], 2);
    bench.deliver(1, frozen(1));
    assert!(bench.orchestration().silent.is_empty());
    let effects = bench.fire(Timer::HealthCheck);
    assert!(sent(&effects).contains(&send(2, ping(2, true))));
}

/// Who has changed its mind before it was a member is not made one.
#[test]
fn who_is_to_be_a_member_may_change_its_mind() {
    let mut bench = Bench::orchestrator(1);
    bench.deliver(2, register(1));
    let epoch = Epoch(1);
    bench.deliver(2, Message::Deregister { epoch });
    assert_eq!(bench.records, [Record::Strike(NodeId(2))]);
    let effects = bench.deliver(1, frozen(1));
    assert_eq!(sent(&effects), [send(1, install(2, [1]))]);
}

/// A lost Install is found out by the health check, a lost Freeze is repeated by it.
#[test]
fn the_health_check_makes_up_for_what_is_lost() {
    let mut bench = Bench::orchestrator(2);
    let behind = Message::Pong { epoch: Epoch(0) };
    assert_eq!(bench.deliver(2, behind), [send(2, install(1, [1, 2]))]);
    bench.deliver(3, register(0));
    bench.deliver(1, frozen(1));
    let effects = bench.fire(Timer::HealthCheck);
    assert!(sent(&effects).contains(&send(2, freeze(1))));
    assert!(!sent(&effects).contains(&send(1, freeze(1))));
}

/// An orchestrator that crashes goes on where its disk says: the epoch that was ending ends.
#[test]
fn a_restarted_orchestrator_goes_on() {
    let mut bench = Bench::orchestrator(2);
    bench.deliver(3, register(0));
    bench.deliver(1, frozen(1));
    assert_eq!(bench.crash(), [Effect::Arm(Timer::HealthCheck)]);
    let effects = bench.fire(Timer::HealthCheck);
    assert!(
        sent(&effects).contains(&send(1, freeze(1))),
        "it has forgotten the answer"
    );
    bench.deliver(1, frozen(1));
    let effects = bench.deliver(2, frozen(1));
    assert!(sent(&effects).contains(&send(3, install(2, 1..=3))));
}

/// The members of an epoch build their quorums alike. An orchestrator that is configured anew
/// builds the next epoch's so; of the one in force it says what its disk says.
#[test]
fn an_epoch_keeps_its_construction() {
    let mut bench = Bench::orchestrator(2);
    bench.maekawa.construction = Construction::Grid;
    bench.crash();
    let behind = Message::Pong { epoch: Epoch(0) };
    assert_eq!(bench.deliver(2, behind), [send(2, install(1, [1, 2]))]);
    bench.deliver(1, register(1));
    let effects = bench.deliver(2, frozen(1));
    let (epoch, members, construction) = (Epoch(2), ids([1, 2]), Construction::Grid);
    assert_eq!(bench.records, [begin(construction)]);
    let grid = Message::Install {
        epoch,
        members,
        construction,
        held: HeldLocks::new(),
    };
    assert_eq!(sent(&effects), [send(1, grid.clone()), send(2, grid)]);
}

/// The orchestrator is no member, whoever says so; nor is a node believed that speaks of an epoch
/// to come.
#[test]
fn nonsense_changes_nothing() {
    let mut bench = Bench::orchestrator(2);
    let before = bench.node.clone();
    for (from, message) in [
        (0, register(0)),
        (3, register(7)),
        (1, frozen(1)),
        (1, request(1, 1)),
        (1, install(9, [1])),
        (1, freeze(1)),
        (1, ping(1, true)),
    ] {
        assert_eq!(bench.deliver(from, message), []);
    }
    assert_eq!(bench.node, before);
}
