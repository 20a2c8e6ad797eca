//! Defects in what clients see (§8).

use alloc::vec::Vec;

use super::{R, leads, step_and_rewrite};
use crate::protocol::{Effect, Input, Node, Outbox, Protocol};
use crate::raft::log::{Content, Entry, Index};
use crate::raft::session::{Known, Position, RequestId, Sessions};
use crate::raft::spec::machine::{Sum, Total};
use crate::raft::state::{Record, Role};
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
        id: "RAFT-SESSION-FORGOTTEN",
        defect: "a session that has expired leaves no trace, and a retry begins it again",
        source: "thesis §6.3: a command of an expired session must not be applied",
        model: "raft/sessions",
        inject: |scenario| scenario.step = leaves_no_horizon,
    },
    Mutant {
        id: "RAFT-SESSION-LOCAL",
        defect: "a leader lets sessions expire in its own table, and the others keep them",
        source: "thesis §6.3: the servers must agree on when to expire a session",
        model: "raft/sessions",
        inject: |scenario| scenario.step = expires_for_itself,
    },
    Mutant {
        id: "RAFT-SESSIONS-EXPIRE-ONCE",
        defect: "a leader takes the sessions that it has let expire to be expiring still, and lets no \
                 others",
        source: "thesis §6.3: an upper bound on the number of active sessions",
        model: "raft/sessions",
        inject: |scenario| scenario.step = expires_once,
    },
    Mutant {
        id: "RAFT-SESSIONS-ALL-EXPIRE",
        defect: "where one session is too many all of them expire",
        source: "thesis §6.3: an upper bound on the number of active sessions",
        model: "raft/sessions",
        inject: |scenario| scenario.step = lets_all_expire,
    },
    Mutant {
        id: "RAFT-SESSIONS-ONE-EXPIRES",
        defect: "of too many sessions one expires: all of them are looked through for each new client",
        source: "thesis §6.3: the least recently used, down to as many as the leader wants to keep",
        model: "raft/eight-sessions",
        inject: |scenario| scenario.step = lets_one_expire,
    },
    Mutant {
        id: "RAFT-SESSION-HORIZON-BACK",
        defect: "an entry that lets sessions expire less far than one before it takes the horizon back: \
                 a session that is forgotten is new again",
        source: "thesis §6.3: the leader that wrote it had applied less when it did",
        model: "raft/expiry-after-restart",
        inject: |scenario| scenario.step = takes_horizon_back,
    },
    Mutant {
        id: "RAFT-RETRY-COUNTS",
        defect: "a retry that finds its answer counts as another command: by the session table of \
                 every node, more have been applied than have been",
        source: "§8; thesis §6.3",
        model: "raft/retries",
        inject: |scenario| scenario.step = counts_retries,
    },
    Mutant {
        id: "RAFT-SESSION-BEGINS-EARLY",
        defect: "who has lost its session is told to begin another where that one began, and loses it \
                 again, for ever",
        source: "thesis §6.3",
        model: "raft/sessions",
        inject: |scenario| scenario.step = begins_early,
    },
    Mutant {
        id: "RAFT-SESSION-SUPERSEDED",
        defect: "a request older than the last of its session is taken for a new one",
        source: "§8; thesis §6.3",
        model: "raft/shared-session",
        inject: |scenario| scenario.step = takes_old_for_new,
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

fn expires_once(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    if let Role::Leader(leadership) = &mut node.volatile.role
        && leadership.expiring > Position(0)
    {
        leadership.expiring = Position(u64::MAX);
    }
}

fn takes_horizon_back(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let last = node.volatile.applied.last_applied;
    raft.step(node, input, out);
    let (durable, applied) = (node.durable(), &node.volatile.applied);
    let count = applied.last_applied.0.saturating_sub(last.0);
    let news = durable.log.from(last.next()).iter().take(count as usize);
    let mut expiries = news.filter_map(|entry| match entry.content {
        Content::ExpireSessions { through } => Some(through),
        _ => None,
    });
    let through = expiries.next_back();
    let changed = through.and_then(|through| with_horizon(&applied.sessions, through));
    if let Some(sessions) = changed {
        node.volatile.applied.sessions = sessions;
    }
}

/// The same sessions with another horizon, which is the second thing that they are written with.
fn with_horizon(sessions: &Sessions<Sum>, horizon: Position) -> Option<Sessions<Sum>> {
    let bytes = postcard::to_allocvec(sessions).ok()?;
    let (_, rest) = postcard::take_from_bytes::<(Position, Position)>(&bytes).ok()?;
    let mut changed = postcard::to_allocvec(&(sessions.position(), horizon)).ok()?;
    changed.extend(rest);
    postcard::from_bytes(&changed).ok()
}

fn counts_retries(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let (known, last) = {
        let applied = &node.volatile.applied;
        (applied.sessions.clone(), applied.last_applied)
    };
    raft.step(node, input, out);
    let (durable, applied) = (node.durable(), &node.volatile.applied);
    let count = applied.last_applied.0.saturating_sub(last.0);
    let news = durable.log.from(last.next()).iter().take(count as usize);
    let retried: Vec<_> = news
        .filter_map(|entry| match entry.content {
            Content::Command { request, .. } => match known.find(request) {
                Known::Applied(response) => Some((request, *response)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    for (request, response) in retried {
        node.volatile.applied.sessions.record(request, response);
    }
}

fn lets_all_expire(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let last = node.durable().log.last_index();
    let (mut stingy, mut foreseen, mut unheard) = (raft.clone(), node.clone(), Outbox::new());
    raft.step(&mut foreseen, input.clone(), &mut unheard);
    let news = foreseen.durable().log.from(last.next()).iter();
    let mut contents = news.map(|entry| &entry.content);
    if contents.any(|content| matches!(content, Content::ExpireSessions { .. })) {
        stingy.max_sessions = 0;
    }
    stingy.step(node, input, out);
}

fn lets_one_expire(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut lenient = raft.clone();
    lenient.max_sessions = usize::MAX;
    lenient.step(node, input, out);
    let term = node.durable().current_term;
    let excess = node.volatile.applied.sessions.excess(raft.max_sessions);
    if let Some(through) = excess
        && let Role::Leader(leadership) = &mut node.volatile.role
        && leadership.expiring < through
    {
        leadership.expiring = through;
        let content = Content::ExpireSessions { through };
        node.write(Record::Append(Entry { term, content }));
        raft.send_all_appends(node, out);
        raft.advance_commit_index(node, out);
    }
}

fn begins_early(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    step_and_rewrite(raft, node, input, out, |_, mut effect| {
        if let Effect::Emit(Event::SessionExpired { request, since }) = &mut effect {
            *since = request.client.since;
        }
        effect
    });
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
        Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => None,
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
    let before = node.volatile.applied.last_applied;
    raft.step(node, input, out);
    if node.volatile.applied.last_applied > before {
        node.volatile.applied.sessions = Sessions::default();
    }
}

fn leaves_no_horizon(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    raft.step(node, input, out);
    let sessions = &mut node.volatile.applied.sessions;
    if sessions.horizon() > Position(0) {
        *sessions = Sessions::default();
    }
}

fn expires_for_itself(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    let mut lenient = raft.clone();
    lenient.max_sessions = usize::MAX;
    lenient.step(node, input, out);
    let sessions = &mut node.volatile.applied.sessions;
    if let Some(through) = sessions.excess(raft.max_sessions)
        && matches!(node.volatile.role, Role::Leader(_))
    {
        sessions.expire(through);
    }
}

fn takes_old_for_new(raft: &R, node: &mut Node<R>, input: Input<R>, out: &mut Outbox<R>) {
    if let Input::Ask(Command::Propose { request, .. }) = &input
        && node.volatile.applied.sessions.find(*request) == Known::Superseded
    {
        node.volatile.applied.sessions = Sessions::default();
    }
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
