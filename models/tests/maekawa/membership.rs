//! A node's end of an epoch change.

use models::maekawa::message::{Epoch, HeldLocks, Message};
use models::maekawa::quorum::Construction;
use models::maekawa::state::Record;
use models::maekawa::{Command, Event, Timer};
use models::{Effect, NodeId};

use super::bench::*;

const FREEZE: Message = Message::Freeze { epoch: Epoch(1) };

fn register(after: u64) -> Message {
    let after = Epoch(after);
    Message::Register { after }
}

/// A node registers when it is told to, from then on whenever it starts, and asks until it is
/// a member.
#[test]
fn a_node_registers_until_it_is_a_member() {
    let mut bench = Bench::start(1, &[]);
    let expected = [send(0, register(0)), Effect::Arm(Timer::Register)];
    assert_eq!(bench.ask(Command::Register), expected);
    assert_eq!(bench.records, [Record::Registered(true)]);
    assert_eq!(bench.fire(Timer::Register), expected);
    assert_eq!(bench.crash(), expected);
    let effects = bench.deliver(0, install(1, [1, 2]));
    assert!(effects.contains(&Effect::Disarm(Timer::Register)));
    assert_eq!(bench.fire(Timer::Register), []);
}

/// A member's quorum is the orchestrator's, not one of its own making: of the fourth of seven
/// members on a grid a row and a column, though the node is configured with a plane.
#[test]
fn quorums_are_built_as_the_orchestrator_says() {
    let mut bench = Bench::start(4, &[Record::Registered(true)]);
    assert_eq!(bench.maekawa.construction, Construction::Plane);
    let construction = Construction::Grid;
    let (epoch, members) = (Epoch(1), ids(1..=7));
    let install = Message::Install {
        epoch,
        members,
        construction,
        held: HeldLocks::new(),
    };
    bench.deliver(0, install);
    assert_eq!(bench.membership().quorum, ids([1, 4, 5, 6, 7]));
}

/// That it is in an epoch is on disk before it says anything in it.
#[test]
fn the_epoch_is_on_disk() {
    let mut bench = Bench::start(1, &[Record::Registered(true)]);
    bench.deliver(0, install(4, [1, 2]));
    assert_eq!(bench.records, [Record::Epoch(Epoch(4))]);
}

/// §5: a node that crashes is out. What it was locked for is forgotten, so it takes no part in
/// the epoch again, even when it is told of it again.
#[test]
fn s5_a_restarted_node_is_a_stranger() {
    let mut bench = Bench::member(1, 3);
    bench.deliver(3, request(1, 3));
    let effects = bench.crash();
    assert_eq!(sent(&effects), [send(0, register(1))]);
    assert_eq!(bench.deliver(0, install(1, 1..=3)), []);
    assert!(!bench.is_member());
    assert_eq!(bench.deliver(2, request(1, 2)), []);
    bench.deliver(0, install(2, 1..=3));
    assert!(bench.is_member());
}

/// A member that waits freezes at once: it will not enter in this epoch any more, whatever
/// arrives, and its client waits for the next.
#[test]
fn who_waits_freezes_at_once() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    assert_eq!(sent(&bench.deliver(0, FREEZE)), [send(0, frozen(1))]);
    assert_eq!(bench.deliver(2, locked(1, 1, 1)), []);
    assert_eq!(bench.held(), None);
    let effects = bench.deliver(0, install(2, 1..=3));
    let request = Message::Request {
        epoch: Epoch(2),
        lock: models::maekawa::spec::the_lock(),
        request: stamp(2, 1),
    };
    assert_eq!(sent(&effects), [send(2, request)]);
}

/// A holder answers what it holds. Nobody enters after it; when it has left it says so if it is
/// asked again.
#[test]
fn a_holder_freezes_with_what_it_holds() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench.ask(Command::Acquire {
        claim: models::maekawa::spec::claim(1, 1, 1),
    });
    assert_eq!(bench.deliver(0, FREEZE), [send(0, holding(1, 1))]);
    assert!(bench.held().is_some());
    let effects = bench.release(1);
    assert_eq!(sent(&effects), [send(2, release(1, 1, 1))]);
    assert!(bench.membership().attempts.is_empty());
    let again = bench.deliver(0, FREEZE);
    assert_eq!(sent(&again), [send(0, frozen(1))], "again");
}

/// The epoch waits for a holder whose node is to be no member: it says when it has left.
#[test]
fn who_leaves_says_when_it_holds_nothing() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench.ask(Command::Deregister);
    assert_eq!(bench.deliver(0, FREEZE), [send(0, holding(1, 1))]);
    let effects = bench.release(1);
    assert!(sent(&effects).contains(&send(0, frozen(1))), "{effects:?}");
}

