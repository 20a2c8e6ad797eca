//! The defects of a seed program that was a replicated dictionary with elections of its own,
//! each as a defect of Raft.

use alloc::vec::Vec;

use super::{R, message};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
use crate::raft::Command;
use crate::raft::message::{AppendOutcome, Message, VoteOutcome};
use crate::raft::state::Role;
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "HB-1",
        defect: "\"at least half\" of the votes is enough, and votes have no term",
        source: "a seed program; §5.2",
        model: "raft/clients",
        inject: |scenario| scenario.step = leads_with_at_least_half,
    },
    Mutant {
        id: "HB-2",
        defect: "logs are compared by index alone",
        source: "a seed program; §5.3",
        model: "raft/divergence",
        inject: |scenario| scenario.step = compares_indices_alone,
    },
    Mutant {
        id: "HB-3",
        defect: "acknowledgements are counted, not the followers that they come from",
        source: "a seed program; §5.3",
        model: "raft/election-5",
        inject: |scenario| {
            scenario.step = counts_acknowledgements;
            // The world would drop the second copy: to the right protocol it is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "HB-4",
        defect: "entries are applied before they are committed",
        source: "a seed program; §5.3",
        model: "raft/replication",
        inject: |scenario| scenario.step = applies_at_once,
    },
    Mutant {
        id: "HB-5",
        defect: "an entry commits when every follower has it, so that one that is away stops all. \
                 As a safety property: what a quorum has is committed",
        source: "a seed program; §5.3: \"a majority of the servers\"",
        model: "raft/replication",
        inject: |scenario| scenario.step = waits_for_everybody,
    },
];

fn leads_with_at_least_half(
    raft: &R,
    node: &mut Node<R>,
    mut input: Input<R>,
    out: &mut Outbox<R>,
) {
    if let Input::Deliver {
        message:
            Message::RequestVoteResponse {
                term,
                outcome: VoteOutcome::Granted,
            },
        ..
    } = &mut input
    {
        *term = node.durable().current_term;
    }
    raft.step(node, input, out);
    let voters = raft.configuration(node).all_voters().len();
    if let Role::Candidate { votes } = &node.volatile.role
        && 2 * votes.len() >= voters
    {
        raft.lead(node, out);
    }
}

fn compares_indices_alone(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message:
            Message::AppendEntries {
                prev_log_index,
                prev_log_term,
                ..
            },
        ..
    } = &mut input
        && let Some(term) = node.durable().log.term_at(*prev_log_index)
    {
        *prev_log_term = term;
    }
    raft.step(node, input, out);
}

fn counts_acknowledgements(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut credited = None;
    if let Input::Deliver {
        from,
        message:
            Message::AppendEntriesResponse {
                outcome: AppendOutcome::Accepted { match_index },
                ..
            },
    } = &input
        && let Role::Leader(leadership) = &node.volatile.role
    {
        let lacks = |peer: &NodeId| leadership.progress[peer].match_index < *match_index;
        if leadership.progress.contains_key(from) && !lacks(from) {
            credited = leadership.progress.keys().copied().find(lacks);
        }
    }
    match (input, credited) {
        (Input::Deliver { message, .. }, Some(from)) => {
            raft.step(node, Input::Deliver { from, message }, out);
        }
        (input, _) => raft.step(node, input, out),
    }
}

fn applies_at_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let appends = matches!(message(&input), Some(Message::AppendEntries { .. }))
        || matches!(input, Input::Ask(Command::Propose { .. }));
    raft.step(node, input, out);
    if appends {
        let last_index = node.durable().log.last_index();
        raft.commit_up_to(node, last_index, out);
    }
}

/// Holds back every acknowledgement until the last follower has given the same.
fn waits_for_everybody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let old = (node.volatile.commit_index, node.volatile.applied.clone());
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    let everybody = match &node.volatile.role {
        Role::Leader(leadership) => {
            let matched: Vec<_> = leadership
                .progress
                .values()
                .map(|peer| peer.match_index)
                .collect();
            matched
                .into_iter()
                .all(|index| index >= node.volatile.commit_index)
        }
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => true,
    };
    if !everybody {
        (node.volatile.commit_index, node.volatile.applied) = old;
    }
    for effect in right.drain() {
        let answers = matches!(
            effect,
            crate::protocol::Effect::Emit(crate::raft::Event::Reply { .. })
        );
        if everybody || !answers {
            out.push(effect);
        }
    }
}
