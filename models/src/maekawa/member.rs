//! A node's end of an epoch change: how it becomes a member, leaves one epoch for the next, and
//! leaves for good.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::lock::LockName;
use super::message::{Epoch, Message};
use super::quorum::Construction;
use super::requester::withdraw;
use super::state::{Local, Membership, Record};
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

    /// The operator makes this node none. It remains an arbiter, and its holders holders, until
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

    /// The epoch ends, for all locks. Who is in a critical section leaves it first; whoever waits goes
    /// on waiting, for the next epoch. From the answer on this node will not enter in this epoch,
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
            freeze(membership, out);
            if membership.all_held().next().is_some() {
                return;
            }
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
            arbiters: BTreeMap::new(),
            idle: VecDeque::new(),
            number: 0,
            attempts: BTreeMap::new(),
            counter: 0,
        });
        let claimed: Vec<LockName> = local.claims.keys().cloned().collect();
        out.emit(Event::Joined { epoch, members });
        out.arm(Timer::Lease);
        for lock in claimed {
            self.request(node, &lock, out);
        }
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

    /// Forgets the membership. Each holder has lost its lock, and is told so.
    fn leave(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return;
        };
        let Some(membership) = local.membership.take() else {
            return;
        };
        out.disarm(Timer::Lease);
        out.disarm(Timer::Retry);
        for (lock, token) in membership.all_held() {
            let claim = local.claims_to(lock).next().cloned();
            if let Some(claim) = claim {
                local.close(&claim);
                out.emit(Event::Revoked { claim, token });
            }
        }
    }

    /// Refuses the claims that have not their lock: this node is not to be a member.
    fn turn_clients_away(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(Local {
            claims, membership, ..
        }) = local(node)
        else {
            return;
        };
        for (lock, queue) in claims.iter_mut() {
            let member = membership.as_ref();
            let held = member.is_some_and(|member| member.held(lock).is_some());
            for claim in queue.split_off(usize::from(held).min(queue.len())) {
                let (command, why) = (Command::Acquire { claim }, Refusal::NotAMember);
                out.emit(Event::Refused { command, why });
            }
            if let Some(membership) = membership.as_mut().filter(|_| !held) {
                withdraw(membership, lock, out);
            }
        }
        claims.retain(|_, queue| !queue.is_empty());
    }
}

/// From now on the node grants nothing, and asks for nothing: what it waits for it gives up, what it
/// holds it keeps.
fn freeze(membership: &mut Membership, out: &mut Outbox<Maekawa>) {
    membership.frozen = true;
    if membership.waits() {
        membership
            .attempts
            .retain(|_, attempt| attempt.held.is_some());
        out.disarm(Timer::Retry);
    }
}
