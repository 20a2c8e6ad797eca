//! §8, "Client interaction"; reads after the thesis, §6.4, sessions after its §6.3.

use models::raft::Timer;
use models::raft::log::Index;
use models::raft::message::Round;

use crate::support::bench::*;

/// "If the client's first choice is not the leader, that server will reject the client's
/// request and supply information about the most recent leader it has heard from." Reads
/// and commands alike; nothing is written.
#[test]
fn s8_a_follower_redirects_to_the_leader() {
    let mut bench = Bench::follower(1, &[]);
    assert_eq!(bench.ask(add(1, 1)), [redirect(1, None)]);
    bench.deliver(2, append(1, (0, 0), &[], 0));
    assert_eq!(bench.ask(add(1, 1)), [redirect(1, Some(2))]);
    assert_eq!(bench.ask(read(1)), [redirect(1, Some(2))]);
    assert!(bench.records().is_empty());
}

/// A candidate knows of no leader: the one it has heard of has fallen silent.
#[test]
fn s8_a_candidate_redirects_to_nobody() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(2, append(1, (0, 0), &[], 0));
    bench.fire(Timer::Election);
    assert_eq!(bench.ask(add(1, 1)), [redirect(1, None)]);
    assert_eq!(bench.ask(read(1)), [redirect(1, None)]);
}

/// "Raft handles this by having each leader commit a blank no-op entry into the log at the
/// start of its term."
#[test]
fn s8_a_leader_begins_its_term_with_a_no_op() {
    let bench = Bench::leader(3, 4, &[1, 3]);
    assert_eq!(bench.records(), [Record::Append(noop(4))]);
    assert_eq!(bench.leads().expect("leads").term_start, Index(3));
}

/// "If the leader crashes after committing the log entry but before responding to the
/// client, the client will retry the command with a new leader … the state machine tracks
/// the latest serial number processed for each client, along with the associated response.
/// If it receives a command whose serial number has already been executed, it responds
/// immediately without re-executing the request."
#[test]
fn s8_a_command_that_was_applied_is_answered_from_its_session() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    assert_eq!(bench.deliver(1, accepted(1, 2)), [reply(1, 5)]);
    assert_eq!(bench.ask(add(1, 5)), [reply(1, 5)]);
    assert!(bench.records().is_empty());
    assert_eq!(bench.total(), 5);
}

/// A retry that comes before the first try is applied makes a second entry. It is applied
/// once all the same, and both answers are the same.
#[test]
fn s8_a_command_that_is_in_the_log_twice_is_applied_once() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    bench.ask(add(1, 5));
    assert_eq!(bench.log(), [1, 1, 1]);
    let effects = bench.deliver(1, accepted(1, 3));
    assert_eq!(effects, [reply(1, 5), reply(1, 5)]);
    assert_eq!(bench.total(), 5);
}

/// The session table is a function of the log: a new leader that has applied the log answers
/// a retry of what its predecessor did.
#[test]
fn s8_a_new_leader_knows_its_predecessors_sessions() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[noop(1), entry(1, 1, 5)], 2));
    bench.fire(Timer::Election);
    bench.deliver(2, granted(2));
    assert_eq!(bench.ask(add(1, 5)), [reply(1, 5)]);
    assert_eq!(bench.log(), [1, 1, 2]);
}

/// A leader that has not applied its predecessor's entry yet appends the retry, and the
/// session sorts it out: the answer is that of the first try.
#[test]
fn s8_a_retry_at_a_leader_that_has_not_caught_up_is_applied_once() {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(1, append(1, (0, 0), &[entry(1, 1, 5)], 0));
    bench.fire(Timer::Election);
    bench.deliver(2, granted(2));
    bench.ask(add(1, 5));
    assert_eq!(bench.log(), [1, 2, 2]);
    bench.deliver(2, accepted(2, 3));
    assert_eq!((bench.commit_index(), bench.total()), (3, 5));
}

/// A client whose later command was applied has given up the earlier one: its response is
/// gone, and it is not applied again (thesis §6.3).
#[test]
fn s8_a_request_older_than_the_session_is_superseded() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(2, 2));
    bench.deliver(1, accepted(1, 2));
    assert_eq!(bench.ask(add(1, 1)), [superseded(1)]);
    assert!(bench.records().is_empty());
}

/// The same where the old request is in the log behind the later one.
#[test]
fn s8_an_entry_older_than_the_session_is_not_applied() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(2, 2));
    bench.ask(add(1, 1));
    let effects = bench.deliver(1, accepted(1, 3));
    assert_eq!(effects, [reply(2, 2), superseded(1)]);
    assert_eq!(bench.total(), 2);
}

/// "Read-only operations can be handled without writing anything into the log. … a leader
/// must check whether it has been deposed before processing a read-only request …
/// by having the leader exchange heartbeat messages with a majority of the cluster before
/// responding."
#[test]
fn s8_a_read_waits_until_a_majority_has_confirmed_the_leader() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    bench.deliver(1, accepted(1, 2));
    let effects = bench.ask(read(2));
    let expected = [
        send(1, append_in_round(1, (2, 1), &[], 2, 1)),
        send(
            2,
            append_in_round(1, (0, 0), &[noop(1), entry(1, 1, 5)], 2, 1),
        ),
    ];
    assert_eq!(effects, expected);
    assert!(bench.records().is_empty());
    let effects = bench.deliver(1, accepted_in_round(1, 2, 1));
    assert_eq!(effects, [reply(2, 5)]);
}

