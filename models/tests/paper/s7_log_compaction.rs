//! §7: log compaction.

use models::Effect;
use models::raft::log::{Index, Term};
use models::raft::message::{InstallOutcome, Message, ReadIndexOutcome, Round};
use models::raft::progress::Mode;
use models::raft::snapshot::Snapshot;
use models::raft::spec::{Adder, Total};
use models::raft::{Command, Event, Timer};

use crate::support::bench::*;

/// A leader of term 1 with the no-op and two commands committed, compacted but for `trailing`
/// entries.
fn compacted(trailing: usize) -> Bench {
    let mut bench = Bench::established(1, &[]).compacting(2, trailing);
    bench.ask(add(1, 1));
    bench.ask(add(2, 2));
    bench.deliver(1, accepted(1, 3));
    bench.fire(Timer::Snapshot);
    bench
}

fn last_included(bench: &Bench) -> (Index, Term) {
    bench.node().durable().snapshot.last_included()
}

/// The bytes of the snapshot that [`compacted`] takes.
fn bytes() -> Vec<u8> {
    let snapshot = &compacted(0).node().durable().snapshot.clone();
    snapshot.encode().expect("an encoding")
}

fn chunk(term: u64, offset: usize, data: &[u8], done: bool) -> Msg {
    Message::InstallSnapshot {
        term: Term(term),
        last_included_index: Index(3),
        last_included_term: Term(1),
        offset: offset as u64,
        data: data.to_vec(),
        done,
        round: Round(0),
    }
}

fn answer(term: u64, outcome: InstallOutcome) -> Msg {
    Message::InstallSnapshotResponse {
        term: Term(term),
        outcome,
        round: Round(0),
    }
}

fn received(sent: usize, received: usize) -> Msg {
    let outcome = InstallOutcome::Received {
        last_included_index: Index(3),
        sent: sent as u64,
        received: received as u64,
    };
    answer(1, outcome)
}

fn installed() -> Msg {
    let last_included_index = Index(3);
    answer(
        1,
        InstallOutcome::Installed {
            last_included_index,
        },
    )
}

/// "Each server takes snapshots independently, covering just the committed entries in its log":
/// once enough has been applied, and not in the step that applies it.
#[test]
fn s7_a_snapshot_covers_what_is_applied() {
    let mut bench = Bench::established(1, &[]).compacting(1, 0);
    bench.ask(add(1, 1));
    bench.ask(add(2, 2));
    let effects = bench.deliver(1, accepted(1, 2));
    assert!(effects.contains(&Effect::Arm(Timer::Snapshot)));
    assert!(bench.records().is_empty());
    bench.fire(Timer::Snapshot);
    let through = Index(2);
    let expected = [Record::Snapshot { through }, Record::Discard { through }];
    assert_eq!(bench.records(), expected);
    assert_eq!(last_included(&bench), (Index(2), Term(1)));
    assert_eq!(bench.log(), [1], "the entry that is not committed stays");
}

/// What has been done needs not be done again: a timer that runs out for nothing writes nothing.
#[test]
fn s7_nothing_new_needs_no_snapshot() {
    let mut bench = compacted(0);
    assert_ne!(bench.records(), []);
    bench.fire(Timer::Snapshot);
    assert_eq!(bench.records(), []);
}

/// "Once a server completes writing a snapshot, it may delete all log entries up through the last
/// included index": or keep some for followers that are slow.
#[test]
fn s7_trailing_entries_stay_behind_the_snapshot() {
    for (trailing, base) in [(0, 3), (1, 2), (2, 1), (9, 0)] {
        let bench = compacted(trailing);
        assert_eq!(last_included(&bench), (Index(3), Term(1)));
        assert_eq!(bench.node().durable().log.base_index(), Index(base));
        assert_eq!(bench.node().durable().log.last_index(), Index(3));
    }
}

/// The last included index and term "support the AppendEntries consistency check for the first
/// log entry following the snapshot".
#[test]
fn s7_the_first_entry_behind_a_snapshot_is_checked_against_it() {
    let mut bench = compacted(0);
    assert_eq!(
        bench.answer(append(2, (3, 1), &[noop(2)], 3)),
        accepted(2, 4)
    );
    let mut bench = compacted(0);
    assert_eq!(
        bench.answer(append(2, (4, 1), &[noop(2)], 3)),
        conflict(2, 4, None, 4)
    );
}

/// A late append of what is discarded is answered as if it were there: it is committed, so the
/// leader has the same.
#[test]
fn s7_a_late_append_of_discarded_entries_is_accepted() {
    let mut bench = compacted(0);
    let entries = [noop(1), entry(1, 1, 1), entry(1, 2, 2), noop(2)];
    assert_eq!(bench.answer(append(2, (0, 0), &entries, 3)), accepted(2, 4));
    assert_eq!(bench.records(), [ballot(2, None), Record::Append(noop(2))]);
}

/// A restarted server has the state of its snapshot, and the sessions with it.
#[test]
fn s7_a_server_starts_from_its_snapshot() {
    let mut bench = compacted(0);
    bench.crash();
    assert_eq!((bench.commit_index(), bench.total()), (3, 3));
    let sessions = &bench.node().volatile.applied.sessions;
    assert_eq!(sessions, &bench.node().durable().snapshot.state.sessions);
    assert_ne!(sessions, &models::session::Sessions::default());
}

