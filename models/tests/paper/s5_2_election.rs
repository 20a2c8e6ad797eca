//! §5.2, "Leader election".

use models::raft::Timer;
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "When servers start up, they begin as followers."
#[test]
fn s5_2_servers_begin_as_followers() {
    let mut bench = Bench::start(0, 3, 3, Some(0), &[1, 2]);
    assert_eq!(bench.follows(), Some(None));
    assert_eq!(bench.crash(), [Effect::Arm(Timer::Election)]);
    assert_eq!((bench.follows(), bench.commit_index()), (Some(None), 0));
}

/// "A server remains in follower state as long as it receives valid RPCs from a leader or
/// candidate": each append starts the election timer anew.
#[test]
fn s5_2_a_heartbeat_resets_the_election_timer() {
    let mut bench = Bench::follower(1, &[]);
    let first = bench.deliver(1, append(1, (0, 0), &[], 0));
    let expected = vec![
        following(1, Some(1)),
        Effect::Arm(Timer::Election),
        send(1, accepted(1, 0)),
    ];
    assert_eq!(first, expected);
    let again = bench.deliver(1, append(1, (0, 0), &[], 0));
    assert_eq!(again, expected[1..], "who leads is no news any more");
}

/// So does a vote granted, and nothing else that a candidate can do (Figure 2, "Followers":
/// "without receiving AppendEntries RPC from current leader or granting vote").
#[test]
fn s5_2_only_a_granted_vote_resets_the_election_timer() {
    let mut bench = Bench::follower(1, &[1]);
    let granting = bench.deliver(1, request_vote(1, (1, 1)));
    assert_eq!(
        granting,
        [Effect::Arm(Timer::Election), send(1, granted(1))]
    );
    let refusing = bench.deliver(2, request_vote(1, (1, 1)));
    assert_eq!(refusing, [send(2, refused(1))]);
    let behind = bench.deliver(2, request_vote(2, (0, 0)));
    assert_eq!(behind, [following(2, None), send(2, refused(2))]);
    let stale = bench.deliver(1, append(1, (1, 1), &[], 0));
    assert_eq!(stale, [send(1, stale_append(1, 2))]);
}

/// Only "servers in the cluster" vote: an answer from elsewhere counts for nothing.
#[test]
fn s5_2_the_vote_of_a_stranger_does_not_count() {
    let mut bench = Bench::candidate(3, 1, &[]);
    assert_eq!(bench.deliver(77, granted(1)), []);
    assert!(bench.stands());
}

/// "To begin an election, a follower increments its current term and transitions to
/// candidate state. It then votes for itself and issues RequestVote RPCs in parallel to each
/// of the other servers in the cluster." Term and vote are one record.
#[test]
fn s5_2_an_election_timeout_begins_an_election() {
    let mut bench = Bench::follower(3, &[1, 3]);
    let effects = bench.fire(Timer::Election);
    let expected = [
        Effect::Arm(Timer::Election),
        send(1, request_vote(4, (2, 3))),
        send(2, request_vote(4, (2, 3))),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.records(), [ballot(4, Some(0))]);
    assert!(bench.stands());
}

/// "A candidate wins an election if it receives votes from a majority of the servers in the
/// full cluster for the same term": not one vote earlier, for every size of cluster.
#[test]
fn s5_2_a_majority_elects() {
    for size in 1..=9 {
        let mut bench = Bench::start(0, size, 0, None, &[]);
        bench.fire(Timer::Election);
        let mut votes = 1;
        while bench.leads().is_none() {
            assert!(bench.stands());
            bench.deliver(votes, granted(1));
            votes += 1;
        }
        assert_eq!(votes, size / 2 + 1, "of {size}");
    }
}

/// Only votes count, and only those for this term's election.
#[test]
fn s5_2_what_is_not_a_vote_for_this_term_does_not_elect() {
    for answer in [refused(2), granted(1), accepted(2, 1)] {
        let mut bench = Bench::candidate(3, 2, &[]);
        assert_eq!(bench.deliver(1, answer), []);
        assert!(bench.stands());
    }
}

/// A vote is a voter's, not a message's: the same one twice is one vote.
#[test]
fn s5_2_a_vote_that_arrives_twice_counts_once() {
    let mut bench = Bench::candidate(5, 1, &[]);
    bench.deliver(1, granted(1));
    assert_eq!(bench.deliver(1, granted(1)), []);
    assert!(bench.stands());
    bench.deliver(2, granted(1));
    assert!(bench.leads().is_some());
}

/// "Each server will vote for at most one candidate in a given term, on a first-come-
/// first-served basis."
#[test]
fn s5_2_one_vote_per_term_first_come_first_served() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, request_vote(1, (0, 0)));
    assert_eq!(bench.records(), [ballot(1, Some(1))]);
    let second = bench.deliver(2, request_vote(1, (5, 1)));
    assert_eq!(second, [send(2, refused(1))]);
    assert!(bench.records().is_empty());
    assert_eq!(bench.voted_for(), Some(NodeId(1)));
}

