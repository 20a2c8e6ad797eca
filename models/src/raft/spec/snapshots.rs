//! What must be true of snapshots (§7).
//!
//! Verifies: what a snapshot replaces is what was committed, all of it and nothing else, with
//! the sessions; log and snapshot never leave a gap; neither ever goes back. With these, the
//! properties that compare logs need to compare only what both logs keep.

use crate::machine::StateMachine;
use crate::raft::Raft;
use crate::raft::log::Index;
use crate::raft::snapshot::{Applied, Snapshot};
use crate::raft::state::Persistent;
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Host, World};

use super::invariants::is_replay;
use super::laws::each;

impl<M: StateMachine> Raft<M> {
    pub(super) const SNAPSHOT_IS_APPLIED_PREFIX: Invariant<Self> = Invariant {
        name: "A snapshot is the applied prefix",
        source: "§7: the state that the committed entries up to the last included make",
        holds: |_, world| {
            world
                .all_hosts()
                .all(|(_, host)| is_applied_prefix(world, &host.durable().snapshot))
        },
    };

    pub(super) const LOG_CONTINUES_SNAPSHOT: Invariant<Self> = Invariant {
        name: "The log continues the snapshot",
        source: "§7, Figure 12: no entry is in neither",
        holds: |_, world| world.all_hosts().all(|(_, host)| continues(host.durable())),
    };

    pub(super) const TERMS_IN_A_LOG_INCREASE: Invariant<Self> = Invariant {
        name: "Terms in a log increase",
        source: "§5.3, §5.4.1: a leader appends to what it was elected with, snapshot or log",
        holds: |_, world| {
            world
                .all_hosts()
                .all(|(_, host)| terms_increase(host.durable()))
        },
    };

    pub(super) const SNAPSHOTS_ADVANCE: Law<Self> = Law {
        name: "Snapshots advance",
        source: "§7: a snapshot replaces one with a smaller index, crash or not",
        holds: |_, before, _, after| each(before, after, snapshot_advances),
    };

    pub(super) const SNAPSHOT_IS_TAKEN: Reachable<Self> = Reachable {
        name: "a snapshot is taken",
        seen: |scenario, world| {
            let snapshots = scenario.nodes.iter().zip(world.all_hosts());
            let mut takers = snapshots.filter(|(raft, _)| takes_snapshots(raft));
            takers.any(|(_, (_, host))| has_snapshot(host))
        },
    };

    pub(super) const LOG_IS_DISCARDED: Reachable<Self> = Reachable {
        name: "a log is discarded",
        seen: |_, world| {
            let mut hosts = world.all_hosts();
            hosts.any(|(_, host)| host.durable().log.base_index() > Index(0))
        },
    };

    pub(super) const SNAPSHOT_IS_INSTALLED: Reachable<Self> = Reachable {
        name: "a leader's snapshot is installed",
        seen: |scenario, world| {
            let snapshots = scenario.nodes.iter().zip(world.all_hosts());
            let mut others = snapshots.filter(|(raft, _)| !takes_snapshots(raft));
            others.any(|(_, (_, host))| has_snapshot(host))
        },
    };

    pub(super) const SNAPSHOT_IS_PARTIAL: Reachable<Self> = Reachable {
        name: "a part of a snapshot has arrived",
        seen: |_, world| {
            let mut nodes = world.running();
            nodes.any(|(_, node)| node.volatile.partial.is_some())
        },
    };

    pub(super) const SNAPSHOT_SURVIVES: Reachable<Self> = Reachable {
        name: "a node starts from a snapshot and catches up",
        seen: |_, world| {
            world.faults.crashes > 0
                && world.running().count() == world.hosts.len()
                && world.running().all(|(_, node)| {
                    node.durable().snapshot.last_included_index() > Index(0)
                        && node.volatile.applied.last_applied.0
                            == world.ghost.committed.len() as u64
                })
        },
    };

    pub(super) const APPLIED_STATE_ADVANCES: Law<Self> = Law {
        name: "The applied state advances",
        source: "Figure 2: lastApplied increases monotonically, whatever is installed",
        holds: |_, before, _, after| each(before, after, applied_advances),
    };
}

/// Whether the node takes snapshots of its own, so that it need not have been sent one.
fn takes_snapshots<M: StateMachine>(raft: &Raft<M>) -> bool {
    raft.compaction.snapshot_after != usize::MAX
}

fn has_snapshot<M: StateMachine>(host: &Host<Raft<M>>) -> bool {
    host.durable().snapshot.last_included_index() > Index(0)
}

fn is_applied_prefix<M: StateMachine>(world: &World<Raft<M>>, snapshot: &Snapshot<M>) -> bool {
    let count = snapshot.last_included_index().0;
    if count == 0 {
        return *snapshot == Snapshot::default();
    }
    let committed = &world.ghost.committed;
    let Some(prefix) = usize::try_from(count)
        .ok()
        .and_then(|count| committed.get(..count))
    else {
        return false;
    };
    let mut state = Applied::<M>::default();
    for committed in prefix {
        state.apply(&committed.entry.content);
    }
    // The replay knows of no sessions: it tells whether a command has been applied twice.
    snapshot.state == state
        && is_replay(world, &snapshot.state)
        && prefix
            .last()
            .is_some_and(|last| last.entry.term == snapshot.last_included_term)
}

fn continues<M: StateMachine>(durable: &Persistent<M>) -> bool {
    let (log, snapshot) = (&durable.log, &durable.snapshot);
    let last_included = snapshot.last_included_index();
    log.base_index() <= last_included
        && log.term_at(last_included) == Some(snapshot.last_included_term)
}

fn terms_increase<M: StateMachine>(durable: &Persistent<M>) -> bool {
    let log = &durable.log;
    let base_term = log.term_at(log.base_index()).unwrap_or_default();
    let terms = log.from(Index(1)).iter().map(|entry| entry.term);
    core::iter::once(base_term)
        .chain(terms)
        .chain([durable.current_term])
        .is_sorted()
}

fn snapshot_advances<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    let (old, new) = (old.durable(), new.durable());
    old.snapshot.last_included_index() <= new.snapshot.last_included_index()
        && old.log.base_index() <= new.log.base_index()
}

fn applied_advances<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    let applied = |host: &Host<Raft<M>>| -> Option<Index> {
        Some(host.node()?.volatile.applied.last_applied)
    };
    match (applied(old), applied(new)) {
        (Some(old), Some(new)) => old <= new,
        // A crash forgets it.
        _ => true,
    }
}
