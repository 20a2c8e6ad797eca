//! Phase 1, discovery: a leader finds an epoch that is new to a quorum, and makes sure that
//! none of them has a more recent history than its own (DSN 2011, §IV.B; Medeiros 2012, §4.2).

use super::election::Election;
use super::message::{AckEpoch, Message};
use super::state::{Following, Leading, Phase, Primary, Record, Role};
use super::zxid::Epoch;
use super::{Timer, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox};

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// "A follower sends to the prospective leader its last promise in a CEPOCH message"
    /// (step f.1.1).
    pub(super) fn introduce(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        let accepted_epoch = node.durable().accepted_epoch;
        out.send(leader, Message::FollowerInfo { accepted_epoch });
    }

    /// "Upon receiving CEPOCH messages from a quorum Q of followers, the prospective leader
    /// proposes NEWEPOCH(e') to the followers in Q" (step l.1.1). Those that come later hear
    /// of the same epoch (step l.3.3).
    pub(super) fn on_follower_info(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        accepted_epoch: Epoch,
        out: &mut Outbox<Self>,
    ) {
        let epoch = node.durable().accepted_epoch;
        if !epoch.may_reach(accepted_epoch) {
            return;
        }
        match &mut node.volatile.role {
            Role::Looking | Role::Following(_) => {}
            Role::Leading(Leading::Elected { accepted }) => {
                accepted.insert(follower, accepted_epoch);
                self.propose_epoch(node, out);
            }
            // The follower has promised never to join an epoch as low as this leader's. A new
            // election takes it in; without one it would stay out for ever.
            Role::Leading(_) if accepted_epoch > epoch => self.look_for_leader(node, out),
            Role::Leading(_) => out.send(follower, Message::NewEpoch { epoch }),
        }
    }

    /// "e' is later than any e received in a CEPOCH message" (step l.1.1). The leader is a
    /// follower of its own: its promise goes to disk before anybody hears of the epoch.
    pub(super) fn propose_epoch(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let own = node.durable().accepted_epoch;
        let Role::Leading(Leading::Elected { accepted }) = &mut node.volatile.role else {
            return;
        };
        if accepted.len() + 1 < self.quorum() {
            return;
        }
        let accepted = core::mem::take(accepted);
        let epoch = accepted.values().copied().fold(own, Epoch::max).next();
        node.write(Record::AcceptedEpoch(epoch));
        node.volatile.role = Role::Leading(Leading::Prospective { acks: [].into() });
        for &follower in accepted.keys() {
            out.send(follower, Message::NewEpoch { epoch });
        }
        self.count_promises(node, out);
    }

    /// "Once it receives a NEWEPOCH(e') from the prospective leader, if the last promise is
    /// earlier than e', then it makes e' its last promise and acknowledges" (step f.1.2).
    pub(super) fn on_new_epoch(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        epoch: Epoch,
        out: &mut Outbox<Self>,
    ) {
        let Role::Following(following) = node.volatile.role else {
            return;
        };
        let accepted_epoch = node.durable().accepted_epoch;
        let is_new = epoch > accepted_epoch;
        let repeats = epoch == accepted_epoch && following.phase == Phase::Discovery;
        if following.leader != leader || !(is_new || repeats) || !accepted_epoch.may_reach(epoch) {
            return;
        }
        if is_new {
            node.write(Record::AcceptedEpoch(epoch));
        }
        if following.phase != Phase::Discovery {
            // The leader has started anew, and so must this node.
            self.leave(node, out);
            out.arm(Timer::Init);
        }
        node.volatile.role = Role::Following(Following {
            leader,
            phase: Phase::Synchronization,
        });
        self.acknowledge_epoch(node, leader, is_new, out);
    }

    /// Tells the leader how recent this node's history is: what it sends goes from there.
    pub(super) fn acknowledge_epoch(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        promises: bool,
        out: &mut Outbox<Self>,
    ) {
        let epoch = node.durable().accepted_epoch;
        let ack = AckEpoch {
            recency: node.durable().recency(),
            promises,
        };
        out.send(leader, Message::AckEpoch { epoch, ack });
    }

    /// "Once it receives a confirmation from each follower in Q, it selects the history of one
    /// follower such that it is the most recent" (step l.1.2). As in ZooKeeper, that must be
    /// the leader's own: an election names a node with a recent history, and where it was
    /// wrong, a new one is due (Medeiros 2012, §4.2).
    pub(super) fn on_ack_epoch(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        epoch: Epoch,
        ack: AckEpoch,
        out: &mut Outbox<Self>,
    ) {
        let durable = node.durable();
        if epoch != durable.accepted_epoch {
            return;
        }
        let is_ahead = ack.recency > durable.recency();
        match &mut node.volatile.role {
            Role::Looking | Role::Following(_) | Role::Leading(Leading::Elected { .. }) => {}
            Role::Leading(Leading::Prospective { .. }) if ack.promises && is_ahead => {
                self.look_for_leader(node, out);
            }
            Role::Leading(Leading::Prospective { acks }) => {
                // A promise stands, even if the follower has since started anew.
                let promised = acks.get(&follower).is_some_and(|before| before.promises);
                let promises = ack.promises || promised;
                acks.insert(follower, AckEpoch { promises, ..ack });
                self.count_promises(node, out);
            }
            Role::Leading(Leading::Primary(_)) => {
                self.synchronize(node, follower, ack.recency.last_zxid, out);
            }
        }
    }

    fn count_promises(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leading(Leading::Prospective { acks }) = &node.volatile.role else {
            return;
        };
        let promises = acks.values().filter(|ack| ack.promises).count();
        if promises + 1 >= self.quorum() {
            self.begin_reign(node, out);
        }
    }

    /// With the promises of a quorum nothing of an earlier epoch can be committed any more, and
    /// all that was is in this node's history, the most recent of the quorum's: it is the
    /// epoch's initial history.
    pub(super) fn begin_reign(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leading(Leading::Prospective { acks }) = &mut node.volatile.role else {
            return;
        };
        let acks = core::mem::take(acks);
        node.write(Record::CurrentEpoch(node.durable().accepted_epoch));
        node.volatile.role = Role::Leading(Leading::Primary(Primary::default()));
        for (&follower, ack) in &acks {
            self.synchronize(node, follower, ack.recency.last_zxid, out);
        }
        self.establish(node, out);
    }
}
