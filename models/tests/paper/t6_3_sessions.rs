//! Thesis §6.3, "Implementing linearizable semantics": sessions, and when they expire.

use models::Effect;
use models::raft::Event;
use models::raft::log::{Content, Entry, Term};
use models::raft::session::{ClientId, Known, Position, RequestId, Sequence};
use models::raft::snapshot::Applied;
use models::raft::spec::{Add, Adder, Sum};
use models::raft::{Command, machine::StateMachine};
use proptest::prelude::*;

use crate::support::bench::*;

/// The first request of the client of this number, in a session that begins at `since`: add 1.
fn first(client: u64, since: u64) -> Command<Adder> {
    Command::Propose {
        request: id(client, since, 1),
        command: Add(1),
    }
}

fn id(client: u64, since: u64, sequence: u64) -> RequestId {
    RequestId {
        client: ClientId::new(client).anew(Position(since)),
        sequence: Sequence(sequence),
    }
}

fn expired(client: u64, since: u64) -> Effect<Checked> {
    Effect::Emit(Event::SessionExpired {
        request: id(client, 0, 1),
        since: Position(since),
    })
}

/// An entry of `term` by which sessions expire.
fn expiry(term: u64, through: u64) -> Entry<Add> {
    Entry {
        term: Term(term),
        content: Content::ExpireSessions {
            through: Position(through),
        },
    }
}

/// A leader of term 1 that keeps two sessions, and has had three: its log ends with the entry
/// by which the oldest expires.
fn crowded() -> Bench {
    let mut bench = Bench::established(1, &[]).keeping(2);
    for client in 1..=3 {
        bench.ask(first(client, 0));
        bench.deliver(1, accepted(1, client + 1));
    }
    bench
}

/// "One option is to set an upper bound on the number of active sessions and remove entries
/// using an LRU policy": the leader says so in the log, and nobody forgets before it is
/// committed.
#[test]
fn t6_3_the_leader_lets_the_least_recently_used_session_expire_by_an_entry() {
    let mut bench = crowded();
    assert_eq!(bench.records(), [Record::Append(expiry(1, 1))]);
    assert_eq!(sessions(&bench), 3);
    bench.deliver(1, accepted(1, 5));
    assert_eq!(sessions(&bench), 2);
}

fn sessions(bench: &Bench) -> usize {
    bench.node().volatile.applied.sessions.len()
}

/// To look at them all each time would be dear: an eighth of them expires at once.
#[test]
fn t6_3_an_eighth_of_the_sessions_expires_at_once() {
    let mut bench = Bench::established(1, &[]).keeping(8);
    for client in 1..=8 {
        bench.ask(first(client, 0));
        bench.deliver(1, accepted(1, client + 1));
        assert_eq!(bench.records(), []);
    }
    bench.ask(first(9, 0));
    bench.deliver(1, accepted(1, 10));
    assert_eq!(bench.records(), [Record::Append(expiry(1, 2))]);
    bench.deliver(1, accepted(1, 11));
    assert_eq!(sessions(&bench), 7);
}

/// One entry is enough, however many commands come before it is committed.
#[test]
fn t6_3_no_second_entry_while_the_first_is_under_way() {
    let mut bench = crowded();
    bench.ask(first(4, 3));
    assert_eq!(bench.records().len(), 1, "the command alone");
    bench.deliver(2, accepted(1, 4));
    assert_eq!(bench.records(), []);
    // When that is done, there are three again.
    bench.deliver(1, accepted(1, 6));
    assert_eq!(bench.records(), [Record::Append(expiry(1, 2))]);
}

/// "Servers need to agree on when to expire a client's session": a follower does what the
/// log says, whatever it would keep itself, and a leader's limit is its own.
#[test]
fn t6_3_a_follower_forgets_what_the_log_says() {
    let mut bench = Bench::follower(1, &[]).keeping(7);
    let entries = [entry(1, 1, 5), expiry(1, 1)];
    bench.deliver(1, append(1, (0, 0), &entries, 1));
    assert_eq!(sessions(&bench), 1);
    bench.deliver(1, append(1, (2, 1), &[], 2));
    assert_eq!(sessions(&bench), 0);
    let mut bench = Bench::follower(1, &[]).keeping(1);
    let entries = [entry(1, 1, 5), entry(1, 2, 5)];
    bench.deliver(1, append(1, (0, 0), &entries, 2));
    assert_eq!(bench.records().len(), 2, "nothing but what came");
}

