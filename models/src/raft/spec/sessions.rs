//! What must be true of sessions (§8; thesis §6.3).
//!
//! Verifies: that no command is applied twice, whatever the session table has forgotten, by a
//! record that forgets nothing; that each table is what such a record says, however it has come to
//! its node; that clients are told what it says; and that those expire that have been used least
//! recently. Not verified: that a client tells the truth of when its session began.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use derive_where::derive_where;

use crate::raft::configuration::InForce;
use crate::raft::log::{Content, Index};
use crate::raft::machine::StateMachine;
use crate::raft::session::{ClientId, Position, RequestId, Sequence, Sessions};
use crate::raft::snapshot::Applied;
use crate::raft::state::Role;
use crate::raft::{Command, Event, Raft};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Occurrence, Scenario, World};

use super::Step;
use super::contradictions::clusters_meet;

impl<M: StateMachine> Raft<M> {
    pub(super) const REPLICAS_AGREE: Invariant<Self> = Invariant {
        name: "Replicas agree",
        source: "§8; thesis §6.3: equal logs make equal state, sessions included",
        holds: |scenario, world| replicas_agree(world) || clusters_meet(scenario),
    };

    pub(super) const TABLE_IS_THE_LOGS: Invariant<Self> = Invariant {
        name: "The session table and the members are the committed log's",
        source: "§7, §8; thesis §6.3: whether the entries have been applied here, or a snapshot of \
                 them was taken, sent or installed",
        holds: |scenario, world| tables_are_the_logs(world) || clusters_meet(scenario),
    };

