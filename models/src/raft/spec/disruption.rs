//! That leaders are deposed by nobody who cannot win, and by themselves when nobody follows
//! (thesis §4.2.3, §6.2, §9.6): what must hold of every transition where PreVote and
//! CheckQuorum are on.
//!
//! Verified here: each rule by itself, and their sum where it can be stated, for a quorum
//! whose timers do not run out. Not verified: that a leader without a quorum steps down *in
//! time*, for there is no time.

use alloc::collections::BTreeSet;

use crate::protocol::{Node, NodeId};
use crate::raft::log::Term;
use crate::raft::machine::StateMachine;
use crate::raft::message::{AppendOutcome, HeartbeatOutcome, InstallOutcome, Message, VoteOutcome};
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::specification::Specification;
use crate::world::{Action, Envelope, Host, Scenario, World};

use super::quorums::{are_quorum, in_force, is_quorum, members, peers, voters};
use super::terms::made_known;
use super::{Said, leadership, said, told};

type Sent<M> = Envelope<Message<<M as StateMachine>::Command>>;

/// The message that the action delivers.
fn delivered<M: StateMachine>(action: &Action<Raft<M>>) -> Option<&Sent<M>> {
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => Some(envelope),
        _ => None,
    }
}

/// Whether the host leads, or has heard from its leader within the minimum election timeout.
fn believes<M: StateMachine>(host: &Host<Raft<M>>) -> bool {
    let Host::Up { node, armed, .. } = host else {
        return false;
    };
    match &node.volatile.role {
        Role::Leader(_) => true,
        Role::Follower { .. } => armed.contains(&Timer::Lease),
        Role::PreCandidate { .. } | Role::Candidate { .. } => false,
    }
}

/// Whether the message asks its receiver to give up a leader that it believes in.
pub(super) fn disturbs<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
    envelope: &Sent<M>,
) -> bool {
    let Some(receiver) = world.host(envelope.to) else {
        return false;
    };
    let raft = &scenario.nodes[usize::from(envelope.to.0)];
    let term = receiver.durable().current_term;
    let refuses = matches!(
        envelope.message,
        Message::AppendEntriesResponse {
            outcome: AppendOutcome::StaleTerm { .. },
            ..
        } | Message::HeartbeatResponse {
            outcome: HeartbeatOutcome::StaleTerm { .. },
            ..
        } | Message::InstallSnapshotResponse {
            outcome: InstallOutcome::StaleTerm { .. },
            ..
        }
    );
    if refuses && raft.check_quorum && leadership(receiver).is_some() {
        // A former member refuses a leader that has removed it.
        let has_left = |node| !peers(world, envelope.to, node).contains(&envelope.from);
        return receiver.node().is_some_and(has_left);
    }
    let asks = match &envelope.message {
        Message::RequestVote {
            term: asked,
            leadership_transfer,
            ..
        } => raft.check_quorum && *asked > term && !leadership_transfer,
        Message::PreVote { term: asked, .. } => *asked > term,
        _ => false,
    };
    asks && believes(receiver)
}

/// "It does not update its term or grant its vote" (thesis §4.2.3), nor does anything else.
pub(super) fn who_hears_a_leader_stands_by_it<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(envelope) = delivered(action) else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let is_granted = || {
        let said = said(before, action, after);
        answers::<M>(said, envelope, is_granted)
    };
    !disturbs(scenario, before, envelope) || old == new && !is_granted()
}

fn is_granted<C>(message: &Message<C>) -> bool {
    matches!(
        message,
        Message::PreVoteResponse {
            outcome: VoteOutcome::Granted,
            ..
        } | Message::RequestVoteResponse {
            outcome: VoteOutcome::Granted,
            ..
        }
    )
}

/// Whether the step has sent its sender such an answer.
fn answers<'a, M: StateMachine>(
    mut said: impl Iterator<Item = Said<'a, M::Command>>,
    envelope: &Sent<M>,
    is_such: fn(&Message<M::Command>) -> bool,
) -> bool {
    said.any(|answer| {
        answer.from == envelope.to
            && answer.to == envelope.from
            && answer.message.term() == envelope.message.term()
            && is_such(answer.message)
    })
}

/// A pre-vote changes neither term nor vote, nor anything else of who is asked.
pub(super) fn a_pre_vote_changes_nothing<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    match delivered(action) {
        Some(envelope) if matches!(envelope.message, Message::PreVote { .. }) => {
            let (old, new) = (before.host(envelope.to), after.host(envelope.to));
            old.zip(new).is_none_or(|(old, new)| is_same(old, new))
        }
        _ => true,
    }
}

