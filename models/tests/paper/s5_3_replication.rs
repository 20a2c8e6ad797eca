//! §5.3, "Log replication".

use models::raft::Timer;
use models::raft::log::{Index, Term};
use models::raft::message::Message;
use models::{Effect, NodeId};

use crate::support::bench::*;

/// "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs
/// in parallel to each of the other servers to replicate the entry."
#[test]
fn s5_3_a_leader_appends_a_command_and_sends_it() {
    let mut bench = Bench::established(2, &[1]);
    bench.deliver(2, accepted(2, 2));
    let effects = bench.ask(add(1, 5));
    let message = append(2, (2, 2), &[entry(2, 1, 5)], 2);
    assert_eq!(effects, [send(1, message.clone()), send(2, message)]);
    assert_eq!(bench.records(), [Record::Append(entry(2, 1, 5))]);
}

/// Deviation: a peer of which nothing is known yet is not sent an append for each command.
/// What comes meanwhile travels together once it has answered.
#[test]
fn s5_3_commands_for_a_peer_that_is_being_probed_travel_together() {
    let mut bench = Bench::established(1, &[]);
    for (sequence, amount) in [(1, 1), (2, 2)] {
        let effects = bench.ask(add(sequence, amount));
        assert_eq!(sent_to(2, &effects), [], "it has not answered the no-op");
    }
    let effects = bench.deliver(2, accepted(1, 1));
    let both = [entry(1, 1, 1), entry(1, 2, 2)];
    assert_eq!(effects, [send(2, append(1, (1, 1), &both, 1))]);
}

/// "When the entry has been safely replicated, the leader applies the entry to its state
/// machine and returns the result of that execution to the client": once, at a majority.
#[test]
fn s5_3_a_command_is_answered_when_a_majority_has_it() {
    let mut bench = Bench::leader(5, 1, &[]);
    bench.ask(add(1, 5));
    assert_eq!(bench.deliver(1, accepted(1, 2)), []);
    assert_eq!((bench.commit_index(), bench.total()), (0, 0));
    assert_eq!(bench.deliver(2, accepted(1, 2)), [reply(1, 5)]);
    assert_eq!((bench.commit_index(), bench.total()), (2, 5));
    assert_eq!(bench.deliver(3, accepted(1, 2)), []);
}

/// "If followers crash or run slowly, or if network packets are lost, the leader retries
/// AppendEntries RPCs indefinitely (even after it has responded to the client) until all
/// followers eventually store all log entries." A follower of which nothing is known yet is
/// probed with each heartbeat.
#[test]
fn s5_3_a_leader_retries_until_all_followers_store_all_entries() {
    let mut bench = Bench::established(1, &[]);
    let retry = send(2, append(1, (0, 0), &[noop(1)], 1));
    for _ in 0..3 {
        assert_eq!(bench.fire(Timer::Heartbeat)[2], retry);
    }
    bench.deliver(2, accepted(1, 1));
    let idle = send(2, append(1, (1, 1), &[], 1));
    assert_eq!(bench.fire(Timer::Heartbeat)[2], idle);
}

/// "The leader … sends heartbeats (AppendEntries RPCs that carry no log entries)" (§5.2); to a
/// follower that has not acknowledged what it was sent, it sends that again.
#[test]
fn s5_3_a_heartbeat_carries_what_is_not_acknowledged() {
    let mut bench = Bench::leader(3, 2, &[1]);
    bench.ask(add(1, 5));
    let effects = bench.deliver(1, accepted(2, 2));
    let sent = append(2, (2, 2), &[entry(2, 1, 5)], 0);
    assert_eq!(sent_to(1, &effects), [sent]);
    let effects = bench.fire(Timer::Heartbeat);
    let again = append(2, (2, 2), &[entry(2, 1, 5)], 2);
    assert_eq!(sent_to(1, &effects), [again]);
    bench.deliver(1, accepted(2, 3));
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(sent_to(1, &effects), [append(2, (3, 2), &[], 3)]);
}

/// "Each log entry also has an integer index identifying its position in the log", and "the
/// term number when the entry was received by the leader", which no later leader changes.
#[test]
fn s5_3_an_inherited_entry_keeps_its_term() {
    let mut bench = Bench::leader(3, 5, &[1, 3]);
    let effects = bench.deliver(1, conflict(5, 2, None, 1));
    let all = [noop(1), noop(3), noop(5)];
    assert_eq!(effects, [send(1, append(5, (0, 0), &all, 0))]);
}

