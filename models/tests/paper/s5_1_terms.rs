//! §5.1, "Raft basics": terms.

use models::raft::Timer;
use models::raft::log::Term;
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "Current terms are exchanged whenever servers communicate; if one server's current term
/// is smaller than the other's, then it updates its current term to the larger value."
#[test]
fn s5_1_a_larger_term_is_adopted_from_every_request() {
    for message in [request_vote(5, (0, 0)), append(5, (0, 0), &[], 0)] {
        let mut bench = Bench::follower(2, &[]);
        bench.deliver(1, message);
        assert_eq!(bench.term(), 5);
        assert_eq!(bench.records()[0], ballot(5, None));
    }
}

/// The same of answers. Ours carry the larger term where it matters: in the refusal of a
/// request whose term is too small.
#[test]
fn s5_1_a_larger_term_is_adopted_from_every_answer() {
    let mut candidate = Bench::candidate(3, 2, &[]);
    candidate.deliver(1, stale_vote(2, 7));
    assert_eq!((candidate.term(), candidate.follows()), (7, Some(None)));

    let mut leader = Bench::leader(3, 2, &[]);
    leader.deliver(1, stale_append(2, 7));
    assert_eq!((leader.term(), leader.follows()), (7, Some(None)));
}

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts
/// to follower state": before it does anything else, and it tells its host.
#[test]
fn s5_1_a_candidate_that_is_out_of_date_reverts_to_follower() {
    let mut bench = Bench::candidate(3, 2, &[]);
    let effects = bench.deliver(1, stale_vote(2, 3));
    let expected = vec![Effect::Arm(Timer::Election), following(3, None)];
    assert_eq!(effects, expected);
    assert_eq!(bench.records(), [ballot(3, None)]);
}

/// The same of a leader, which from then on runs an election timer and no heartbeat.
#[test]
fn s5_1_a_leader_that_is_out_of_date_reverts_to_follower() {
    let mut bench = Bench::leader(3, 2, &[]);
    let effects = bench.deliver(1, stale_append(2, 3));
    let expected = vec![
        Effect::Disarm(Timer::Heartbeat),
        Effect::Arm(Timer::Election),
        following(3, None),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.records(), [ballot(3, None)]);
}

/// "If a server receives a request with a stale term number, it rejects the request." The
/// rejection changes nothing: no record, no timer, no role.
#[test]
fn s5_1_a_request_of_a_stale_term_is_rejected() {
    for (message, answer) in [
        (request_vote(2, (9, 2)), stale_vote(2, 4)),
        (append(2, (0, 0), &[noop(2)], 1), stale_append(2, 4)),
    ] {
        let mut bench = Bench::follower(4, &[1]);
        let before = bench.node().clone();
        assert_eq!(bench.deliver(1, message), [send(1, answer)]);
        assert_eq!(bench.node(), &before);
        assert!(bench.records().is_empty());
    }
}

/// "Each server stores a current term number, which increases monotonically over time",
/// "persistent state on all servers" (Figure 2): a crash keeps it.
#[test]
fn s5_1_the_term_survives_a_crash() {
    let mut bench = Bench::follower(0, &[]);
    bench.deliver(1, append(6, (0, 0), &[], 0));
    bench.crash();
    assert_eq!(bench.term(), 6);
    assert_eq!(bench.answer(append(5, (0, 0), &[], 0)), stale_append(5, 6));
    assert_eq!(bench.term(), 6);
}

/// Deviation. In the paper an answer bears the answerer's term; here it bears the term of the
/// *request*, and a refusal for a stale term names the answerer's beside it. So the answer
/// to a question of a term that this node has left is known for what it is and ignored, as
/// an RPC library drops the answer to a call that nobody waits for.
#[test]
fn s5_1_an_answer_to_a_request_of_a_term_that_was_left_is_ignored() {
    for answer in [
        granted(2),
        stale_vote(2, 9),
        accepted(2, 1),
        conflict(2, 1, None, 1),
        stale_append(2, 9),
    ] {
        for mut bench in [
            Bench::follower(3, &[1]),
            Bench::candidate(3, 3, &[1]),
            Bench::leader(3, 3, &[1]),
        ] {
            let before = bench.node().clone();
            assert_eq!(bench.deliver(1, answer.clone()), []);
            assert_eq!(bench.node(), &before);
        }
    }
}

/// The term is adopted before the request is handled, the vote that belonged to the old term
/// goes with it, and all of it is on disk before the answer leaves.
#[test]
fn s5_1_a_new_term_brings_a_new_vote() {
    let mut bench = Bench::start(0, 3, 2, Some(2), &[]);
    assert_eq!(bench.answer(request_vote(3, (0, 0))), granted(3));
    assert_eq!(bench.records(), [ballot(3, None), ballot(3, Some(1))]);
    assert_eq!(bench.voted_for(), Some(NodeId(1)));
}

/// "At any given time each server is in one of three states"; in normal operation "all of
/// the other servers are followers. Followers are passive: they issue no requests on their
/// own".
#[test]
fn s5_1_followers_are_passive() {
    let mut bench = Bench::follower(1, &[1]);
    assert_eq!(bench.fire(Timer::Heartbeat), []);
    assert_eq!(bench.crash(), [Effect::Arm(Timer::Election)]);
    let effects = bench.deliver(1, append(1, (1, 1), &[], 1));
    assert_eq!(sent_to(2, &effects), []);
}

/// Terms only ever increase, so one forged message could use them all up: a term that no
/// series of elections can have reached is not adopted. The paper has no such bound.
#[test]
fn s5_1_a_term_out_of_reach_is_not_adopted() {
    let mut bench = Bench::follower(3, &[1]);
    for term in [u64::MAX, 3 + Term::FURTHEST_AHEAD + 1] {
        assert_eq!(bench.deliver(1, request_vote(term, (9, 9))), []);
        assert_eq!(bench.deliver(1, append(term, (1, 1), &[], 1)), []);
        assert_eq!(bench.term(), 3);
        assert_eq!(bench.records(), []);
    }
    bench.deliver(1, request_vote(3 + Term::FURTHEST_AHEAD, (9, 9)));
    assert_eq!(bench.term(), 3 + Term::FURTHEST_AHEAD);
}