/// Whether nothing about the host has changed, but for what it has to say.
fn is_same<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    match (old, new) {
        (
            Host::Up {
                node: was,
                armed: ran,
                on_disk: had,
                held: _,
            },
            Host::Up {
                node,
                armed,
                on_disk,
                held: _,
            },
        ) => (was, ran, had) == (node, armed, on_disk),
        _ => old == new,
    }
}

/// A pre-candidate's votes grow by what a voter has granted for the term that is asked for.
pub(super) fn pre_votes_are_of_their_term<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    after.running().all(|(id, node)| {
        let Role::PreCandidate { votes } = &node.volatile.role else {
            return true;
        };
        let old = before.host(id).and_then(Host::node);
        let known = |voter: &NodeId| {
            *voter == id
                || old.is_some_and(|old| match &old.volatile.role {
                    Role::PreCandidate { votes } => votes.contains(voter),
                    Role::Follower { .. } | Role::Candidate { .. } | Role::Leader(_) => false,
                })
        };
        let next = node.durable().current_term.next();
        let mut new = votes.iter().filter(|voter| !known(voter));
        new.all(|voter| grants(action, *voter, id, next))
    })
}

/// Whether the action delivers a pre-vote of `voter` for `candidate` in `term`.
fn grants<M: StateMachine>(
    action: &Action<Raft<M>>,
    voter: NodeId,
    candidate: NodeId,
    term: Term,
) -> bool {
    delivered(action).is_some_and(|envelope| {
        let outcome = VoteOutcome::Granted;
        envelope.from == voter
            && envelope.to == candidate
            && envelope.message == Message::PreVoteResponse { term, outcome }
    })
}

/// Where PreVote is on, who begins a term has had the pre-votes of a quorum for it.
pub(super) fn who_stands_has_a_quorum_behind_it<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    after.running().all(|(id, node)| {
        let raft = &scenario.nodes[usize::from(id.0)];
        let stands = matches!(node.volatile.role, Role::Candidate { .. } | Role::Leader(_));
        let term = node.durable().current_term;
        let Some(old) = before.host(id) else {
            return true;
        };
        if !raft.pre_vote || !stands || old.durable().current_term == term {
            return true;
        }
        let summoned = delivered(action).is_some_and(|envelope| {
            envelope.to == id && matches!(envelope.message, Message::TimeoutNow { .. })
        });
        if summoned {
            return true;
        }
        let (electorate, _) = in_force(after, node);
        let Some(Role::PreCandidate { votes }) = old.node().map(|node| &node.volatile.role) else {
            return are_quorum(electorate, |voter| voter == id);
        };
        are_quorum(electorate, |voter| {
            votes.contains(&voter) || grants(action, voter, id, term)
        })
    })
}

/// Who asks for a term that has begun is told so, unless it has learned so meanwhile. If it
/// were left without an answer, two nodes of three that need each other could ask for ever.
pub(super) fn who_is_behind_learns_so<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(envelope) = delivered(action) else {
        return true;
    };
    let (Some(sender), Some(receiver)) = (after.host(envelope.from), before.host(envelope.to))
    else {
        return true;
    };
    let current_term = receiver.durable().current_term;
    let asked = envelope.message.term();
    let is_behind = match &envelope.message {
        Message::PreVote { .. } => asked <= current_term && sender.on_disk().current_term < asked,
        // A node left behind in a higher term, to a leader whose appends or chunks find it.
        Message::AppendEntries { .. }
        | Message::InstallSnapshot { .. }
        | Message::Heartbeat { .. } => {
            asked < current_term && sender.on_disk().current_term <= asked
        }
        _ => false,
    };
    let is_reachable = receiver.durable().takes_part()
        && after.network.connects(envelope.to, envelope.from)
        && sender.node().is_some();
    !is_behind
        || !is_reachable
        || told(after).any(|answer| {
            answer.from == envelope.to
                && answer.to == envelope.from
                && answer.message.term() == asked
                && made_known(answer.message).is_some_and(|told| told >= current_term)
                && is_stale(answer.message)
        })
}

fn is_stale<C>(message: &Message<C>) -> bool {
    matches!(
        message,
        Message::PreVoteResponse {
            outcome: VoteOutcome::StaleTerm { .. },
            ..
        } | Message::AppendEntriesResponse {
            outcome: AppendOutcome::StaleTerm { .. },
            ..
        } | Message::HeartbeatResponse {
            outcome: HeartbeatOutcome::StaleTerm { .. },
            ..
        } | Message::InstallSnapshotResponse {
            outcome: InstallOutcome::StaleTerm { .. },
            ..
        }
    )
}

