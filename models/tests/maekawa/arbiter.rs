//! §4 of the arbiter: node 1 of seven, which asks for nothing itself.

use models::maekawa::spec::the_lock;

use super::bench::*;

fn arbiter() -> Bench {
    Bench::member(1, 7)
}

/// A node that is not locked locks itself for a request, and answers LOCKED.
#[test]
fn s4_a_free_arbiter_is_locked_for_who_asks() {
    let mut bench = arbiter();
    assert_eq!(bench.deliver(5, request(1, 5)), [send(5, locked(1, 5, 1))]);
    assert_eq!(bench.locked(), Some((stamp(1, 5), 1)));
    assert_eq!(bench.records, [], "nothing of it outlives a crash");
}

/// A request that does not precede the one that the node is locked for waits, and hears FAILED.
#[test]
fn s4_a_later_request_waits_and_fails() {
    let mut bench = arbiter();
    bench.deliver(5, request(1, 5));
    assert_eq!(bench.deliver(3, request(2, 3)), [send(3, failed(2, 3))]);
    assert_eq!(bench.waiting(), [stamp(2, 3)]);
    assert_eq!(bench.locked(), Some((stamp(1, 5), 1)));
}

/// One that precedes it, and all that wait, makes the node inquire.
#[test]
fn s4_an_earlier_request_makes_the_arbiter_inquire() {
    let mut bench = arbiter();
    bench.deliver(5, request(2, 5));
    assert_eq!(bench.deliver(3, request(1, 3)), [send(5, inquire(2, 5, 1))]);
    assert_eq!(
        bench.locked(),
        Some((stamp(2, 5), 1)),
        "it waits for the answer"
    );
}

/// Of two requests at the same time the one of the lower node precedes.
#[test]
fn s4_ties_are_broken_by_the_node() {
    let mut bench = arbiter();
    bench.deliver(4, request(1, 4));
    assert_eq!(bench.deliver(5, request(1, 5)), [send(5, failed(1, 5))]);
    assert_eq!(bench.deliver(3, request(1, 3)), [send(4, inquire(1, 4, 1))]);
}

/// An arbiter does not inquire twice of one grant.
#[test]
fn s4_one_inquiry_for_each_grant() {
    let mut bench = arbiter();
    bench.deliver(5, request(3, 5));
    bench.deliver(4, request(2, 4));
    assert_eq!(bench.deliver(3, request(1, 3)), [send(4, failed(2, 4))]);
}

/// Sanders 1987: who was the best of those that wait has heard no FAILED. It does when a better
/// request comes; one that has heard it already does not again.
#[test]
fn sanders_the_overtaken_request_hears_that_it_has_failed() {
    let mut bench = arbiter();
    bench.deliver(6, request(4, 6));
    assert_eq!(bench.deliver(5, request(3, 5)), [send(6, inquire(4, 6, 1))]);
    assert_eq!(bench.deliver(7, request(5, 7)), [send(7, failed(5, 7))]);
    assert_eq!(bench.deliver(3, request(1, 3)), [send(5, failed(3, 5))]);
    assert_eq!(bench.waiting(), [stamp(1, 3), stamp(3, 5), stamp(5, 7)]);
}

/// RELINQUISH: the request goes back to its place, and the first of those that wait is granted.
#[test]
fn s4_a_relinquished_arbiter_is_locked_for_the_best() {
    let mut bench = arbiter();
    bench.deliver(5, request(2, 5));
    bench.deliver(6, request(3, 6));
    bench.deliver(3, request(1, 3));
    let effects = bench.deliver(5, relinquish(2, 5, 1));
    let granted = models::maekawa::message::Message::Locked {
        epoch: models::maekawa::message::Epoch(1),
        lock: the_lock(),
        request: stamp(1, 3),
        number: 2,
        clock: 3,
    };
    assert_eq!(effects, [send(3, granted)]);
    assert_eq!(
        bench.waiting(),
        [stamp(2, 5), stamp(3, 6)],
        "before the later one"
    );
}

