//! Locks that are held when an epoch ends, and go on being held in the next.

use models::maekawa::message::{Epoch, FURTHEST_AHEAD, HeldLocks, Message};
use models::maekawa::quorum::Construction;
use models::maekawa::state::Record;
use models::maekawa::{Event, Timer};
use models::{Effect, NodeId};

use super::bench::*;

const FREEZE: Message = Message::Freeze { epoch: Epoch(1) };

fn register(after: u64) -> Message {
    let after = Epoch(after);
    Message::Register { after }
}

/// Node 1 of three holds the lock, and has said so.
fn frozen_holder() -> Bench {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench.deliver(0, FREEZE);
    bench
}

/// What the message is about, in epoch 2.
fn of_epoch_2(mut message: Message) -> Message {
    match &mut message {
        Message::Request { epoch, .. }
        | Message::Locked { epoch, .. }
        | Message::Inquire { epoch, .. }
        | Message::Release { epoch, .. } => *epoch = Epoch(2),
        other => panic!("not about a request: {other:?}"),
    }
    message
}

/// The orchestrator puts on disk what is held, and tells all members the same.
#[test]
fn an_epoch_begins_with_the_locks_that_are_held() {
    let mut bench = Bench::orchestrator(2);
    bench.deliver(3, register(0));
    bench.deliver(1, holding(1, 4));
    let effects = bench.deliver(2, frozen(1));
    let held = held_by(1, 1, 1, 4);
    let (construction, on_disk) = (Construction::Plane, held.clone());
    let install = Record::Install {
        construction,
        held: on_disk,
    };
    assert_eq!(bench.records, [install]);
    let told = |to| send(to, install_held(2, 1..=3, held.clone()));
    assert_eq!(sent(&effects), [told(1), told(2), told(3)]);
    bench.crash();
    let behind = Message::Pong { epoch: Epoch(1) };
    assert_eq!(bench.deliver(2, behind), [told(2)], "from disk");
}

/// Of two that say that they hold one lock the first has released it before the second entered.
#[test]
fn of_two_holders_the_greater_token_is_right() {
    for order in [[1, 2], [2, 1]] {
        let mut bench = Bench::orchestrator(2);
        bench.deliver(3, register(0));
        for node in order {
            bench.deliver(node, holding(node, 4 + u64::from(node)));
        }
        assert_eq!(bench.node.durable().held, held_by(1, 2, 1, 6));
    }
}

/// A member that has crashed holds nothing, whatever it has said before or arrives late.
#[test]
fn what_is_forgotten_is_not_carried() {
    let mut bench = Bench::orchestrator(2);
    bench.deliver(1, register(1));
    bench.deliver(1, holding(1, 4));
    bench.deliver(2, frozen(1));
    assert_eq!(bench.node.durable().held, HeldLocks::new());
    let mut bench = Bench::orchestrator(2);
    bench.deliver(3, register(0));
    bench.deliver(1, holding(1, 4));
    bench.deliver(1, register(1));
    bench.deliver(2, frozen(1));
    assert_eq!(bench.node.durable().held, HeldLocks::new());
}

/// Who leaves is waited for until it holds nothing, also when it has said before that it does.
#[test]
fn an_epoch_waits_for_a_holder_that_leaves() {
    let mut bench = Bench::orchestrator(2);
    bench.deliver(3, register(0));
    bench.deliver(1, holding(1, 4));
    bench.deliver(1, Message::Deregister { epoch: Epoch(1) });
    bench.deliver(2, frozen(1));
    bench.deliver(1, holding(1, 4));
    assert_eq!(bench.node.durable().epoch, Epoch(1));
    let effects = bench.fire(Timer::HealthCheck);
    assert!(sent(&effects).contains(&send(1, FREEZE)), "{effects:?}");
    let effects = bench.deliver(1, frozen(1));
    assert!(sent(&effects).contains(&send(3, install(2, [2, 3]))));
}

/// The holder keeps its claim, its request and its token, and its node releases the lock to the
/// arbiters of its new quorum.
#[test]
fn a_holder_keeps_its_lock() {
    let mut bench = frozen_holder();
    let token = bench.held().expect("holds");
    let effects = bench.deliver(0, install_held(2, 1..=4, held_by(1, 1, 1, 1)));
    assert_eq!(sent(&effects), []);
    let is_about_the_claim = |effect: &Effect<_>| {
        matches!(
            effect,
            Effect::Emit(Event::Granted { .. } | Event::Revoked { .. } | Event::Released { .. })
        )
    };
    assert!(!effects.iter().any(is_about_the_claim), "{effects:?}");
    assert_eq!(bench.held(), Some(token));
    assert_eq!(bench.locked(), Some((stamp(1, 1), 0)), "its own arbiter");
    let quorum = bench.membership().quorum.clone();
    let effects = bench.release(1);
    let others = quorum.into_iter().filter(|id| *id != NodeId(1));
    let expected: Vec<_> = others
        .map(|NodeId(id)| send(id, of_epoch_2(release(1, 1, 0))))
        .collect();
    assert_eq!(sent(&effects), expected);
    assert_eq!(bench.locked(), None);
}

