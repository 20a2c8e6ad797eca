//! What must be true of snapshots (§7).
//!
//! Verifies: what a snapshot replaces is what was committed, all of it and nothing else, with
//! the sessions; log and snapshot never leave a gap; neither ever goes back; what travels in chunks
//! is put together again as it was. With these, the properties that compare logs need to compare
//! only what both logs keep.

use crate::machine::StateMachine;
use crate::raft::install::Partial;
use crate::raft::log::Index;
use crate::raft::message::{AppendOutcome, InstallOutcome, Message};
use crate::raft::progress::Mode;
use crate::raft::snapshot::{Applied, Snapshot};
use crate::raft::state::Persistent;
use crate::raft::{Raft, Timer};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Scenario, World};

use super::contradictions::{clusters_meet, is_blank};
use super::invariants::is_replay;
use super::laws::{each, each_promise};
use super::pipelining::weight;
use super::{leadership, said};

impl<M: StateMachine> Raft<M> {
    pub(super) const SNAPSHOT_IS_APPLIED_PREFIX: Invariant<Self> = Invariant {
        name: "A snapshot is the applied prefix",
        source: "§7: the state that the committed entries up to the last included make",
        holds: |scenario, world| {
            let mut hosts = world.all_hosts();
            hosts.all(|(_, host)| is_applied_prefix(world, &host.durable().snapshot))
                || clusters_meet(scenario)
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
        source: "§7: a snapshot replaces one with a smaller index, crash or not, while there is a disk",
        holds: |scenario, before, _, after| {
            each_promise(scenario, before, after, snapshot_advances)
        },
    };

    pub(super) const BLOBS_ARE_SENT: Invariant<Self> = Invariant {
        name: "A leader keeps a snapshot for whom it sends it to",
        source: "§7: what is sent chunk by chunk stays the same meanwhile, and no longer",
        holds: |_, world| world.all_hosts().all(|(_, host)| blob_is_sent(host)),
    };

    pub(super) const PARTIALS_ARE_NEEDED: Invariant<Self> = Invariant {
        name: "A node keeps of a snapshot what it lacks",
        source: "Figure 13, step 6: who has what the snapshot replaces needs none of it",
        holds: |_, world| {
            world.running().all(|(_, node)| {
                let partial = node.volatile.partial.as_ref();
                partial.is_none_or(|partial| partial.last_included.0 > node.volatile.commit_index)
            })
        },
    };

    pub(super) const CHUNKS_ARE_OF_THE_BLOB: Law<Self> = Law {
        name: "A chunk is what it says →",
        source: "Figure 13: of the snapshot that it names, at its offset, and done if it ends it; §7: of one \
                 that the leader's log continues",
        holds: |_, before, action, after| chunks_are_of_the_blob(before, action, after),
    };

    pub(super) const PARTIALS_GROW: Law<Self> = Law {
        name: "What has arrived of a snapshot grows →",
        source: "Figure 13, steps 2 to 5: until it is whole, or another takes its place",
        holds: |_, before, _, after| each(before, after, partial_grows),
    };

    pub(super) const LATE_CHUNKS_ARE_SETTLED: Law<Self> = Law {
        name: "The answer to an earlier chunk moves nothing →",
        source: "Figure 13: chunks are sent in order, one at a time",
        holds: |_, before, action, after| late_answers_move_nothing(before, action, after),
    };

    pub(super) const SENDING_GOES_ON: Law<Self> = Law {
        name: "A snapshot is sent until the log continues →",
        source: "§7: the leader has discarded what the follower needs next",
        holds: |_, before, action, after| sending_goes_on(before, action, after),
    };

    pub(super) const ENTRIES_TRAIL: Law<Self> = Law {
        name: "What trails a snapshot is as configured →",
        source: "§7; who is a little behind is to need no snapshot",
        holds: entries_trail,
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

    pub(super) const SNAPSHOT_IS_OVERTAKEN: Reachable<Self> = Reachable {
        name: "a snapshot comes to who has more",
        seen: |_, world| {
            world.network.under_way().any(|sent| {
                let Message::InstallSnapshot {
                    last_included_index: last,
                    last_included_term: term,
                    ..
                } = &sent.message
                else {
                    return false;
                };
                let node = world.host(sent.to).and_then(Host::node);
                node.is_some_and(|node| {
                    let log = &node.durable().log;
                    node.volatile.commit_index < *last
                        && *last < log.last_index()
                        && log.term_at(*last) == Some(*term)
                })
            })
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

fn blob_is_sent<M: StateMachine>(host: &Host<Raft<M>>) -> bool {
    leadership(host).is_none_or(|(_, leads)| {
        let mut modes = leads.progress.values().map(|progress| &progress.mode);
        leads.blob.is_some() == modes.any(|mode| matches!(mode, Mode::Snapshot(_)))
    })
}

/// Each chunk that the step has sent is the part of the leader's snapshot that it says, and of the
/// one that its receiver is noted to be sent. The leader's log continues it: whoever installed another
/// would need the next one at once.
fn chunks_are_of_the_blob<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|envelope| {
        let Message::InstallSnapshot {
            term,
            last_included_index,
            last_included_term,
            offset,
            data,
            done,
            ..
        } = envelope.message
        else {
            return true;
        };
        let Some(leader) = after.host(envelope.from) else {
            return true;
        };
        let Some((_, leads)) = leadership(leader).filter(|(led, _)| led == term) else {
            return true;
        };
        let continues = leader.durable().log.term_at(*last_included_index).is_some();
        let progress = leads.progress.get(&envelope.to);
        let is_noted = progress.is_some_and(|progress| match &progress.mode {
            Mode::Snapshot(sending) => sending.last_included_index == *last_included_index,
            Mode::Probe | Mode::Replicate { .. } => false,
        });
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let is_part = leads.blob.as_ref().is_some_and(|blob| {
            let rest = blob.bytes.get(start..).unwrap_or_default();
            blob.last_included == (*last_included_index, *last_included_term)
                && rest.starts_with(data)
                && *done == (!data.is_empty() && rest == data)
        });
        is_noted && is_part && continues
    })
}

/// A later leader's snapshot takes the place of an earlier one's, and a leader's own next one of
/// the one before; otherwise what is there stays, and something may follow. What comes is of the
/// leader of the node's term.
fn partial_grows<M: StateMachine>(old: &Host<Raft<M>>, new: &Host<Raft<M>>) -> bool {
    fn partial<M: StateMachine>(host: &Host<Raft<M>>) -> Option<&Partial> {
        host.node()?.volatile.partial.as_ref()
    }
    let Some(is) = partial(new) else {
        return true;
    };
    let is_current = is.term == new.durable().current_term;
    let Some(was) = partial(old) else {
        return is_current;
    };
    let which = |partial: &Partial| (partial.term, partial.last_included);
    let grows = which(was) == which(is) && is.bytes.starts_with(&was.bytes);
    was == is || is_current && (which(was) < which(is) || grows)
}

fn late_answers_move_nothing<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::InstallSnapshotResponse {
        outcome: InstallOutcome::Received { sent, .. },
        ..
    } = &envelope.message
    else {
        return true;
    };
    let sending = |world: &World<Raft<M>>| {
        let (_, leads) = leadership(world.host(envelope.to)?)?;
        match &leads.progress.get(&envelope.from)?.mode {
            Mode::Snapshot(sending) => Some(*sending),
            Mode::Probe | Mode::Replicate { .. } => None,
        }
    };
    let Some(old) = sending(before) else {
        return true;
    };
    old.offset == *sent || sending(after) == Some(old)
}

/// A late answer, to an append or about an older snapshot, shows that the follower has come
/// further; but what it needs next is in the snapshot still.
fn sending_goes_on<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let (term, match_index) = match &envelope.message {
        Message::AppendEntriesResponse {
            term,
            outcome: AppendOutcome::Accepted { match_index },
            ..
        } => (term, match_index),
        Message::InstallSnapshotResponse {
            term,
            outcome: InstallOutcome::Installed {
                last_included_index,
            },
            ..
        } => (term, last_included_index),
        _ => return true,
    };
    let mode = |world: &World<Raft<M>>| {
        let (led, leads) = leadership(world.host(envelope.to)?)?;
        let progress = leads.progress.get(&envelope.from)?;
        (led == *term).then(|| progress.mode.clone())
    };
    let (Some(Mode::Snapshot(sending)), Some(host)) = (mode(before), before.host(envelope.to))
    else {
        return true;
    };
    let needs_it = *match_index < sending.last_included_index
        && host.durable().log.term_at(*match_index).is_none();
    !needs_it || mode(after).is_none_or(|mode| mode == Mode::Snapshot(sending))
}

/// As many of the last entries that the snapshot includes stay as are not too heavy together: one
/// more would be, of those that the step has discarded.
fn entries_trail<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Snapshot,
    } = action
    else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(*node), after.host(*node)) else {
        return true;
    };
    if new.node().is_none() {
        return true;
    }
    let (old, new) = (&old.durable().log, new.durable());
    let trailing = new.log.up_to(new.snapshot.last_included_index()).iter();
    let trailing = trailing.map(weight::<M>).fold(0, usize::saturating_add);
    let admitted = scenario.nodes[usize::from(node.0)].compaction.trailing;
    let base_index = new.log.base_index();
    let discarded = old.get(base_index).map(weight::<M>);
    trailing <= admitted
        && discarded.is_none_or(|weight| trailing.saturating_add(weight) > admitted)
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

fn snapshot_advances<M: StateMachine>(old: &Persistent<M>, new: &Persistent<M>) -> bool {
    is_blank(new)
        || old.snapshot.last_included_index() <= new.snapshot.last_included_index()
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
