//! CheckQuorum: a leader that a quorum no longer answers steps down (thesis §6.2), and who
//! hears a leader stands by it (thesis §4.2.3).
//!
//! The two belong together. Followers that ignore every candidate while they hear their leader
//! would keep one for ever that hears nobody and can commit nothing.
//!
//! The protocol has no clock: "within the minimum election timeout" is that [`Timer::Lease`]
//! has not run out. Nothing here is needed for safety, and no read relies on it: a process may
//! pause between any two lines.

use super::machine::StateMachine;
use super::message::{AppendOutcome, HeartbeatOutcome, InstallOutcome, Message};
use super::state::Role;
use super::{Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

impl<M: StateMachine> Raft<M> {
    /// Whether `message` would depose a leader that this node has reason to believe in: "if a
    /// server receives a RequestVote request within the minimum election timeout of hearing
    /// from a current leader, it does not update its term or grant its vote" (thesis §4.2.3).
    ///
    /// A leader believes in itself until it finds that no quorum answers. If others have
    /// elected another meanwhile, it learns so from the answers to its own appends, and so it
    /// learns of a node that was left behind in a higher term: such a node refuses its appends
    /// until the leader has followed it there. But only a member is followed. A node that has
    /// been removed without hearing of it stands in ever higher terms, and refuses what the
    /// leader sends it to tell it so.
    pub(super) fn is_disruptive(
        &self,
        node: &Node<Self>,
        from: NodeId,
        message: &Message<M::Command>,
    ) -> bool {
        let is_believed = match &node.volatile.role {
            Role::Leader(_) => true,
            Role::Follower { .. } => node.volatile.hears_leader,
            Role::PreCandidate { .. } | Role::Candidate { .. } => false,
        };
        let current_term = node.durable().current_term;
        match message {
            Message::RequestVote {
                term,
                leadership_transfer,
                ..
            } => {
                // "I have permission to disrupt the leader: it told me to" (thesis §4.2.3).
                let is_permitted = *leadership_transfer;
                self.check_quorum && is_believed && !is_permitted && *term > current_term
            }
            // For a term that has begun the sender needs an answer: it is behind.
            Message::PreVote { term, .. } => {
                self.keeps_lease() && is_believed && *term > current_term
            }
            Message::AppendEntriesResponse {
                outcome: AppendOutcome::StaleTerm { .. },
                ..
            }
            | Message::HeartbeatResponse {
                outcome: HeartbeatOutcome::StaleTerm { .. },
                ..
            }
            | Message::InstallSnapshotResponse {
                outcome: InstallOutcome::StaleTerm { .. },
                ..
            } => {
                self.check_quorum
                    && matches!(node.volatile.role, Role::Leader(_))
                    && !self.peers(node).contains(&from)
            }
            Message::RequestVoteResponse { .. }
            | Message::PreVoteResponse { .. }
            | Message::TimeoutNow { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. }
            | Message::AppendEntries { .. }
            | Message::AppendEntriesResponse { .. }
            | Message::InstallSnapshot { .. }
            | Message::InstallSnapshotResponse { .. } => false,
        }
    }

    fn keeps_lease(&self) -> bool {
        self.pre_vote || self.check_quorum
    }

    /// The leader of the current term lives: no election, and no help for anybody else's, for
    /// as long as the timers run.
    pub(super) fn hear_leader(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        out.arm(Timer::Election);
        if self.keeps_lease() {
            node.volatile.hears_leader = true;
            out.arm(Timer::Lease);
        }
    }

    /// The leader that this node has heard of is none to stand by any more.
    pub(super) fn forget_leader(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        self.redirect_follower_reads(node, out);
        if node.volatile.hears_leader {
            node.volatile.hears_leader = false;
            out.disarm(Timer::Lease);
        }
    }

    /// A leader hears from `peer`, whatever the peer says.
    pub(super) fn hear_from(&self, node: &mut Node<Self>, peer: NodeId) {
        if self.check_quorum
            && let Role::Leader(leadership) = &mut node.volatile.role
            && leadership.progress.contains_key(&peer)
        {
            leadership.heard.insert(peer);
        }
    }

    /// A leader's first period begins.
    pub(super) fn begin_check_quorum(&self, out: &mut Outbox<Self>) {
        if self.check_quorum {
            out.arm(Timer::Lease);
        }
    }

    /// A leader is none any more.
    pub(super) fn end_check_quorum(&self, out: &mut Outbox<Self>) {
        if self.check_quorum {
            out.disarm(Timer::Lease);
        }
    }

    /// On a follower, the leader has not been heard of for the minimum election timeout. On a
    /// leader, a period is over: "a leader steps down if an election timeout elapses without a
    /// successful round of heartbeats to a majority of its cluster" (thesis §6.2). Its reads
    /// are refused then, and its clients find the leader that the others may have elected.
    pub(super) fn on_lease_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        match &mut node.volatile.role {
            Role::Follower { .. } => node.volatile.hears_leader = false,
            // Neither has a lease.
            Role::PreCandidate { .. } | Role::Candidate { .. } => {}
            Role::Leader(leadership) => {
                let mut heard = core::mem::take(&mut leadership.heard);
                heard.insert(self.id());
                if !self.check_quorum || self.configuration(node).has_quorum(&heard) {
                    self.begin_check_quorum(out);
                } else {
                    self.follow(node, None, out);
                }
            }
        }
    }
}
