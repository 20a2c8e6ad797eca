//! Thesis §6.2, "Routing requests to the leader", and §4.2.3, "Disruptive servers": leaders
//! that nobody answers step down, and who hears a leader stands by it.

use models::raft::Timer;
use models::raft::log::Term;
use models::raft::membership::Change;
use models::raft::message::{AppendOutcome, InstallOutcome, Message, Round};
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "A leader in Raft steps down if an election timeout elapses without a successful round of
/// heartbeats to a majority of its cluster."
#[test]
fn t6_2_a_leader_without_answers_steps_down() {
    let mut bench = Bench::leader(3, 2, &[]).guarded();
    let effects = bench.fire(Timer::Lease);
    let expected = [
        Effect::Disarm(Timer::Heartbeat),
        Effect::Disarm(Timer::Lease),
        Effect::Arm(Timer::Election),
        following(2, None),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.follows(), Some(None));
    assert_eq!((bench.term(), bench.records().len()), (2, 0));
}

/// It stays while a majority answers within each period, whatever the answers say; itself it
/// counts, strangers and earlier periods it does not.
#[test]
fn t6_2_a_leader_with_answers_stays() {
    let mut bench = Bench::leader(5, 2, &[]).guarded();
    bench.deliver(1, accepted(2, 1));
    bench.deliver(2, conflict(2, 0, None, 1));
    assert_eq!(bench.fire(Timer::Lease), [Effect::Arm(Timer::Lease)]);
    bench.deliver(1, accepted(2, 1));
    bench.deliver(77, accepted(2, 1));
    bench.deliver(1, accepted(2, 1));
    bench.fire(Timer::Lease);
    assert_eq!(
        bench.follows(),
        Some(None),
        "one of five answered this time"
    );
}

/// "This allows clients to retry their requests with another server": reads that waited are
/// refused, each by its name.
#[test]
fn t6_2_a_leader_that_steps_down_refuses_its_reads() {
    let mut bench = Bench::established(1, &[]).guarded();
    bench.ask(read(1));
    bench.ask(read(2));
    let effects = bench.fire(Timer::Lease);
    assert!(effects.contains(&redirect(1, None)), "{effects:?}");
    assert!(effects.contains(&redirect(2, None)), "{effects:?}");
    assert_eq!(bench.ask(read(3)), [redirect(3, None)]);
}

/// Whoever takes office is watched from then on, also over itself alone.
#[test]
fn t6_2_the_first_period_begins_with_the_term() {
    let mut bench = Bench::candidate(3, 1, &[]).guarded();
    let effects = bench.deliver(1, granted(1));
    assert!(effects.contains(&Effect::Arm(Timer::Lease)), "{effects:?}");
    let mut alone = Bench::start(0, 1, 0, None, &[]).guarded();
    alone.fire(Timer::Election);
    assert_eq!(alone.fire(Timer::Lease), [Effect::Arm(Timer::Lease)]);
    assert!(alone.leads().is_some());
}

/// "If a server receives a RequestVote request within the minimum election timeout of hearing
/// from a current leader, it does not update its term or grant its vote."
#[test]
fn t4_2_3_who_hears_a_leader_does_not_vote() {
    let mut bench = Bench::follower(1, &[]).guarded();
    bench.deliver(1, append(1, (0, 0), &[], 0));
    let before = bench.node().clone();
    assert_eq!(bench.deliver(2, request_vote(2, (9, 9))), []);
    assert_eq!(bench.node(), &before);
    bench.fire(Timer::Lease);
    let effects = bench.deliver(2, request_vote(2, (9, 9)));
    assert!(effects.contains(&send(2, granted(2))), "{effects:?}");
}

/// Each append of the leader makes the time begin anew; what others send does not, least of
/// all a leader of an earlier term.
#[test]
fn t4_2_3_only_the_current_leader_is_heard() {
    let mut bench = Bench::follower(2, &[]).guarded();
    for message in [
        append(1, (0, 0), &[], 0),
        accepted(2, 0),
        request_vote(2, (0, 0)),
    ] {
        let effects = bench.deliver(1, message);
        assert!(!effects.contains(&Effect::Arm(Timer::Lease)), "{effects:?}");
    }
    for _ in 0..2 {
        let effects = bench.deliver(2, append(2, (0, 0), &[], 0));
        assert!(effects.contains(&Effect::Arm(Timer::Lease)), "{effects:?}");
    }
}

/// The election timeout is never shorter than the minimum: who stands hears nobody.
#[test]
fn t4_2_3_an_election_timeout_ends_the_belief() {
    let mut bench = Bench::follower(1, &[]).guarded();
    bench.deliver(1, append(1, (0, 0), &[], 0));
    let effects = bench.fire(Timer::Election);
    assert_eq!(effects[0], Effect::Disarm(Timer::Lease));
    assert!(!bench.node().volatile.hears_leader);
}

/// A node that was left behind in a higher term refuses the leader's appends and says which
/// term it is in; the leader follows it there, so that it can rejoin.
#[test]
fn t4_2_3_a_node_stuck_in_a_higher_term_rejoins() {
    let mut stuck = Bench::follower(5, &[]).guarded();
    assert_eq!(stuck.answer(append(2, (0, 0), &[], 0)), stale_append(2, 5));
    let mut leader = Bench::leader(3, 2, &[]).guarded();
    assert_eq!(
        leader.deliver(2, request_vote(6, (9, 9))),
        [],
        "it believes in itself"
    );
    leader.deliver(2, stale_append(2, 5));
    assert_eq!((leader.term(), leader.follows()), (5, Some(None)));
}

/// A node that has crashed has heard of nobody.
#[test]
fn t4_2_3_a_restarted_node_hears_nobody() {
    let mut bench = Bench::follower(1, &[]).guarded();
    bench.deliver(1, append(1, (0, 0), &[], 0));
    bench.crash();
    let effects = bench.deliver(2, request_vote(2, (0, 0)));
    assert!(effects.contains(&send(2, granted(2))), "{effects:?}");
}

/// A node that has been removed without hearing of it is not followed into its terms: it refuses
/// what would tell it so, and the leader lets it. A member is followed, for it is needed.
#[test]
fn t4_2_3_a_leader_does_not_follow_a_node_that_it_has_removed() {
    let current_term = Term(4);
    let stale = appended(1, AppendOutcome::StaleTerm { current_term }, 0);
    // To a node that is far behind the leader sends a snapshot instead.
    let stale_chunk = Message::InstallSnapshotResponse {
        term: Term(1),
        outcome: InstallOutcome::StaleTerm { current_term },
        round: Round(0),
    };
    for stale in [stale, stale_chunk] {
        let mut bench = Bench::established(1, &[]).guarded();
        bench.ask(change(1, Change::remove(NodeId(2))));
        let mut asked = bench.clone();
        asked.deliver(2, stale.clone());
        assert_eq!(asked.term(), 4, "it is a member still");
        bench.deliver(1, accepted(1, 2));
        bench.deliver(1, accepted(1, 3));
        assert_eq!(bench.commit_index(), 3);
        assert_eq!(bench.deliver(2, stale), []);
        assert_eq!(bench.term(), 1);
        assert!(bench.leads().is_some());
    }
}
