//! Reads that a follower answers (thesis §6.4): it asks the leader for a read index, and
//! answers from its own state machine once that has come so far. The leader confirms its
//! leadership for it as for a read of its own, and is spared the rest.
//!
//! Why it is right: whoever was answered before the read began has their write committed below
//! the index, for the leader has noted the index, and a quorum has confirmed it, after that.
//! This is true of the index whatever becomes of the leader. It is true for *this* read alone:
//! one that came later, to the same follower, needs an index of its own (etcd 10392).

use super::client::redirect;
use super::log::Term;
use super::machine::StateMachine;
use super::message::{Message, ReadIndexOutcome};
use super::session::RequestId;
use super::state::{FollowerRead, Reader, Role};
use super::{Event, Raft};
use crate::protocol::{Node, NodeId, Outbox};

impl<M: StateMachine> Raft<M> {
    /// Registers a read that this node is to answer itself. If it leads, that is any read.
    pub(super) fn on_read_here(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        query: M::Query,
        out: &mut Outbox<Self>,
    ) {
        let leader = match &node.volatile.role {
            Role::Leader(_) => return self.on_read(node, request, query, out),
            Role::Follower {
                leader: Some(leader),
            } => *leader,
            Role::Follower { leader: None }
            | Role::PreCandidate { .. }
            | Role::Candidate { .. } => {
                return redirect(node, request, out);
            }
        };
        let reads = &mut node.volatile.follower_reads;
        // Asked again, it waits for the same answer, or for one to the same question.
        if !reads.iter().any(|read| read.request == request) {
            if reads.len() >= self.max_pending_reads {
                return out.emit(Event::Overloaded { request });
            }
            reads.push(FollowerRead {
                request,
                query,
                read_index: None,
                is_overdue: false,
            });
        }
        let term = node.durable().current_term;
        out.send(leader, Message::ReadIndex { term, request });
    }

    /// A follower asks the leader for a read index: it is noted now, and told once a quorum has
    /// confirmed that this node leads.
    pub(super) fn on_read_index(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        term: Term,
        request: RequestId,
        out: &mut Outbox<Self>,
    ) {
        let current_term = node.durable().current_term;
        let commit_index = node.volatile.commit_index;
        let reader = Reader::Follower { node: from };
        let refusal = match &mut node.volatile.role {
            _ if term < current_term => ReadIndexOutcome::StaleTerm { current_term },
            Role::Leader(leadership) if leadership.progress.contains_key(&from) => {
                let reads = &leadership.reads;
                if reads
                    .iter()
                    .any(|it| (it.request, &it.reader) == (request, &reader))
                {
                    return;
                }
                if reads.len() < self.max_pending_reads {
                    leadership.register_read(commit_index, request, reader);
                    return self.confirm_reads(node, out);
                }
                ReadIndexOutcome::Busy
            }
            Role::Follower { .. }
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Leader(_) => ReadIndexOutcome::NotLeader,
        };
        out.send(
            from,
            Message::ReadIndexResponse {
                term,
                request,
                outcome: refusal,
            },
        );
    }

    /// The leader has told how far the log must be applied for the read, or that it does not.
    pub(super) fn on_read_index_response(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        outcome: ReadIndexOutcome,
        out: &mut Outbox<Self>,
    ) {
        let reads = &mut node.volatile.follower_reads;
        let Some(position) = reads.iter().position(|read| read.request == request) else {
            return;
        };
        match outcome {
            // The first answer stands: it came after the read as well.
            ReadIndexOutcome::Confirmed { read_index } => {
                reads[position].read_index.get_or_insert(read_index);
                self.answer_follower_reads(node, out);
            }
            ReadIndexOutcome::Busy => {
                reads.remove(position);
                out.emit(Event::Overloaded { request });
            }
            ReadIndexOutcome::NotLeader | ReadIndexOutcome::StaleTerm { .. } => {
                reads.remove(position);
                redirect(node, request, out);
            }
        }
    }

    /// Answers the reads whose index is applied.
    pub(super) fn answer_follower_reads(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let applied = &node.volatile.applied;
        node.volatile.follower_reads.retain(|read| {
            let is_ready = { read.read_index }.is_some_and(|index| index <= applied.last_applied);
            if is_ready {
                out.emit(Event::Reply {
                    request: read.request,
                    response: applied.machine.query(&read.query),
                });
            }
            !is_ready
        });
    }

    /// The leader sends what is a heartbeat to this node. What it was asked before the last one,
    /// and has not answered, was lost on its way: it is asked again.
    pub(super) fn ask_again(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        let term = node.durable().current_term;
        let reads = node.volatile.follower_reads.iter_mut();
        for read in reads.filter(|read| read.read_index.is_none()) {
            if core::mem::replace(&mut read.is_overdue, true) {
                let request = read.request;
                out.send(leader, Message::ReadIndex { term, request });
            }
        }
        self.answer_follower_reads(node, out);
    }

    /// Nobody is there any more to answer what this node has asked of its leader.
    pub(super) fn redirect_follower_reads(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        for read in core::mem::take(&mut node.volatile.follower_reads) {
            out.emit(Event::Redirect {
                request: read.request,
                leader: None,
            });
        }
    }
}
