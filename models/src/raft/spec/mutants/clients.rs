//! Defects in what clients see (§8).

use super::{R, leads, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::log::{Content, Index};
use crate::raft::session::{RequestId, Sessions};
use crate::raft::spec::machine::Total;
use crate::raft::state::Role;
use crate::raft::{Command, Event};
use crate::specification::Mutant;

pub(super) const MUTANTS: &[Mutant<R>] = &[
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
];

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
        Content::Noop | Content::Configuration(_) => None,
    });
    requests.next()
}

fn reads_locally(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    match input {
        Input::Ask(Command::Read { request, query }) => answer_now(node, request, &query, out),
        input => raft.step(node, input, out),
    }
}

fn answer_now(node: &Node<R>, request: RequestId, query: &Total, out: &mut Outbox<R>) {
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
