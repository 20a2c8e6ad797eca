//! Defects that are planted are found, with the reduction as without it.

use models::raft::Timer;
use models::raft::log::Term;
use models::raft::state::{Record, Role};
use models::world::{Disk, Duplicates, Faults, Scenario};
use models::{Input, Node, NodeId, Outbox, Protocol};

use super::reduction::broken_either_way;
use crate::support::bench::{Checked, disk};
use crate::support::runs::{cluster, explore};

/// Searches with and without the reduction; `property` must be broken both times.
fn found_either_way(scenario: Scenario<Checked>, property: &str) {
    let control = Scenario {
        step: Checked::step,
        disk: Disk::WriteThrough,
        ..scenario.clone()
    };
    assert_eq!(explore(&control).broken, [""; 0], "without the defect");
    broken_either_way(&scenario, property);
}

fn candidates(scenario: &mut Scenario<Checked>, terms: &[(u16, u64)]) {
    let pairs = terms.iter().map(|&(id, term)| {
        let term = Term(term);
        (NodeId(id), term)
    });
    scenario.bounds.candidates = pairs.collect();
}

fn election_of_three() -> Scenario<Checked> {
    let mut scenario = cluster(3, 1);
    candidates(&mut scenario, &[(0, 1), (1, 1)]);
    scenario
}

fn unvote(node: &mut Node<Checked>) {
    let term = node.durable().current_term;
    node.write(Record::Ballot {
        term,
        voted_for: None,
    });
}

/// Whoever asks gets the vote.
fn grants_every_vote(
    raft: &Checked,
    node: &mut Node<Checked>,
    input: Input<Checked>,
    out: &mut Outbox<Checked>,
) {
    if let Input::Deliver {
        message: models::raft::message::Message::RequestVote { .. },
        ..
    } = input
    {
        unvote(node);
    }
    raft.step(node, input, out);
}

#[test]
fn a_node_that_grants_two_votes() {
    let scenario = Scenario {
        step: grants_every_vote,
        ..election_of_three()
    };
    found_either_way(scenario, "One vote per term");
}

/// A leader has no use for its vote any more, one might think.
fn clears_its_vote_in_office(
    raft: &Checked,
    node: &mut Node<Checked>,
    input: Input<Checked>,
    out: &mut Outbox<Checked>,
) {
    let led = matches!(node.volatile.role, Role::Leader(_));
    raft.step(node, input, out);
    if !led && matches!(node.volatile.role, Role::Leader(_)) {
        unvote(node);
    }
}

#[test]
fn a_leader_that_clears_its_vote() {
    let scenario = Scenario {
        step: clears_its_vote_in_office,
        ..election_of_three()
    };
    found_either_way(scenario, "Votes are durable");
}

/// A restarted node that has lost its vote gives another.
#[test]
fn a_vote_that_is_not_on_disk() {
    let faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    for disk in [
        Disk::SendBeforeSync,
        Disk::Amnesia {
            forgets: |record| matches!(record, Record::Ballot { .. }),
        },
    ] {
        let scenario = Scenario {
            disk,
            faults,
            ..election_of_three()
        };
        found_either_way(scenario, "Votes are durable");
    }
}

/// Takes a refusal for an acknowledgement of all that the leader has.
fn takes_refusals_for_agreement(
    raft: &Checked,
    node: &mut Node<Checked>,
    input: Input<Checked>,
    out: &mut Outbox<Checked>,
) {
    use models::raft::message::{AppendOutcome, Message};
    let input = match input {
        Input::Deliver {
            from,
            message:
                Message::AppendEntriesResponse {
                    term,
                    outcome: AppendOutcome::Conflict { .. },
                    round,
                },
        } => Input::Deliver {
            from,
            message: Message::AppendEntriesResponse {
                term,
                outcome: AppendOutcome::Accepted {
                    match_index: node.durable().log.last_index(),
                },
                round,
            },
        },
        other => other,
    };
    raft.step(node, input, out);
}

#[test]
fn a_refusal_that_counts_as_agreement() {
    let mut scenario = Scenario {
        step: takes_refusals_for_agreement,
        disks: vec![disk(1, None, &[1]), disk(1, None, &[])],
        ..cluster(2, 2)
    };
    candidates(&mut scenario, &[(0, 2)]);
    scenario.faults.duplicates = Duplicates::Unlimited;
    found_either_way(scenario, "Committed entries are durable");
}

/// A node that does not know a larger term when it sees one keeps on standing in its own:
/// the reduction assumes that terms never decrease, and a defect that breaks this is a
/// violation before it can mislead.
fn forgets_its_term(
    raft: &Checked,
    node: &mut Node<Checked>,
    input: Input<Checked>,
    out: &mut Outbox<Checked>,
) {
    let term = node.durable().current_term;
    let fires = input == Input::Fire(Timer::Election);
    raft.step(node, input, out);
    if !fires && node.durable().current_term > term && term > Term(0) {
        node.write(Record::Ballot {
            term,
            voted_for: None,
        });
    }
}

#[test]
fn a_term_that_decreases() {
    let mut scenario = Scenario {
        step: forgets_its_term,
        disks: vec![disk(1, None, &[]), disk(2, None, &[])],
        ..cluster(2, 3)
    };
    candidates(&mut scenario, &[(1, 3)]);
    found_either_way(scenario, "The larger term is adopted");
}