/// "Once a follower learns that a log entry is committed, it applies the entry to its local
/// state machine (in log order)", and says nothing: the leader has the client.
#[test]
fn s5_3_a_follower_applies_what_is_committed_in_log_order() {
    let mut bench = Bench::follower(1, &[]);
    let entries = [entry(1, 1, 1), entry(1, 2, 2), entry(1, 3, 4)];
    bench.deliver(1, append(1, (0, 0), &entries, 0));
    assert_eq!(bench.total(), 0);
    let effects = bench.deliver(1, append(1, (3, 1), &[], 2));
    assert_eq!(
        effects,
        [Effect::Arm(Timer::Election), send(1, accepted(1, 3))]
    );
    assert_eq!((bench.commit_index(), bench.total()), (2, 3));
}

/// "When sending an AppendEntries RPC, the leader includes the index and term of the entry in
/// its log that immediately precedes the new entries. If the follower does not find an entry
/// in its log with the same index and term, then it refuses the new entries."
#[test]
fn s5_3_a_follower_refuses_entries_that_do_not_follow_on() {
    for (prev, log, answer) in [
        ((2, 1), &[1][..], conflict(3, 2, None, 2)),
        ((2, 3), &[1, 1][..], conflict(3, 2, Some(1), 1)),
        ((2, 1), &[1, 2][..], conflict(3, 2, Some(2), 2)),
        ((1, 3), &[][..], conflict(3, 1, None, 1)),
    ] {
        let mut bench = Bench::follower(3, log);
        assert_eq!(bench.answer(append(3, prev, &[noop(3)], 9)), answer);
        assert!(bench.records().is_empty());
        assert_eq!((bench.log(), bench.commit_index()), (log.to_vec(), 0));
    }
}

/// The check is satisfied at the start of every log: "the initial empty state of the logs
/// satisfies the Log Matching Property".
#[test]
fn s5_3_entries_may_always_follow_the_start_of_the_log() {
    let mut bench = Bench::follower(3, &[1, 1]);
    let message = append(3, (0, 0), &[noop(1)], 0);
    assert_eq!(bench.answer(message), accepted(3, 1));
}

/// "If an existing entry conflicts with a new one (same index but different terms), delete
/// the existing entry and all that follow it. Append any new entries not already in the
/// log" (Figure 2). On disk before the answer leaves, in this order.
#[test]
fn s5_3_conflicting_entries_are_overwritten() {
    let mut bench = Bench::follower(3, &[1, 2, 2, 2]);
    let message = append(3, (1, 1), &[noop(1), noop(3)], 0);
    assert_eq!(bench.answer(message), accepted(3, 3));
    let expected = [
        truncate(2),
        Record::Append(noop(1)),
        Record::Append(noop(3)),
    ];
    assert_eq!(bench.records(), expected);
    assert_eq!(bench.log(), [1, 1, 3]);
}

/// Entries that are there already stay, and so does what follows them: an append may be an
/// old one that comes late, and what followed it since may be acknowledged.
#[test]
fn s5_3_a_late_append_does_not_truncate_what_matches() {
    let mut bench = Bench::follower(3, &[1, 3, 3]);
    let message = append(3, (0, 0), &[noop(1), noop(3)], 0);
    assert_eq!(bench.answer(message), accepted(3, 2));
    assert!(bench.records().is_empty());
    assert_eq!(bench.log(), [1, 3, 3]);
}

/// "Set commitIndex = min(leaderCommit, index of last new entry)" (Figure 2): of what follows
/// the last new entry, a heartbeat has shown nothing.
#[test]
fn s5_3_a_follower_commits_only_what_the_append_has_shown() {
    let mut bench = Bench::follower(3, &[1, 2, 2]);
    bench.deliver(1, append(3, (1, 1), &[], 3));
    assert_eq!(bench.commit_index(), 1);
    bench.deliver(1, append(3, (1, 1), &[noop(3)], 3));
    assert_eq!(bench.commit_index(), 2);
}

/// A commit index never moves back, whatever a late message says (Figure 2).
#[test]
fn s5_3_a_late_message_does_not_move_the_commit_index_back() {
    let mut bench = Bench::follower(1, &[1, 1, 1]);
    bench.deliver(1, append(1, (3, 1), &[], 3));
    bench.deliver(1, append(1, (0, 0), &[noop(1)], 1));
    assert_eq!(bench.commit_index(), 3);
}

/// "When a leader first comes to power, it initializes all nextIndex values to the index just
/// after the last one in its log", and matchIndex to 0 (Figure 2).
#[test]
fn s5_3_a_new_leader_knows_nothing_of_its_followers() {
    let mut bench = Bench::candidate(3, 4, &[1, 1, 3]);
    let effects = bench.deliver(1, granted(4));
    for peer in [1, 2] {
        let first = append(4, (3, 3), &[noop(4)], 0);
        assert_eq!(sent_to(peer, &effects), [first]);
        assert_eq!(bench.probes(peer), Some(3));
        assert_eq!(bench.progress(peer).match_index, Index(0));
    }
}

