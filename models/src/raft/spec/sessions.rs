//! What must be true of sessions (§8; thesis §6.3).
//!
//! Verifies: that no command is applied twice, whatever the session table has forgotten, by a
//! record that forgets nothing; and that replicas forget the same. Not verified: that a client
//! tells the truth of when its session began.

use alloc::collections::BTreeMap;

use crate::raft::log::Content;
use crate::raft::machine::StateMachine;
use crate::raft::session::{ClientId, Position, RequestId, Sequence};
use crate::raft::snapshot::Applied;
use crate::raft::state::Role;
use crate::raft::{Event, Raft};
use crate::specification::{Invariant, Reachable};
use crate::world::{Occurrence, Scenario, World};

use super::contradictions::clusters_meet;

impl<M: StateMachine> Raft<M> {
    pub(super) const REPLICAS_AGREE: Invariant<Self> = Invariant {
        name: "Replicas agree",
        source: "§8; thesis §6.3: equal logs make equal state, sessions included",
        holds: |scenario, world| replicas_agree(world) || clusters_meet(scenario),
    };

    pub(super) const SESSIONS_ARE_BOUNDED: Invariant<Self> = Invariant {
        name: "Sessions that are too many are let expire",
        source: "thesis §6.3: an upper bound on the number of active sessions; as a safety \
                 property, the entry that says so is in the leader's log",
        holds: sessions_are_bounded,
    };

    pub(super) const NEXT_SESSION_IS_LATER: Invariant<Self> = Invariant {
        name: "Who has lost its session is told where the next begins",
        source: "thesis §6.3: behind the one that has expired, else it would have expired, too",
        holds: |_, world| {
            answers(world).all(|event| match event {
                Event::SessionExpired { request, since } => request.client.since < *since,
                _ => true,
            })
        },
    };

    pub(super) const SESSION_EXPIRES: Reachable<Self> = Reachable {
        name: "a session expires",
        seen: |_, world| {
            let mut committed = world.ghost.committed.iter();
            committed.any(|it| matches!(it.entry.content, Content::ExpireSessions { .. }))
        },
    };

    pub(super) const RETRY_FINDS_NO_SESSION: Reachable<Self> = Reachable {
        name: "a retry finds its session expired",
        seen: |_, world| {
            answers(world).any(|event| match event {
                Event::SessionExpired { request, .. } => is_committed(world, *request),
                _ => false,
            })
        },
    };

    pub(super) const SESSION_BEGINS_ANEW: Reachable<Self> = Reachable {
        name: "a client begins another session",
        seen: |_, world| {
            answers(world).any(|event| match event {
                Event::Reply { request, .. } => {
                    request.client.since > Position(0) && is_committed(world, *request)
                }
                _ => false,
            })
        },
    };

    pub(super) const REQUEST_IS_SUPERSEDED: Reachable<Self> = Reachable {
        name: "a request is superseded",
        seen: |_, world| answers(world).any(|event| matches!(event, Event::Superseded { .. })),
    };
}

fn answers<M: StateMachine>(world: &World<Raft<M>>) -> impl Iterator<Item = &Event<M>> {
    let occurrences = world.history.occurrences().iter();
    occurrences.filter_map(|occurrence| match occurrence {
        Occurrence::Return { event, .. } => Some(event),
        Occurrence::Invoke { .. } => None,
    })
}

fn is_committed<M: StateMachine>(world: &World<Raft<M>>, wanted: RequestId) -> bool {
    let mut committed = world.ghost.committed.iter();
    committed.any(|committed| match committed.entry.content {
        Content::Command { request, .. } => request == wanted,
        Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => false,
    })
}

/// Of a leader that has committed an entry of its own. One that hands its leadership over adds
/// nothing meanwhile.
fn sessions_are_bounded<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.running().all(|(id, node)| {
        let Role::Leader(leads) = &node.volatile.role else {
            return true;
        };
        let applied = &node.volatile.applied;
        let raft = &scenario.nodes[usize::from(id.0)];
        let mut waiting = node.durable().log.from(applied.last_applied.next()).iter();
        leads.transfer.is_some()
            || node.volatile.commit_index < leads.term_start
            || applied.sessions.len() <= raft.max_sessions
            || waiting.any(|entry| matches!(entry.content, Content::ExpireSessions { .. }))
    })
}

/// Nodes that have applied equally much are in the same state.
fn replicas_agree<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let applied = || world.running().map(|(_, node)| &node.volatile.applied);
    { applied().enumerate() }.all(|(position, one)| {
        let mut others = applied().take(position);
        others.all(|other| one.last_applied != other.last_applied || one == other)
    })
}

/// The state machine as the committed log makes it up to where `applied` has come, each
/// command at most once.
pub(super) fn replay<M: StateMachine>(world: &World<Raft<M>>, applied: &Applied<M>) -> M {
    let mut machine = M::default();
    let mut record = Record::default();
    let count = usize::try_from(applied.last_applied.0).unwrap_or(usize::MAX);
    for committed in world.ghost.committed.iter().take(count) {
        match &committed.entry.content {
            Content::Command { request, command } => {
                if record.admits(*request) {
                    machine.apply(command);
                }
            }
            Content::ExpireSessions { through } => record.expire(*through),
            Content::Noop | Content::Configuration(_) => {}
        }
    }
    machine
}

/// All that was ever applied, and where each session was used last: a session table that does
/// not forget what it says that it has forgotten.
#[derive(Default)]
struct Record {
    applied: Position,
    horizon: Position,
    latest: BTreeMap<ClientId, (Sequence, Position)>,
}

impl Record {
    /// Whether the command is to be applied; if so, it is noted.
    fn admits(&mut self, request: RequestId) -> bool {
        let RequestId { client, sequence } = request;
        let is_next = match self.latest.get(&client) {
            Some(&(latest, at)) => latest < sequence && at > self.horizon,
            None => client.since >= self.horizon,
        };
        if is_next {
            self.applied.0 += 1;
            self.latest.insert(client, (sequence, self.applied));
        }
        is_next
    }

    fn expire(&mut self, through: Position) {
        self.horizon = self.horizon.max(through);
    }
}
