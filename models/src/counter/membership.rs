//! Who counts, and who is told. The host knows (by SWIM, or by a list) and says so.
//!
//! **No component is dropped by one replica alone**: not of a node that is dead, not of one that has
//! left, not of a name that is used no more. What some replica may still hold, or receive from the
//! network, cannot be taken away from all at once, and what comes back counts again. That takes
//! agreement: see [`fold`](super::fold).

use super::anti_entropy::{arm_if_owing, settle};
use super::g_counter::{Incarnation, ReplicaId};
use super::state::{Peer, Persistent, Record, Volatile};
use super::{Counter, Event, Timer};
use crate::protocol::{Node, NodeId, Outbox};

impl Counter {
    /// A node that starts knows nothing of what its peers have, so it owes them everything
    /// (Almeida et al. 2018, §6.2: after a crash the delta-buffer is empty, and the whole
    /// state is sent).
    pub(super) fn start(&self, durable: &Persistent, out: &mut Outbox<Self>) -> Volatile {
        let everything = || Peer {
            pending: durable.counts.clone(),
        };
        let members = self.peers.iter().copied();
        let members = members.filter(|&peer| !durable.counts.has_departed(peer));
        let members = members.map(|peer| (peer, everything()));
        let volatile = Volatile {
            members: members.collect(),
            ..Volatile::default()
        };
        if !volatile.is_settled() {
            out.arm(Timer::Broadcast);
        }
        out.arm(Timer::PushPull);
        if self.fold.is_some() {
            out.arm(Timer::Fold);
        }
        if durable.identity.is_none() {
            out.emit(Event::IdentityNeeded { contested: None });
        }
        volatile
    }

    /// This disk has a name from now on, unless it has one already: a name is kept with its
    /// counts, whatever the host has drawn since. One that is known to have counted is some
    /// other disk's; and where names are folded, one that is not later than all that are known of
    /// this node would be taken for dead.
    pub(super) fn on_identify(
        &self,
        node: &mut Node<Self>,
        incarnation: Incarnation,
        out: &mut Outbox<Self>,
    ) {
        let drawn = ReplicaId {
            data_centre: self.data_centre,
            node: self.id,
            incarnation,
        };
        let durable = node.durable();
        let is_behind = self.fold.is_some() && durable.is_behind(drawn);
        match durable.identity {
            Some(identity) => out.emit(Event::Identified { identity }),
            None if durable.counts.of(drawn).is_empty() && !is_behind => {
                node.write(Record::Identified(drawn));
                out.emit(Event::Identified { identity: drawn });
            }
            None => out.emit(Event::IdentityNeeded {
                contested: Some(drawn),
            }),
        }
    }

    /// Others know more of this replica's own component than it does, although nobody else
    /// counts there: its disk was taken back to an earlier state, or another node bears its
    /// name. What it counts under this name may be below what others know and lost in the
    /// maximum, so it counts under it no more.
    pub(super) fn retire(
        &self,
        node: &mut Node<Self>,
        identity: ReplicaId,
        out: &mut Outbox<Self>,
    ) {
        node.write(Record::Retired);
        out.emit(Event::IdentityNeeded {
            contested: Some(identity),
        });
    }

    /// A member that has just come, or come back, may have nothing: it is owed everything. Where names
    /// are folded, who is not on the list of nodes or gone for good is none.
    pub(super) fn on_peer_joined(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        out: &mut Outbox<Self>,
    ) {
        if self.is_stranger(node.durable(), peer) && peer != self.id {
            out.emit(Event::PeerRemoved(peer));
            return;
        }
        let was_settled = node.volatile.is_settled();
        if peer != self.id {
            let pending = node.durable().counts.clone();
            node.volatile.members.insert(peer, Peer { pending });
            arm_if_owing(node, was_settled, out);
        }
        out.emit(Event::PeerAdded(peer));
        // Who has nothing to tell has told it.
        settle(node, out);
    }

    /// A member has left or is dead: it is told no more. Its component stays.
    pub(super) fn on_peer_gone(&self, node: &mut Node<Self>, peer: NodeId, out: &mut Outbox<Self>) {
        let was_settled = node.volatile.is_settled();
        node.volatile.members.remove(&peer);
        if !was_settled {
            settle(node, out);
        }
        out.emit(Event::PeerRemoved(peer));
    }

    /// This node wants to leave, and its disk with it: it counts no more, and owes every
    /// member all that it knows, for it may be the last to know what a dead node has counted.
    pub(super) fn on_leave(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        node.volatile.leaving = true;
        let everything = node.durable().counts.clone();
        self.owe_everybody(node, &everything, out);
        settle(node, out);
    }
}
