//! A node's end of an epoch change: how it becomes a member, leaves one epoch for the next, and
//! leaves for good.

use alloc::collections::BTreeSet;

use super::message::{Epoch, Message};
use super::quorum::Construction;
use super::requester::withdraw;
use super::state::{Arbiter, Local, Membership, Record};
use super::{Command, Event, Maekawa, Refusal, Timer, local};
use crate::protocol::{Node, NodeId, Outbox};

impl Maekawa {
    /// The operator makes this node a member, for as long as it is not told otherwise.
    pub(super) fn on_register_command(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let registered = node.durable().registered;
        let epoch = node.durable().epoch;
        let Some(local) = local(node) else {
            let (command, why) = (Command::Register, Refusal::Orchestrator);
            return out.emit(Event::Refused { command, why });
        };
        if let Some(membership) = &local.membership {
            let members = membership.members.clone();
            out.emit(Event::Joined { epoch, members });
        }
        if !registered {
            node.write(Record::Registered(true));
            self.announce(node, out);
        }
    }

    /// The operator makes this node none. It remains an arbiter, and its holder a holder, until
    /// the epoch ends.
    pub(super) fn on_deregister_command(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let registered = node.durable().registered;
        let epoch = node.durable().epoch;
        let Some(local) = local(node) else {
            let (command, why) = (Command::Deregister, Refusal::Orchestrator);
            return out.emit(Event::Refused { command, why });
        };
        if local.membership.is_none() {
            out.disarm(Timer::Register);
            out.emit(Event::Left { epoch });
        }
        if registered {
            node.write(Record::Registered(false));
            self.turn_clients_away(node, out);
            self.announce(node, out);
        }
    }

    /// The orchestrator has not done yet what it was told.
    pub(super) fn on_register_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        self.announce(node, out);
    }

    /// Tells the orchestrator what this node is to be, if it is not that already. It is told
    /// again until it is.
    fn announce(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let (registered, epoch) = (node.durable().registered, node.durable().epoch);
        let is_member = local(node).is_some_and(|local| local.membership.is_some());
        match (registered, is_member) {
            (true, false) => self.register(epoch, out),
            (false, true) => {
                out.send(self.orchestrator, Message::Deregister { epoch });
                out.arm(Timer::Register);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Asks to be made a member. Whatever this node was in `after` or before is forgotten.
    pub(super) fn register(&self, after: Epoch, out: &mut Outbox<Self>) {
        out.send(self.orchestrator, Message::Register { after });
        out.arm(Timer::Register);
    }

    /// The epoch ends. Who is in the critical section leaves it first; whoever waits goes on
    /// waiting, for the next epoch. From the answer on this node will not enter in this epoch,
    /// whatever happens: a crash keeps it out for good, and so that one which has not heard of
    /// the epoch's beginning does not join it after its end, that is put on disk.
    pub(super) fn on_freeze(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        out: &mut Outbox<Self>,
    ) {
        let known = node.durable().epoch;
        if from != self.orchestrator || epoch < known || !known.may_reach(epoch) {
            return;
        }
        if local(node).is_none() {
            return;
        }
        if epoch > known {
            node.write(Record::Epoch(epoch));
            self.leave(node, out);
            // It was, or is to be, a member of an epoch that it has missed.
            self.announce(node, out);
        }
        if let Some(membership) = local(node).and_then(|local| local.membership.as_mut()) {
            membership.frozen = true;
            if membership.held().is_some() {
                return;
            }
            membership.attempt = None;
            out.disarm(Timer::Retry);
        }
        out.send(self.orchestrator, Message::Frozen { epoch });
    }

    /// An epoch begins. Nothing of an earlier one is carried over but the clients that wait. The
    /// quorum is built as the orchestrator says, whatever this node is configured with: that any
    /// two quorums share an arbiter is a property of one construction.
    ///
    /// That this node is in the epoch must be on disk before it says anything in it: restarted
    /// it would else take part again, and know nothing of the locks that it has given.
    pub(super) fn on_install(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        members: BTreeSet<NodeId>,
        construction: Construction,
        out: &mut Outbox<Self>,
    ) {
        let known = node.durable().epoch;
        let is_news = epoch > known && known.may_reach(epoch);
        if from != self.orchestrator || !is_news || local(node).is_none() {
            return;
        }
        node.write(Record::Epoch(epoch));
        self.leave(node, out);
        out.disarm(Timer::Register);
        match construction.quorum(&members, self.id) {
            Some(quorum) => self.join(node, epoch, members, quorum, out),
            None => out.emit(Event::Left { epoch }),
        }
        self.announce(node, out);
    }

    fn join(
        &self,
        node: &mut Node<Self>,
        epoch: Epoch,
        members: BTreeSet<NodeId>,
        quorum: BTreeSet<NodeId>,
        out: &mut Outbox<Self>,
    ) {
        let Some(local) = local(node) else {
            return;
        };
        local.membership = Some(Membership {
            epoch,
            members: members.clone(),
            quorum,
            frozen: false,
            arbiter: Arbiter::default(),
            attempt: None,
            counter: 0,
        });
        out.emit(Event::Joined { epoch, members });
        out.arm(Timer::Lease);
        self.request(node, out);
    }

    /// The health check. The orchestrator counts on this node: as an arbiter too, so one that is
    /// no member any more, and is not to be one, says so. Nothing else would: its Deregister may
    /// be lost, and what sent it with it, in a crash.
    pub(super) fn on_ping(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        renews: bool,
        out: &mut Outbox<Self>,
    ) {
        let (known, registered) = (node.durable().epoch, node.durable().registered);
        let Some(local) = local(node) else {
            return;
        };
        if from != self.orchestrator {
            return;
        }
        match &local.membership {
            Some(_) if epoch == known && renews => out.arm(Timer::Lease),
            None if epoch == known && !registered => {
                out.send(from, Message::Deregister { epoch });
            }
            Some(_) | None => {}
        }
        out.send(from, Message::Pong { epoch: known });
    }

    /// The orchestrator may have given this node up, and let others have what it holds. It gives
    /// up itself: what it knew in the epoch is forgotten as in a crash.
    pub(super) fn on_lease_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let (registered, epoch) = (node.durable().registered, node.durable().epoch);
        self.leave(node, out);
        if !registered {
            out.disarm(Timer::Register);
            out.emit(Event::Left { epoch });
        }
        self.announce(node, out);
    }

    /// Forgets the membership. A holder has lost the lock, and is told so.
    fn leave(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return;
        };
        let Some(membership) = local.membership.take() else {
            return;
        };
        out.disarm(Timer::Lease);
        out.disarm(Timer::Retry);
        if let (Some(token), Some(&claim)) = (membership.held(), local.claims.front()) {
            local.close(claim);
            out.emit(Event::Revoked { claim, token });
        }
    }

    /// Refuses the claims that have not the lock: this node is not to be a member.
    fn turn_clients_away(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(Local {
            claims, membership, ..
        }) = local(node)
        else {
            return;
        };
        let held = membership.as_ref().and_then(Membership::held).is_some();
        for claim in claims.split_off(usize::from(held).min(claims.len())) {
            let (command, why) = (Command::Acquire { claim }, Refusal::NotAMember);
            out.emit(Event::Refused { command, why });
        }
        if let Some(membership) = membership.as_mut().filter(|_| !held) {
            withdraw(membership, out);
        }
    }
}