/// An arbiter of the holder's quorum is locked for it before anybody asks. Who asks waits for its
/// RELEASE, and has a greater token.
#[test]
fn arbiters_are_locked_for_who_holds() {
    let mut bench = Bench::member(2, 3);
    bench.deliver(0, install_held(2, 1..=3, held_by(9, 1, 1, 4)));
    assert_eq!(bench.locked(), Some((stamp(9, 1), 0)));
    assert_eq!(bench.local().clock, 9, "its next request is later");
    let effects = bench.deliver(3, of_epoch_2(request(10, 3)));
    assert!(matches!(sent(&effects)[..], [Effect::Send { .. }]));
    assert_eq!(bench.locked(), Some((stamp(9, 1), 0)));
    let effects = bench.deliver(1, of_epoch_2(release(9, 1, 0)));
    let Effect::Send { to, message } = &sent(&effects)[0] else {
        panic!("{effects:?}");
    };
    assert_eq!(*to, NodeId(3));
    assert!(matches!(message, Message::Locked { number: 1, .. }));
}

/// A member that no arbiter of the holder's quorum is has nothing to do with it.
#[test]
fn who_is_no_arbiter_of_a_holder_is_free() {
    let mut bench = Bench::member(3, 3);
    bench.deliver(0, install_held(2, 1..=3, held_by(9, 1, 1, 4)));
    assert_eq!(bench.locked(), None);
    assert_eq!(bench.local().clock, 9);
}

/// What it has released since it said so, or forgotten in a crash, it releases in the new epoch, before
/// it asks for the lock again.
#[test]
fn what_is_not_held_any_more_is_released() {
    let mut bench = frozen_holder();
    bench.release(1);
    bench.acquire(2);
    let effects = bench.deliver(0, install_held(2, 1..=3, held_by(1, 1, 1, 1)));
    let expected = [
        send(2, of_epoch_2(release(1, 1, 0))),
        send(2, of_epoch_2(request(2, 1))),
    ];
    assert_eq!(sent(&effects), expected);
    assert_eq!(
        bench.locked().map(|(request, _)| request),
        Some(stamp(2, 1))
    );
    let mut bench = frozen_holder();
    bench.crash();
    let effects = bench.deliver(0, install_held(2, 1..=3, held_by(1, 1, 1, 1)));
    let expected = [send(2, of_epoch_2(release(1, 1, 0)))];
    assert_eq!(sent(&effects), expected);
    assert_eq!(bench.locked(), None);
}

/// A holder that the epoch does not begin with has lost its lock; also one that has missed an epoch.
#[test]
fn who_is_not_carried_has_lost_its_lock() {
    let claim = |bench: &Bench| (bench.claim(1), bench.held().expect("holds"));
    for held in [HeldLocks::new(), held_by(3, 2, 1, 2), held_by(1, 1, 1, 9)] {
        let mut bench = frozen_holder();
        let (claim, token) = claim(&bench);
        let effects = bench.deliver(0, install_held(2, 1..=3, held));
        assert!(effects.contains(&Effect::Emit(Event::Revoked { claim, token })));
        assert_eq!(bench.held(), None);
    }
    let mut bench = frozen_holder();
    let (claim, token) = claim(&bench);
    let effects = bench.deliver(0, Message::Freeze { epoch: Epoch(2) });
    assert!(effects.contains(&Effect::Emit(Event::Revoked { claim, token })));
    assert_eq!(sent(&effects), [send(0, register(2)), send(0, frozen(2))]);
}

/// A clock that cannot be is not followed, and nobody is believed to hold what another does, or what
/// cannot be.
#[test]
fn nobody_says_what_cannot_be() {
    let mut bench = Bench::member(2, 3);
    let far = FURTHEST_AHEAD + 1;
    bench.deliver(0, install_held(2, 1..=3, held_by(far, 1, 1, 4)));
    assert_eq!(bench.local().clock, 0);
    assert_eq!(
        bench.locked(),
        Some((stamp(far, 1), 0)),
        "nobody else may have it"
    );
    let mut bench = Bench::orchestrator(2);
    bench.deliver(3, register(0));
    bench.deliver(2, frozen(1));
    let epoch = Epoch(1);
    let unnamed = held_by(1, 1, 1, 1).into_values();
    let unnamed = unnamed.map(|held| ("".into(), held)).collect();
    for held in [held_by(1, 2, 1, 1), held_by(1, 1, 2, 1), unnamed] {
        bench.deliver(1, Message::Frozen { epoch, held });
        assert_eq!(bench.node.durable().epoch, epoch);
    }
}

/// A word to leave, of whichever epoch, is a sign of life: with the answer a lease may begin.
#[test]
fn who_asks_to_leave_is_alive() {
    let mut bench = Bench::orchestrator(2);
    bench.fire(Timer::HealthCheck);
    let effects = bench.deliver(1, Message::Deregister { epoch: Epoch(0) });
    assert_eq!(sent(&effects), [send(1, install(1, [1, 2]))]);
    assert!(!bench.orchestration().silent.contains_key(&NodeId(1)));
}
