//! The orchestrator's end of an epoch change: who is to be a member, who is alive, and when one
//! epoch is over and the next may begin.
//!
//! An epoch ends in four steps. The members are asked to *freeze*; each answers that it will not
//! enter any more in this epoch, and which locks it holds; when all have answered, those that leave that
//! they hold none, or are dead, the epoch is *drained*: who holds which lock is known, and whatever else the
//! arbiters have granted is void; and only then the next is put on disk, with the locks that are held, and
//! *installed*. An orchestrator that crashes meanwhile finds
//! on its disk which epoch is in force and whether it was ending it, and goes on from there:
//! members answer a second time as they did the first, or that they hold less.

use super::carried::{can_be_held, carried};
use super::message::{Epoch, HeldLocks, Message};
use super::state::{Persistent, Record};
use super::{Event, Maekawa, Timer, orchestration};
use crate::protocol::{Node, NodeId, Outbox};

impl Maekawa {
    /// A node asks to be made a member. One that is a member already, and says that it has been
    /// in the current epoch, is not the one that was: it has crashed, or given up, and holds nothing
    /// any more, whatever it has said before.
    pub(super) fn on_register(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        after: Epoch,
        out: &mut Outbox<Self>,
    ) {
        let durable = node.durable();
        let (is_member, epoch) = (durable.members.contains(&from), durable.epoch);
        let is_enrolled = durable.roster.contains(&from);
        let Some(orchestration) = orchestration(node) else {
            return;
        };
        if from == self.orchestrator || after > epoch {
            return;
        }
        orchestration.silent.remove(&from);
        if is_member && after < epoch {
            // It does not know yet that it is one.
            return self.inform(node, from, after, out);
        }
        if is_member {
            orchestration.frozen.insert(from, HeldLocks::new());
        }
        if !is_enrolled {
            node.write(Record::Enrol(from));
        }
        self.change(node, out);
    }

    /// A member, or one that is to be a member, asks to be made none. If it has said that it holds
    /// locks, that was before: it is to answer again when it holds none.
    pub(super) fn on_deregister(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        out: &mut Outbox<Self>,
    ) {
        let Some(orchestration) = orchestration(node) else {
            return;
        };
        orchestration.silent.remove(&from);
        let durable = node.durable();
        let is_counted_on = durable.members.contains(&from) || durable.roster.contains(&from);
        if epoch != durable.epoch || !is_counted_on {
            return self.inform(node, from, epoch, out);
        }
        if durable.roster.contains(&from) {
            node.write(Record::Strike(from));
        }
        if let Some(orchestration) = super::orchestration(node) {
            let frozen = &mut orchestration.frozen;
            frozen.retain(|member, held| *member != from || held.is_empty());
        }
        self.change(node, out);
    }

    /// Begins to end the epoch, or goes on with it.
    fn change(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if !node.durable().changing {
            node.write(Record::Change);
            self.freeze(node, out);
        }
        self.install_if_drained(node, out);
    }

    /// Asks the members that have not frozen yet to do so.
    fn freeze(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let epoch = node.durable().epoch;
        let members = node.durable().members.clone();
        let Some(orchestration) = orchestration(node) else {
            return;
        };
        for member in members {
            if !orchestration.frozen.contains_key(&member) {
                out.send(member, Message::Freeze { epoch });
            }
        }
    }

    /// A member will enter no more in the epoch. What it has said first counts: it may hold less
    /// by now, and if it has forgotten the epoch a late word does not bring back what it held. That
    /// it holds locks is late, too, from a member that is to be none.
    pub(super) fn on_frozen(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        held: HeldLocks,
        out: &mut Outbox<Self>,
    ) {
        let durable = node.durable();
        let is_awaited =
            durable.changing && durable.epoch == epoch && durable.members.contains(&from);
        let counts =
            held.is_empty() || durable.roster.contains(&from) && can_be_held(&held, from, epoch);
        if let Some(orchestration) = orchestration(node)
            && is_awaited
            && counts
        {
            orchestration.frozen.entry(from).or_insert(held);
            self.install_if_drained(node, out);
        }
    }

