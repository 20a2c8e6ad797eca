//! Defects of log replication (§5.3) and of commitment (§5.4.2).

use super::{R, forget, message, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::log::Index;
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::progress::progress_of;
use crate::raft::state::{Record, Role};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-2",
        defect: "an append always truncates, and messages reorder",
        source: "a seed program; §5.3",
        model: "raft/replication",
        inject: |scenario| scenario.step = always_truncates,
    },
    Mutant {
        id: "RAFT-3",
        defect: "entries are restamped with the current term",
        source: "a seed program; §5.3, §5.4.2",
        model: "raft/divergence",
        inject: |scenario| scenario.step = restamps_entries,
    },
    Mutant {
        id: "RAFT-4",
        defect: "an entry of an earlier term is committed by counting replicas",
        source: "§5.4.2, Figure 8",
        model: "raft/figure-8",
        inject: |scenario| scenario.step = commits_earlier_terms,
    },
    Mutant {
        id: "RAFT-LOST-LOG",
        defect: "entries are acknowledged and not persisted",
        source: "Figure 2",
        model: "raft/replication",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Append(_))),
    },
    Mutant {
        id: "RAFT-LOST-TRUNCATION",
        defect: "a truncation is not persisted before the acknowledgement",
        source: "Figure 2, AppendEntries RPC, step 3",
        model: "raft/catch-up",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Truncate { .. })),
    },
    Mutant {
        id: "RAFT-MATCH-BACK",
        defect: "a late response moves match_index back",
        source: "Figure 2",
        model: "raft/replication",
        inject: |scenario| {
            scenario.step = moves_match_index_back;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-COMMIT-UNBOUNDED",
        defect: "the commit index is taken from leader_commit without the minimum",
        source: "Figure 2, AppendEntries RPC, step 5",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = takes_leader_commit,
    },
    Mutant {
        id: "RAFT-COMMIT-UNSHOWN",
        defect: "a follower commits as far as its log and leader_commit go, and not as far as the append \
                 shows that it has what its leader has",
        source: "Figure 2, AppendEntries RPC, step 5: \"index of last new entry\"",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = commits_unshown,
    },
    Mutant {
        id: "RAFT-COMMIT-UNCHECKED",
        defect: "an append that fails the consistency check advances the commit index",
        source: "§5.3",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = commits_despite_conflict,
    },
    Mutant {
        id: "RAFT-COMMIT-ON-NACK",
        defect: "a negative response advances the commit index",
        source: "CCF; §5.3",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = counts_rejections,
    },
    Mutant {
        id: "RAFT-HINT-AS-MATCH",
        defect: "a conflict hint is taken for an acknowledgement",
        source: "§5.3",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = takes_hint_for_match,
    },
    Mutant {
        id: "RAFT-ACK-TOO-FAR",
        defect: "a rejecting follower acknowledges its own last index",
        source: "CCF, inaccurate acknowledgement; §5.3",
        model: "raft/catch-up",
        inject: |scenario| scenario.step = acknowledges_own_log,
    },
    Mutant {
        id: "RAFT-SHORT-APPEND",
        defect: "a late, short append truncates a matching suffix",
        source: "§5.3",
        model: "raft/replication",
        inject: |scenario| scenario.step = truncates_after_append,
    },
];

fn always_truncates(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Some(Message::AppendEntries {
        term,
        prev_log_index,
        prev_log_term,
        ..
    }) = message(&input)
        && *term >= node.durable().current_term
        && node.durable().log.term_at(*prev_log_index) == Some(*prev_log_term)
    {
        node.write(Record::Truncate {
            from: prev_log_index.next(),
        });
    }
    raft.step(node, input, out);
}

fn restamps_entries(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Deliver {
        message: Message::AppendEntries { term, entries, .. },
        ..
    } = &mut input
    {
        for entry in entries {
            entry.term = *term;
        }
    }
    raft.step(node, input, out);
}

fn commits_earlier_terms(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &node.volatile.role {
        let replicated = raft.replicated_on_quorum(node, leadership);
        raft.commit_up_to(node, replicated, out);
    }
}