/// "Another problem is how to deal with a client that continues to operate after its session
/// was expired": it is told so, and the command is not applied a second time. Here at once,
/// for the leader knows.
#[test]
fn t6_3_a_retry_in_an_expired_session_is_refused() {
    let mut bench = crowded();
    bench.deliver(1, accepted(1, 5));
    assert_eq!(bench.ask(first(1, 0)), [expired(1, 3)]);
    assert_eq!((bench.records(), bench.total()), (&[][..], 3));
}

/// The same where the retry is in the log behind the entry by which its session expires.
#[test]
fn t6_3_a_retry_behind_the_expiry_is_not_applied() {
    let mut bench = Bench::follower(1, &[]);
    let entries = [entry(1, 1, 5), expiry(1, 1), entry(1, 1, 5)];
    bench.deliver(1, append(1, (0, 0), &entries, 3));
    assert_eq!(bench.total(), 5);
    let mut bench = crowded();
    bench.ask(first(1, 0));
    assert_eq!(
        bench.log(),
        [1, 1, 1, 1, 1],
        "it was applied: no second entry"
    );
}

/// A retry before the entry is answered as ever.
#[test]
fn t6_3_a_retry_before_the_expiry_gets_the_first_answer() {
    let mut bench = crowded();
    let answer = Effect::Emit(Event::Reply {
        request: id(1, 0, 1),
        response: Sum(1),
    });
    assert_eq!(bench.ask(first(1, 0)), [answer]);
}

/// Who is not known, and does not say since when it has been, may be one of the forgotten. With
/// the position that it is told it begins another session, which is as good as any.
#[test]
fn t6_3_a_client_begins_another_session_where_it_is_told_to() {
    let mut bench = crowded();
    bench.deliver(1, accepted(1, 5));
    assert_eq!(bench.ask(first(9, 0)), [expired(9, 3)]);
    bench.ask(first(9, 3));
    bench.deliver(1, accepted(1, 6));
    assert_eq!(bench.total(), 4);
}

/// A new leader goes on: it has the same sessions, and lets as many expire as it finds too many.
#[test]
fn t6_3_a_new_leader_lets_sessions_expire_too() {
    let mut bench = Bench::follower(1, &[]).keeping(1);
    let entries: Vec<_> = [first(1, 0), first(2, 0)].map(in_log).into();
    bench.deliver(1, append(1, (0, 0), &entries, 0));
    bench.fire(models::raft::Timer::Election);
    bench.deliver(2, granted(2));
    bench.deliver(2, accepted(2, 3));
    assert_eq!(bench.records(), [Record::Append(expiry(2, 1))]);
}

fn in_log(command: Command<Adder>) -> Entry<Add> {
    let Command::Propose { request, command } = command else {
        unreachable!("a proposal")
    };
    Entry {
        term: Term(1),
        content: Content::Command { request, command },
    }
}

/// What a log may hold, from the clients of so many numbers.
fn content() -> impl Strategy<Value = (bool, u64, u64, u64)> {
    (prop::bool::weighted(0.2), 0..4u64, 1..4u64, 0..6u64)
}

proptest! {
    /// No request is ever applied twice, whatever expires when, as long as clients tell the
    /// truth: they begin a session at a position that has been.
    #[test]
    fn t6_3_no_request_is_applied_twice(contents in prop::collection::vec(content(), 0..60)) {
        let mut applied = Applied::<Adder>::default();
        let mut seen = std::collections::BTreeSet::new();
        for (expires, client, sequence, number) in contents {
            let position = applied.sessions.position();
            if expires {
                let through = Position(number.min(position.0));
                applied.apply(&Content::ExpireSessions { through });
                continue;
            }
            let request = id(client, number.min(position.0), sequence);
            let is_new = applied.sessions.find(request) == Known::New;
            let before = applied.machine;
            let command = Add(1);
            applied.apply(&Content::Command { request, command });
            let mut after = before;
            if is_new {
                after.apply(&command);
                prop_assert!(seen.insert(request), "{request} again");
            }
            prop_assert_eq!(applied.machine, after);
        }
    }
}
