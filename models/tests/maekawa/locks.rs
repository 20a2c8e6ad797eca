//! Many locks on one membership: node 1 of three, whose quorum is {1, 2}.

use models::maekawa::lock::{LONGEST_NAME, LockName};
use models::maekawa::message::{Epoch, Message};
use models::maekawa::spec::{claim_to, the_lock};
use models::maekawa::state::Claim;
use models::maekawa::{Command, Event, Refusal, Timer};
use models::{Effect, NodeId};

use super::bench::*;

const FREEZE: Message = Message::Freeze { epoch: Epoch(1) };

/// The claim of the node's session of this number, to the lock.
fn claim_of(lock: &str, session: u64) -> Claim {
    claim_to(lock.into(), 1, session, 1)
}

fn acquire(bench: &mut Bench, claim: &Claim) -> Effects {
    let claim = claim.clone();
    bench.ask(Command::Acquire { claim })
}

fn release_claim(bench: &mut Bench, claim: &Claim) -> Effects {
    let claim = claim.clone();
    bench.ask(Command::Release { claim })
}

/// The node holds A and B.
fn holder_of_two() -> Bench {
    let mut bench = Bench::member(1, 3);
    acquire(&mut bench, &claim_of("A", 0));
    bench.deliver(2, locked(1, 1, 1));
    acquire(&mut bench, &claim_of("B", 1));
    bench.deliver(2, about("B", locked(2, 1, 2)));
    assert_eq!(bench.membership().all_held().count(), 2);
    bench
}

/// An arbiter is another for each lock: it is locked for two at once, and numbers the grants of
/// both.
#[test]
fn an_arbiter_is_another_for_each_lock() {
    let mut bench = Bench::member(1, 7);
    assert_eq!(bench.deliver(5, request(1, 5)), [send(5, locked(1, 5, 1))]);
    let effects = bench.deliver(3, about("B", request(1, 3)));
    assert_eq!(effects, [send(3, about("B", locked(1, 3, 2)))]);
    bench.deliver(3, about("B", release(1, 3, 2)));
    assert_eq!(bench.locked(), Some((stamp(1, 5), 1)), "A is as it was");
}

/// A node asks for locks at once, each request with a time of its own; one timer runs for both, from
/// the first to the last.
#[test]
fn who_waits_for_two_locks_has_one_timer() {
    let mut bench = Bench::member(1, 3);
    let effects = acquire(&mut bench, &claim_of("A", 0));
    assert_eq!(effects, [Effect::Arm(Timer::Retry), send(2, request(1, 1))]);
    let effects = acquire(&mut bench, &claim_of("B", 1));
    assert_eq!(effects, [send(2, about("B", request(2, 1)))], "it runs");
    let again = [
        Effect::Arm(Timer::Retry),
        send(2, request(1, 1)),
        send(2, about("B", request(2, 1))),
    ];
    assert_eq!(bench.fire(Timer::Retry), again);
    let effects = bench.deliver(2, locked(1, 1, 1));
    assert_eq!(effects, [granted(claim_of("A", 0), 1)], "it runs on");
    let effects = bench.deliver(2, about("B", locked(2, 1, 2)));
    let entered = [Effect::Disarm(Timer::Retry), granted(claim_of("B", 1), 2)];
    assert_eq!(effects, entered);
}

/// A session has one claim at a time, to whichever lock; all claims of a node are counted together.
#[test]
fn claims_to_all_locks_are_counted() {
    let mut bench = Bench::member(1, 3);
    acquire(&mut bench, &claim_of("A", 0));
    let refused = |claim: &Claim, why| {
        let claim = claim.clone();
        let command = Command::Acquire { claim };
        [Effect::Emit(Event::Refused { command, why })]
    };
    let second = claim_to("B".into(), 1, 0, 2);
    assert_eq!(
        acquire(&mut bench, &second),
        refused(&second, Refusal::Busy)
    );
    bench.maekawa.max_claims = 1;
    let other = claim_of("B", 1);
    assert_eq!(acquire(&mut bench, &other), refused(&other, Refusal::Full));
}

