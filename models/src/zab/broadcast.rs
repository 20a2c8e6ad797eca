//! Phase 3, broadcast: two-phase commit without aborts (DSN 2011, §IV.B; Medeiros 2012, §3.5).

use alloc::vec::Vec;

use super::election::Election;
use super::history::{Content, Transaction};
use super::message::Message;
use super::state::{Leading, Record, Role};
use super::zxid::{Epoch, Zxid};
use super::{Event, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox};
use crate::session::Known;

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// A follower passes on what its client asks.
    pub(super) fn on_request(
        &self,
        node: &mut Node<Self>,
        epoch: Epoch,
        content: Content<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        if epoch == node.durable().accepted_epoch {
            self.propose(node, content, out);
        }
    }

    /// "Leader L proposes to all followers in increasing order of zxid, such that for each
    /// proposal epoch(zxid) = e'" (step l.3.1). The id goes up with each proposal, not with
    /// each commit: several may be under way.
    ///
    /// A request that is under way already or done gets no second transaction. Whoever passed
    /// it on learns of the first when it delivers it.
    pub(super) fn propose(
        &self,
        node: &mut Node<Self>,
        content: Content<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let request = content.request();
        let known = node.volatile.delivered.sessions.find(request);
        let is_done = matches!(content, Content::Command { .. }) && known != Known::New;
        let epoch = node.durable().accepted_epoch;
        let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role else {
            return;
        };
        if !primary.established || is_done || !primary.outstanding.insert(request) {
            return;
        }
        let followers: Vec<NodeId> = primary.learners.keys().copied().collect();
        let zxid = node.durable().history.last_zxid().successor_in(epoch);
        let transaction = Transaction { zxid, content };
        node.write(Record::Append(transaction.clone()));
        for follower in followers {
            out.send(follower, Message::Propose(transaction.clone()));
        }
        self.advance_commit(node, out);
    }

    /// "Follower F accepts proposals from L following reception order and appends them to its
    /// history" (step f.3.2). Where the network has its own order, a proposal that does not
    /// follow the last is ignored: the next ping shows that it is missing.
    pub(super) fn on_propose(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        transaction: Transaction<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let zxid = transaction.zxid;
        let is_next = zxid == node.durable().history.last_zxid().successor_in(zxid.epoch);
        if self.has_joined(node, leader, zxid.epoch) && is_next {
            node.write(Record::Append(transaction));
            out.send(leader, Message::Ack { zxid });
        }
    }

    /// "Upon receiving acknowledgements from a quorum of followers, leader L sends a commit to
    /// all followers" (step l.3.2).
    pub(super) fn on_ack(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        let is_current = zxid.epoch == node.durable().accepted_epoch;
        if is_current && self.leads_established(node) && self.note(node, follower, zxid) {
            self.advance_commit(node, out);
        }
    }

    /// Commits what a quorum has on disk, this node included: the step's records are there
    /// before anything that this step says leaves.
    pub(super) fn advance_commit(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let last_zxid = node.durable().history.last_zxid();
        let Role::Leading(Leading::Primary(primary)) = &node.volatile.role else {
            return;
        };
        let mut accepted: Vec<Zxid> = primary.learners.values().flatten().copied().collect();
        accepted.push(last_zxid);
        accepted.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&zxid) = accepted.get(self.quorum() - 1) else {
            return;
        };
        if !primary.established || zxid <= node.volatile.delivered.zxid {
            return;
        }
        let followers: Vec<NodeId> = primary.joined().collect();
        self.deliver_up_to(node, zxid, out);
        for follower in followers {
            out.send(follower, Message::Commit { zxid });
        }
    }

    /// "Follower F delivers transaction <v, z> once it receives a commit for it, and it has
    /// delivered all transactions <v', z'> such that z' precedes z" (step f.3.3).
    pub(super) fn on_commit(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        if self.has_joined(node, leader, zxid.epoch) {
            self.deliver_up_to(node, zxid, out);
        }
    }

    /// Delivers the transactions of the history up to `zxid`, in order, each once. Of what
    /// this node lacks nothing is delivered: a later commit will come.
    pub(super) fn deliver_up_to(&self, node: &mut Node<Self>, zxid: Zxid, out: &mut Outbox<Self>) {
        self.take_snapshot(node);
        let delivered = node.volatile.delivered.zxid;
        let due = node.durable().history.after(delivered).iter();
        let due: Vec<_> = due.take_while(|next| next.zxid <= zxid).cloned().collect();
        for transaction in due {
            self.deliver(node, transaction, out);
        }
    }

    /// Hands a transaction to the state machine, and the answer to the client, if it is one of
    /// this node's. A retried command answers as it did the first time and changes nothing.
    pub(super) fn deliver(
        &self,
        node: &mut Node<Self>,
        transaction: Transaction<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let request = transaction.content.request();
        if let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role {
            primary.outstanding.remove(&request);
        }
        node.volatile.delivered.apply(&transaction);
        let is_command = matches!(transaction.content, Content::Command { .. });
        out.emit(Event::Delivered { transaction });
        if is_command {
            self.answer_command(node, request, out);
        } else {
            self.answer_read(node, request, out);
        }
    }

    /// Lets a snapshot take the place of what has been delivered by now, once that is long
    /// enough, but for the part that spares a follower which is only a little behind a SNAP.
    fn take_snapshot(&self, node: &mut Node<Self>) {
        let history = &node.durable().history;
        let delivered = node.volatile.delivered.zxid;
        let since = history.snapshot().zxid;
        let is_due = history.count_between(since, delivered) >= self.snapshot_every;
        if delivered == since || !is_due {
            return;
        }
        let kept = history.transactions().iter().rev();
        let mut kept = kept.skip_while(|last| last.zxid > delivered);
        let forgotten = kept
            .nth(self.retained)
            .map_or(history.begins_after(), |last| last.zxid);
        node.write(Record::Compact {
            snapshot: delivered,
            forgotten,
        });
        // They are equal: now they also share what they consist of.
        node.volatile.delivered = node.durable().history.snapshot().clone();
    }
}
