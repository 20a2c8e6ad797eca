//! What must be true of leadership transfer (thesis §3.10).

use crate::raft::machine::StateMachine;
use crate::raft::message::Message;
use crate::raft::state::Role;
use crate::raft::{Command, Event, Raft, Timer, TransferOutcome};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Occurrence, Scenario, World};

use super::contradictions::is_blank;
use super::laws::each;
use super::quorums::{in_force, votes};
use super::{leadership, said, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const TRANSFER_IS_COMPLETE: Law<Self> = Law {
        name: "A transfer's target has the whole log →",
        source: "thesis §3.10, step 3: the target is told to stand when its log is complete; as \
                 long as it has its disk",
        holds: |_, before, action, after| target_has_the_whole_log(before, action, after),
    };

    pub(super) const TRANSFER_ENDS: Invariant<Self> = Invariant {
        name: "A pending transfer ends",
        source: "thesis §3.10: it is given up after an election timeout; its target is a voter",
        holds: |_, world| pending_transfer_ends(world),
    };

    pub(super) const PERMISSION_IS_GIVEN: Law<Self> = Law {
        name: "Who claims the leader's permission has it →",
        source: "thesis §3.10, §4.2.3: only who is told to stand bears it",
        holds: |_, before, action, after| permission_is_given(before, action, after),
    };

    pub(super) const TARGET_IS_TOLD: Law<Self> = Law {
        name: "A transfer's target is told to stand →",
        source: "thesis §3.10, step 3: once its log is complete; again with each answer, for what \
                 it is told may be lost",
        holds: |_, _, action, after| target_is_told(action, after),
    };

    pub(super) const WHO_IS_TOLD_STANDS: Law<Self> = Law {
        name: "Who is told to stand stands →",
        source: "thesis §3.10: the same effect as the target's election timer firing, also at one that has \
                 not heard of its leader since it started",
        holds: |_, before, action, after| who_is_told_stands(before, action, after),
    };

    pub(super) const NOTHING_IS_ADDED: Law<Self> = Law {
        name: "Nothing is added while leadership is transferred →",
        source: "thesis §3.10, step 1: what is added, the target may lack when it stands",
        holds: |_, before, _, after| each(before, after, nothing_is_added),
    };

    pub(super) const READER_IS_TOLD: Reachable<Self> = Reachable {
        name: "a node at which reads wait is told to stand",
        seen: |_, world| {
            world.network.in_flight().iter().any(|envelope| {
                let node = world.host(envelope.to).and_then(Host::node);
                node.is_some_and(|node| {
                    let term = node.durable().current_term;
                    envelope.message == Message::TimeoutNow { term }
                        && !node.volatile.follower_reads.is_empty()
                })
            })
        },
    };

    pub(super) const LEADERSHIP_IS_TRANSFERRED: Reachable<Self> = Reachable {
        name: "leadership is transferred",
        seen: |scenario, world| {
            was_told(world, TransferOutcome::SteppedDown) && leads_what_was_asked(scenario, world)
        },
    };

    pub(super) const TRANSFER_IS_REFUSED: Reachable<Self> = Reachable {
        name: "a transfer to a node without a vote is refused",
        seen: |_, world| was_told(world, TransferOutcome::NotAVoter),
    };

    pub(super) const TRANSFERS_MEET: Reachable<Self> = Reachable {
        name: "a transfer is refused for another that is under way",
        seen: |_, world| {
            let mut events = world.history.occurrences().iter();
            events.any(|occurrence| {
                matches!(
                    occurrence,
                    Occurrence::Return {
                        event: Event::Transfer {
                            outcome: TransferOutcome::Busy { .. },
                            ..
                        },
                        ..
                    }
                )
            })
        },
    };

    pub(super) const TRANSFER_IS_GIVEN_UP: Reachable<Self> = Reachable {
        name: "a transfer is given up",
        seen: |_, world| was_told(world, TransferOutcome::TimedOut),
    };
}

