//! §5.5, "Follower and candidate crashes", and what must survive them (Figure 2,
//! "Persistent state on all servers": "updated on stable storage before responding to RPCs").

use models::raft::Timer;
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "Raft RPCs are idempotent … if a follower receives an AppendEntries request that includes
/// log entries already present in its log, it ignores those entries in the new request."
#[test]
fn s5_5_appends_are_idempotent() {
    let mut bench = Bench::follower(1, &[]);
    let message = append(1, (0, 0), &[noop(1), entry(1, 1, 5)], 2);
    let answer = bench.answer(message.clone());
    let after_one = bench.node().clone();
    assert_eq!(bench.answer(message), answer);
    assert_eq!(bench.node(), &after_one);
    assert!(bench.records().is_empty());
}

/// So are vote requests.
#[test]
fn s5_5_vote_requests_are_idempotent() {
    let mut bench = Bench::follower(0, &[]);
    let answer = bench.answer(request_vote(1, (0, 0)));
    let after_one = bench.node().clone();
    assert_eq!(bench.answer(request_vote(1, (0, 0))), answer);
    assert_eq!(bench.node(), &after_one);
}

/// And so are answers.
#[test]
fn s5_5_answers_are_idempotent() {
    let mut leader = Bench::leader(3, 1, &[]);
    leader.deliver(1, accepted(1, 1));
    let after_one = leader.node().clone();
    assert_eq!(leader.deliver(1, accepted(1, 1)), []);
    assert_eq!(leader.node(), &after_one);
}

/// "If a server crashes after completing an RPC but before responding, then it will receive
/// the same RPC again after it restarts", and answers it the same.
#[test]
fn s5_5_a_crash_before_the_answer_leaves_room_for_the_same_answer() {
    for message in [
        request_vote(2, (1, 1)),
        append(2, (1, 1), &[noop(2)], 0),
        append(2, (4, 2), &[], 0),
    ] {
        let mut bench = Bench::follower(1, &[1]);
        let answer = bench.answer(message.clone());
        bench.crash();
        assert_eq!(bench.answer(message), answer);
    }
}

/// "votedFor: candidateId that received vote in current term" is persistent: otherwise a
/// server that restarts could vote twice in one term.
#[test]
fn s5_5_a_vote_survives_a_crash() {
    let mut bench = Bench::follower(0, &[]);
    assert_eq!(bench.answer(request_vote(1, (0, 0))), granted(1));
    bench.crash();
    let effects = bench.deliver(2, request_vote(1, (0, 0)));
    assert_eq!(effects, [send(2, refused(1))]);
}

/// A candidate's vote for itself is as good as any other's.
#[test]
fn s5_5_a_candidate_that_restarts_does_not_vote_for_another() {
    let mut bench = Bench::candidate(3, 1, &[]);
    bench.crash();
    assert_eq!(bench.follows(), Some(None));
    let effects = bench.deliver(1, request_vote(1, (0, 0)));
    assert_eq!(effects, [send(1, refused(1))]);
}

/// A leader that restarts does not lead: nobody leads one term twice. Votes and
/// acknowledgements of its time before are nothing to it.
#[test]
fn s5_5_a_leader_that_restarts_follows() {
    let mut bench = Bench::leader(3, 1, &[]);
    assert_eq!(bench.crash(), [Effect::Arm(Timer::Election)]);
    for answer in [granted(1), accepted(1, 1)] {
        assert_eq!(bench.deliver(1, answer), []);
    }
    assert_eq!(bench.follows(), Some(None));
    assert_eq!((bench.commit_index(), bench.log()), (0, vec![1]));
}

/// "log\[\]" is persistent: an acknowledged entry is there after a crash.
#[test]
fn s5_5_acknowledged_entries_survive_a_crash() {
    let mut bench = Bench::follower(2, &[1, 1]);
    bench.answer(append(2, (1, 1), &[noop(2), noop(2)], 0));
    bench.crash();
    assert_eq!(bench.log(), [1, 2, 2]);
}

/// "commitIndex" and "lastApplied" are volatile (Figure 2): a restarted server learns from
/// the leader what is committed, and applies it anew from the start.
#[test]
fn s5_5_a_restarted_server_applies_its_log_anew() {
    let mut bench = Bench::follower(1, &[]);
    let entries = [entry(1, 1, 1), entry(1, 2, 2)];
    bench.deliver(1, append(1, (0, 0), &entries, 2));
    assert_eq!(bench.total(), 3);
    bench.crash();
    assert_eq!((bench.commit_index(), bench.total()), (0, 0));
    bench.deliver(1, append(1, (2, 1), &[], 1));
    assert_eq!((bench.commit_index(), bench.total()), (1, 1));
    bench.deliver(1, append(1, (2, 1), &[], 2));
    assert_eq!((bench.commit_index(), bench.total()), (2, 3));
}

/// A restarted server has forgotten who leads, and hears of it with the next heartbeat.
#[test]
fn s5_5_a_restarted_server_hears_of_its_leader_again() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[], 0));
    bench.crash();
    assert_eq!(bench.follows(), Some(None));
    let effects = bench.deliver(1, append(1, (0, 0), &[], 0));
    assert_eq!(effects[0], following(1, Some(1)));
    assert_eq!(bench.follows(), Some(Some(NodeId(1))));
}
