//! What must be true of a node's timers.
//!
//! Verifies: which timers run follows from what a node is. Whoever waits has a timer that ends
//! the waiting, and none is left over from an earlier role, to run out in a later one; and a timer
//! that runs is started anew by what it waits for, and by nothing else. Not verified here: time.

use alloc::collections::BTreeSet;

use crate::machine::StateMachine;
use crate::protocol::{Effect, Node};
use crate::raft::log::{Content, Index};
use crate::raft::message::{Message, VoteOutcome};
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::specification::{Invariant, Law};
use crate::world::{Action, Done, Host, Scenario, World};

impl<M: StateMachine> Raft<M> {
    pub(super) const TIMERS_FOLLOW_ROLES: Invariant<Self> = Invariant {
        name: "The timers of its role run",
        source: "§5.2; thesis §3.10, §4.2.3, §6.2: an election timer on who does not lead, a \
                 heartbeat on who does, a lease on who has one, and no others; none on who takes \
                 no part",
        holds: timers_follow_roles,
    };

    pub(super) const SNAPSHOTS_ARE_TAKEN: Invariant<Self> = Invariant {
        name: "A snapshot that is due is taken",
        source: "§7: once the log reaches a fixed size; as a safety property, its timer runs",
        holds: snapshots_are_taken,
    };

    pub(super) const UNSAVED_IS_COUNTED: Invariant<Self> = Invariant {
        name: "What counts as unsaved is what has been applied since the snapshot",
        source: "§7: \"when the log reaches a fixed size\"; whether the node has taken its snapshot, \
                 started from it, or been sent it",
        holds: unsaved_is_counted,
    };

    pub(super) const SNAPSHOTS_WAIT: Law<Self> = Law {
        name: "No snapshot is begun before it is due →",
        source: "§7: \"when the log reaches a fixed size\", for it costs as much as what it replaces",
        holds: |scenario, before, _, after| snapshots_wait(scenario, before, after),
    };

    pub(super) const NO_LEADER_IS_THERE: Law<Self> = Law {
        name: "Who has waited for a leader believes in none →",
        source: "§5.2: \"it assumes there is no viable leader\", whether it may stand or not",
        holds: |_, _, action, after| no_leader_is_there(action, after),
    };
}

impl<M: StateMachine> Raft<M> {
    pub(super) const RENEWED_BY_WHAT_IT_WAITS_FOR: Law<Self> = Law {
        name: "A timer that runs is renewed by what it waits for, and nothing else →",
        source: "Figure 2, \"Followers\": \"receiving AppendEntries RPC from current leader or granting \
                 vote to candidate\"; thesis §4.2.3",
        holds: renewed_by_what_it_waits_for,
    };
}

/// Only where a node does not change its part: then the timers of the new one are started. Who stands
/// waits for votes alone, and waits anew when it gives its own to another.
fn renewed_by_what_it_waits_for<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some((id, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let pair = (before.host(id), after.host(id));
    let (Some(old), Some(new)) = (pair.0.and_then(Host::node), pair.1.and_then(Host::node)) else {
        return true;
    };
    if !new.durable().takes_part() {
        return true;
    }
    let follows = |node: &Node<Raft<M>>| matches!(node.volatile.role, Role::Follower { .. });
    let stands_on = match (&old.volatile.role, &new.volatile.role) {
        (Role::Candidate { .. }, Role::Candidate { .. })
        | (Role::PreCandidate { .. }, Role::PreCandidate { .. }) => {
            old.durable().current_term == new.durable().current_term
        }
        _ => false,
    };
    if !(follows(old) && follows(new) || stands_on) {
        // A leader's rhythm is its own; who stands anew, or for another term, waits anew.
        let leads = |node: &Node<Raft<M>>| matches!(node.volatile.role, Role::Leader(_));
        let goes_on = leads(old) && leads(new);
        let own = |timer: &Timer| *timer == Timer::Heartbeat || goes_on && *timer == Timer::Lease;
        return !renewed.iter().any(own);
    }
    let (heard, elected) = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            let term = new.durable().current_term;
            let is_current = envelope.message.term() == term;
            let role = &Role::Follower {
                leader: Some(envelope.from),
            };
            let heard = matches!(
                envelope.message,
                Message::AppendEntries { .. }
                    | Message::InstallSnapshot { .. }
                    | Message::Heartbeat { .. }
            );
            let asked = matches!(envelope.message, Message::RequestVote { .. });
            let voted = new.durable().voted_for == Some(envelope.from);
            let refused = asked && is_refused(scenario, before, action);
            (
                heard && is_current && new.volatile.role == *role,
                asked && is_current && voted && !refused,
            )
        }
        _ => (false, false),
    };
    let keeps_lease = {
        let raft = &scenario.nodes[usize::from(id.0)];
        raft.pre_vote || raft.check_quorum
    };
    let is_renewed = |timer| renewed.contains(&timer);
    let had_lease = old.volatile.hears_leader && keeps_lease;
    is_renewed(Timer::Election) == (heard || elected)
        && (!is_renewed(Timer::Lease) || heard)
        && (!(heard && had_lease) || is_renewed(Timer::Lease))
}