fn moves_match_index_back(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let late = match &input {
        Input::Deliver {
            from,
            message:
                Message::AppendEntriesResponse {
                    term,
                    outcome: AppendOutcome::Accepted { match_index },
                    ..
                },
        } if *term == node.durable().current_term => Some((*from, *match_index)),
        _ => None,
    };
    raft.step(node, input, out);
    if let Some((follower, match_index)) = late
        && let Some(progress) = progress_of(node, follower)
    {
        progress.match_index = match_index;
    }
}

/// The commit index that the leader of the node's term names in an append.
fn named_commit(node: &Node<R>, input: &Input<R>) -> Option<Index> {
    match message(input) {
        Some(Message::AppendEntries {
            term,
            leader_commit,
            ..
        }) if *term >= node.durable().current_term => Some(*leader_commit),
        _ => None,
    }
}

fn takes_leader_commit(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let leader_commit = named_commit(node, &input);
    raft.step(node, input, out);
    if let Some(leader_commit) = leader_commit {
        raft.commit_up_to(node, leader_commit, out);
    }
}

fn commits_unshown(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let leader_commit = match message(&input) {
        Some(Message::AppendEntries {
            term,
            prev_log_index,
            prev_log_term,
            leader_commit,
            ..
        }) if *term == node.durable().current_term
            && node.durable().log.term_at(*prev_log_index) == Some(*prev_log_term) =>
        {
            Some(*leader_commit)
        }
        _ => None,
    };
    raft.step(node, input, out);
    if let Some(leader_commit) = leader_commit {
        let last_index = node.durable().log.last_index();
        raft.commit_up_to(node, leader_commit.min(last_index), out);
    }
}

fn commits_despite_conflict(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let leader_commit = named_commit(node, &input);
    raft.step(node, input, out);
    if let Some(leader_commit) = leader_commit {
        let last_index = node.durable().log.last_index();
        raft.commit_up_to(node, leader_commit.min(last_index), out);
    }
}

/// The follower that rejects an append of this leader's term, and the append's place.
fn rejection(node: &Node<R>, input: &Input<R>) -> Option<(NodeId, Index)> {
    match input {
        Input::Deliver {
            from,
            message:
                Message::AppendEntriesResponse {
                    term,
                    outcome: AppendOutcome::Conflict { prev_log_index, .. },
                    ..
                },
        } if *term == node.durable().current_term => Some((*from, *prev_log_index)),
        _ => None,
    }
}

fn counts_rejections(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let rejected = rejection(node, &input);
    raft.step(node, input, out);
    if let Some((follower, prev_log_index)) = rejected
        && let Some(progress) = progress_of(node, follower)
    {
        progress.match_index = prev_log_index;
        progress.next_index = prev_log_index.next();
        raft.advance_commit_index(node, out);
    }
}

fn takes_hint_for_match(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let rejected = rejection(node, &input);
    raft.step(node, input, out);
    if let Some((follower, _)) = rejected
        && let Some(progress) = progress_of(node, follower)
    {
        // One further than the hint says.
        progress.match_index = progress.next_index;
        progress.next_index = progress.match_index.next();
        raft.advance_commit_index(node, out);
    }
}

fn acknowledges_own_log(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |node, effect| match effect {
        Effect::Send {
            to,
            message:
                Message::AppendEntriesResponse {
                    term,
                    outcome: AppendOutcome::Conflict { .. },
                    round,
                },
        } => Effect::Send {
            to,
            message: Message::AppendEntriesResponse {
                term,
                outcome: AppendOutcome::Accepted {
                    match_index: node.durable().log.last_index(),
                },
                round,
            },
        },
        effect => effect,
    });
}

fn truncates_after_append(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let end = match message(&input) {
        Some(Message::AppendEntries {
            term,
            prev_log_index,
            prev_log_term,
            entries,
            ..
        }) if *term >= node.durable().current_term
            && node.durable().log.term_at(*prev_log_index) == Some(*prev_log_term) =>
        {
            Some(Index(prev_log_index.0 + entries.len() as u64))
        }
        _ => None,
    };
    raft.step(node, input, out);
    if let Some(end) = end
        && node.durable().log.last_index() > end
    {
        node.write(Record::Truncate { from: end.next() });
    }
}
