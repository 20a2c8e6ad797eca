//! One node and any inputs at all, also such as no honest peer would send.

use models::raft::log::{Entry, Index, Term};
use models::raft::machine::Checksum;
use models::raft::message::{AppendOutcome, HeartbeatOutcome, Message, Round, VoteOutcome};
use models::raft::spec::{Add, Adder};
use models::raft::state::Persistent;
use models::raft::{Command, Timer};
use models::{Durable, Input, Node, NodeId, Outbox, Protocol};
use proptest::prelude::*;

use crate::support::bench::{Bench, Checked, Msg, Record, add, entry, noop, read, transfer};

fn term() -> impl Strategy<Value = Term> {
    (0u64..5).prop_map(Term)
}

fn index() -> impl Strategy<Value = Index> {
    (0u64..7).prop_map(Index)
}

fn round() -> impl Strategy<Value = Round> {
    (0u64..3).prop_map(Round)
}

fn any_entry() -> impl Strategy<Value = Entry<Add>> {
    prop_oneof![
        (0u64..5).prop_map(noop),
        (0u64..5, 1u64..4, 1u8..9)
            .prop_map(|(term, sequence, amount)| entry(term, sequence, amount)),
    ]
}

fn vote_outcome() -> impl Strategy<Value = VoteOutcome> {
    prop_oneof![
        3 => Just(VoteOutcome::Granted),
        1 => Just(VoteOutcome::Refused),
        1 => term().prop_map(|current_term| VoteOutcome::StaleTerm { current_term }),
    ]
}

fn append_outcome() -> impl Strategy<Value = AppendOutcome> {
    prop_oneof![
        3 => index().prop_map(|match_index| AppendOutcome::Accepted { match_index }),
        2 => (index(), proptest::option::of(term()), index()).prop_map(
            |(prev_log_index, conflict_term, first_index)| AppendOutcome::Conflict {
                prev_log_index,
                conflict_term,
                first_index,
            }
        ),
        1 => term().prop_map(|current_term| AppendOutcome::StaleTerm { current_term }),
    ]
}

fn heartbeat_outcome() -> impl Strategy<Value = HeartbeatOutcome> {
    prop_oneof![
        2 => Just(HeartbeatOutcome::Heard),
        1 => term().prop_map(|current_term| HeartbeatOutcome::StaleTerm { current_term }),
    ]
}

fn message() -> impl Strategy<Value = Msg> {
    let entries = proptest::collection::vec(any_entry(), 0..4);
    prop_oneof![
        (term(), index(), term(), any::<bool>()).prop_map(
            |(term, last_log_index, last_log_term, leadership_transfer)| {
                Message::RequestVote {
                    term,
                    last_log_index,
                    last_log_term,
                    leadership_transfer,
                }
            }
        ),
        term().prop_map(|term| Message::TimeoutNow { term }),
        (term(), round()).prop_map(|(term, round)| Message::Heartbeat { term, round }),
        (term(), heartbeat_outcome(), round()).prop_map(|(term, outcome, round)| {
            Message::HeartbeatResponse {
                term,
                round,
                outcome,
            }
        }),
        (term(), vote_outcome())
            .prop_map(|(term, outcome)| Message::RequestVoteResponse { term, outcome }),
        (term(), index(), term()).prop_map(|(term, last_log_index, last_log_term)| {
            Message::PreVote {
                term,
                last_log_index,
                last_log_term,
            }
        }),
        (term(), vote_outcome())
            .prop_map(|(term, outcome)| Message::PreVoteResponse { term, outcome }),
        (
            term(),
            index(),
            term(),
            entries,
            index(),
            checksum(),
            round()
        )
            .prop_map(
                |(term, prev_log_index, prev_log_term, entries, leader_commit, checksum, round)| {
                    Message::AppendEntries {
                        term,
                        prev_log_index,
                        prev_log_term,
                        entries,
                        leader_commit,
                        checksum,
                        round,
                    }
                }
            ),
        (term(), append_outcome(), round()).prop_map(|(term, outcome, round)| {
            Message::AppendEntriesResponse {
                term,
                outcome,
                round,
            }
        }),
    ]
}

fn checksum() -> impl Strategy<Value = Option<Checksum>> {
    proptest::option::of((0u64..20).prop_map(Checksum))
}