/// A frozen arbiter grants nothing.
#[test]
fn a_frozen_arbiter_grants_nothing() {
    let mut bench = Bench::member(1, 3);
    bench.deliver(0, FREEZE);
    assert_eq!(bench.deliver(3, request(1, 3)), []);
    assert_eq!(bench.locked(), None);
}

/// One that hears of an epoch's end before its beginning keeps out of it for good, crash or not.
#[test]
fn the_end_may_come_before_the_beginning() {
    let mut bench = Bench::start(1, &[Record::Registered(true)]);
    let freeze = Message::Freeze { epoch: Epoch(3) };
    let effects = bench.deliver(0, freeze);
    assert_eq!(bench.records, [Record::Epoch(Epoch(3))]);
    assert_eq!(sent(&effects), [send(0, register(3)), send(0, frozen(3))]);
    bench.crash();
    assert_eq!(bench.deliver(0, install(3, [1, 2])), []);
    assert!(!bench.is_member());
}

/// A node that is no member of the next epoch is out, and a holder that is not waited for has
/// lost the lock.
#[test]
fn who_is_expelled_has_lost_the_lock() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    let token = bench.held().expect("holds");
    let effects = bench.deliver(0, install(2, [2, 3]));
    let claim = bench.claim(1);
    assert!(effects.contains(&Effect::Emit(Event::Revoked { claim, token })));
    assert!(effects.contains(&Effect::Emit(Event::Left { epoch: Epoch(2) })));
    assert!(!bench.is_member());
    assert_eq!(
        sent(&effects),
        [send(0, register(2))],
        "it is to be a member"
    );
}

/// A node that does not hear of the orchestrator gives up of itself, before others may have what
/// it holds. A health check is a sign of life.
#[test]
fn a_member_that_hears_nothing_gives_up() {
    let mut bench = Bench::member(1, 3);
    let effects = bench.deliver(0, ping(1, true));
    let pong = Message::Pong { epoch: Epoch(1) };
    assert_eq!(effects, [Effect::Arm(Timer::Lease), send(0, pong.clone())]);
    assert_eq!(
        bench.deliver(0, ping(1, false)),
        [send(0, pong.clone())],
        "the orchestrator hears nothing"
    );
    assert_eq!(
        bench.deliver(0, ping(2, true)),
        [send(0, pong)],
        "a lease in an epoch that it does not know"
    );
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    let (claim, token) = (bench.claim(1), bench.held().expect("holds"));
    let effects = bench.fire(Timer::Lease);
    assert!(effects.contains(&Effect::Emit(Event::Revoked { claim, token })));
    assert_eq!(sent(&effects), [send(0, register(1))]);
    assert!(!bench.is_member());
}

/// The orchestrator alone begins and ends epochs.
#[test]
fn nobody_else_is_obeyed() {
    let mut bench = Bench::member(1, 3);
    for message in [FREEZE, install(2, [2, 3]), ping(1, true)] {
        assert_eq!(bench.deliver(2, message), []);
    }
    assert!(bench.is_member() && !bench.membership().frozen);
}

/// A late Register makes a node a member that is to be none. It leaves again.
#[test]
fn a_node_that_is_installed_against_its_will_leaves_again() {
    let mut bench = Bench::start(1, &[]);
    let effects = bench.deliver(0, install(2, [1, 2]));
    let deregister = Message::Deregister { epoch: Epoch(2) };
    assert_eq!(sent(&effects), [send(0, deregister)]);
    assert!(effects.contains(&Effect::Arm(Timer::Register)));
    assert!(bench.membership().members.contains(&NodeId(1)));
}

/// A node that is to leave and crashes is a member no more, and its Deregister may be lost. While
/// the orchestrator counts on it, others wait for it as an arbiter. It says so when it is asked
/// whether it lives; and so does one whose lease runs out.
#[test]
fn who_is_none_says_so_when_it_is_asked() {
    let deregister = Message::Deregister { epoch: Epoch(1) };
    let pong = Message::Pong { epoch: Epoch(1) };
    let both = [send(0, deregister), send(0, pong.clone())];
    let mut crashed = Bench::member(1, 3);
    crashed.ask(Command::Deregister);
    assert_eq!(crashed.crash(), []);
    assert_eq!(crashed.deliver(0, ping(1, true)), both);
    let mut silent = Bench::member(1, 3);
    silent.ask(Command::Deregister);
    let effects = silent.fire(Timer::Lease);
    assert!(effects.contains(&Effect::Emit(Event::Left { epoch: Epoch(1) })));
    assert_eq!(silent.deliver(0, ping(1, true)), both);
    let mut registered = Bench::member(1, 3);
    registered.crash();
    let only_pong = [send(0, pong)];
    assert_eq!(registered.deliver(0, ping(1, true)), only_pong);
}