/// "If successful: update nextIndex and matchIndex for follower" (Figure 2).
#[test]
fn s5_3_success_moves_both_indices_forward() {
    let mut bench = Bench::leader(3, 4, &[1, 1, 3]);
    bench.deliver(1, accepted(4, 4));
    let progress = bench.progress(1);
    assert_eq!(
        (progress.next_index, progress.match_index),
        (Index(5), Index(4))
    );
}

/// "After a rejection, the leader decrements nextIndex and retries the AppendEntries RPC.
/// Eventually nextIndex will reach a point where the leader and follower logs match."
#[test]
fn s5_3_a_rejection_moves_next_index_back_and_tries_again() {
    let mut bench = Bench::leader(3, 4, &[1, 1, 3]);
    let effects = bench.deliver(1, conflict(4, 3, None, 3));
    let message = append(4, (2, 1), &[noop(3), noop(4)], 0);
    assert_eq!(effects, [send(1, message)]);
    assert_eq!(bench.probes(1), Some(2));
}

/// "When rejecting an AppendEntries request, the follower can include the term of the
/// conflicting entry and the first index it stores for that term."
#[test]
fn s5_3_a_rejection_names_the_conflicting_term_and_its_first_index() {
    let mut bench = Bench::follower(8, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
    let message = append(8, (10, 6), &[noop(8)], 0);
    assert_eq!(bench.answer(message), conflict(8, 10, Some(3), 7));
}

/// "With this information, the leader can decrement nextIndex to bypass all of the
/// conflicting entries in that term": it has none of that term, so it goes to where the
/// follower's begin.
#[test]
fn s5_3_a_term_that_the_leader_lacks_is_skipped_at_once() {
    let mut bench = Bench::leader(3, 8, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    bench.deliver(1, conflict(8, 10, Some(3), 7));
    assert_eq!(bench.probes(1), Some(6));
}

/// A deviation in detail, the one of the thesis: where the leader has entries of the
/// conflicting term itself, it goes to behind its own last one, for up to there they may
/// agree.
#[test]
fn s5_3_a_term_that_the_leader_has_is_skipped_to_its_own_end() {
    let mut bench = Bench::leader(3, 8, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    bench.deliver(1, conflict(8, 10, Some(4), 4));
    assert_eq!(bench.probes(1), Some(5));
}

/// Hints never lead forward: there is progress with every rejection.
#[test]
fn s5_3_a_hint_moves_next_index_back_by_at_least_one() {
    let mut bench = Bench::leader(3, 3, &[1, 1, 1]);
    bench.deliver(1, conflict(3, 3, Some(1), 3));
    assert_eq!(bench.probes(1), Some(2));
    bench.deliver(1, conflict(3, 2, None, 9));
    assert_eq!(bench.probes(1), Some(1));
}

/// What is known to match is never probed again.
#[test]
fn s5_3_a_hint_never_leads_behind_what_matches() {
    let mut bench = Bench::leader(3, 2, &[1, 1, 1]);
    bench.deliver(1, conflict(2, 3, None, 2));
    bench.deliver(1, accepted(2, 2));
    let progress = bench.progress(1);
    assert_eq!(
        (progress.match_index, progress.next_index),
        (Index(2), Index(5))
    );
    bench.deliver(1, conflict(2, 3, Some(1), 1));
    assert_eq!(bench.probes(1), Some(2));
    let before = bench.node().clone();
    assert_eq!(bench.deliver(1, conflict(2, 2, Some(1), 1)), []);
    assert_eq!(bench.node(), &before);
}

/// A rejection of an append that is not the latest is stale: what has been learned since
/// stands.
#[test]
fn s5_3_a_stale_rejection_is_ignored() {
    let mut bench = Bench::leader(3, 4, &[1, 1, 3]);
    bench.deliver(1, conflict(4, 3, None, 2));
    let before = bench.node().clone();
    assert_eq!(bench.deliver(1, conflict(4, 3, None, 2)), []);
    assert_eq!(bench.node(), &before);
}

/// A stale acknowledgement moves nothing back.
#[test]
fn s5_3_a_stale_acknowledgement_is_ignored() {
    let mut bench = Bench::established(1, &[]);
    let before = bench.node().clone();
    assert_eq!(bench.deliver(1, accepted(1, 0)), []);
    assert_eq!(bench.node(), &before);
}

/// "A leader never overwrites or deletes entries in its own log."
#[test]
fn s5_3_a_leader_only_appends() {
    let mut bench = Bench::leader(3, 4, &[1, 1, 3]);
    let inputs = [conflict(4, 3, None, 1), accepted(4, 4), refused(4)];
    for (sequence, message) in (1..).zip(inputs) {
        bench.deliver(1, message);
        bench.ask(add(sequence, 1));
        assert!(
            bench
                .records()
                .iter()
                .all(|record| matches!(record, Record::Append(_)))
        );
    }
    assert_eq!(bench.log(), [1, 1, 3, 4, 4, 4, 4]);
}

/// An append carries what its weight allows, and the rest follows in others.
#[test]
fn s5_3_a_long_log_travels_in_several_appends() {
    let mut bench = Bench::leader(3, 3, &[1, 1, 2]).carrying(2);
    bench.ask(add(1, 5));
    let probe = bench.deliver(1, conflict(3, 3, None, 1));
    assert_eq!(probe, [send(1, append(3, (0, 0), &[noop(1), noop(1)], 0))]);
    let rest = bench.deliver(1, accepted(3, 2));
    let expected = [
        send(1, append(3, (2, 1), &[noop(2), noop(3)], 0)),
        send(1, append(3, (4, 3), &[entry(3, 1, 5)], 0)),
    ];
    assert_eq!(rest, expected);
    assert_eq!(bench.deliver(1, accepted(3, 3)), []);
}

/// Figure 7's leader of term 8, and its followers (a) to (f).
const FIGURE_7: [u64; 10] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

/// Lets the leader of term 8 bring a follower with `log` into agreement, over a network that
/// loses nothing. Hands back the prevLogIndex of each probe that it took.
fn brought_into_agreement(log: &[u64]) -> Vec<u64> {
    let mut leader = Bench::candidate(7, 8, &FIGURE_7);
    let elected = [1, 2, 3].map(|voter| leader.deliver(voter, granted(8)));
    let mut follower = Bench::start(1, 7, 7, None, log);
    let mut probes = Vec::new();
    let mut under_way = sent_to(1, &elected[2]);
    while let Some(message) = under_way.pop() {
        if let Message::AppendEntries { prev_log_index, .. } = &message
            && leader.probes(1) == Some(prev_log_index.0)
        {
            probes.push(prev_log_index.0);
        }
        let answers = follower.deliver(0, message);
        for answer in sent_to(0, &answers) {
            under_way.extend(sent_to(1, &leader.deliver(1, answer)));
        }
    }
    assert_eq!(follower.log(), [&FIGURE_7[..], &[8]].concat());
    assert_eq!(leader.progress(1).match_index, Index(11));
    probes
}

/// "Followers (a) and (b) … may be missing entries": one rejection shows where their logs end.
#[test]
fn s5_3_figure_7_a_and_b_miss_entries() {
    assert_eq!(
        brought_into_agreement(&[1, 1, 1, 4, 4, 5, 5, 6, 6]),
        [10, 9]
    );
    assert_eq!(brought_into_agreement(&[1, 1, 1, 4]), [10, 4]);
}

/// "(c) and (d) may have extra uncommitted entries": they are overwritten by the no-op of
/// term 8, without a single rejection.
#[test]
fn s5_3_figure_7_c_and_d_have_extra_entries() {
    let c = [&FIGURE_7[..], &[6]].concat();
    assert_eq!(brought_into_agreement(&c), [10]);
    let d = [&FIGURE_7[..], &[7, 7]].concat();
    assert_eq!(brought_into_agreement(&d), [10]);
}

/// "(e) and (f) may have both." One rejection per term that differs, not one per entry.
#[test]
fn s5_3_figure_7_e_and_f_do_both() {
    assert_eq!(
        brought_into_agreement(&[1, 1, 1, 4, 4, 4, 4]),
        [10, 7, 5],
        "the end of the log; then the end of the leader's own term 4"
    );
    assert_eq!(
        brought_into_agreement(&[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
        [10, 6, 3],
        "where the follower's term 3 begins; then where its term 2 begins"
    );
}

/// A follower that answers a heartbeat follows its sender, whatever its log is like.
#[test]
fn s5_3_a_refusal_of_entries_is_no_refusal_of_the_leader() {
    let mut bench = Bench::follower(2, &[1]);
    bench.deliver(1, append(2, (5, 2), &[], 0));
    assert_eq!(bench.follows(), Some(Some(NodeId(1))));
    assert_eq!(bench.node().durable().current_term, Term(2));
}

/// However little an append may carry, one entry always travels: else replication would stop.
#[test]
fn s5_3_an_append_carries_at_least_one_entry() {
    let mut bench = Bench::leader(3, 2, &[1]).carrying(0);
    let effects = bench.deliver(1, conflict(2, 1, None, 1));
    assert_eq!(sent_to(1, &effects), [append(2, (0, 0), &[noop(1)], 0)]);
}