fn command() -> impl Strategy<Value = Command<Adder>> {
    prop_oneof![
        (1u64..4, 1u8..9).prop_map(|(sequence, amount)| add(sequence, amount)),
        (1u64..4).prop_map(read),
        (1u64..4, 0u16..4).prop_map(|(sequence, to)| transfer(sequence, to)),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<Input<Checked>>> {
    let input = prop_oneof![
        8 => (1u16..3, message()).prop_map(|(from, message)| {
            let from = NodeId(from);
            Input::Deliver { from, message }
        }),
        1 => Just(Input::Fire(Timer::Election)),
        1 => Just(Input::Fire(Timer::Heartbeat)),
        1 => Just(Input::Fire(Timer::Lease)),
        1 => Just(Input::Fire(Timer::Transfer)),
        2 => command().prop_map(Input::Ask),
    ];
    proptest::collection::vec(input, 0..40)
}

/// A node that has just started for the first time, with PreVote and CheckQuorum or without.
fn bench(guarded: bool) -> Bench {
    let bench = Bench::start(0, 3, 0, None, &[]);
    if guarded { bench.guarded() } else { bench }
}

/// What a disk that has been set up remembers after these records.
fn fold(raft: &Checked, records: &[Record]) -> Persistent<Adder> {
    let mut disk = Node::formatted(raft);
    for record in records {
        disk.apply(record);
    }
    disk
}

proptest! {
    /// Law 1: durable state changes only through records. Folding what a node has written
    /// gives what it believes to be on disk, after every step.
    #[test]
    fn the_records_make_the_durable_state(guarded in any::<bool>(), inputs in inputs()) {
        let mut bench = bench(guarded);
        let mut journal = Vec::new();
        for input in inputs {
            bench.feed(input);
            journal.extend_from_slice(bench.records());
            prop_assert_eq!(&fold(bench.raft(), &journal), bench.node().durable());
        }
    }

    /// Law 2: a crash keeps the durable state and nothing else. A node that restarts is a node
    /// that is started from the same disk.
    #[test]
    fn recovery_is_a_first_start(guarded in any::<bool>(), inputs in inputs()) {
        let mut bench = bench(guarded);
        let mut journal = Vec::new();
        for input in inputs {
            bench.feed(input);
            journal.extend_from_slice(bench.records());
        }
        let mut out = Outbox::new();
        let recovered = Node::boot(bench.raft(), fold(bench.raft(), &journal), &mut out);
        let effects = bench.crash();
        prop_assert_eq!(bench.node(), &recovered);
        prop_assert_eq!(effects, out.drain().collect::<Vec<_>>());
    }

    /// A step is a function: equal nodes and equal inputs give equal nodes, records and
    /// effects.
    #[test]
    fn a_step_is_a_function(guarded in any::<bool>(), inputs in inputs()) {
        let mut one = bench(guarded);
        let mut other = one.clone();
        for input in inputs {
            prop_assert_eq!(one.feed_whole(input.clone()), other.feed_whole(input));
            prop_assert_eq!(one.records(), other.records());
            prop_assert_eq!(one.node(), other.node());
        }
    }

    /// A node that was written down and read back goes on as if nothing had happened, and so
    /// do inputs and effects.
    #[test]
    fn nodes_inputs_and_effects_survive_json(guarded in any::<bool>(), inputs in inputs()) {
        let mut bench = bench(guarded);
        let mut copy = bench.node().clone();
        for input in inputs {
            let json = serde_json::to_string(&input).expect("an input as JSON");
            let read: Input<Checked> = serde_json::from_str(&json).expect("JSON as an input");
            prop_assert_eq!(&read, &input);

            let mut out = Outbox::new();
            bench.raft().step(&mut copy, read, &mut out);
            copy.take_records();
            let effects = bench.feed_whole(input);
            let json = serde_json::to_string(&effects).expect("effects as JSON");
            let read: Vec<_> = serde_json::from_str(&json).expect("JSON as effects");
            prop_assert_eq!(&read, &effects);
            prop_assert_eq!(out.drain().collect::<Vec<_>>(), read);

            let json = serde_json::to_string(&copy).expect("a node as JSON");
            copy = serde_json::from_str(&json).expect("JSON as a node");
            prop_assert_eq!(&copy, bench.node());
        }
    }

    /// Whatever a node is told, its term and its commit index never decrease, and its vote in
    /// a term stands (Figure 2).
    #[test]
    fn terms_votes_and_commits_stand(guarded in any::<bool>(), inputs in inputs()) {
        let mut bench = bench(guarded);
        for input in inputs {
            let (term, commit, vote) = (bench.term(), bench.commit_index(), bench.voted_for());
            bench.feed(input);
            prop_assert!(bench.term() >= term && bench.commit_index() >= commit);
            prop_assert!(bench.term() > term || vote.is_none() || bench.voted_for() == vote);
        }
    }

    /// Nobody answers itself, and nobody answers a message to a third.
    #[test]
    fn answers_go_to_who_asked(guarded in any::<bool>(), inputs in inputs()) {
        let mut bench = bench(guarded);
        for input in inputs {
            let asked = match &input {
                Input::Deliver { from, message } if !message.is_response() => Some(*from),
                Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
            };
            for effect in bench.feed(input) {
                if let models::Effect::Send { to, message }
                | models::Effect::SendEarly { to, message } = effect
                {
                    prop_assert_ne!(to, NodeId(0));
                    prop_assert!(!message.is_response() || asked == Some(to));
                }
            }
        }
    }
}
