//! Raft with one defect each. A mutant runs in the protocol's place: mostly a step function
//! that does something before or after the right one, so that the right one knows nothing
//! of mutants.

use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::log::{Content, Index, Term};
use crate::raft::message::{AppendOutcome, Message, VoteOutcome};
use crate::raft::replication::progress_of;
use crate::raft::session::{RequestId, Sessions};
use crate::raft::state::{Record, Role, Volatile};
use crate::raft::{Command, Event, Raft};
use crate::specification::Mutant;
use crate::world::{Disk, Scenario};

use super::machine::Adder;

type R = Raft<Adder>;
type M = <R as Protocol>::Message;

/// All mutants of Raft's core.
pub const MUTANTS: &[Mutant<R>] = &[
    Mutant {
        id: "RAFT-1",
        defect: "becoming leader clears the vote",
        source: "a seed program; §5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = clears_vote_in_office,
    },
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
        id: "RAFT-5",
        defect: "term and vote are not persisted",
        source: "a seed program; Figure 2",
        model: "raft/election",
        inject: |scenario| forget(scenario, |record| matches!(record, Record::Ballot { .. })),
    },
    Mutant {
        id: "RAFT-6",
        defect: "one waiter for all: a reply goes to whoever asked last",
        source: "a seed program; §8",
        model: "raft/clients",
        inject: |scenario| scenario.step = replies_to_last_asker,
    },
    Mutant {
        id: "RAFT-7",
        defect: "reads are answered from local state, by any node",
        source: "a seed program; §8",
        model: "raft/reads",
        inject: |scenario| scenario.step = reads_locally,
    },
    Mutant {
        id: "RAFT-8",
        defect: "a retried command is applied again",
        source: "a seed program; §8",
        model: "raft/retries",
        inject: |scenario| scenario.step = forgets_sessions,
    },
    Mutant {
        id: "RAFT-QUORUM",
        defect: "half of the votes is enough",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = leads_with_half,
    },
    Mutant {
        id: "RAFT-TWO-VOTES",
        defect: "a node votes for every candidate of a term",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| scenario.step = votes_for_everybody,
    },
    Mutant {
        id: "RAFT-VOTE-BY-LENGTH",
        defect: "logs are compared by length, without their last terms",
        source: "§5.4.1",
        model: "raft/divergence",
        inject: |scenario| scenario.step = compares_length_alone,
    },
    Mutant {
        id: "RAFT-VOTE-BLIND",
        defect: "logs are not compared at all",
        source: "§5.4.1",
        model: "raft/divergence",
        inject: |scenario| scenario.step = votes_blindly,
    },
    Mutant {
        id: "RAFT-VOTE-REPEATED",
        defect: "a vote that arrives twice counts twice",
        source: "§5.2",
        model: "raft/election-5",
        inject: |scenario| {
            scenario.step = counts_votes_twice;
            // The world would drop the second copy: to the right protocol it is inert.
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-VOTE-STALE",
        defect: "a vote for an earlier term counts in the current one",
        source: "§5.2",
        model: "raft/election",
        inject: |scenario| {
            scenario.step = counts_stale_votes;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "RAFT-TERM-IN-RESPONSE",
        defect: "a higher term in a response is ignored",
        source: "§5.1",
        model: "raft/election",
        inject: |scenario| scenario.step = ignores_term_in_response,
    },
    Mutant {
        id: "RAFT-NO-STEP-DOWN",
        defect: "who votes for another remains what it was",
        source: "§5.1",
        model: "raft/election",
        inject: |scenario| scenario.step = votes_without_stepping_down,
    },
    Mutant {
        id: "RAFT-LEADS-AFTER-BOOT",
        defect: "a leader that restarts takes office again in the same term",
        source: "KAFKA-10527",
        model: "raft/election",
        inject: |scenario| scenario.boot = resumes_office,
    },
    Mutant {
        id: "RAFT-LOST-DISK",
        defect: "a voter that has lost its disk votes again",
        source: "KAFKA-12181",
        model: "raft/election",
        inject: |scenario| forget(scenario, |_| true),
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
    Mutant {
        id: "RAFT-READ-UNCONFIRMED",
        defect: "a leader answers reads without confirming that it still leads",
        source: "§8; thesis §6.4",
        model: "raft/reads-deposed",
        inject: |scenario| scenario.step = reads_unconfirmed,
    },
    Mutant {
        id: "RAFT-READ-EARLY",
        defect: "a new leader answers reads before its term's first entry commits",
        source: "§8; thesis §6.4",
        model: "raft/reads-deposed",
        inject: |scenario| scenario.step = reads_before_first_commit,
    },
    Mutant {
        id: "RAFT-SEND-BEFORE-SYNC",
        defect: "the driver sends before the records are on disk",
        source: "Figure 2: \"updated on stable storage before responding to RPCs\"",
        model: "raft/election",
        inject: |scenario| scenario.disk = Disk::SendBeforeSync,
    },
];

fn forget(scenario: &mut Scenario<R>, forgets: fn(&Record<super::Add>) -> bool) {
    scenario.disk = Disk::Amnesia { forgets };
}

fn leads(node: &Node<R>) -> bool {
    matches!(node.volatile.role, Role::Leader(_))
}

/// The message that the input delivers.
fn message(input: &Input<R>) -> Option<&M> {
    match input {
        Input::Deliver { message, .. } => Some(message),
        Input::Fire(_) | Input::Ask(_) => None,
    }
}

/// Lets the protocol take its step, then rewrites what it sends.
fn step_and_rewrite(
    raft: &R,
    node: &mut Node<R>,
    input: Input<R>,
    out: &mut Outbox<R>,
    mut rewrite: impl FnMut(&Node<R>, Effect<R>) -> Effect<R>,
) {
    let mut right = Outbox::new();
    raft.step(node, input, &mut right);
    for effect in right.drain() {
        out.push(rewrite(node, effect));
    }
}

fn clears_vote_in_office(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let led = leads(node);
    raft.step(node, input, out);
    if !led && leads(node) {
        node.write(Record::Ballot {
            term: node.durable().current_term,
            voted_for: None,
        });
    }
}

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
        let last_index = node.durable().log.last_index();
        let replicated = raft.replicated_on_quorum(leadership, last_index);
        raft.commit_up_to(node, replicated, out);
    }
}