/// RELEASE: the request is forgotten, and the first of those that wait is granted.
#[test]
fn s4_a_released_arbiter_is_locked_for_the_next() {
    let mut bench = arbiter();
    bench.deliver(5, request(1, 5));
    bench.deliver(6, request(3, 6));
    bench.deliver(4, request(2, 4));
    bench.deliver(5, release(1, 5, 1));
    assert_eq!(bench.locked(), Some((stamp(2, 4), 2)));
    bench.deliver(4, release(2, 4, 2));
    bench.deliver(6, release(3, 6, 3));
    assert_eq!((bench.locked(), bench.waiting()), (None, vec![]));
}

/// A request may be given up while it waits.
#[test]
fn a_request_that_waits_may_be_given_up() {
    let mut bench = arbiter();
    bench.deliver(5, request(1, 5));
    bench.deliver(4, request(2, 4));
    assert_eq!(bench.deliver(4, release(2, 4, 0)), []);
    assert_eq!(
        (bench.locked(), bench.waiting()),
        (Some((stamp(1, 5), 1)), vec![])
    );
}

/// The paper assumes channels in order. Here an end that comes before the beginning, or before
/// the end of the request before, is the end all the same.
#[test]
fn messages_may_come_in_any_order() {
    let mut bench = arbiter();
    bench.deliver(5, release(1, 5, 0));
    assert_eq!(bench.deliver(5, request(1, 5)), [], "it is over");
    bench.deliver(4, request(2, 4));
    bench.deliver(4, release(3, 4, 7));
    assert_eq!(bench.locked(), None, "a node has one request at a time");
    assert_eq!(bench.deliver(4, release(2, 4, 1)), [], "the end is known");
}

/// A request may be granted twice by one arbiter. A late RELINQUISH of the first grant does not
/// undo the second: the number tells them apart.
#[test]
fn a_late_relinquish_undoes_nothing() {
    let mut bench = arbiter();
    bench.deliver(5, request(2, 5));
    bench.deliver(3, request(1, 3));
    bench.deliver(5, relinquish(2, 5, 1));
    bench.deliver(3, release(1, 3, 2));
    assert_eq!(bench.locked(), Some((stamp(2, 5), 3)));
    assert_eq!(bench.deliver(5, relinquish(2, 5, 1)), []);
    assert_eq!(bench.locked(), Some((stamp(2, 5), 3)));
}

/// Messages may be lost. A request that comes again is told again how things stand, and so is
/// the one that the arbiter is locked for.
#[test]
fn who_asks_again_is_told_again() {
    let mut bench = arbiter();
    bench.deliver(5, request(2, 5));
    let again = bench.deliver(5, request(2, 5));
    assert_eq!(again, [send(5, locked(2, 5, 1))]);
    bench.deliver(6, request(3, 6));
    let again = bench.deliver(6, request(3, 6));
    let reminder = models::maekawa::message::Message::Locked {
        epoch: models::maekawa::message::Epoch(1),
        lock: the_lock(),
        request: stamp(2, 5),
        number: 1,
        clock: 3,
    };
    assert_eq!(again, [send(5, reminder), send(6, failed(3, 6))]);
    bench.deliver(3, request(1, 3));
    let again = bench.deliver(3, request(1, 3));
    assert_eq!(again, [send(5, inquire(2, 5, 1))]);
}

/// A grant's number is greater than any token's counter that the arbiter has been told: the
/// token of the next holder is greater than the last one's.
#[test]
fn numbers_go_on_from_the_tokens() {
    let mut bench = arbiter();
    bench.deliver(5, request(1, 5));
    bench.deliver(5, release(1, 5, 40));
    bench.deliver(4, request(2, 4));
    assert_eq!(bench.locked(), Some((stamp(2, 4), 41)));
}

/// Nobody speaks for another, and nobody who is no member or in another epoch is heard.
#[test]
fn strangers_are_not_heard() {
    let mut bench = arbiter();
    bench.deliver(5, request(1, 5));
    for (from, message) in [
        (4, request(2, 5)),
        (4, release(1, 5, 1)),
        (4, relinquish(1, 5, 1)),
        (9, request(1, 9)),
    ] {
        assert_eq!(bench.deliver(from, message), []);
    }
    let (epoch, request) = (models::maekawa::message::Epoch(2), stamp(1, 4));
    let early = models::maekawa::message::Message::Request {
        epoch,
        lock: the_lock(),
        request,
    };
    assert_eq!(bench.deliver(4, early), []);
    assert_eq!(bench.locked(), Some((stamp(1, 5), 1)));
    assert_eq!(bench.waiting(), []);
}