/// When it is told. What tells it may outlive a transfer that is given up, and then the log grows.
fn target_has_the_whole_log<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|said| {
        let Message::TimeoutNow { term } = *said.message else {
            return true;
        };
        let (leader, target) = (after.host(said.from), after.host(said.to));
        { leader.zip(target) }.is_some_and(|(leader, target)| {
            let disk = target.on_disk();
            let last_index = leader.durable().log.last_index();
            is_blank(disk) || disk.current_term > term || disk.log.last_index() >= last_index
        })
    })
}

fn pending_transfer_ends<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().all(|(_, host)| {
        let Host::Up { node, armed, .. } = host else {
            return true;
        };
        let pending = leadership(host).and_then(|(_, leads)| leads.transfer);
        pending.is_none_or(|transfer| {
            armed.contains(&Timer::Transfer) && votes(in_force(world, node).0, transfer.to)
        })
    })
}

/// A vote request that claims the leader's permission is sent by who is being told to stand.
fn permission_is_given<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let is_told = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            matches!(envelope.message, Message::TimeoutNow { .. })
        }
        _ => false,
    };
    let claims = said(before, action, after).any(|envelope| {
        matches!(
            envelope.message,
            Message::RequestVote {
                leadership_transfer: true,
                ..
            }
        )
    });
    is_told || !claims
}

fn target_is_told<M: StateMachine>(action: &Action<Raft<M>>, after: &World<Raft<M>>) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let answers = matches!(
        envelope.message,
        Message::AppendEntriesResponse { .. } | Message::InstallSnapshotResponse { .. }
    );
    let Some(host) = after.host(envelope.to).filter(|_| answers) else {
        return true;
    };
    let Some((term, leads)) = leadership(host).filter(|(led, _)| *led == envelope.message.term())
    else {
        return true;
    };
    let is_target = leads
        .transfer
        .is_some_and(|transfer| transfer.to == envelope.from);
    let last_index = host.durable().log.last_index();
    let progress = leads.progress.get(&envelope.from);
    let is_complete = progress.is_some_and(|target| target.match_index == last_index);
    let mut told = told(after);
    let is_cut_off = !after.network.connects(envelope.to, envelope.from);
    !is_target
        || !is_complete
        || is_cut_off
        || told
            .any(|told| told.to == envelope.from && *told.message == Message::TimeoutNow { term })
        || after
            .host(envelope.from)
            .is_none_or(|target| target.node().is_none())
}

/// By the leader of its term: it knows no other, and votes.
fn who_is_told_stands<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let node = |world| World::host(world, envelope.to).and_then(Host::node);
    let (Message::TimeoutNow { term }, Some(old), Some(new)) =
        (&envelope.message, node(before), node(after))
    else {
        return true;
    };
    let knows_no_other = match &old.volatile.role {
        Role::Follower { leader } => leader.is_none_or(|known| known == envelope.from),
        Role::PreCandidate { .. } | Role::Candidate { .. } => true,
        Role::Leader(_) => false,
    };
    let is_told = knows_no_other
        && old.durable().takes_part()
        && old.durable().current_term == *term
        && votes(in_force(before, old).0, envelope.to);
    !is_told || new.durable().current_term > *term
}

fn nothing_is_added<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    let (Some((led, was)), Some((leads, is))) = (leadership(old), leadership(new)) else {
        return true;
    };
    let goes_on = led == leads && was.transfer.is_some() && is.transfer.is_some();
    !goes_on || old.durable().log.last_index() == new.durable().log.last_index()
}

/// Whether a client has been told that.
fn was_told<M: StateMachine>(world: &World<Raft<M>>, wanted: TransferOutcome) -> bool {
    let mut occurrences = world.history.occurrences().iter();
    occurrences.any(|occurrence| {
        matches!(
            occurrence,
            Occurrence::Return {
                event: Event::Transfer { outcome, .. },
                ..
            } if *outcome == wanted
        )
    })
}

/// Whether a node leads that a client wanted to lead.
fn leads_what_was_asked<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    scenario
        .scripts
        .iter()
        .flatten()
        .any(|command| match command {
            Command::TransferLeadership { to, .. } => {
                world.host(*to).and_then(leadership).is_some()
            }
            Command::Propose { .. }
            | Command::Read { .. }
            | Command::ReadHere { .. }
            | Command::ChangeMembership { .. } => false,
        })
}