/// What a lock may be called, and what not. Nobody hears of what cannot be one.
#[test]
fn names_have_a_length() {
    let mut bench = Bench::member(1, 3);
    let before = bench.node.clone();
    let longest = "n".repeat(LONGEST_NAME);
    for name in [String::new(), longest.clone() + "n"] {
        let claim = claim_of(&name, 0);
        let command = Command::Acquire {
            claim: claim.clone(),
        };
        let why = Refusal::InvalidName;
        let refused = Effect::Emit(Event::Refused { command, why });
        assert_eq!(acquire(&mut bench, &claim), [refused]);
        assert_eq!(bench.deliver(2, about(&name, request(1, 2))), []);
    }
    assert_eq!(bench.node, before);
    let effects = bench.deliver(2, about(&longest, request(1, 2)));
    assert_eq!(effects, [send(2, about(&longest, locked(1, 2, 1)))]);
}

/// The token of a RELEASE is the greatest of its node: A's, though B has been entered since.
#[test]
fn a_release_bears_the_greatest_token() {
    let mut bench = Bench::member(1, 3);
    acquire(&mut bench, &claim_of("A", 0));
    acquire(&mut bench, &claim_of("B", 1));
    bench.deliver(2, locked(1, 1, 9));
    bench.deliver(2, about("B", locked(2, 1, 8)));
    assert_eq!(bench.membership().counter, 9);
    let effects = release_claim(&mut bench, &claim_of("B", 1));
    assert_eq!(sent(&effects), [send(2, about("B", release(2, 1, 9)))]);
}

/// The epoch ends for all locks. Who waits gives up at once, and who holds goes on; a node that is to
/// be no member says when the last of its holders has left.
#[test]
fn the_last_of_a_nodes_holders_lets_the_epoch_end() {
    let mut bench = holder_of_two();
    acquire(&mut bench, &claim_of("C", 2));
    let held = bench.membership().held_locks();
    let epoch = Epoch(1);
    let expected = [
        Effect::Disarm(Timer::Retry),
        send(0, Message::Frozen { epoch, held }),
    ];
    assert_eq!(bench.deliver(0, FREEZE), expected, "C is given up");
    bench.ask(Command::Deregister);
    let effects = release_claim(&mut bench, &claim_of("A", 0));
    assert!(!sent(&effects).contains(&send(0, frozen(1))), "{effects:?}");
    let effects = release_claim(&mut bench, &claim_of("B", 1));
    assert!(sent(&effects).contains(&send(0, frozen(1))), "{effects:?}");
}

/// When the lease runs out each of those that have a lock hears that it has lost it.
#[test]
fn all_locks_are_lost_with_the_lease() {
    let mut bench = holder_of_two();
    let effects = bench.fire(Timer::Lease);
    for (lock, session, counter) in [("A", 0, 1), ("B", 1, 2)] {
        let (claim, epoch) = (claim_of(lock, session), Epoch(1));
        let token = models::maekawa::message::Token { epoch, counter };
        let revoked = Effect::Emit(Event::Revoked { claim, token });
        assert!(effects.contains(&revoked), "{effects:?}");
    }
    assert_eq!(bench.local().all_claims().count(), 0);
}

/// Who waits is turned away from each lock, and who has one stays.
#[test]
fn a_node_that_leaves_turns_clients_away_from_all_locks() {
    let mut bench = holder_of_two();
    for (lock, session) in [("A", 2), ("C", 3)] {
        acquire(&mut bench, &claim_of(lock, session));
    }
    let effects = bench.ask(Command::Deregister);
    for (lock, session) in [("A", 2), ("C", 3)] {
        let claim = claim_of(lock, session);
        let command = Command::Acquire { claim };
        let why = Refusal::NotAMember;
        assert!(effects.contains(&Effect::Emit(Event::Refused { command, why })));
    }
    assert_eq!(bench.membership().all_held().count(), 2);
    assert!(
        !bench
            .membership()
            .attempts
            .contains_key(&LockName::from("C"))
    );
    assert!(effects.contains(&Effect::Disarm(Timer::Retry)));
}

