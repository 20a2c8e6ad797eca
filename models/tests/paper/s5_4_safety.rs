//! §5.4, "Safety": who may be elected, and what is committed.

use models::raft::Timer;

use crate::support::bench::*;

/// "Raft determines which of two logs is more up-to-date by comparing the index and term of
/// the last entries in the logs. If the logs have last entries with different terms, then
/// the log with the later term is more up-to-date. If the logs end with the same term, then
/// whichever log is longer is more up-to-date." §5.4.1: "the voter denies its vote if its
/// own log is more up-to-date than that of the candidate."
#[test]
fn s5_4_1_a_vote_goes_to_a_log_that_is_at_least_as_up_to_date() {
    let voter = [1, 1, 3];
    for (last, answer) in [
        ((3, 3), granted(5)),
        ((4, 3), granted(5)),
        ((1, 4), granted(5)),
        ((2, 3), refused(5)),
        ((9, 2), refused(5)),
        ((3, 2), refused(5)),
        ((0, 0), refused(5)),
    ] {
        let mut bench = Bench::follower(4, &voter);
        assert_eq!(bench.answer(request_vote(5, last)), answer, "{last:?}");
    }
}

/// Every log is at least as up to date as an empty one.
#[test]
fn s5_4_1_an_empty_log_votes_for_every_log() {
    for last in [(0, 0), (1, 1), (7, 3)] {
        let mut bench = Bench::follower(4, &[]);
        assert_eq!(bench.answer(request_vote(5, last)), granted(5));
    }
}

/// A refusal for the log's sake leaves the vote free for a better candidate of the same term.
#[test]
fn s5_4_1_a_candidate_whose_log_is_behind_does_not_take_the_vote() {
    let mut bench = Bench::follower(1, &[1]);
    assert_eq!(bench.answer(request_vote(2, (0, 0))), refused(2));
    assert_eq!(bench.records(), [ballot(2, None)]);
    let effects = bench.deliver(2, request_vote(2, (1, 1)));
    assert_eq!(sent_to(2, &effects), [granted(2)]);
}

/// "The RPC includes information about the candidate's log": of its last entry, whoever
/// created that.
#[test]
fn s5_4_1_a_candidate_tells_of_its_last_entry() {
    let mut bench = Bench::follower(6, &[1, 2, 4]);
    let effects = bench.fire(Timer::Election);
    assert_eq!(sent_to(1, &effects), [request_vote(7, (3, 4))]);
}

/// "Raft never commits log entries from previous terms by counting replicas."
///
/// Figure 8(c): in term 4 the entry of term 2 is on three of five, and stays uncommitted. Our
/// leader has appended a no-op, which is not replicated yet: it may carry one entry at a time.
#[test]
fn s5_4_2_an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut bench = Bench::leader(5, 4, &[1, 2]).carrying(1);
    bench.deliver(1, accepted(4, 2));
    bench.deliver(2, conflict(4, 2, None, 2));
    bench.deliver(2, accepted(4, 2));
    assert_eq!(bench.commit_index(), 0);
    bench.deliver(3, accepted(4, 2));
    bench.deliver(4, accepted(4, 2));
    assert_eq!(bench.commit_index(), 0, "not even when it is everywhere");
}

/// "Once an entry from the current term has been committed in this way, then all prior entries
/// are committed indirectly because of the Log Matching Property": Figure 8(e).
#[test]
fn s5_4_2_an_entry_of_the_current_term_commits_all_before_it() {
    let mut bench = Bench::leader(5, 4, &[1, 2]).carrying(1);
    bench.deliver(1, accepted(4, 3));
    assert_eq!(bench.commit_index(), 0);
    bench.deliver(2, accepted(4, 3));
    assert_eq!(bench.commit_index(), 3);
}

/// "There exists an N such that N > commitIndex, a majority of matchIndex\[i\] ≥ N" (Figure 2):
/// the highest such N, the leader's own log counted.
#[test]
fn s5_4_2_the_highest_index_on_a_majority_commits() {
    for (acknowledged, commit) in [
        ([0, 0, 0, 0], 0),
        ([4, 0, 0, 0], 0),
        ([4, 3, 0, 0], 3),
        ([4, 3, 2, 1], 3),
        ([2, 2, 2, 2], 2),
        ([1, 4, 1, 4], 4),
    ] {
        let mut bench = Bench::leader(5, 1, &[]);
        for sequence in 1..=3 {
            bench.ask(add(sequence, 1));
        }
        for (peer, match_index) in (1..).zip(acknowledged) {
            bench.deliver(peer, accepted(1, match_index));
        }
        assert_eq!(bench.commit_index(), commit, "{acknowledged:?}");
    }
}

/// In an even cluster half is no majority.
#[test]
fn s5_4_2_half_is_no_majority() {
    let mut bench = Bench::leader(4, 1, &[]);
    bench.deliver(1, accepted(1, 1));
    assert_eq!(bench.commit_index(), 0);
    bench.deliver(2, accepted(1, 1));
    assert_eq!(bench.commit_index(), 1);
}

/// A cluster of one commits on its own word, and only after it is elected.
#[test]
fn s5_4_2_a_cluster_of_one_commits_alone() {
    let mut bench = Bench::start(0, 1, 0, None, &[]);
    assert_eq!(bench.ask(add(1, 1)), [redirect(1, None)]);
    bench.fire(Timer::Election);
    assert_eq!(bench.commit_index(), 1);
    assert_eq!(bench.ask(add(1, 1)), [reply(1, 1)]);
    assert_eq!(bench.ask(read(2)), [reply(2, 1)]);
}

/// Neither a rejection nor the refusal of a stale term is an acknowledgement.
#[test]
fn s5_4_2_a_rejection_commits_nothing() {
    let mut bench = Bench::leader(3, 2, &[1]);
    bench.deliver(1, conflict(2, 1, None, 1));
    bench.deliver(2, conflict(2, 1, Some(1), 1));
    assert_eq!(bench.commit_index(), 0);
    bench.deliver(2, stale_append(2, 3));
    assert_eq!((bench.commit_index(), bench.leads()), (0, None));
}

/// An acknowledgement of a leadership that has ended commits nothing for the next one
/// (a deviation in means: the paper leaves this to the RPC library).
#[test]
fn s5_4_2_an_acknowledgement_of_an_earlier_leadership_does_not_count() {
    let mut bench = Bench::leader(3, 1, &[]);
    bench.fire(Timer::Election);
    bench.deliver(1, stale_append(1, 1));
    bench.deliver(2, request_vote(2, (9, 1)));
    bench.fire(Timer::Election);
    bench.deliver(1, granted(3));
    assert_eq!((bench.term(), bench.log()), (3, vec![1, 3]));
    bench.deliver(1, accepted(1, 1));
    bench.deliver(2, accepted(1, 1));
    assert_eq!(bench.commit_index(), 0);
}
