//! Leader and follower keep in touch, and fall back to election when they lose each other
//! (DSN 2011, §IV.B, "new iteration"; Medeiros 2012, §3.5).

use alloc::vec::Vec;

use super::election::Election;
use super::message::Message;
use super::state::{Leading, Phase, Role};
use super::zxid::{Epoch, Zxid};
use super::{Timer, Zab};
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId, Outbox};

impl<M: StateMachine, E: Election> Zab<M, E> {
    /// Time for a leader to show that it lives.
    pub(super) fn on_ping_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let durable = node.durable();
        let (epoch, last_zxid) = (durable.accepted_epoch, durable.history.last_zxid());
        let committed = node.volatile.delivered.zxid;
        let Role::Leading(Leading::Primary(primary)) = &node.volatile.role else {
            return;
        };
        let followers: Vec<NodeId> = primary.joined().collect();
        out.arm(Timer::Ping);
        for follower in followers {
            let ping = Message::Ping {
                epoch,
                last_zxid,
                committed,
            };
            out.send(follower, ping);
        }
    }

    /// The leader lives, and broadcasts: who has joined it may do so, too, for UPTODATE may be
    /// lost. What either has sent the other before has come by now, or is lost: then it is asked
    /// for again.
    pub(super) fn on_ping(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        ping: (Epoch, Zxid, Zxid),
        out: &mut Outbox<Self>,
    ) {
        let (epoch, last_zxid, committed) = ping;
        if !self.has_joined(node, leader, epoch) {
            return;
        }
        self.on_up_to_date(node, leader, epoch, committed, out);
        out.arm(Timer::Sync);
        let own = node.durable().history.last_zxid();
        if own < last_zxid {
            self.acknowledge_epoch(node, leader, false, out);
        } else {
            self.request_again(node, leader, out);
        }
        let last_zxid = own;
        out.send(leader, Message::Pong { epoch, last_zxid });
    }

    /// A follower lives. Acknowledgements that were lost are made up for.
    pub(super) fn on_pong(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        epoch: Epoch,
        last_zxid: Zxid,
        out: &mut Outbox<Self>,
    ) {
        if epoch != node.durable().accepted_epoch {
            return;
        }
        // However far behind it is: also where what it has last is deleted here by now.
        if let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role
            && primary.learners.contains_key(&follower)
        {
            primary.heard.insert(follower);
        }
        if self.note(node, follower, last_zxid) {
            self.advance_commit(node, out);
        }
    }

    /// Discovery and synchronisation have taken too long.
    pub(super) fn on_init_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let is_under_way = match &node.volatile.role {
            Role::Looking => false,
            Role::Following(following) => following.phase != Phase::Broadcast,
            Role::Leading(_) => !self.leads_established(node),
        };
        if is_under_way {
            self.look_for_leader(node, out);
        }
    }

    /// A follower has not heard of its leader for too long; or it is time for a leader to look
    /// whether it has heard of a quorum.
    pub(super) fn on_sync_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if let Role::Leading(Leading::Primary(primary)) = &mut node.volatile.role {
            let heard = core::mem::take(&mut primary.heard);
            if heard.len() + 1 >= self.quorum() {
                return out.arm(Timer::Sync);
            }
        }
        if node.volatile.role != Role::Looking {
            self.look_for_leader(node, out);
        }
    }
}