    pub(super) const LEAST_RECENTLY_USED_EXPIRE: Law<Self> = Law {
        name: "The sessions that expire are those used least recently →",
        source: "thesis §6.3: those used least recently, down to as many as the leader wants to keep",
        holds: |scenario, before, _, after| least_recently_used_expire(scenario, before, after),
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

    pub(super) const COMMANDS_ARE_ANSWERED_BY_THE_LOG: Law<Self> = Law {
        name: "What a client is told of its command is what the log says →",
        source: "§8; thesis §6.3: the response that it had, that a later one of its session is \
                 applied, or that its session has expired",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| {
                step.emitted
                    .iter()
                    .all(|event| is_by_the_log(scenario, after, &step, event))
                    || clusters_meet(scenario)
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

    pub(super) const EXPIRY_GOES_BACK: Reachable<Self> = Reachable {
        name: "sessions are let expire less far than before",
        seen: |_, world| {
            let logs = world.all_hosts().map(|(_, host)| &host.durable().log);
            logs.into_iter().any(|log| {
                let entries = log.from(log.base_index().next()).iter();
                let expiries = entries.filter_map(|entry| match entry.content {
                    Content::ExpireSessions { through } => Some(through),
                    _ => None,
                });
                !expiries.is_sorted()
            })
        },
    };

    pub(super) const SESSIONS_EXPIRE_TOGETHER: Reachable<Self> = Reachable {
        name: "several sessions expire at once",
        seen: |_, world| several_expire(world),
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

/// What the committed log makes, each command applied at most once, by a record that forgets
/// nothing.
struct Rebuilt<M: StateMachine> {
    machine: M,
    record: Record<M::Response>,
    configuration: Option<InForce>,
}

/// The state machine as the committed log makes it up to where `applied` has come, each
/// command at most once.
pub(super) fn replay<M: StateMachine>(world: &World<Raft<M>>, applied: &Applied<M>) -> M {
    rebuild(world, applied.last_applied).machine
}

fn rebuild<M: StateMachine>(world: &World<Raft<M>>, last_applied: Index) -> Rebuilt<M> {
    let mut machine = M::default();
    let mut record = Record::default();
    let mut configuration = None;
    let count = usize::try_from(last_applied.0).unwrap_or(usize::MAX);
    for (index, committed) in (1..).map(Index).zip(&world.ghost.committed).take(count) {
        match &committed.entry.content {
            Content::Command { request, command } => {
                if record.admits(*request) {
                    let response = machine.apply(command);
                    record.note(*request, response);
                }
            }
            Content::ExpireSessions { through } => record.expire(*through),
            Content::Configuration(latest) => {
                configuration = Some(InForce {
                    index,
                    configuration: latest.clone(),
                });
            }
            Content::Noop => {}
        }
    }
    Rebuilt {
        machine,
        record,
        configuration,
    }
}

/// Whether an entry of the committed log has let more than one session expire.
fn several_expire<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let mut committed = (1..).map(Index).zip(&world.ghost.committed);
    committed.any(|(index, committed)| match committed.entry.content {
        Content::ExpireSessions { through } => {
            let known = rebuild(world, index.previous()).record;
            known.alive().filter(|(_, used)| used.at <= through).count() > 1
        }
        _ => false,
    })
}

/// Of each node what it has applied, and its snapshot.
fn tables_are_the_logs<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let is_the_logs = |applied: &Applied<M>| {
        let rebuilt = rebuild(world, applied.last_applied);
        applied.configuration == rebuilt.configuration
            && rebuilt.record.remembers_as(&applied.sessions)
    };
    world.all_hosts().all(|(_, host)| {
        let snapshot = &host.durable().snapshot.state;
        let applied = host.node().map(|node| &node.volatile.applied);
        is_the_logs(snapshot) && applied.is_none_or(is_the_logs)
    })
}

/// Of a leader that has just put into its log that sessions expire: of those that it knew in this
/// step, so many with the latest commands stay as it wants to keep.
fn least_recently_used_expire<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let hosts = { before.all_hosts() }.zip(after.all_hosts());
    hosts
        .zip(&scenario.nodes)
        .all(|(((_, old), (_, new)), raft)| {
            let (Some(was), Some(is)) = (old.node(), new.node()) else {
                return true;
            };
            let known = was.durable().log.last_index();
            let news = is.durable().log.from(known.next()).iter();
            let mut expired = news.filter_map(|entry| match entry.content {
                Content::ExpireSessions { through } => Some(through),
                _ => None,
            });
            let leads = matches!(is.volatile.role, Role::Leader(_));
            !leads
                || expired.all(|through| {
                    let kept = seven_eighths(raft.max_sessions);
                    let (first, last) = (
                        was.volatile.applied.last_applied,
                        is.volatile.applied.last_applied,
                    );
                    (first.0..=last.0).any(|index| {
                        let record = rebuild(after, Index(index)).record;
                        record.alive().count() > raft.max_sessions
                            && record.least_recent_but(kept) == Some(through)
                    })
                })
        })
}

/// Of so many sessions those that stay when there are more: seven of eight, rounded up. A smaller
/// part would have the leader look through all of them for each new client.
fn seven_eighths(most: usize) -> usize {
    let eighths = most as u128 * 7;
    usize::try_from(eighths.div_ceil(8)).unwrap_or(most)
}

/// Somewhere between where the node had come before the step and where it is after it.
fn is_by_the_log<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    after: &World<Raft<M>>,
    step: &Step<'_, M>,
    event: &Event<M>,
) -> bool {
    let (Event::Reply { request, .. }
    | Event::Superseded { request }
    | Event::SessionExpired { request, .. }) = event
    else {
        return true;
    };
    let mut commands = scenario.scripts.iter().flatten();
    let is_commands = commands
        .any(|command| matches!(command, Command::Propose { .. }) && command.request() == *request);
    if !is_commands {
        return true;
    }
    let [first, last] = [step.old, step.new].map(|node| node.volatile.applied.last_applied);
    (first.0..=last.0).any(|index| {
        let record = rebuild(after, Index(index)).record;
        let used = record.latest.get(&request.client);
        let alive = used.filter(|used| used.at > record.horizon);
        match event {
            Event::Reply { response, .. } => alive.is_some_and(|used| {
                (used.sequence, &used.response) == (request.sequence, response)
            }),
            Event::Superseded { .. } => alive.is_some_and(|used| used.sequence > request.sequence),
            Event::SessionExpired { since, .. } => {
                alive.is_none() && !record.admits(*request) && *since == record.applied
            }
            _ => true,
        }
    })
}

/// All that was ever applied, and where each session was used last: a session table that does
/// not forget what it says that it has forgotten.
#[derive_where(Default)]
struct Record<R> {
    applied: Position,
    horizon: Position,
    latest: BTreeMap<ClientId, Used<R>>,
}

/// The last command of a session.
struct Used<R> {
    sequence: Sequence,
    at: Position,
    response: R,
}

impl<R: PartialEq> Record<R> {
    /// Whether the command is to be applied.
    fn admits(&self, request: RequestId) -> bool {
        match self.latest.get(&request.client) {
            Some(used) => used.sequence < request.sequence && used.at > self.horizon,
            None => request.client.since >= self.horizon,
        }
    }

    fn note(&mut self, request: RequestId, response: R) {
        self.applied.0 += 1;
        let used = Used {
            sequence: request.sequence,
            at: self.applied,
            response,
        };
        self.latest.insert(request.client, used);
    }

    fn expire(&mut self, through: Position) {
        self.horizon = self.horizon.max(through);
    }

    /// The sessions that have not expired.
    fn alive(&self) -> impl Iterator<Item = (ClientId, &Used<R>)> {
        let all = self.latest.iter().map(|(&client, used)| (client, used));
        all.filter(|(_, used)| used.at > self.horizon)
    }

    /// Whether the table says the same.
    fn remembers_as(&self, table: &Sessions<R>) -> bool {
        let alive = self
            .alive()
            .map(|(client, used)| (client, used.sequence, used.at, &used.response));
        (self.applied, self.horizon) == (table.position(), table.horizon())
            && alive.eq(table.iter())
    }

    /// The place of the last command of the latest session that must go if no more than so many are
    /// to stay; none if there are no more.
    fn least_recent_but(&self, kept: usize) -> Option<Position> {
        let mut places: Vec<Position> = self.alive().map(|(_, used)| used.at).collect();
        places.sort_unstable_by(|one, other| other.cmp(one));
        places.get(kept).copied()
    }
}