/// Only what the leader of a node's own term sends makes the node believe in a leader, and it
/// believes as long as its lease timer runs.
pub(super) fn only_the_leader_is_heard<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    after.all_hosts().all(|(id, host)| {
        let Host::Up { node, armed, .. } = host else {
            return true;
        };
        let hears = node.volatile.hears_leader;
        let leads = matches!(node.volatile.role, Role::Leader(_));
        let timed = leads || armed.contains(&Timer::Lease) == hears;
        let heard = before
            .host(id)
            .and_then(Host::node)
            .is_some_and(|old| old.volatile.hears_leader);
        let leader_speaks = delivered(action).is_some_and(|envelope| {
            let leader = Some(envelope.from);
            envelope.to == id
                && matches!(
                    envelope.message,
                    Message::AppendEntries { .. }
                        | Message::InstallSnapshot { .. }
                        | Message::Heartbeat { .. }
                )
                && envelope.message.term() == node.durable().current_term
                && node.volatile.role == Role::Follower { leader }
        });
        timed && (heard || !hears || leader_speaks)
    })
}

/// The other way round: a node that takes what the leader of its term sends it follows that leader, and
/// believes in it where it is configured to stand by leaders.
pub(super) fn the_leader_is_heard<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(envelope) = delivered(action) else {
        return true;
    };
    let is_of_leader = matches!(
        envelope.message,
        Message::AppendEntries { .. } | Message::InstallSnapshot { .. } | Message::Heartbeat { .. }
    );
    let node = |world| World::host(world, envelope.to).and_then(Host::node);
    let (true, Some(old), Some(new)) = (is_of_leader, node(before), node(after)) else {
        return true;
    };
    let is_current = envelope.message.term() >= old.durable().current_term;
    let raft = &scenario.nodes[usize::from(envelope.to.0)];
    let leader = Some(envelope.from);
    let takes_part = old.durable().takes_part() && new.durable().takes_part();
    !is_current
        || !takes_part
        || new.volatile.role == Role::Follower { leader }
            && (new.volatile.hears_leader || !raft.pre_vote && !raft.check_quorum)
}

/// Whenever a leader's lease timer runs out, a quorum has answered since the last time, or it
/// leads no longer; and it begins to count anew.
pub(super) fn a_leader_without_a_quorum_steps_down<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Lease,
    } = action
    else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(*node), after.host(*node)) else {
        return true;
    };
    let (Some((_, led)), Some((_, leads)), Some(state)) =
        (leadership(old), leadership(new), old.node())
    else {
        return true;
    };
    hears_a_quorum(before, *node, state, &led.heard) && leads.heard.is_empty()
}

/// Whether those that a leader has heard of are a quorum with it: of those who vote.
fn hears_a_quorum<M: StateMachine>(
    world: &World<Raft<M>>,
    leader: NodeId,
    node: &Node<Raft<M>>,
    heard: &BTreeSet<NodeId>,
) -> bool {
    let (configuration, _) = in_force(world, node);
    are_quorum(configuration, |voter| {
        voter == leader || heard.contains(&voter)
    })
}

/// The other way round: a leader whom a quorum has answered leads on.
pub(super) fn a_leader_with_a_quorum_stays<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Lease,
    } = action
    else {
        return true;
    };
    let Some(old) = before.host(*node) else {
        return true;
    };
    let (Some((_, led)), Some(state)) = (leadership(old), old.node()) else {
        return true;
    };
    let runs = after.host(*node).filter(|host| host.node().is_some());
    !hears_a_quorum(before, *node, state, &led.heard)
        || runs.is_none_or(|host| leadership(host).is_some())
}

/// Each answer to a heartbeat, an append or a chunk in the leader's term shows that its sender lives.
pub(super) fn answers_are_counted<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(envelope) = delivered(action) else {
        return true;
    };
    let is_answer = match &envelope.message {
        Message::AppendEntriesResponse { outcome, .. } => {
            !matches!(outcome, AppendOutcome::StaleTerm { .. })
        }
        Message::HeartbeatResponse { outcome, .. } => *outcome == HeartbeatOutcome::Heard,
        Message::InstallSnapshotResponse { outcome, .. } => {
            !matches!(outcome, InstallOutcome::StaleTerm { .. })
        }
        _ => false,
    };
    let leads = |world: &World<Raft<M>>| {
        let (term, leads) = leadership(world.host(envelope.to)?)?;
        let of_term =
            term == envelope.message.term() && leads.progress.contains_key(&envelope.from);
        of_term.then(|| leads.heard.contains(&envelope.from))
    };
    let counts = scenario.nodes[usize::from(envelope.to.0)].check_quorum;
    !is_answer || !counts || leads(before).is_none() || leads(after) != Some(false)
}