fn replies_to_last_asker(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |node, effect| match effect {
        Effect::Emit(Event::Reply { request, response }) => Effect::Emit(Event::Reply {
            request: last_asker(node).unwrap_or(request),
            response,
        }),
        effect => effect,
    });
}

fn last_asker(node: &Node<R>) -> Option<RequestId> {
    let entries = node.durable().log.from(Index(1)).iter().rev();
    let mut requests = entries.filter_map(|entry| match &entry.content {
        Content::Command { request, .. } => Some(*request),
        Content::Noop => None,
    });
    requests.next()
}

fn reads_locally(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match input {
        Input::Ask(Command::Read { request, query }) => answer_now(node, request, &query, out),
        input => raft.step(node, input, out),
    }
}

fn answer_now(node: &Node<R>, request: RequestId, query: &super::Total, out: &mut Outbox<R>) {
    use crate::raft::machine::StateMachine;
    out.emit(Event::Reply {
        request,
        response: node.volatile.applied.machine.query(query),
    });
}

fn forgets_sessions(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    node.volatile.applied.sessions = Sessions::default();
    raft.step(node, input, out);
}

fn leads_with_half(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Candidate { votes } = &node.volatile.role
        && votes.len() >= raft.voters().len() / 2
    {
        raft.lead(node, out);
    }
}

/// Votes for `candidate` whatever the right protocol has answered it.
fn vote_anyway(node: &mut Node<R>, candidate: NodeId, term: Term, out: &mut Outbox<R>) {
    node.write(Record::Ballot {
        term,
        voted_for: Some(candidate),
    });
    out.send(
        candidate,
        Message::RequestVoteResponse {
            term,
            outcome: VoteOutcome::Granted,
        },
    );
}

/// The candidate of a vote request that the node's own term does not outdate, with the term
/// and the end of the candidate's log.
fn vote_request(node: &Node<R>, input: &Input<R>) -> Option<(NodeId, Term, Index)> {
    match input {
        Input::Deliver {
            from,
            message:
                Message::RequestVote {
                    term,
                    last_log_index,
                    ..
                },
        } if *term >= node.durable().current_term => Some((*from, *term, *last_log_index)),
        _ => None,
    }
}

/// Whether the node has refused its vote only because of the candidate's log.
fn vote_is_free(node: &Node<R>, term: Term) -> bool {
    node.durable().current_term == term && node.durable().voted_for.is_none()
}

fn votes_for_everybody(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, _)) = request
        && node.durable().voted_for != Some(candidate)
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn compares_length_alone(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, last_log_index)) = request
        && vote_is_free(node, term)
        && last_log_index >= node.durable().log.last_index()
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn votes_blindly(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let request = vote_request(node, &input);
    raft.step(node, input, out);
    if let Some((candidate, term, _)) = request
        && vote_is_free(node, term)
    {
        vote_anyway(node, candidate, term, out);
    }
}

fn counts_votes_twice(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut repeated = None;
    if let Input::Deliver {
        from,
        message:
            Message::RequestVoteResponse {
                term,
                outcome: VoteOutcome::Granted,
            },
    } = &input
        && *term == node.durable().current_term
        && let Role::Candidate { votes } = &node.volatile.role
        && votes.contains(from)
    {
        repeated = raft.peers().find(|peer| !votes.contains(peer));
    }
    match (input, repeated) {
        (Input::Deliver { message, .. }, Some(from)) => {
            raft.step(node, Input::Deliver { from, message }, out);
        }
        (input, _) => raft.step(node, input, out),
    }
}

fn counts_stale_votes(raft: &R, node: &mut Node<R>, mut input: Input<R>, out: &mut Outbox<R>) {
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
}

fn ignores_term_in_response(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let current_term = node.durable().current_term;
    let ignored = message(&input)
        .is_some_and(|message| message.is_response() && message.sender_term() > current_term);
    if !ignored {
        raft.step(node, input, out);
    }
}

fn votes_without_stepping_down(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let role = node.volatile.role.clone();
    let is_request = vote_request(node, &input).is_some();
    raft.step(node, input, out);
    if is_request {
        node.volatile.role = role;
    }
}

fn resumes_office(
    raft: &R,
    durable: &<R as Protocol>::Durable,
    out: &mut Outbox<R>,
) -> Volatile<Adder> {
    let mut volatile = raft.boot(durable, out);
    if durable.voted_for == Some(raft.id()) {
        let mut node = Node::boot(raft, durable.clone(), &mut Outbox::new());
        raft.lead(&mut node, &mut Outbox::new());
        volatile.role = node.volatile.role;
    }
    volatile
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

fn reads_unconfirmed(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match input {
        Input::Ask(Command::Read { request, query }) if leads(node) => {
            answer_now(node, request, &query, out);
        }
        input => raft.step(node, input, out),
    }
}

fn reads_before_first_commit(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let is_read = matches!(input, Input::Ask(Command::Read { .. }));
    raft.step(node, input, out);
    let commit_index = node.volatile.commit_index;
    if is_read
        && let Role::Leader(leadership) = &mut node.volatile.role
        && let Some(read) = leadership.reads.last_mut()
    {
        read.read_index = commit_index;
    }
}
