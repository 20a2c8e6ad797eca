//! When a node takes a snapshot of what it has delivered, and what it deletes then.

use crate::machine::StateMachine;
use crate::specification::Law;
use crate::world::{Action, Scenario, World};
use crate::zab::Zab;
use crate::zab::history::Transaction;
use crate::zab::message::Message;
use crate::zab::zxid::Zxid;

use super::Bounded;
use super::laws::changed;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const SNAPSHOTS_IN_TIME: Law<Self> = Law {
        name: "Snapshots are taken in time, and keep what is to be retained →",
        source: "Medeiros 2012, §4.2: a follower that is only a little behind is sent no SNAP; \
                 `Zab::snapshot_every`, `Zab::retained`",
        holds: snapshots_in_time,
    };
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