/// "The leader must occasionally send snapshots to followers that lag behind", "when the leader
/// has already discarded the next log entry that it needs to send".
#[test]
fn s7_a_follower_that_lags_behind_is_sent_a_snapshot_in_chunks() {
    let mut bench = compacted(0).chunking(4);
    let bytes = bytes();
    let effects = bench.deliver(2, conflict(1, 0, None, 1));
    assert_eq!(
        effects,
        [],
        "nothing before the start of the log is refused"
    );
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(sent_to(2, &effects), [chunk(1, 0, &bytes[..4], false)]);
    let effects = bench.deliver(2, received(4, 4));
    assert_eq!(
        sent_to(2, &effects),
        [chunk(1, 4, &bytes[4..8], bytes.len() == 8)]
    );
    assert!(matches!(bench.progress(2).mode, Mode::Snapshot(_)));
    bench.deliver(2, installed());
    assert_eq!(bench.progress(2).match_index, Index(3));
    assert!(matches!(bench.progress(2).mode, Mode::Replicate { .. }));
}

/// A lost chunk is sent again: the answer to a heartbeat, an empty chunk, shows that it is missing.
#[test]
fn s7_a_lost_chunk_is_sent_again() {
    let mut bench = compacted(0).chunking(4);
    let bytes = bytes();
    bench.fire(Timer::Heartbeat);
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(sent_to(2, &effects), [chunk(1, 4, &[], false)]);
    let effects = bench.deliver(2, received(4, 0));
    assert_eq!(sent_to(2, &effects), [chunk(1, 0, &bytes[..4], false)]);
    let before = bench.node().clone();
    assert_eq!(
        bench.deliver(2, received(0, 0)),
        [],
        "an answer from before"
    );
    assert_eq!(bench.node(), &before);
}

/// "Write data into snapshot file at given offset. Reply and wait for more data chunks if done is
/// false": in order, whatever order they come in, and however often.
#[test]
fn s7_chunks_are_put_together_in_order() {
    let bytes = bytes();
    let mut bench = Bench::follower(1, &[1]);
    assert_eq!(
        bench.answer(chunk(1, 4, &bytes[4..], true)),
        received(bytes.len(), 0)
    );
    assert_eq!(
        bench.answer(chunk(1, 0, &bytes[..4], false)),
        received(4, 4)
    );
    assert_eq!(
        bench.answer(chunk(1, 0, &bytes[..4], false)),
        received(4, 4)
    );
    assert!(
        bench.records().is_empty(),
        "nothing is durable before all is there"
    );
    let effects = bench.deliver(1, chunk(1, 4, &bytes[4..], true));
    let snapshot = Snapshot::<Adder>::decode(&bytes).expect("a snapshot");
    assert_eq!(bench.records(), [Record::Install(snapshot)]);
    let last_included_index = Index(3);
    let expected = [
        Effect::Arm(Timer::Election),
        Effect::Emit(Event::Installed {
            last_included_index,
        }),
        send(1, installed()),
    ];
    assert_eq!(effects, expected);
    assert_eq!((bench.commit_index(), bench.total()), (3, 3));
    assert_eq!(bench.log(), [] as [u64; 0]);
    assert_eq!(bench.answer(chunk(1, 4, &bytes[4..], true)), installed());
}

/// A crash forgets the chunks: the follower says that it has none.
#[test]
fn s7_a_crash_forgets_a_part_of_a_snapshot() {
    let bytes = bytes();
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, chunk(1, 0, &bytes[..4], false));
    bench.crash();
    assert_eq!(
        bench.answer(chunk(1, 4, &bytes[4..], true)),
        received(bytes.len(), 0)
    );
}

/// The chunks of one leader are not put together with another's.
#[test]
fn s7_chunks_of_another_leader_begin_anew() {
    let bytes = bytes();
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, chunk(1, 0, &bytes[..4], false));
    let outcome = InstallOutcome::Received {
        last_included_index: Index(3),
        sent: bytes.len() as u64,
        received: 0,
    };
    assert_eq!(
        bench.answer(chunk(2, 4, &bytes[4..], true)),
        answer(2, outcome)
    );
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it and reply" (Figure 13, step 6): and the snapshot shows that they are
/// committed up to it.
#[test]
fn s7_a_matching_suffix_is_kept() {
    let bytes = bytes();
    let mut bench = Bench::follower(1, &[1, 1, 1, 1]);
    assert_eq!(bench.answer(chunk(1, 0, &bytes, true)), installed());
    assert_eq!(bench.log(), [1, 1, 1, 1]);
    assert_eq!(bench.commit_index(), 3);
    assert!(bench.records().is_empty());
}