/// What was under way when the read came confirms nothing: it may have been answered before.
#[test]
fn s8_a_message_sent_before_the_read_does_not_confirm_it() {
    let mut bench = Bench::established(1, &[]);
    bench.fire(Timer::Heartbeat);
    bench.ask(read(1));
    assert_eq!(bench.deliver(1, accepted(1, 1)), []);
    assert_eq!(bench.deliver(2, accepted(1, 1)), []);
    assert_eq!(bench.leads().expect("leads").reads.len(), 1);
    let effects = bench.deliver(2, accepted_in_round(1, 1, 1));
    assert_eq!(effects, [reply(1, 0)]);
}

/// Reads that come while a round is under way share the next one (thesis §6.4: "can amortize
/// this cost").
#[test]
fn s8_reads_that_wait_share_a_round() {
    let mut bench = Bench::established(1, &[]);
    bench.deliver(2, accepted(1, 1));
    bench.ask(read(1));
    assert_eq!(bench.ask(read(2)), []);
    assert_eq!(bench.ask(read(3)), []);
    let effects = bench.deliver(1, accepted_in_round(1, 1, 1));
    let expected = [
        reply(1, 0),
        send(1, append_in_round(1, (1, 1), &[], 1, 2)),
        send(2, append_in_round(1, (1, 1), &[], 1, 2)),
    ];
    assert_eq!(effects, expected);
    let effects = bench.deliver(2, accepted_in_round(1, 1, 2));
    assert_eq!(effects, [reply(2, 0), reply(3, 0)]);
}

/// "A leader must have the latest information on which entries are committed. … at the start
/// of its term, it may not know which those are": a read then waits for the no-op.
#[test]
fn s8_a_read_waits_for_the_terms_no_op() {
    let mut bench = Bench::leader(3, 2, &[1]);
    bench.ask(read(1));
    let effects = bench.deliver(1, conflict_in_round(2, 1, 1));
    let retry = append_in_round(2, (0, 0), &[noop(1), noop(2)], 0, 1);
    assert_eq!(effects, [send(1, retry)], "a majority confirms it already");
    assert_eq!(bench.leads().expect("leads").reads[0].read_index, Index(2));
    let effects = bench.deliver(1, accepted_in_round(2, 2, 1));
    assert_eq!(effects, [reply(1, 0)]);
}

/// A read does not wait for what is proposed after it, nor for what is not committed.
#[test]
fn s8_a_read_does_not_wait_for_uncommitted_commands() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    bench.ask(read(2));
    let effects = bench.deliver(2, accepted_in_round(1, 1, 1));
    assert!(effects.contains(&reply(2, 0)), "{effects:?}");
}

/// A rejection for the log's sake confirms the leader as well as an acknowledgement does: who
/// answers it has not left its term.
#[test]
fn s8_a_rejection_confirms_the_leader() {
    let mut bench = Bench::established(2, &[1]);
    bench.ask(read(1));
    let effects = bench.deliver(2, conflict_in_round(2, 1, 1));
    let retry = append_in_round(2, (0, 0), &[noop(1), noop(2)], 2, 1);
    assert_eq!(effects, [send(2, retry), reply(1, 0)]);
}

/// A leader that is deposed answers no read: it sends them elsewhere.
#[test]
fn s8_a_deposed_leader_redirects_the_reads_that_wait() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(read(1));
    bench.ask(read(2));
    let effects = bench.deliver(2, append(2, (0, 0), &[], 0));
    // The append that deposes it names the new leader.
    assert_eq!(effects[1..3], [redirect(1, Some(2)), redirect(2, Some(2))]);
    assert_eq!(bench.deliver(1, accepted_in_round(1, 1, 1)), []);
}

/// A deposed leader does not know whether a command that it appended will be committed, so it
/// says nothing of it: the client retries, and the session keeps it from happening twice.
#[test]
fn s8_a_deposed_leader_leaves_its_commands_unanswered() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(add(1, 5));
    let effects = bench.deliver(2, append(2, (1, 1), &[noop(2)], 0));
    assert!(!effects.contains(&redirect(1, None)));
    assert!(!effects.contains(&redirect(1, Some(2))));
    assert_eq!(bench.log(), [1, 2]);
}

/// A follower echoes the round that it was asked in, whatever it makes of the append.
#[test]
fn s8_a_follower_echoes_the_round() {
    let mut bench = Bench::follower(2, &[]);
    let message = append_in_round(2, (0, 0), &[], 0, 7);
    assert_eq!(bench.answer(message), accepted_in_round(2, 0, 7));
    let message = append_in_round(2, (3, 1), &[], 0, 8);
    assert!(matches!(
        bench.answer(message),
        models::raft::message::Message::AppendEntriesResponse {
            round: Round(8),
            ..
        }
    ));
}

/// A rejection at `prev` by a follower with an empty log, in a confirmation round.
fn conflict_in_round(term: u64, prev: u64, round: u64) -> Msg {
    let outcome = models::raft::message::AppendOutcome::Conflict {
        prev_log_index: Index(prev),
        conflict_term: None,
        first_index: Index(1),
    };
    appended(term, outcome, round)
}