/// Whether the candidate is told that it has not got the vote.
fn is_refused<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
) -> bool {
    let effects = before.effects(scenario, action).map(|(_, effects)| effects);
    let granted = effects.into_iter().flatten().any(|effect| match effect {
        Effect::Send { message, .. } => matches!(
            message,
            Message::RequestVoteResponse {
                outcome: VoteOutcome::Granted,
                ..
            }
        ),
        _ => false,
    });
    !granted
}

fn no_leader_is_there<M: StateMachine>(action: &Action<Raft<M>>, after: &World<Raft<M>>) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Election,
    } = action
    else {
        return true;
    };
    { after.host(*node).and_then(Host::node) }
        .is_none_or(|node| !matches!(node.volatile.role, Role::Follower { leader: Some(_) }))
}

fn snapshots_wait<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let hosts = before.all_hosts().zip(after.all_hosts());
    { scenario.nodes.iter().zip(hosts) }.all(|(raft, ((_, old), (_, new)))| {
        let (Host::Up { armed: ran, .. }, Host::Up { node, armed, .. }) = (old, new) else {
            return true;
        };
        let begins = armed.contains(&Timer::Snapshot) && !ran.contains(&Timer::Snapshot);
        !begins || node.volatile.unsaved >= raft.compaction.snapshot_after.max(1)
    })
}

fn timers_follow_roles<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    each_that_is_up(scenario, world, |raft, node, armed| {
        let mut due = BTreeSet::new();
        if !node.durable().takes_part() {
            return armed.is_empty();
        }
        match &node.volatile.role {
            Role::Leader(leadership) => {
                due.insert(Timer::Heartbeat);
                due.extend(raft.check_quorum.then_some(Timer::Lease));
                due.extend(leadership.transfer.map(|_| Timer::Transfer));
            }
            Role::Follower { .. } => {
                due.insert(Timer::Election);
                let leases = raft.pre_vote || raft.check_quorum;
                let hears = leases && node.volatile.hears_leader;
                due.extend(hears.then_some(Timer::Lease));
            }
            Role::PreCandidate { .. } | Role::Candidate { .. } => {
                due.insert(Timer::Election);
            }
        }
        let of_roles = armed.iter().filter(|&&timer| timer != Timer::Snapshot);
        of_roles.eq(&due)
    })
}

/// A timer that runs though less is unsaved by now takes a snapshot a little early.
fn snapshots_are_taken<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    each_that_is_up(scenario, world, |raft, node, armed| {
        !node.durable().takes_part()
            || node.volatile.unsaved < raft.compaction.snapshot_after.max(1)
            || armed.contains(&Timer::Snapshot)
    })
}

/// Where snapshots are taken at all.
fn unsaved_is_counted<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    each_that_is_up(scenario, world, |raft, node, _| {
        let counts = raft.compaction.snapshot_after != usize::MAX;
        let snapshot = node.durable().snapshot.last_included_index();
        let log = &node.durable().log;
        let news = (snapshot.0..node.volatile.applied.last_applied.0).map(|index| {
            let entry = log.get(Index(index).next());
            entry.map_or(1, |entry| match &entry.content {
                Content::Command { command, .. } => M::weight(command).max(1),
                Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => 1,
            })
        });
        let weight = news.fold(0, usize::saturating_add);
        node.volatile.unsaved == if counts { weight } else { 0 }
    })
}

/// Whether this holds of each node that is up, and the timers that run there.
fn each_that_is_up<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
    holds: impl Fn(&Raft<M>, &Node<Raft<M>>, &BTreeSet<Timer>) -> bool,
) -> bool {
    let mut hosts = scenario.nodes.iter().zip(world.all_hosts());
    hosts.all(|(raft, (_, host))| match host {
        Host::Up { node, armed, .. } => holds(raft, node, armed),
        Host::Down { .. } => true,
    })
}