/// "Discard the entire log" (Figure 13, step 7): what conflicts goes, all of it.
#[test]
fn s7_a_conflicting_log_is_discarded() {
    let bytes = bytes();
    let mut bench = Bench::follower(3, &[1, 2, 2, 2, 2]);
    let outcome = InstallOutcome::Installed {
        last_included_index: Index(3),
    };
    assert_eq!(bench.answer(chunk(3, 0, &bytes, true)), answer(3, outcome));
    let log = &bench.node().durable().log;
    assert_eq!((log.base_index(), log.last_index()), (Index(3), Index(3)));
    assert_eq!(log.last_term(), Term(1));
}

/// A read that waits at a follower for an index is answered once a snapshot covers that (thesis
/// §6.4): what was applied one by one elsewhere is applied here at once.
#[test]
fn s7_a_snapshot_answers_the_reads_that_wait_for_what_it_covers() {
    let read = Command::ReadHere {
        request: request(7),
        query: Total,
    };
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[], 0));
    bench.ask(read);
    let confirmed = Message::ReadIndexResponse {
        term: Term(1),
        request: request(7),
        outcome: ReadIndexOutcome::Confirmed {
            read_index: Index(3),
        },
    };
    assert_eq!(bench.deliver(1, confirmed), [], "nothing is applied");
    let bytes = bytes();
    let effects = bench.deliver(1, chunk(1, 0, &bytes[..1], false));
    assert!(!effects.contains(&reply(7, 3)), "{effects:?}");
    let effects = bench.deliver(1, chunk(1, 1, &bytes[1..], true));
    assert!(effects.contains(&reply(7, 3)), "{effects:?}");
    assert_eq!(bench.node().volatile.follower_reads, []);
}

/// "Reply immediately if term < currentTerm" (Figure 13, step 1).
#[test]
fn s7_a_snapshot_of_an_earlier_term_is_refused() {
    let mut bench = Bench::follower(5, &[]);
    let before = bench.node().clone();
    let current_term = Term(5);
    let stale = answer(1, InstallOutcome::StaleTerm { current_term });
    assert_eq!(bench.answer(chunk(1, 0, &bytes(), true)), stale);
    assert_eq!(bench.node(), &before);
}

/// What does not decode, or is another snapshot than it says, is not installed. It is asked for
/// again, from the start.
#[test]
fn s7_a_damaged_snapshot_is_not_installed() {
    let whole = bytes();
    let mut other = whole.clone();
    other[1] += 1;
    for damaged in [&whole[..whole.len() - 1], &[0xff; 9], &other] {
        let mut bench = Bench::follower(1, &[]);
        assert_eq!(
            bench.answer(chunk(1, 0, damaged, true)),
            received(damaged.len(), 0)
        );
        assert!(bench.records().is_empty());
        assert_eq!(bench.answer(chunk(1, 0, &whole, true)), installed());
    }
}

/// Absurd numbers are refused without harm.
#[test]
fn s7_absurd_chunks_are_ignored() {
    let mut bench = Bench::follower(1, &[1]);
    let absurd = Message::InstallSnapshot {
        term: Term(1),
        last_included_index: Index(u64::MAX),
        last_included_term: Term(u64::MAX),
        offset: u64::MAX,
        data: vec![1, 2, 3],
        done: true,
        round: Round(u64::MAX),
    };
    bench.answer(absurd);
    assert!(bench.records().is_empty());
    let mut bench = compacted(0);
    bench.fire(Timer::Heartbeat);
    let last_included_index = Index(u64::MAX);
    bench.deliver(
        2,
        answer(
            1,
            InstallOutcome::Installed {
                last_included_index,
            },
        ),
    );
    assert_eq!(bench.progress(2).match_index, Index(0));
    bench.deliver(2, received(usize::MAX, usize::MAX));
    bench.fire(Timer::Heartbeat);
}

/// A chunk is a sign of the leader, and its answer one of the follower: the one does not stand for
/// election, the other counts for the leader's quorum (thesis §4.2.3, §6.2).
#[test]
fn s7_chunks_and_their_answers_are_contact() {
    let mut bench = Bench::follower(1, &[]).guarded();
    let effects = bench.deliver(1, chunk(1, 0, &bytes()[..4], false));
    let armed = |timer| effects.contains(&Effect::Arm(timer));
    assert!(armed(Timer::Election) && armed(Timer::Lease), "{effects:?}");
    assert!(bench.node().volatile.hears_leader);
    let mut bench = compacted(0).chunking(4).guarded();
    bench.fire(Timer::Heartbeat);
    bench.deliver(2, received(4, 0));
    assert_eq!(bench.fire(Timer::Lease), [Effect::Arm(Timer::Lease)]);
    bench.fire(Timer::Lease);
    assert_eq!(bench.follows(), Some(None), "nobody has answered since");
}

/// The target of a leadership transfer that needs a snapshot is sent it first, and told to stand
/// when it has everything (thesis §3.10).
#[test]
fn s7_a_transfers_target_is_sent_the_snapshot_first() {
    let mut bench = compacted(0);
    let effects = bench.ask(transfer(3, 2));
    assert_eq!(sent_to(2, &effects), [chunk(1, 0, &bytes(), true)]);
    let effects = bench.deliver(2, installed());
    let term = Term(1);
    assert_eq!(sent_to(2, &effects), [Message::TimeoutNow { term }]);
}
