//! A node's end of an epoch change: how it becomes a member, leaves one epoch for the next, and
//! leaves for good.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::carried::{Installation, release_the_rest};
use super::lock::LockName;
use super::message::{Epoch, HeldLocks, Message};
use super::requester::withdraw;
use super::state::{Attempt, Local, Membership, Record};
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
    /// the epoch ends; and that waits for these holders.
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

    /// The epoch ends, for all locks. Who holds one goes on holding it, and whoever waits goes on waiting,
    /// for the next epoch. From the answer on this node will not enter in this epoch, whatever
    /// happens: a crash keeps it out for good, and so that one which has not heard of the epoch's
    /// beginning does not join it after its end, that is put on disk.
    ///
    /// What a node holds that leaves nobody in the next epoch would release: it answers again when it
    /// holds nothing, and the orchestrator waits for that.
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
            self.leave(node, &HeldLocks::new(), out);
            // It was, or is to be, a member of an epoch that it has missed.
            self.announce(node, out);
        }
        let mut held = HeldLocks::new();
        if let Some(membership) = local(node).and_then(|local| local.membership.as_mut()) {
            freeze(membership, out);
            held = membership.held_locks();
        }
        out.send(self.orchestrator, Message::Frozen { epoch, held });
    }

    /// An epoch begins. Nothing of an earlier one is carried over but the clients that wait, and the
    /// locks that the orchestrator says are held. The quorum is built as the orchestrator says, whatever this node is configured with: that any
    /// two quorums share an arbiter is a property of one construction.
    ///
    /// That this node is in the epoch must be on disk before it says anything in it: restarted
    /// it would else take part again, and know nothing of the locks that it has given.
    pub(super) fn on_install(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        begun: Installation,
        out: &mut Outbox<Self>,
    ) {
        let (known, epoch) = (node.durable().epoch, begun.epoch);
        let is_news = epoch > known && known.may_reach(epoch);
        if from != self.orchestrator || !is_news || local(node).is_none() {
            return;
        }
        node.write(Record::Epoch(epoch));
        out.disarm(Timer::Register);
        match begun.construction.quorum(&begun.members, self.id) {
            Some(quorum) => {
                let kept = self.leave(node, &begun.held, out);
                self.join(node, begun, quorum, kept, out);
            }
            None => {
                self.leave(node, &HeldLocks::new(), out);
                out.emit(Event::Left { epoch });
            }
        }
        self.announce(node, out);
    }

    fn join(
        &self,
        node: &mut Node<Self>,
        begun: Installation,
        quorum: BTreeSet<NodeId>,
        kept: BTreeMap<LockName, Attempt>,
        out: &mut Outbox<Self>,
    ) {
        let Some(local) = local(node) else {
            return;
        };
        local.clock = begun.latest_request(local.clock);
        let arbiters = begun.arbiters(self.id);
        let attempts = kept.into_iter();
        let attempts = attempts.map(|(lock, attempt)| (lock, attempt.carry(&quorum)));
        let Installation {
            epoch,
            members,
            held,
            ..
        } = begun;
        let membership = local.membership.insert(Membership {
            epoch,
            members: members.clone(),
            attempts: attempts.collect(),
            quorum,
            frozen: false,
            arbiters,
            idle: VecDeque::new(),
            number: 0,
            counter: 0,
        });
        out.emit(Event::Joined { epoch, members });
        out.arm(Timer::Lease);
        // First: an arbiter takes what its node has asked before for over with it.
        release_the_rest(self.id, membership, &held, out);
        let claimed: Vec<LockName> = local.claims.keys().cloned().collect();
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
        self.leave(node, &HeldLocks::new(), out);
        if !registered {
            out.disarm(Timer::Register);
            out.emit(Event::Left { epoch });
        }
        self.announce(node, out);
    }

    /// Forgets the membership, and returns what is left of it: the node's requests to which these
    /// locks are granted. Each other holder has lost its lock, and is told so.
    fn leave(
        &self,
        node: &mut Node<Self>,
        carried: &HeldLocks,
        out: &mut Outbox<Self>,
    ) -> BTreeMap<LockName, Attempt> {
        let mut kept = BTreeMap::new();
        let Some(local) = local(node) else {
            return kept;
        };
        let Some(membership) = local.membership.take() else {
            return kept;
        };
        out.disarm(Timer::Lease);
        out.disarm(Timer::Retry);
        for (lock, attempt) in membership.attempts {
            let Some(held) = attempt.holds() else {
                continue;
            };
            if carried.get(&lock) == Some(&held) {
                kept.insert(lock, attempt);
                continue;
            }
            let claim = local.claims_to(&lock).next().cloned();
            if let Some(claim) = claim {
                let token = held.token;
                local.close(&claim);
                out.emit(Event::Revoked { claim, token });
            }
        }
        kept
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
