//! Thesis §9.6, "Preventing disruptions when a server rejoins the cluster".

use models::raft::Timer;
use models::raft::log::Term;
use models::raft::message::VoteOutcome;
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "In the Pre-Vote algorithm, a candidate only increments its term if it first learns from a
/// majority of the cluster that they would be willing to grant the candidate their votes."
#[test]
fn t9_6_an_election_timeout_asks_for_pre_votes() {
    let mut bench = Bench::follower(3, &[1, 3]).guarded();
    let effects = bench.fire(Timer::Election);
    let expected = [
        Effect::Arm(Timer::Election),
        send(1, pre_vote(4, (2, 3))),
        send(2, pre_vote(4, (2, 3))),
    ];
    assert_eq!(effects, expected);
    assert_eq!((bench.term(), bench.voted_for()), (3, None));
    assert!(bench.records().is_empty() && !bench.stands());
}

/// With a majority's pre-votes it stands, not one earlier, for every size of cluster.
#[test]
fn t9_6_a_majority_of_pre_votes_begins_the_election() {
    for size in 1..=9 {
        let mut bench = Bench::start(0, size, 0, None, &[]).guarded();
        bench.fire(Timer::Election);
        let mut votes = 1;
        while bench.term() == 0 {
            bench.deliver(votes, pre_voted(1, VoteOutcome::Granted));
            votes += 1;
        }
        assert_eq!(votes, size / 2 + 1, "of {size}");
        assert_eq!(bench.voted_for(), Some(NodeId(0)));
    }
}

/// What follows is the paper's election: the pre-votes are no votes.
#[test]
fn t9_6_pre_votes_do_not_elect() {
    let mut bench = Bench::follower(1, &[1]).guarded();
    bench.fire(Timer::Election);
    let effects = bench.deliver(1, pre_voted(2, VoteOutcome::Granted));
    let expected = [
        Effect::Arm(Timer::Election),
        send(1, request_vote(2, (1, 1))),
        send(2, request_vote(2, (1, 1))),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.records(), [ballot(2, Some(0))]);
    assert!(bench.stands() && bench.leads().is_none());
    bench.deliver(1, granted(2));
    assert!(bench.leads().is_some());
}

/// A pre-vote that arrives twice, from a stranger, for another term, or too late counts for
/// nothing.
#[test]
fn t9_6_only_distinct_voters_of_this_term_count() {
    let mut bench = Bench::start(0, 5, 4, None, &[]).guarded();
    bench.fire(Timer::Election);
    for (from, term) in [(1, 5), (1, 5), (77, 5), (2, 4), (2, 6), (2, u64::MAX)] {
        let effects = bench.deliver(from, pre_voted(term, VoteOutcome::Granted));
        assert_eq!(effects, [], "n{from} for {term}");
        assert_eq!(bench.term(), 4);
    }
    bench.deliver(2, pre_voted(5, VoteOutcome::Granted));
    assert_eq!(bench.term(), 5);
    assert_eq!(bench.deliver(3, pre_voted(5, VoteOutcome::Granted)), []);
}

/// "If the candidate's log is sufficiently up-to-date": the same comparison as for a vote.
#[test]
fn t9_6_a_pre_vote_needs_an_up_to_date_log() {
    let cases = [
        ((2, 1), VoteOutcome::Refused),
        ((9, 1), VoteOutcome::Refused),
        ((2, 2), VoteOutcome::Granted),
        ((1, 3), VoteOutcome::Granted),
    ];
    for (last, outcome) in cases {
        let mut bench = Bench::follower(3, &[1, 2]).guarded();
        assert_eq!(bench.answer(pre_vote(4, last)), pre_voted(4, outcome));
    }
}

/// Who is asked changes nothing: neither its term nor its vote, nor its timer, and it may give
/// as many pre-votes as it is asked for.
#[test]
fn t9_6_a_pre_vote_changes_nothing() {
    let mut bench = Bench::start(0, 3, 1, Some(2), &[1]).guarded();
    let before = bench.node().clone();
    for candidate in [1, 2, 1] {
        let effects = bench.deliver(candidate, pre_vote(2, (1, 1)));
        let answer = pre_voted(2, VoteOutcome::Granted);
        assert_eq!(effects, [send(candidate, answer)]);
        assert_eq!(bench.node(), &before);
    }
}

/// "And it has not received heartbeats from a valid leader for at least a baseline election
/// timeout": who has, ignores the question; a leader believes in itself.
#[test]
fn t9_6_who_hears_a_leader_gives_no_pre_vote() {
    let mut bench = Bench::follower(1, &[]).guarded();
    bench.deliver(1, append(1, (0, 0), &[], 0));
    assert_eq!(bench.deliver(2, pre_vote(2, (9, 9))), []);
    bench.fire(Timer::Lease);
    let answer = pre_voted(2, VoteOutcome::Granted);
    assert_eq!(bench.deliver(2, pre_vote(2, (9, 9))), [send(2, answer)]);

    let mut leader = Bench::leader(3, 1, &[]).guarded();
    assert_eq!(leader.deliver(2, pre_vote(2, (9, 9))), []);
}

/// A question for a term that has begun is answered with the term, and who hears that takes
/// the term over: nodes of different terms that need each other do not ask for ever.
#[test]
fn t9_6_who_is_behind_learns_so() {
    let stale = VoteOutcome::StaleTerm {
        current_term: Term(5),
    };
    let mut ahead = Bench::follower(5, &[]).guarded();
    for term in [0, 4, 5] {
        assert_eq!(ahead.answer(pre_vote(term, (9, 9))), pre_voted(term, stale));
    }
    let mut behind = Bench::follower(3, &[1]).guarded();
    behind.fire(Timer::Election);
    let effects = behind.deliver(1, pre_voted(4, stale));
    assert_eq!(
        effects,
        [Effect::Arm(Timer::Election), following(5, None)],
        "it follows, and asks for term 6 next"
    );
    assert_eq!(behind.term(), 5);
}

/// A leader that is heard of again ends the attempt, and the term goes on.
#[test]
fn t9_6_a_leader_ends_the_attempt() {
    let mut bench = Bench::follower(1, &[]).guarded();
    bench.fire(Timer::Election);
    let effects = bench.deliver(1, append(1, (0, 0), &[], 0));
    let expected = [
        Effect::Arm(Timer::Election),
        following(1, Some(1)),
        Effect::Arm(Timer::Election),
        Effect::Arm(Timer::Lease),
        send(1, accepted(1, 0)),
    ];
    assert_eq!(effects, expected);
    assert_eq!(bench.deliver(2, pre_voted(2, VoteOutcome::Granted)), []);
    assert_eq!(bench.term(), 1);
}

/// A node that does not ask for pre-votes gives them all the same: a cluster may be switched
/// over node by node.
#[test]
fn t9_6_a_node_without_pre_vote_answers() {
    let mut bench = Bench::follower(1, &[]);
    let answer = pre_voted(2, VoteOutcome::Granted);
    assert_eq!(bench.answer(pre_vote(2, (0, 0))), answer);
}
