//! Thesis §6.4, "Processing read-only queries more efficiently", where followers answer; and how
//! many reads may wait.

use models::Effect;
use models::raft::log::{Index, Term};
use models::raft::message::{Message, ReadIndexOutcome, Round};
use models::raft::spec::{Adder, Total};
use models::raft::{Command, Event, Timer};

use crate::support::bench::*;

fn read_here(sequence: u64) -> Command<Adder> {
    Command::ReadHere {
        request: request(sequence),
        query: Total,
    }
}

fn read_index(term: u64, sequence: u64) -> Msg {
    Message::ReadIndex {
        term: Term(term),
        request: request(sequence),
    }
}

fn told(term: u64, sequence: u64, outcome: ReadIndexOutcome) -> Msg {
    Message::ReadIndexResponse {
        term: Term(term),
        request: request(sequence),
        outcome,
    }
}

fn confirmed(term: u64, sequence: u64, index: u64) -> Msg {
    let read_index = Index(index);
    told(term, sequence, ReadIndexOutcome::Confirmed { read_index })
}

fn overloaded(sequence: u64) -> Effect<Checked> {
    let request = request(sequence);
    Effect::Emit(Event::Overloaded { request })
}

/// Node 0 follows node 2, has the no-op and a command, and knows the no-op to be committed.
fn follower() -> Bench {
    let mut bench = Bench::follower(1, &[]);
    bench.deliver(2, append(1, (0, 0), &[noop(1), entry(1, 1, 5)], 1));
    bench
}

/// "The follower would issue a request to the leader that just asked for a current readIndex":
/// nothing is answered before it comes.
#[test]
fn t6_4_a_follower_asks_the_leader_for_a_read_index() {
    let mut bench = follower();
    assert_eq!(bench.ask(read_here(7)), [send(2, read_index(1, 7))]);
    assert!(bench.records().is_empty());
}

/// "The follower could then execute steps 4 and 5 on its own state machine": it waits until the
/// index is applied, then answers from its own state.
#[test]
fn t6_4_a_follower_answers_when_the_index_is_applied() {
    let mut bench = follower();
    bench.ask(read_here(7));
    assert_eq!(bench.deliver(2, confirmed(1, 7, 2)), []);
    let effects = bench.deliver(2, append(1, (2, 1), &[], 2));
    assert!(effects.contains(&reply(7, 5)), "{effects:?}");
    assert_eq!(bench.deliver(2, confirmed(1, 7, 2)), [], "once");
}

#[test]
fn t6_4_an_index_that_is_applied_is_answered_at_once() {
    let mut bench = follower();
    bench.ask(read_here(7));
    assert_eq!(bench.deliver(2, confirmed(1, 7, 1)), [reply(7, 0)]);
}

/// An index is for the read that it was asked for: of a later one it says nothing.
#[test]
fn t6_4_two_reads_do_not_share_an_index() {
    let mut bench = follower();
    bench.ask(read_here(7));
    bench.ask(read_here(8));
    assert_eq!(bench.deliver(2, confirmed(1, 7, 1)), [reply(7, 0)]);
    assert_eq!(bench.node().volatile.follower_reads.len(), 1);
    assert_eq!(bench.deliver(2, confirmed(1, 8, 1)), [reply(8, 0)]);
}

/// "The leader … executes steps 1 to 3": it notes its commit index, and tells it when a quorum
/// has answered a round that began after that.
#[test]
fn t6_4_the_leader_confirms_its_leadership_for_a_follower() {
    let mut bench = Bench::established(1, &[]);
    let effects = bench.deliver(2, read_index(1, 7));
    assert_eq!(effects.len(), 2, "a round: {effects:?}");
    assert_eq!(bench.deliver(2, accepted(1, 1)), [], "sent before");
    let effects = bench.deliver(1, accepted_in_round(1, 1, 1));
    assert_eq!(effects, [send(2, confirmed(1, 7, 1))]);
}

/// A leader whose term's first entry is not committed names that entry.
#[test]
fn t6_4_a_new_leader_names_its_no_op() {
    let mut bench = Bench::leader(3, 2, &[1]);
    bench.deliver(2, read_index(2, 7));
    assert_eq!(bench.leads().expect("leads").reads[0].read_index, Index(2));
    assert_eq!(bench.leads().expect("leads").reads[0].round, Round(1));
}

