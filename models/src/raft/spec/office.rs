//! What a leader knows of its peers (Figure 2, "volatile state on leaders").
//!
//! Verifies: it begins its term knowing nothing, keeps track of every member, and comes to know
//! nothing but what the peer itself has just told it. What the peer tells is true of its disk
//! ([`invariants`](super::invariants)).

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::raft::Raft;
use crate::raft::log::{Index, Term};
use crate::raft::message::{AppendOutcome, InstallOutcome, Message, Round};
use crate::raft::state::{Leadership, Role};
use crate::specification::{Invariant, Law};
use crate::world::{Action, World};

use super::Step;
use super::quorums::{in_force, members};

impl<M: StateMachine> Raft<M> {
    pub(super) const OFFICE_BEGINS_ANEW: Law<Self> = Law {
        name: "Who takes office knows nothing of the others, and keeps nobody waiting →",
        source: "Figure 2: nextIndex and matchIndex are reinitialized after election; thesis §6.4: \
                 no read, question or round of an earlier term",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after).is_none_or(|step| begins_anew(&step))
        },
    };

    pub(super) const PEERS_SPEAK_FOR_THEMSELVES: Law<Self> = Law {
        name: "What a leader learns of a peer, that peer has just told it →",
        source: "Figure 2, §5.3: matchIndex of each server; thesis §6.4: the rounds that it has \
                 answered. In the leader's term, and of nobody else",
        holds: |scenario, before, action, after| {
            Step::taken(scenario, before, action, after)
                .is_none_or(|step| peers_speak_for_themselves(&step, action))
        },
    };

    pub(super) const MEMBERS_ARE_TRACKED: Invariant<Self> = Invariant {
        name: "A leader keeps track of every member",
        source: "§6: log entries are replicated to all servers in both configurations",
        holds: |_, world| members_are_tracked(world),
    };

    pub(super) const WHO_IS_FOLLOWED_LEADS: Invariant<Self> = Invariant {
        name: "Who is followed leads",
        source: "§5.1, §8: clients are sent to the leader that the node has heard from, in its term",
        holds: |_, world| who_is_followed_leads(world),
    };
}

fn begins_anew<M: StateMachine>(step: &Step<'_, M>) -> bool {
    let Role::Leader(leads) = &step.new.volatile.role else {
        return true;
    };
    if step.leads_on().is_some() {
        return true;
    }
    let log = &step.new.durable().log;
    let mut peers = leads.progress.values();
    let is_unknown = peers.all(|peer| {
        (peer.match_index, peer.round) == (Index(0), Round(0))
            && peer.next_index <= log.last_index()
    });
    is_unknown
        && leads.round == Round(0)
        && leads.reads.is_empty()
        && leads.heard.is_empty()
        && (leads.change, leads.transfer) == (None, None)
        && step.new.volatile.follower_reads.is_empty()
}

/// Up to where a peer's answer shows its log to be the leader's, and the round that it answers.
fn told<C>(message: &Message<C>) -> Option<(Term, Index, Round)> {
    match message {
        Message::AppendEntriesResponse {
            term,
            outcome,
            round,
        } => {
            let shown = match outcome {
                AppendOutcome::Accepted { match_index } => *match_index,
                AppendOutcome::Conflict { .. } | AppendOutcome::StaleTerm { .. } => Index(0),
            };
            Some((*term, shown, *round))
        }
        Message::InstallSnapshotResponse {
            term,
            outcome,
            round,
        } => {
            let shown = match outcome {
                InstallOutcome::Installed {
                    last_included_index,
                } => *last_included_index,
                InstallOutcome::Received { .. } | InstallOutcome::StaleTerm { .. } => Index(0),
            };
            Some((*term, shown, *round))
        }
        Message::HeartbeatResponse { term, round, .. } => Some((*term, Index(0), *round)),
        _ => None,
    }
}

fn peers_speak_for_themselves<M: StateMachine>(
    step: &Step<'_, M>,
    action: &Action<Raft<M>>,
) -> bool {
    let Some((was, is, led)) = step.leads_on() else {
        return true;
    };
    let teller = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => Some(envelope.from),
        _ => None,
    };
    let news = action.delivered().and_then(told);
    let news = news.filter(|(term, ..)| *term == led);
    let known = |leads: &Leadership<M>, peer: NodeId| {
        let progress = leads.progress.get(&peer);
        progress.map_or((Index(0), Round(0)), |it| (it.match_index, it.round))
    };
    is.progress.keys().all(|&peer| {
        let (old, new) = (known(was, peer), known(is, peer));
        let news = news.filter(|_| teller == Some(peer));
        (new.0 <= old.0 || news.is_some_and(|(_, shown, _)| shown == new.0))
            && (new.1 <= old.1 || news.is_some_and(|(_, _, round)| round == new.1))
    })
}

fn members_are_tracked<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(id, node)| {
        let Role::Leader(leads) = &node.volatile.role else {
            return true;
        };
        let mut members = members(in_force(world, node).0).into_iter();
        members.all(|peer| peer == id || leads.progress.contains_key(&peer))
    })
}

fn who_is_followed_leads<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| match node.volatile.role {
        Role::Follower {
            leader: Some(leader),
        } => {
            let term = node.durable().current_term;
            world.ghost.leaders.contains(&(term, leader))
        }
        _ => true,
    })
}