/// A candidate's own vote is a vote: it has none to give to a rival of its term.
#[test]
fn s5_2_a_candidate_votes_for_itself_alone() {
    let mut bench = Bench::candidate(3, 1, &[]);
    let effects = bench.deliver(1, request_vote(1, (9, 1)));
    assert_eq!(effects, [send(1, refused(1))]);
    assert!(bench.stands());
}

/// "Grant vote if votedFor is null or candidateId" (Figure 2): the candidate that has the
/// vote gets the same answer as often as it asks, and nothing more is written.
#[test]
fn s5_2_the_same_candidate_gets_the_same_vote_again() {
    let mut bench = Bench::start(0, 3, 1, Some(1), &[]);
    assert_eq!(bench.answer(request_vote(1, (0, 0))), granted(1));
    assert!(bench.records().is_empty());
}

/// "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages
/// to all of the other servers to establish its authority and prevent new elections."
///
/// Deviation: the first message is no empty heartbeat, but carries the term's no-op (§8).
#[test]
fn s5_2_a_new_leader_tells_everybody() {
    let mut bench = Bench::candidate(3, 4, &[1, 3]);
    let effects = bench.deliver(2, granted(4));
    let expected = [
        Effect::Disarm(Timer::Election),
        leading(4),
        Effect::Arm(Timer::Heartbeat),
        send(1, append(4, (2, 3), &[noop(4)], 0)),
        send(2, append(4, (2, 3), &[noop(4)], 0)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.records(), [Record::Append(noop(4))]);
}

/// A leader repeats its heartbeats (Figure 2, "Leaders": "repeat during idle periods to
/// prevent election timeouts") and does not stand against itself.
#[test]
fn s5_2_a_leader_repeats_its_heartbeats() {
    let mut bench = Bench::established(1, &[]);
    let effects = bench.fire(Timer::Heartbeat);
    let expected = [
        Effect::Arm(Timer::Heartbeat),
        send(1, append(1, (1, 1), &[], 1)),
        send(2, append(1, (0, 0), &[noop(1)], 1)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.fire(Timer::Election), []);
    assert!(bench.leads().is_some());
}

/// "If the leader's term (included in its RPC) is at least as large as the candidate's
/// current term, then the candidate recognizes the leader as legitimate and returns to
/// follower state."
#[test]
fn s5_2_a_candidate_recognizes_a_leader_of_its_own_term() {
    let mut bench = Bench::candidate(3, 2, &[]);
    let effects = bench.deliver(1, append(2, (0, 0), &[], 0));
    let expected = [
        Effect::Arm(Timer::Election),
        following(2, Some(1)),
        Effect::Arm(Timer::Election),
        send(1, accepted(2, 0)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.follows(), Some(Some(NodeId(1))));
    assert_eq!(bench.voted_for(), Some(NodeId(0)), "its vote stands");
}

/// "If the term in the RPC is smaller than the candidate's current term, then the candidate
/// rejects the RPC and continues in candidate state."
#[test]
fn s5_2_a_candidate_rejects_a_leader_of_an_earlier_term() {
    let mut bench = Bench::candidate(3, 3, &[]);
    let effects = bench.deliver(1, append(2, (0, 0), &[noop(2)], 1));
    assert_eq!(effects, [send(1, stale_append(2, 3))]);
    assert!(bench.stands());
}

/// "When this happens, each candidate will time out and start a new election by incrementing
/// its term and initiating another round of RequestVote RPCs." The old round's votes are
/// worth nothing in the new one.
#[test]
fn s5_2_a_split_vote_ends_in_a_new_term() {
    let mut bench = Bench::candidate(5, 1, &[]);
    bench.deliver(1, granted(1));
    let effects = bench.fire(Timer::Election);
    assert_eq!(bench.term(), 2);
    assert_eq!(sent_to(4, &effects), [request_vote(2, (0, 0))]);
    bench.deliver(2, granted(1));
    bench.deliver(1, granted(2));
    assert!(bench.stands(), "two votes of term 2: its own and node 1's");
    bench.deliver(2, granted(2));
    assert!(bench.leads().is_some());
}

/// A vote that comes when the election is won changes nothing.
#[test]
fn s5_2_a_late_vote_is_ignored() {
    let mut bench = Bench::leader(3, 1, &[]);
    let before = bench.node().clone();
    assert_eq!(bench.deliver(2, granted(1)), []);
    assert_eq!(bench.node(), &before);
}

/// "Election timeouts are chosen randomly from a fixed interval": not by the model, which has
/// no time. It names the timer anew whenever the paper starts it anew, and the host draws.
#[test]
fn s5_2_each_election_arms_its_own_timeout() {
    let mut bench = Bench::follower(0, &[]);
    for _ in 0..3 {
        let effects = bench.fire(Timer::Election);
        assert_eq!(effects[0], Effect::Arm(Timer::Election));
    }
}
