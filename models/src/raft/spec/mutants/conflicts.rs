//! Defects of how a leader and a follower find where their logs part (§5.3).

use super::{R, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::message::{AppendOutcome, Message};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-REFUSALS-ALL-PROBED",
        defect: "a leader answers every refusal by a probe, also one that it has heard before",
        source: "§5.3, §5.5: a probe for each answer, and an answer for each probe",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = probes_for_each_refusal,
    },
    Mutant {
        id: "RAFT-HINT-IGNORED",
        defect: "a leader goes back by one entry for each refusal, whatever it is told",
        source: "§5.3: one AppendEntries RPC for each term with conflicting entries",
        model: "raft/skipped-terms",
        inject: |scenario| scenario.step = goes_back_by_one,
    },
    Mutant {
        id: "RAFT-HINT-OWN-TERM",
        defect: "a leader goes back to the follower's first entry of the conflicting term, though it \
                 has entries of that term itself: what matches is sent again",
        source: "§5.3",
        model: "raft/skipped-terms",
        inject: |scenario| scenario.step = forgets_own_terms,
    },
    Mutant {
        id: "RAFT-HINT-FALSE",
        defect: "a follower names the conflicting entry for the first of its term",
        source: "§5.3: the first index that it stores for that term",
        model: "raft/skipped-unknown-terms",
        inject: |scenario| scenario.step = names_the_last,
    },
];

/// What the leader is told of a conflict, and how it takes it.
fn step_told(
    raft: &R,
    node: &mut Node<R>,
    mut input: Input<R>,
    out: &mut Outbox<R>,
    hear: impl Fn(&mut AppendOutcome),
) {
    if let Input::Deliver {
        message: Message::AppendEntriesResponse { outcome, .. },
        ..
    } = &mut input
    {
        hear(outcome);
    }
    raft.step(node, input, out);
}

fn goes_back_by_one(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_told(raft, node, input, out, |outcome| {
        if let AppendOutcome::Conflict {
            prev_log_index,
            conflict_term,
            first_index,
        } = outcome
        {
            *conflict_term = None;
            *first_index = *prev_log_index;
        }
    });
}

fn forgets_own_terms(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_told(raft, node, input, out, |outcome| {
        if let AppendOutcome::Conflict { conflict_term, .. } = outcome {
            *conflict_term = None;
        }
    });
}

fn probes_for_each_refusal(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let (before, refuses) = (node.clone(), refusing(&input));
    raft.step(node, input, out);
    if let Some(follower) = refuses
        && *node == before
    {
        raft.send_probe(node, follower, out);
    }
}

/// The follower whose refusal the input delivers.
fn refusing(input: &Input<R>) -> Option<NodeId> {
    match input {
        Input::Deliver {
            from,
            message:
                Message::AppendEntriesResponse {
                    outcome: AppendOutcome::Conflict { .. },
                    ..
                },
        } => Some(*from),
        _ => None,
    }
}

fn names_the_last(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message:
                Message::AppendEntriesResponse {
                    outcome:
                        AppendOutcome::Conflict {
                            prev_log_index,
                            conflict_term: Some(_),
                            first_index,
                        },
                    ..
                },
            ..
        } = &mut effect
        {
            *first_index = *prev_log_index;
        }
        effect
    });
}