/// A leader has heard whom it counts: in its own term, and by an answer to an append.
pub(super) fn a_leader_counts_answers<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    after.all_hosts().all(|(id, host)| {
        let Some((term, leads)) = leadership(host) else {
            return true;
        };
        let led = before.host(id).and_then(leadership);
        let known = |peer: &NodeId| led.is_some_and(|(_, led)| led.heard.contains(peer));
        let answers = |peer: NodeId| {
            delivered(action).is_some_and(|envelope| {
                (envelope.from, envelope.to) == (peer, id)
                    && matches!(
                        envelope.message,
                        Message::AppendEntriesResponse { .. }
                            | Message::HeartbeatResponse { .. }
                            | Message::InstallSnapshotResponse { .. }
                    )
                    && envelope.message.term() == term
            })
        };
        let mut new = leads.heard.iter().filter(|peer| !known(peer));
        new.all(|&peer| answers(peer))
    })
}

/// Nobody waits any more, for a read, a change of membership or a transfer, at a node that led
/// when it was asked and leads no longer: each was answered or refused.
pub(super) fn who_steps_down_keeps_nobody_waiting<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    before.all_hosts().all(|(id, old)| {
        let Some((led, old)) = leadership(old) else {
            return true;
        };
        let Some(new) = after.host(id).filter(|new| new.node().is_some()) else {
            return true;
        };
        if leadership(new).is_some_and(|(leads, _)| leads == led) {
            return true;
        }
        let waits = |client: usize, state: &crate::world::Client| {
            let asked = scenario.scripts[client].get(state.next);
            let reads = old.reads.iter().map(|read| read.request);
            let transfer = old.transfer.map(|transfer| transfer.request);
            let mut left = reads.chain(old.change).chain(transfer);
            // It is answered as soon as the disk lets the answer go.
            let is_answered = asked.is_some_and(|asked| {
                new.held_events()
                    .any(|event| Raft::answer(asked, event).is_some())
            });
            state.waits_at.contains_key(&id)
                && !is_answered
                && asked.is_some_and(|asked| left.any(|request| request == asked.request()))
        };
        let mut clients = after.clients.iter().enumerate();
        !clients.any(|(client, state)| waits(client, state))
    })
}

/// "Removed servers can disrupt the cluster" (§6, thesis §4.2.3) only if they are listened to:
/// nothing that a node says which is no member, as far as is known to be committed, makes who
/// leads or hears the leader enter another term, or the leader step down. Who has yet to join knows
/// of no member, and listens to whoever leads (thesis §4.1: "a server accepts AppendEntries requests
/// from a leader that is not part of the server's latest configuration").
pub(super) fn a_removed_node_disrupts_nobody<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(envelope) = delivered(action) else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let raft = &scenario.nodes[usize::from(envelope.to.0)];
    let is_outsider = old.node().is_some_and(|node| {
        let (configuration, is_changing) = in_force(before, node);
        let has_joined = voters(configuration).next().is_some();
        has_joined && !is_changing && !members(configuration).contains(&envelope.from)
    });
    let is_permitted = matches!(
        envelope.message,
        Message::RequestVote {
            leadership_transfer: true,
            ..
        }
    );
    let term = |host: &Host<Raft<M>>| host.durable().current_term;
    !raft.check_quorum
        || !is_outsider
        || is_permitted
        || !believes(old)
        || term(old) == term(new) && leadership(old).is_some() == leadership(new).is_some()
}

/// "A node that cannot win does not raise the term of a healthy quorum": as long as a leader
/// and a quorum that hears it are in time (their timers do not run out, and nobody crashes),
/// no term begins, whatever the others do.
///
/// Elsewhere it is not true to the letter: pre-votes may have been given when no leader was
/// heard, and be counted when one is again.
pub(super) fn a_healthy_quorum_is_left_alone<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let bounds = &scenario.bounds;
    let steady = || {
        let hosts = before.all_hosts();
        hosts.filter(|(id, _)| bounds.in_time.contains(id))
    };
    let applies = scenario.faults.crashes == 0
        && scenario
            .nodes
            .iter()
            .all(|raft| raft.pre_vote && raft.check_quorum)
        && is_quorum(scenario.nodes[0].initial(), &bounds.in_time);
    let leader = steady().find_map(|(id, host)| Some((id, leadership(host)?.0)));
    let Some((leader, term)) = leader.filter(|_| applies) else {
        return true;
    };
    let hears = |(id, host): (NodeId, &Host<Raft<M>>)| {
        let follows = host.node().is_some_and(|node| {
            let leader = Some(leader);
            node.volatile.role == Role::Follower { leader }
        });
        let stands = bounds.candidates.get(&id).is_some_and(|&last| last > term);
        let hears = believes(host) && follows && host.durable().current_term == term;
        (id == leader || hears) && !stands
    };
    let highest = |world: &World<Raft<M>>| {
        let hosts = world.all_hosts();
        hosts.map(|(_, host)| host.durable().current_term).max()
    };
    !steady().all(hears) || highest(before) != Some(term) || highest(after) == Some(term)
}
