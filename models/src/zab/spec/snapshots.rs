//! When a node takes a snapshot of what it has delivered, and what it deletes then; and snapshots that
//! come when they are not needed any more.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::{Law, Reachable};
use crate::world::{Action, Host, Scenario, World};
use crate::zab::Zab;
use crate::zab::history::{Snapshot, Transaction};
use crate::zab::message::Message;
use crate::zab::state::{Phase, Role};
use crate::zab::zxid::{Epoch, Zxid};

use super::Bounded;
use super::laws::changed;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const SNAPSHOTS_IN_TIME: Law<Self> = Law {
        name: "Snapshots are taken in time, and keep what is to be retained →",
        source: "Medeiros 2012, §4.2: a follower that is only a little behind is sent no SNAP; \
                 `Zab::snapshot_every`, `Zab::retained`",
        holds: snapshots_in_time,
    };

    pub(super) const SNAP_IS_LATE: Reachable<Self> = Reachable {
        name: "a SNAP comes late",
        seen: |_, world| {
            is_under_way(world, |host, epoch, _| {
                epoch == host.durable().current_epoch
            })
        },
    };

    pub(super) const SNAP_IS_OF_AN_EARLIER_EPOCH: Reachable<Self> = Reachable {
        name: "a SNAP comes when a later leader is followed",
        seen: |_, world| {
            is_under_way(world, |host, epoch, sender| {
                let disk = host.durable();
                let is_joined = disk.current_epoch == disk.accepted_epoch;
                is_joined && epoch < disk.current_epoch && follows(host) != Some(sender)
            })
        },
    };
}

/// Whether a SNAP of which this is true is under way to a follower that has all that is in it, and
/// more, and has not delivered it.
fn is_under_way<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
    is_it: fn(&Host<Zab<M, E>>, Epoch, NodeId) -> bool,
) -> bool {
    world.network.under_way().any(|sent| {
        let (Message::Snap { epoch, snapshot }, Some(host)) = (&sent.message, world.host(sent.to))
        else {
            return false;
        };
        is_overtaken(host, snapshot) && is_it(host, *epoch, sent.from)
    })
}

fn is_overtaken<M: StateMachine, E: Bounded>(
    host: &Host<Zab<M, E>>,
    snapshot: &Snapshot<M>,
) -> bool {
    let delivered = host.node().map(|node| node.volatile.delivered.zxid);
    follows(host).is_some()
        && delivered < Some(snapshot.zxid)
        && snapshot.zxid < host.durable().history.last_zxid()
}

/// Whom a node follows that has promised an epoch to it.
fn follows<M: StateMachine, E: Bounded>(host: &Host<Zab<M, E>>) -> Option<NodeId> {
    match host.node()?.volatile.role {
        Role::Following(following) => {
            (following.phase != Phase::Discovery).then_some(following.leader)
        }
        Role::Looking | Role::Leading(_) => None,
    }
}

/// How many of the transactions are in `(after, to]`.
fn count<C>(transactions: &[Transaction<C>], after: Zxid, to: Zxid) -> usize {
    let ids = transactions.iter().map(|next| next.zxid);
    ids.filter(|&zxid| zxid > after && zxid <= to).count()
}

/// Before it delivers more, a node that has delivered enough since its last snapshot takes one, of
/// what is delivered by then; of that it deletes all but the last few. Before that it deletes nothing.
/// A snapshot that a leader sends is another matter.
fn snapshots_in_time<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    if matches!(action.delivered(), Some(Message::Snap { .. })) {
        return true;
    }
    changed(before, after).all(|(id, old, new)| {
        let (Some(was), Some(is)) = (old.node(), new.node()) else {
            return true;
        };
        let config = &scenario.nodes[usize::from(id.0)];
        let (had, has) = (&was.durable().history, &is.durable().history);
        let since = had.snapshot().zxid;
        let delivered = was.volatile.delivered.zxid;
        let kept = had.transactions();
        if has.snapshot().zxid == since && has.begins_after() == had.begins_after() {
            // Most steps deliver nothing.
            return is.volatile.delivered.zxid == delivered
                || delivered == since
                || count(kept, since, delivered) < config.snapshot_every;
        }
        let stays = has.begins_after();
        let in_snapshot = count(kept, had.begins_after(), delivered);
        has.snapshot().zxid == delivered
            && delivered > since
            && count(kept, since, delivered) >= config.snapshot_every
            && count(kept, stays, delivered) == in_snapshot.min(config.retained)
            && has.transactions().len()
                == count(kept, stays, has.last_zxid()) + added(kept, has.transactions())
    })
}

/// How many of the transactions have come behind those that were there.
fn added<C>(had: &[Transaction<C>], has: &[Transaction<C>]) -> usize {
    let last = had.last().map(|last| last.zxid);
    has.iter().filter(|next| Some(next.zxid) > last).count()
}
