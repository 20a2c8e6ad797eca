//! Phase 2, synchronisation: a quorum takes over the leader's history (DSN 2011, §IV.B;
//! Medeiros 2012, §4.2).
//!
//! The order on a follower's disk is what the proof rests on. What a leader sends is, at each
//! moment, a prefix of its history, so a follower may write it as it comes: it remains a
//! history that it might have had. But its current epoch says "I have all of the initial
//! history of this leader", so that is written last, and only then is NEWLEADER acknowledged.

use alloc::vec::Vec;

use super::contradiction::Contradiction;
use super::election::Election;
use super::history::{Snapshot, Transaction};
use super::message::Message;
use super::state::{Following, Leading, Phase, Primary, Record, Role};
use super::zxid::{Epoch, Zxid};
use super::{Event, Timer, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox};

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// Sends `follower`, whose history ends with `last_zxid`, what makes it equal to this
    /// leader's: DIFF, TRUNC or SNAP (Medeiros 2012, §4.2), and NEWLEADER behind it.
    pub(super) fn synchronize(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        last_zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        let epoch = node.durable().accepted_epoch;
        let history = &node.durable().history;
        let mut after = last_zxid;
        if last_zxid < history.begins_after() {
            let snapshot = history.snapshot().clone();
            after = snapshot.zxid;
            out.send(follower, Message::Snap { epoch, snapshot });
        } else if !history.contains(last_zxid) {
            // The follower has all of this history up to there: whoever accepted a transaction
            // had accepted all before it.
            after = history.last_at_most(last_zxid);
            let (from, to) = (last_zxid, after);
            out.send(follower, Message::Trunc { epoch, from, to });
        }
        let mut missing = history.after(after);
        while !missing.is_empty() {
            let (transactions, rest) = missing.split_at(self.batch(missing));
            let transactions = transactions.to_vec();
            let last = transactions.last().map_or(after, |last| last.zxid);
            let diff = Message::Diff {
                epoch,
                after,
                transactions,
            };
            out.send(follower, diff);
            (after, missing) = (last, rest);
        }
        let last_zxid = history.last_zxid();
        out.send(follower, Message::NewLeader { epoch, last_zxid });
        if let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role {
            primary.learners.entry(follower).or_default();
        }
    }

    /// How many of `transactions` one message may carry. One always travels.
    fn batch(&self, transactions: &[Transaction<M::Command>]) -> usize {
        let mut weight = 0usize;
        let fits = |transaction: &&Transaction<M::Command>| {
            let admitted = weight == 0 || weight < self.max_diff_weight;
            weight = weight.saturating_add(transaction.weight::<M>().max(1));
            admitted
        };
        transactions.iter().take_while(fits).count().max(1)
    }

    /// Whether this node is on its way with `sender` as the leader of `epoch`.
    pub(super) fn follows(&self, node: &Node<Self>, sender: NodeId, epoch: Epoch) -> bool {
        matches!(node.volatile.role, Role::Following(Following { leader, phase })
            if leader == sender && phase != Phase::Discovery)
            && epoch == node.durable().accepted_epoch
    }

    /// Whether, moreover, this node has taken over that leader's initial history. From then on
    /// its history is a prefix of the leader's, and nothing may be taken from it again.
    pub(super) fn has_joined(&self, node: &Node<Self>, sender: NodeId, epoch: Epoch) -> bool {
        self.follows(node, sender, epoch) && epoch == node.durable().current_epoch
    }

    /// Transactions that follow what this node has. Others are out of turn: one before them
    /// was lost, or they come late. NEWLEADER tells.
    pub(super) fn on_diff(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        after: Zxid,
        transactions: Vec<Transaction<M::Command>>,
    ) {
        if !self.follows(node, leader, epoch) || after != node.durable().history.last_zxid() {
            return;
        }
        for transaction in transactions {
            let last_zxid = node.durable().history.last_zxid();
            if transaction.zxid <= last_zxid || transaction.zxid.epoch > epoch {
                return;
            }
            node.write(Record::Append(transaction));
        }
    }

    /// A tail that the leader does not have was never committed, and never will be. A TRUNC that
    /// comes late must not touch what this node has accepted since: it is of a history that ends
    /// with `from`, and no history of this leader's does.
    ///
    /// A leader that lacks what is delivered here has its history from a disk that was lost or set
    /// back, or is of another ensemble: nothing that is delivered is truncated. One that has what
    /// this node has lost could say the same for ever, and is given up at once.
    pub(super) fn on_trunc(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        from: Zxid,
        to: Zxid,
        out: &mut Outbox<Self>,
    ) {
        let history = &node.durable().history;
        if !self.follows(node, leader, epoch) || from != history.last_zxid() {
            return;
        }
        let delivered = node.volatile.delivered.zxid;
        if to < delivered {
            return self.halt(node, Contradiction { delivered, to }, out);
        }
        if !history.contains(to) {
            return self.look_for_leader(node, out);
        }
        node.write(Record::Truncate { to });
    }

    /// What is delivered is committed: a snapshot of it is part of every later history.
    pub(super) fn on_snap(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        snapshot: Snapshot<M>,
        out: &mut Outbox<Self>,
    ) {
        let zxid = snapshot.zxid;
        let has_all =
            self.has_joined(node, leader, epoch) && zxid <= node.durable().history.last_zxid();
        let is_news = zxid > node.volatile.delivered.zxid && zxid.epoch <= epoch;
        if !self.follows(node, leader, epoch) || has_all || !is_news {
            return;
        }
        node.write(Record::Restore(snapshot.clone()));
        node.volatile.delivered = snapshot;
        out.emit(Event::Restored { zxid });
        self.answer_commands(node, out);
    }

    /// "Upon receiving NEWLEADER(e', T) from L, if f.p = e', the follower sets f.a to e' and
    /// accepts T as its history; then acknowledges" (step f.2.1). The history is on disk
    /// already; with the epoch it becomes this node's own.
    pub(super) fn on_new_leader(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        last_zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        if !self.follows(node, leader, epoch) {
            return;
        }
        let own = node.durable().history.last_zxid();
        let is_complete = if self.has_joined(node, leader, epoch) {
            own >= last_zxid
        } else {
            own == last_zxid
        };
        if !is_complete {
            // Something was lost on the way.
            return self.acknowledge_epoch(node, leader, false, out);
        }
        if node.durable().current_epoch != epoch {
            node.write(Record::CurrentEpoch(epoch));
        }
        out.send(leader, Message::AckNewLeader { epoch, last_zxid });
    }

    /// "Upon receiving acknowledgements to NEWLEADER from a quorum of followers, the leader
    /// sends a commit message to all followers" (step l.2.2); to those that come later as they
    /// come (step l.3.4).
    pub(super) fn on_ack_new_leader(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        epoch: Epoch,
        last_zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        if epoch != node.durable().accepted_epoch || !self.note(node, follower, last_zxid) {
            return;
        }
        if self.leads_established(node) {
            let committed = node.volatile.delivered.zxid;
            out.send(follower, Message::UpToDate { epoch, committed });
            self.advance_commit(node, out);
        } else {
            self.establish(node, out);
        }
    }

    /// Notes that all up to `zxid` is on the follower's disk, and that it has taken over this
    /// leader's history. Returns whether it is a follower that this leader has synchronised.
    pub(super) fn note(&self, node: &mut Node<Self>, follower: NodeId, zxid: Zxid) -> bool {
        let is_own = node.durable().history.contains(zxid);
        let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role else {
            return false;
        };
        let Some(accepted) = primary.learners.get_mut(&follower).filter(|_| is_own) else {
            return false;
        };
        // Acknowledgements overtake each other.
        *accepted = (*accepted).max(Some(zxid));
        true
    }

    /// Becomes the established leader once a quorum, itself included, has its history: with
    /// that, all of it is committed.
    pub(super) fn establish(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if let Role::Leading(Leading::Primary(primary)) = &node.volatile.role
            && !primary.established
            && primary.joined().count() + 1 >= self.quorum()
        {
            self.begin_broadcast(node, out);
        }
    }

    /// Commits the initial history, and is ready for clients.
    pub(super) fn begin_broadcast(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role else {
            return;
        };
        primary.established = true;
        let followers: Vec<NodeId> = primary.joined().collect();
        let epoch = node.durable().accepted_epoch;
        let committed = node.durable().history.last_zxid();
        out.disarm(Timer::Init);
        out.arm(Timer::Sync);
        out.arm(Timer::Ping);
        out.emit(Event::Leading { epoch });
        self.deliver_up_to(node, committed, out);
        for follower in followers {
            out.send(follower, Message::UpToDate { epoch, committed });
        }
    }

    /// "Upon receiving COMMIT-LD, the follower delivers the initial history" (step f.2.2), and
    /// is ready for clients.
    pub(super) fn on_up_to_date(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        committed: Zxid,
        out: &mut Outbox<Self>,
    ) {
        if !self.has_joined(node, leader, epoch) {
            return;
        }
        if let Role::Following(following) = &mut node.volatile.role
            && following.phase != Phase::Broadcast
        {
            following.phase = Phase::Broadcast;
            out.disarm(Timer::Init);
            out.arm(Timer::Sync);
            out.emit(Event::Following { epoch, leader });
        }
        self.deliver_up_to(node, committed, out);
    }

    /// Whether this node leads, and a quorum has taken over its history.
    pub(super) fn leads_established(&self, node: &Node<Self>) -> bool {
        matches!(&node.volatile.role,
            Role::Leading(Leading::Primary(primary)) if primary.established)
    }
}

impl Primary {
    /// The followers that have taken over the history.
    pub(super) fn joined(&self) -> impl Iterator<Item = NodeId> + '_ {
        let joined = self.learners.iter().filter(|(_, last)| last.is_some());
        joined.map(|(&follower, _)| follower)
    }
}
