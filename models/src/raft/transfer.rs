//! Leadership transfer (thesis §3.10): a leader brings a voter's log up to date and tells it to
//! stand at once, so that a node can be taken out of service without waiting for a timeout.

use serde::{Deserialize, Serialize};

use super::machine::StateMachine;
use super::message::Message;
use super::progress::progress_of;
use super::session::RequestId;
use super::state::Role;
use super::{Event, Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

/// A transfer of leadership that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// Who asked for it.
    pub request: RequestId,
    /// The node that is to lead.
    pub to: NodeId,
}

/// What came of a transfer of leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransferOutcome {
    /// This node no longer leads. Most likely the target does; whoever does, is said when it is
    /// known.
    SteppedDown,
    /// The target has not taken over within an election timeout: this node leads on, and takes
    /// commands again.
    TimedOut,
    /// Refused: the target is this node. Nothing has changed.
    AlreadyLeads,
    /// Refused: the target has no vote, and so cannot be elected. Nothing has changed.
    NotAVoter,
    /// Refused: another transfer is under way. It goes on.
    Busy {
        /// Its target.
        to: NodeId,
    },
}

impl<M: StateMachine> Raft<M> {
    /// "The prior leader stops accepting new client requests", then "fully updates the target
    /// server's log to match its own" (thesis §3.10, steps 1 and 2).
    pub(super) fn on_transfer_leadership(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        to: NodeId,
        out: &mut Outbox<Self>,
    ) {
        let is_voter = self.configuration(node).voters.contains(&to);
        let Role::Leader(leadership) = &mut node.volatile.role else {
            return super::client::redirect(node, request, out);
        };
        let refusal = match leadership.transfer {
            Some(Transfer { to, .. }) => Some(TransferOutcome::Busy { to }),
            None if to == self.id() => Some(TransferOutcome::AlreadyLeads),
            None if !is_voter => Some(TransferOutcome::NotAVoter),
            None => None,
        };
        if let Some(outcome) = refusal {
            return out.emit(Event::Transfer { request, outcome });
        }
        leadership.transfer = Some(Transfer { request, to });
        out.arm(Timer::Transfer);
        if !self.summon(node, to, out) {
            // What it has not acknowledged does not wait for the next heartbeat.
            if let Some(progress) = progress_of(node, to) {
                progress.tick();
            }
            self.send_heartbeat(node, to, out);
        }
    }

    /// "The prior leader sends a TimeoutNow request to the target server" once its log is
    /// complete (thesis §3.10, step 3). Nothing is added meanwhile, so it stays complete.
    /// Returns whether it was sent; it is sent again with each answer, for it may be lost.
    pub(super) fn summon(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        out: &mut Outbox<Self>,
    ) -> bool {
        let Role::Leader(leadership) = &node.volatile.role else {
            return false;
        };
        let is_target = leadership
            .transfer
            .is_some_and(|transfer| transfer.to == peer);
        let last_index = node.durable().log.last_index();
        let progress = leadership.progress.get(&peer);
        let is_complete = progress.is_some_and(|peer| peer.match_index == last_index);
        if is_target && is_complete {
            let term = node.durable().current_term;
            out.send(peer, Message::TimeoutNow { term });
        }
        is_target && is_complete
    }

    /// "This has the same effect as the target server's election timer firing" (thesis §3.10),
    /// but that it needs nobody's leave: no pre-votes, and its requests bear the leader's
    /// permission to depose it.
    pub(super) fn on_timeout_now(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        out: &mut Outbox<Self>,
    ) {
        let is_told = match &node.volatile.role {
            // Only the leader of its term may summon a node.
            Role::Follower { leader: known } => known.is_none_or(|known| known == leader),
            Role::PreCandidate { .. } | Role::Candidate { .. } => true,
            Role::Leader(_) => false,
        };
        if is_told && self.may_stand(node) {
            self.forget_leader(node, out);
            self.stand(node, true, out);
        }
    }

    /// "If leadership transfer does not complete after about an election timeout, the prior
    /// leader aborts the transfer and resumes accepting client requests" (thesis §3.10).
    pub(super) fn on_transfer_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if let Role::Leader(leadership) = &mut node.volatile.role
            && let Some(Transfer { request, .. }) = leadership.transfer.take()
        {
            let outcome = TransferOutcome::TimedOut;
            out.emit(Event::Transfer { request, outcome });
            // What was not to be added meanwhile.
            self.advance_commit_index(node, out);
        }
    }

    /// A leader is none any more, and its transfer has come to its end.
    pub(super) fn end_transfer(&self, transfer: Option<Transfer>, out: &mut Outbox<Self>) {
        if let Some(Transfer { request, .. }) = transfer {
            out.disarm(Timer::Transfer);
            let outcome = TransferOutcome::SteppedDown;
            out.emit(Event::Transfer { request, outcome });
        }
    }
}
