//! Thesis §6.2 and §6.4: heartbeats and their answers that wait for no disk.

use models::raft::Timer;
use models::raft::log::Term;
use models::raft::message::{HeartbeatOutcome, Message, Round};
use models::{Effect, NodeId};

use crate::support::bench::*;

fn heartbeat(term: u64, round: u64) -> Msg {
    Message::Heartbeat {
        term: Term(term),
        round: Round(round),
    }
}

fn answer(term: u64, round: u64, outcome: HeartbeatOutcome) -> Msg {
    Message::HeartbeatResponse {
        term: Term(term),
        round: Round(round),
        outcome,
    }
}

/// What is sent early.
fn early(effects: &[Effect<Checked>]) -> Vec<(NodeId, Msg)> {
    let early = effects.iter().filter_map(|effect| match effect {
        Effect::SendEarly { to, message } => Some((*to, message.clone())),
        _ => None,
    });
    early.collect()
}

/// "Leaders send periodic heartbeats to all followers": beside the appends, which may wait.
#[test]
fn t6_2_a_leader_shows_early_that_it_lives() {
    let mut bench = Bench::leader(3, 2, &[]).beating_early();
    let expected = [(NodeId(1), heartbeat(2, 0)), (NodeId(2), heartbeat(2, 0))];
    let effects = bench.fire(Timer::Heartbeat);
    assert_eq!(early(&effects), expected);
    let appends = |effect: &Effect<Checked>| {
        matches!(
            effect,
            Effect::Send {
                message: Message::AppendEntries { .. },
                ..
            }
        )
    };
    assert_eq!(effects.iter().filter(|effect| appends(effect)).count(), 2);
}

/// The paper's Raft does not.
#[test]
fn t6_2_by_default_nothing_is_early() {
    let mut bench = Bench::leader(3, 2, &[]);
    assert_eq!(early(&bench.fire(Timer::Heartbeat)), []);
}

/// §5.2: it shows so as soon as it is elected, before its first entry is on disk.
#[test]
fn s5_2_a_new_leader_shows_early_that_it_leads() {
    let mut bench = Bench::candidate(3, 2, &[]).beating_early();
    let effects = bench.deliver(1, granted(2));
    assert_eq!(early(&effects).len(), 2);
}

/// A ballot that nobody else has asked for or seen may not be on disk yet.
#[test]
fn s5_2_who_needs_nobodys_vote_shows_nothing_early() {
    let mut bench = Bench::leader(1, 2, &[]).beating_early();
    assert_eq!(early(&bench.fire(Timer::Heartbeat)), []);
    assert_eq!(early(&bench.ask(read(1))), []);
}

/// §5.2: a follower recognises the leader, and starts its election timer anew; its log and its
/// commit index stay what they are, and its answer waits for no disk.
#[test]
fn s5_2_a_heartbeat_restarts_the_election_timer_and_no_more() {
    let mut bench = Bench::follower(1, &[1, 1]);
    let effects = bench.deliver(2, heartbeat(2, 7));
    assert!(effects.contains(&Effect::Arm(Timer::Election)));
    assert_eq!((bench.term(), bench.follows()), (2, Some(Some(NodeId(2)))));
    assert_eq!((bench.log(), bench.commit_index()), (vec![1, 1], 0));
    let heard = answer(2, 7, HeartbeatOutcome::Heard);
    assert_eq!(early(&effects), [(NodeId(2), heard)]);
}

/// §5.1: "if a server receives a request with a stale term number, it rejects the request".
#[test]
fn s5_1_a_heartbeat_of_an_earlier_term_is_refused() {
    let mut bench = Bench::follower(3, &[1]);
    let effects = bench.deliver(2, heartbeat(2, 1));
    let current_term = Term(3);
    let stale = answer(2, 1, HeartbeatOutcome::StaleTerm { current_term });
    assert_eq!(effects.len(), 1);
    assert_eq!(early(&effects), [(NodeId(2), stale)]);
    assert_eq!(bench.follows(), Some(None));
}

/// §5.1: a leader that learns of a higher term steps down.
#[test]
fn s5_1_a_refused_leader_steps_down() {
    let mut bench = Bench::leader(3, 2, &[]).beating_early();
    let current_term = Term(4);
    bench.deliver(
        1,
        answer(2, 0, HeartbeatOutcome::StaleTerm { current_term }),
    );
    assert_eq!((bench.term(), bench.leads().is_none()), (4, true));
}

/// Thesis §6.2: who answers a heartbeat is heard, and nothing is known of its log.
#[test]
fn t6_2_an_answer_counts_as_heard_and_as_nothing_else() {
    let mut bench = Bench::leader(3, 2, &[]).guarded().beating_early();
    let before = bench.progress(1);
    bench.deliver(1, answer(2, 0, HeartbeatOutcome::Heard));
    assert_eq!(bench.progress(1), before);
    assert_eq!(bench.commit_index(), 0);
    assert_eq!(bench.fire(Timer::Lease), [Effect::Arm(Timer::Lease)]);
}

/// Thesis §6.4: "the leader issues a new round of heartbeats and waits for their acknowledgments";
/// an answer to an earlier round confirms nothing.
#[test]
fn t6_4_answers_confirm_the_round_that_they_answer() {
    let mut bench = Bench::established(2, &[1]).beating_early();
    let effects = bench.ask(read(1));
    assert_eq!(early(&effects).len(), 2, "{effects:?}");
    assert_eq!(early(&effects)[0].1, heartbeat(2, 1));
    assert_eq!(bench.deliver(1, answer(2, 0, HeartbeatOutcome::Heard)), []);
    let effects = bench.deliver(1, answer(2, 1, HeartbeatOutcome::Heard));
    assert!(matches!(
        effects.as_slice(),
        [Effect::Emit(models::raft::Event::Reply { .. })]
    ));
}