/// A question that arrives twice makes one read.
#[test]
fn t6_4_a_question_asked_twice_is_one() {
    let mut bench = Bench::established(1, &[]);
    bench.deliver(2, read_index(1, 7));
    assert_eq!(bench.deliver(2, read_index(1, 7)), []);
    assert_eq!(bench.leads().expect("leads").reads.len(), 1);
}

/// Who does not lead says so, and whose term is over learns it; the client is sent elsewhere.
#[test]
fn t6_4_who_does_not_lead_gives_no_index() {
    let mut bench = follower();
    let answer = told(1, 7, ReadIndexOutcome::NotLeader);
    assert_eq!(bench.answer(read_index(1, 7)), answer);
    let current_term = Term(1);
    let answer = told(0, 7, ReadIndexOutcome::StaleTerm { current_term });
    assert_eq!(bench.answer(read_index(0, 7)), answer);
    bench.ask(read_here(7));
    let effects = bench.deliver(2, told(1, 7, ReadIndexOutcome::NotLeader));
    assert_eq!(effects, [redirect(7, Some(2))]);
}

/// A node of no cluster gets nothing from a leader.
#[test]
fn t6_4_a_stranger_gets_no_index() {
    let mut bench = Bench::established(1, &[]);
    let effects = bench.deliver(9, read_index(1, 7));
    assert_eq!(effects, [send(9, told(1, 7, ReadIndexOutcome::NotLeader))]);
}

/// Whatever ends the follower's faith in its leader ends its reads: another term, or silence.
#[test]
fn t6_4_reads_do_not_outlive_the_leader() {
    let mut bench = follower();
    bench.ask(read_here(7));
    let effects = bench.deliver(1, append(2, (1, 1), &[], 0));
    assert!(effects.contains(&redirect(7, None)), "{effects:?}");
    assert_eq!(bench.deliver(2, confirmed(1, 7, 1)), [], "too late");
    bench.ask(read_here(8));
    let effects = bench.fire(Timer::Election);
    assert!(effects.contains(&redirect(8, None)), "{effects:?}");
}

/// A question that was lost is asked again: by the second heartbeat after it.
#[test]
fn t6_4_a_lost_question_is_asked_again() {
    let mut bench = follower();
    bench.ask(read_here(7));
    let heartbeat = append(1, (2, 1), &[], 1);
    assert_eq!(sent_to(2, &bench.deliver(2, heartbeat.clone())).len(), 1);
    let effects = bench.deliver(2, heartbeat);
    assert!(effects.contains(&send(2, read_index(1, 7))), "{effects:?}");
}

/// Who knows no leader answers no read.
#[test]
fn t6_4_without_a_leader_there_is_nobody_to_ask() {
    let mut bench = Bench::follower(1, &[]);
    assert_eq!(bench.ask(read_here(7)), [redirect(7, None)]);
    bench.fire(Timer::Election);
    assert_eq!(bench.ask(read_here(7)), [redirect(7, None)]);
}

/// A leader answers any read itself.
#[test]
fn t6_4_a_leader_reads_here_as_ever() {
    let mut bench = Bench::established(1, &[]);
    bench.ask(read_here(7));
    assert_eq!(bench.deliver(2, accepted_in_round(1, 1, 1)), [reply(7, 0)]);
}

/// Readers do not pile up at a leader that confirms nothing, nor at a follower that nobody
/// answers; and a leader refuses its followers' reads as it does its own.
#[test]
fn t6_4_more_reads_than_may_wait_are_refused() {
    let mut bench = Bench::established(1, &[]).admitting(2);
    bench.ask(read(1));
    bench.deliver(2, read_index(1, 2));
    assert_eq!(bench.ask(read(3)), [overloaded(3)]);
    let effects = bench.deliver(1, read_index(1, 4));
    assert_eq!(effects, [send(1, told(1, 4, ReadIndexOutcome::Busy))]);
    let mut bench = follower().admitting(1);
    bench.ask(read_here(5));
    assert_eq!(bench.ask(read_here(6)), [overloaded(6)]);
    let effects = bench.deliver(2, told(1, 5, ReadIndexOutcome::Busy));
    assert_eq!(effects, [overloaded(5)]);
    assert_eq!(bench.ask(read_here(6)), [send(2, read_index(1, 6))]);
}