    /// Begins the next epoch once nobody will enter any more in this one, and all that is held
    /// is held by those who stay. It is on disk before anybody hears of it: no other set of members, and
    /// no other holders, ever bear its number. With it the members' leases begin, and so does the count of what they leave unanswered.
    fn install_if_drained(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let old = node.durable().members.clone();
        let Some(orchestration) = orchestration(node) else {
            return;
        };
        let frozen = &mut orchestration.frozen;
        if !old.iter().all(|member| frozen.contains_key(member)) {
            return;
        }
        let held = carried(frozen.values());
        frozen.clear();
        orchestration.silent.clear();
        let construction = self.construction;
        node.write(Record::Install { construction, held });
        let (epoch, members) = (node.durable().epoch, node.durable().members.clone());
        out.emit(Event::Installed {
            epoch,
            members: members.clone(),
        });
        for &to in old.union(&members) {
            install(node.durable(), to, out);
        }
    }

    /// A node has answered the health check.
    pub(super) fn on_pong(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        out: &mut Outbox<Self>,
    ) {
        if let Some(orchestration) = orchestration(node) {
            orchestration.silent.remove(&from);
            self.inform(node, from, epoch, out);
        }
    }

    /// Tells a node of the current epoch if it has not heard of it: the Install is lost.
    fn inform(&self, node: &Node<Self>, to: NodeId, known: Epoch, out: &mut Outbox<Self>) {
        let durable = node.durable();
        if known < durable.epoch && !durable.changing {
            install(durable, to, out);
        }
    }

    /// Time to see who is alive. A node that has been silent for too long is taken for dead: it
    /// holds nothing any more, and is no member of the next epoch.
    pub(super) fn on_health_check(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if orchestration(node).is_none() {
            return;
        }
        out.arm(Timer::HealthCheck);
        let expelled = self.expel_the_dead(node, out);
        let durable = node.durable();
        if expelled || durable.changing || durable.roster != durable.members {
            if durable.changing {
                self.freeze(node, out);
            }
            self.change(node, out);
        }
        self.ping(node, out);
    }

    /// Strikes the silent nodes off. Returns whether there was one among the members.
    fn expel_the_dead(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) -> bool {
        let (members, roster) = (
            node.durable().members.clone(),
            node.durable().roster.clone(),
        );
        let mut expelled = false;
        for &suspect in members.union(&roster) {
            let Some(orchestration) = orchestration(node) else {
                return false;
            };
            let silent = orchestration.silent.get(&suspect);
            if silent.is_none_or(|&checks| checks < self.misses) {
                continue;
            }
            orchestration.silent.remove(&suspect);
            if members.contains(&suspect) {
                orchestration.frozen.insert(suspect, HeldLocks::new());
                expelled = true;
            }
            if roster.contains(&suspect) {
                node.write(Record::Strike(suspect));
            }
            out.emit(Event::Suspected { node: suspect });
        }
        expelled
    }

    /// Asks all that are or are to be members for a sign of life, but those that are known to
    /// have left. Who has answered the last time is given [`Maekawa::misses`] checks from now on.
    fn ping(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let durable = node.durable();
        let (epoch, roster, members) = (
            durable.epoch,
            durable.roster.clone(),
            durable.members.clone(),
        );
        let Some(orchestration) = orchestration(node) else {
            return;
        };
        for &to in roster.union(&members) {
            if roster.contains(&to) || !orchestration.frozen.contains_key(&to) {
                let checks = orchestration.silent.entry(to).or_default();
                let renews = *checks == 0;
                *checks = self.misses.min(checks.saturating_add(1));
                out.send(to, Message::Ping { epoch, renews });
            }
        }
    }
}

/// Tells a node of the epoch in force, as it was put on disk: who is told again later, perhaps by
/// an orchestrator that has been restarted with another configuration, is told the same.
fn install(durable: &Persistent, to: NodeId, out: &mut Outbox<Maekawa>) {
    out.send(
        to,
        Message::Install {
            epoch: durable.epoch,
            members: durable.members.clone(),
            construction: durable.construction,
            held: durable.held.clone(),
        },
    );
}