/// The arbiters of the locks of these names.
fn known(bench: &Bench) -> Vec<&str> {
    let locks = bench.membership().arbiters.keys();
    locks.map(LockName::as_str).collect()
}

/// Of locks that nobody wants so many are remembered as may be: the one that has been idle for
/// longest is forgotten. One that is wanted is not.
#[test]
fn what_has_been_idle_for_longest_is_forgotten() {
    let mut bench = Bench::member(1, 3);
    bench.maekawa.max_idle_locks = 2;
    bench.deliver(2, about("held", request(1, 2)));
    for (name, clock) in [("A", 2), ("B", 3), ("C", 4)] {
        bench.deliver(2, about(name, request(clock, 2)));
        bench.deliver(2, about(name, release(clock, 2, 0)));
    }
    assert_eq!(known(&bench), ["B", "C", "held"]);
    bench.deliver(2, about("B", request(5, 2)));
    bench.deliver(2, about("B", release(5, 2, 0)));
    bench.deliver(2, about("D", request(6, 2)));
    bench.deliver(2, about("D", release(6, 2, 0)));
    assert_eq!(known(&bench), ["B", "D", "held"], "B was wanted after C");
    assert_eq!(bench.membership().number, 6, "numbers go on");
}

/// A lock that passes from one client of a node to the next is idle for no moment, and nothing else is
/// forgotten for it.
#[test]
fn what_is_claimed_again_has_not_been_idle() {
    let mut bench = Bench::member(1, 3);
    bench.maekawa.max_idle_locks = 1;
    bench.deliver(2, about("B", request(1, 2)));
    bench.deliver(2, about("B", release(1, 2, 0)));
    acquire(&mut bench, &claim_of("A", 0));
    acquire(&mut bench, &claim_of("A", 1));
    release_claim(&mut bench, &claim_of("A", 0));
    assert_eq!(known(&bench), ["A", "B"]);
    release_claim(&mut bench, &claim_of("A", 1));
    assert_eq!(known(&bench), ["A"], "now it is");
}

/// A request that comes when its lock is forgotten locks the arbiter. Who made it says that it is
/// over, and the next has the arbiter, with a greater number than any before.
#[test]
fn a_late_request_for_a_forgotten_lock_is_released_again() {
    let mut arbiter = Bench::member(1, 3);
    arbiter.maekawa.max_idle_locks = 0;
    arbiter.deliver(2, request(1, 2));
    arbiter.deliver(2, release(1, 2, 1));
    assert_eq!(known(&arbiter), [] as [&str; 0]);
    let effects = arbiter.deliver(2, request(1, 2));
    assert_eq!(effects, [send(2, locked(1, 2, 2))], "it is taken for new");
    arbiter.deliver(3, request(2, 3));
    let mut requester = Bench::member(2, 3);
    requester.local_mut().clock = 1;
    let effects = requester.deliver(1, locked(1, 2, 2));
    assert_eq!(effects, [send(1, release(1, 2, 0))]);
    arbiter.deliver(2, release(1, 2, 0));
    assert_eq!(arbiter.locked(), Some((stamp(2, 3), 3)));
}

/// Names are text in a trace, and as keys.
#[test]
fn names_are_text() {
    let name = the_lock();
    let json = serde_json::to_string(&name).expect("text");
    assert_eq!((json.as_str(), name.to_string().as_str()), ("\"A\"", "A"));
    let mut bench = Bench::member(1, 3);
    bench.acquire(1);
    let json = serde_json::to_string(bench.local()).expect("a state");
    let read: models::maekawa::state::Local = serde_json::from_str(&json).expect("a state");
    assert_eq!(&read, bench.local());
    assert!(bench.membership().quorum.contains(&NodeId(2)));
}
