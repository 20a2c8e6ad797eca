//! §4 of the requester: node 1 of three, whose quorum is {1, 2}, or of four, {1, 2, 4}.

use models::maekawa::Timer;
use models::maekawa::state::Standing;
use models::{Effect, NodeId};

use super::bench::*;

/// A node that wants to enter sends REQUEST to all of its set. It is its own arbiter, and hears
/// itself at once.
#[test]
fn s4_a_request_goes_to_the_whole_quorum() {
    let mut bench = Bench::member(1, 4);
    let effects = bench.acquire(1);
    let expected = [
        Effect::Arm(Timer::Retry),
        send(2, request(1, 1)),
        send(4, request(1, 1)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.standing(1), Standing::Locked);
    assert_eq!(bench.locked(), Some((stamp(1, 1), 1)));
}

/// Its time stamp is greater than any that the node has seen, in a request or from an arbiter.
#[test]
fn s4_a_request_is_later_than_all_that_its_node_has_seen() {
    let mut bench = Bench::member(1, 3);
    bench.deliver(3, request(6, 3));
    bench.acquire(1);
    assert_eq!(bench.attempt().request, stamp(7, 1));
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    let late = models::maekawa::message::Message::Locked {
        epoch: models::maekawa::message::Epoch(1),
        lock: models::maekawa::spec::the_lock(),
        request: stamp(1, 1),
        number: 3,
        clock: 9,
    };
    bench.deliver(2, late);
    bench.release(1);
    bench.acquire(2);
    assert_eq!(bench.attempt().request, stamp(10, 1));
}

/// When all members of its set are locked for it, it enters; the token is the greatest number.
#[test]
fn s4_a_node_enters_when_its_quorum_is_locked() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    assert_eq!(bench.deliver(2, locked(1, 1, 5)), []);
    let effects = bench.deliver(4, locked(1, 1, 3));
    let expected = [Effect::Disarm(Timer::Retry), granted(bench.claim(1), 5)];
    assert_eq!(effects, expected);
    assert_eq!(bench.held().map(|token| token.counter), Some(5));
}

/// When it leaves it sends RELEASE to all of them.
#[test]
fn s4_who_leaves_releases_all() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 5));
    bench.deliver(4, locked(1, 1, 3));
    let effects = bench.release(1);
    let expected = [send(2, release(1, 1, 5)), send(4, release(1, 1, 5))];
    assert_eq!(sent(&effects), expected);
    assert!(effects.contains(&released(bench.claim(1))));
    assert_eq!(bench.locked(), None, "its own arbiter is free as well");
}

/// INQUIRE before anything has failed: it waits until it knows. FAILED from another: it gives
/// way.
#[test]
fn s4_an_inquiry_is_answered_once_the_node_knows() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    assert_eq!(bench.deliver(2, inquire(1, 1, 1)), []);
    assert_eq!(bench.standing(2), Standing::Inquired);
    assert_eq!(
        bench.deliver(4, failed(1, 1)),
        [send(2, relinquish(1, 1, 1))]
    );
    assert_eq!(bench.standing(2), Standing::Failed);
}

/// FAILED first: it gives way at once.
#[test]
fn s4_who_has_failed_gives_way_at_once() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    assert_eq!(bench.deliver(4, failed(1, 1)), [], "nobody has asked");
    let effects = bench.deliver(2, inquire(1, 1, 1));
    assert_eq!(effects, [send(2, relinquish(1, 1, 1))]);
}

/// Having given one arbiter back is as good as a FAILED: the others are given back as well when
/// they ask.
#[test]
fn s4_who_has_given_one_back_gives_the_others_back() {
    let mut bench = Bench::member(1, 7);
    bench.acquire(1);
    let arbiters: Vec<u16> = bench.attempt().arbiters.keys().map(|id| id.0).collect();
    assert_eq!(arbiters, [1, 2, 4]);
    bench.deliver(2, failed(1, 1));
    bench.deliver(4, locked(1, 1, 1));
    bench.deliver(4, inquire(1, 1, 1));
    bench.deliver(2, locked(1, 1, 1));
    assert_eq!(bench.standing(4), Standing::Failed);
    let effects = bench.deliver(2, inquire(1, 1, 1));
    assert_eq!(effects, [send(2, relinquish(1, 1, 1))]);
}

/// In the critical section an INQUIRE is answered by RELEASE, on leaving, and not before.
#[test]
fn s4_who_is_in_the_critical_section_does_not_give_way() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    assert_eq!(bench.deliver(2, inquire(1, 1, 1)), []);
    assert_eq!(sent(&bench.release(1)), [send(2, release(1, 1, 1))]);
}

/// An INQUIRE that crosses the RELEASE is answered with RELEASE, and cancels nothing of the next
/// request.
#[test]
fn an_inquiry_for_a_request_that_is_over_cancels_nothing() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench.release(1);
    bench.acquire(2);
    let effects = bench.deliver(2, inquire(1, 1, 1));
    assert_eq!(effects, [send(2, release(1, 1, 1))]);
    assert_eq!(bench.standing(2), Standing::Awaited);
}

/// Likewise a LOCKED for a request that is over: the arbiter may not have heard of its end.
#[test]
fn a_lock_for_a_request_that_is_over_is_released() {
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    bench.release(1);
    let effects = bench.deliver(2, locked(1, 1, 1));
    assert_eq!(effects, [send(2, release(1, 1, 0))]);
    assert_eq!(bench.held(), None);
}

/// Messages overtake each other: an INQUIRE says that the arbiter is locked, and the LOCKED that
/// comes after it says nothing new, not even when the grant has been given back meanwhile.
#[test]
fn an_inquiry_may_overtake_its_lock() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(4, failed(1, 1));
    let effects = bench.deliver(2, inquire(1, 1, 1));
    assert_eq!(effects, [send(2, relinquish(1, 1, 1))]);
    let effects = bench.deliver(2, locked(1, 1, 1));
    assert_eq!(
        effects,
        [send(2, relinquish(1, 1, 1))],
        "again, lest it was lost"
    );
    assert_eq!(bench.standing(2), Standing::Failed);
    bench.deliver(2, locked(1, 1, 3));
    assert_eq!(bench.standing(2), Standing::Locked);
}

/// A FAILED that comes after the LOCKED is of before it.
#[test]
fn a_late_failed_means_nothing() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    bench.deliver(2, failed(1, 1));
    assert_eq!(bench.standing(2), Standing::Locked);
}

/// Time to ask again: those alone that are not locked.
#[test]
fn who_waits_asks_again() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(2, locked(1, 1, 1));
    let effects = bench.fire(Timer::Retry);
    assert_eq!(effects, [Effect::Arm(Timer::Retry), send(4, request(1, 1))]);
    bench.deliver(4, locked(1, 1, 1));
    assert_eq!(bench.fire(Timer::Retry), []);
}

/// An arbiter that is not of the quorum locks nothing.
#[test]
fn only_the_quorum_counts() {
    let mut bench = Bench::member(1, 4);
    bench.acquire(1);
    bench.deliver(3, locked(1, 1, 1));
    assert!(!bench.attempt().arbiters.contains_key(&NodeId(3)));
    assert_eq!(bench.held(), None);
}

/// A single member is its own quorum.
#[test]
fn one_member_enters_at_once() {
    let mut bench = Bench::member(1, 1);
    let effects = bench.acquire(1);
    assert!(effects.contains(&granted(bench.claim(1), 1)), "{effects:?}");
    assert_eq!(sent(&effects), []);
}
