//! Thesis §3.10, "Leadership transfer extension".

use models::raft::log::Term;
use models::raft::membership::Change;
use models::raft::message::Message;
use models::raft::session::{ClientId, RequestId};
use models::raft::spec::Add;
use models::raft::{Command, Event, Timer, TransferOutcome};
use models::{Effect, NodeId};

use crate::support::bench::*;

fn timeout_now(term: u64) -> Msg {
    Message::TimeoutNow { term: Term(term) }
}

fn ended(sequence: u64, outcome: TransferOutcome) -> Effect<Checked> {
    let request = request(sequence);
    Effect::Emit(Event::Transfer { request, outcome })
}

/// "The prior leader sends a TimeoutNow request to the target server": at once, where its log
/// is complete.
#[test]
fn t3_10_a_complete_target_is_told_to_stand() {
    let mut bench = Bench::established(1, &[]).guarded();
    let effects = bench.ask(transfer(1, 1));
    assert_eq!(
        effects,
        [Effect::Arm(Timer::Transfer), send(1, timeout_now(1))]
    );
}

/// "The prior leader fully updates the target server's log to match its own" first.
#[test]
fn t3_10_a_target_that_is_behind_is_brought_up_to_date() {
    let mut bench = Bench::established(1, &[]).guarded();
    let effects = bench.ask(transfer(1, 2));
    assert_eq!(effects[0], Effect::Arm(Timer::Transfer));
    let sent = sent_to(2, &effects);
    assert!(
        matches!(sent[..], [Message::AppendEntries { .. }]),
        "{sent:?}"
    );
    assert_eq!(sent_to(1, &bench.deliver(1, accepted(1, 1))), []);
    let effects = bench.deliver(2, accepted(1, 1));
    assert!(effects.contains(&send(2, timeout_now(1))), "{effects:?}");
}

/// "The prior leader stops accepting new client requests."
#[test]
fn t3_10_no_command_is_taken_meanwhile() {
    let mut bench = Bench::established(1, &[]).guarded();
    bench.ask(transfer(1, 1));
    assert_eq!(bench.ask(add(2, 5)), [redirect(2, None)]);
    assert_eq!(bench.log(), [1]);
}

/// A change of membership is an entry as a command is: the target would lack it, or its vote.
#[test]
fn t3_10_no_change_is_begun_meanwhile() {
    let mut bench = Bench::established(1, &[]).guarded();
    bench.ask(transfer(1, 1));
    let effects = bench.ask(change(2, Change::remove(NodeId(1))));
    assert_eq!(effects, [redirect(2, None)]);
    assert_eq!(bench.log(), [1]);
    bench.fire(Timer::Transfer);
    bench.ask(change(2, Change::remove(NodeId(1))));
    assert_eq!(bench.log(), [1, 1]);
}

/// Nor does a session expire: that is an entry, too, and waits for the end of the transfer.
#[test]
fn t3_10_no_session_expires_meanwhile() {
    let mut bench = Bench::established(1, &[]).guarded().keeping(1);
    bench.ask(add(1, 5));
    bench.ask(Command::Propose {
        request: RequestId {
            client: ClientId::new(1),
            ..request(1)
        },
        command: Add(5),
    });
    bench.ask(transfer(3, 2));
    bench.deliver(1, accepted(1, 3));
    assert_eq!(bench.log(), [1, 1, 1], "two sessions, and both are kept");
    bench.fire(Timer::Transfer);
    assert_eq!(bench.log(), [1, 1, 1, 1]);
}

/// "If leadership transfer does not complete after about an election timeout, the prior leader
/// aborts the transfer and resumes accepting client requests."
#[test]
fn t3_10_a_transfer_is_given_up() {
    let mut bench = Bench::established(1, &[]).guarded();
    bench.ask(transfer(1, 1));
    let effects = bench.fire(Timer::Transfer);
    assert_eq!(effects, [ended(1, TransferOutcome::TimedOut)]);
    bench.ask(add(2, 5));
    assert_eq!(bench.log(), [1, 1]);
    assert_eq!(bench.fire(Timer::Transfer), [], "there is none any more");
}

/// Who has asked hears that the leader leads no longer.
#[test]
fn t3_10_a_transfer_ends_with_the_leadership() {
    let mut bench = Bench::established(1, &[]).guarded();
    bench.ask(transfer(1, 1));
    let effects = bench.deliver(1, request_vote_by_leave(2, (1, 1)));
    assert!(
        effects.contains(&Effect::Disarm(Timer::Transfer)),
        "{effects:?}"
    );
    assert!(
        effects.contains(&ended(1, TransferOutcome::SteppedDown)),
        "{effects:?}"
    );
    assert!(effects.contains(&send(1, granted(2))), "{effects:?}");
}

/// What cannot be is refused, and changes nothing.
#[test]
fn t3_10_refusals() {
    let mut bench = Bench::established(1, &[]).guarded();
    let refused = |outcome| [ended(1, outcome)];
    assert_eq!(
        bench.ask(transfer(1, 0)),
        refused(TransferOutcome::AlreadyLeads)
    );
    assert_eq!(
        bench.ask(transfer(1, 77)),
        refused(TransferOutcome::NotAVoter)
    );
    bench.ask(transfer(2, 1));
    let busy = TransferOutcome::Busy { to: NodeId(1) };
    assert_eq!(bench.ask(transfer(1, 2)), refused(busy));
    let mut follower = Bench::follower(1, &[]);
    assert_eq!(follower.ask(transfer(1, 2)), [redirect(1, None)]);
}

/// "This has the same effect as the target server's election timer firing": without pre-votes,
/// and with the leader's permission.
#[test]
fn t3_10_the_target_stands_at_once() {
    let mut bench = Bench::follower(1, &[1]).guarded();
    bench.deliver(1, append(1, (1, 1), &[], 1));
    let effects = bench.deliver(1, timeout_now(1));
    let request = request_vote_by_leave(2, (1, 1));
    for voter in [1, 2] {
        assert!(
            effects.contains(&send(voter, request.clone())),
            "{effects:?}"
        );
    }
    assert!(bench.stands() && bench.term() == 2);
}

/// Nobody stands for a message of an earlier term, or of who does not lead, and a leader is
/// told nothing.
#[test]
fn t3_10_only_the_leader_tells_to_stand() {
    let mut bench = Bench::follower(2, &[1]).guarded();
    bench.deliver(1, append(2, (1, 1), &[], 1));
    assert_eq!(bench.deliver(1, timeout_now(1)), []);
    assert_eq!(bench.deliver(2, timeout_now(2)), []);
    let mut leader = Bench::established(1, &[]).guarded();
    assert_eq!(leader.deliver(2, timeout_now(1)), []);
    assert!(leader.leads().is_some());
}

/// "The leader told me to" (thesis §4.2.3): who hears the leader votes all the same.
#[test]
fn t3_10_a_vote_by_leave_of_the_leader_is_given() {
    let mut bench = Bench::follower(1, &[1]).guarded();
    bench.deliver(1, append(1, (1, 1), &[], 1));
    assert_eq!(bench.deliver(2, request_vote(2, (1, 1))), []);
    let effects = bench.deliver(2, request_vote_by_leave(2, (1, 1)));
    assert!(effects.contains(&send(2, granted(2))), "{effects:?}");
}
