//! Lost disks and contradictions: which promises rest on a disk, and what a node does that hears
//! what cannot be.
//!
//! Verified here: that what is committed survives the loss of any minority of the disks, for a
//! node on a blank disk promises nothing and says nothing; that nobody takes back what it knows to
//! be committed, whoever asks; that who has been contradicted is silent from then on, crash or
//! not; that nobody is contradicted within one cluster. Not verified: what becomes of a cluster
//! that has lost a majority of its disks (it stands still), nor which of two clusters is right.

use alloc::collections::BTreeMap;

use crate::machine::StateMachine;
use crate::protocol::{DiskId, NodeId};
use crate::raft::configuration::{Configuration, Contact};
use crate::raft::log::{Content, Index};
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::state::{Persistent, Role};
use crate::raft::{Command, Raft};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Scenario, World};

use super::invariants::agree_up_to;
use super::laws::{changed, has_forgotten};
use super::{is_command, membership};

impl<M: StateMachine> Raft<M> {
    pub(super) const NOBODY_IS_CONTRADICTED: Invariant<Self> = Invariant {
        name: "Nobody halts in one cluster",
        source: "Figure 3: by Leader Completeness and State Machine Safety no leader contradicts \
                 what is committed, whatever is lost",
        holds: |scenario, world| {
            let mut hosts = world.all_hosts();
            hosts.all(|(_, host)| host.durable().halted.is_none()) || clusters_meet(scenario)
        },
    };

    pub(super) const HALTS_ARE_DURABLE: Invariant<Self> = Invariant {
        name: "Who has halted has it on disk",
        source: "a node that forgot why it has halted would take part again, and delete what it \
                 has committed",
        holds: |_, world| {
            let mut halted = world.ghost.halted.iter();
            halted.all(|&id| { world.host(id) }.is_some_and(|host| !host.on_disk().takes_part()))
        },
    };

    pub(super) const BLANK_DISKS_STAY_BLANK: Invariant<Self> = Invariant {
        name: "A blank disk stays blank",
        source: "KAFKA-12181: what a voter without its disk promises, it may have promised \
                 otherwise before",
        holds: |_, world| world.all_hosts().all(|(_, host)| is_idle_if_blank(host)),
    };

    pub(super) const AN_ID_IS_OF_ONE_DISK: Invariant<Self> = Invariant {
        name: "An id stands for one disk",
        source: "KIP-853, voters by disk: who comes back on another disk lacks what its id has acknowledged",
        holds: |_, world| an_id_is_of_one_disk(world),
    };

    pub(super) const COMMITTED_ENTRIES_STAY: Law<Self> = Law {
        name: "What a node knows to be committed is never truncated →",
        source: "§5.3, §5.4: a conflict is among what is not committed; whatever a leader says",
        holds: |scenario, before, _, after| {
            let holds = |old: &_, new: &_| committed_entries_stay(scenario, old, new);
            changed(before, after).all(|(_, old, new)| holds(old, new))
        },
    };

    pub(super) const BLANK_NODES_ARE_SILENT: Law<Self> = Law {
        name: "A node on a blank disk says nothing →",
        source: "KAFKA-12181: it neither votes, nor acknowledges, nor stands",
        holds: |_, before, _, after| only_says(before, after, |disk| disk.initial.is_some()),
    };

    pub(super) const HALTED_NODES_ARE_SILENT: Law<Self> = Law {
        name: "Who has halted takes no part any more →",
        source: "what it has is contradicted: nothing that it says, or writes, counts, crash or not",
        holds: |_, before, action, after| {
            let is_lost = |id| *action == Action::LoseDisk(id);
            let stays = before.ghost.halted.iter().all(|&id| {
                let disk = |world: &World<Self>| world.host(id).map(|host| host.durable().clone());
                is_lost(id) || disk(before) == disk(after)
            });
            let mut sent = after.network.sent();
            stays && sent.all(|envelope| !before.ghost.halted.contains(&envelope.from))
        },
    };

    pub(super) const FOLLOWERS_ARE_IN_THE_LEADERS_STATE: Law<Self> = Law {
        name: "Who accepts an append is in its leader's state →",
        source: "Figure 3, State Machine Safety, as replicas can check it: by checksums of their \
                 states after the same entries",
        holds: |_, _, action, after| accepts_from_its_like(action, after),
    };

    pub(super) const DISK_IS_LOST: Reachable<Self> = Reachable {
        name: "a disk is lost",
        seen: |_, world| world.faults.lost_disks > 0,
    };

    pub(super) const BLANK_NODE_RUNS: Reachable<Self> = Reachable {
        name: "a node starts on a blank disk",
        seen: |_, world| world.running().any(|(_, node)| is_blank(node.durable())),
    };

    pub(super) const GOES_ON_WITHOUT: Reachable<Self> = Reachable {
        name: "a command is on a quorum without the lost disk",
        seen: goes_on_without_the_lost,
    };

    pub(super) const NODE_HALTS: Reachable<Self> = Reachable {
        name: "a node halts",
        seen: |_, world| !world.ghost.halted.is_empty(),
    };

    pub(super) const HALTED_NODE_RESTARTS: Reachable<Self> = Reachable {
        name: "a node that has halted starts again",
        seen: |_, world| {
            let is_up = |id: &NodeId| world.host(*id).is_some_and(|host| host.node().is_some());
            world.faults.crashes > 0 && world.ghost.halted.iter().any(is_up)
        },
    };

    pub(super) const OTHER_DISK_IS_REFUSED: Reachable<Self> = Reachable {
        name: "a node is refused for its other disk",
        seen: other_disk_is_refused,
    };
}

/// Whether the disk belongs to no cluster. All disks do when a world begins, so it has been lost.
pub(super) fn is_blank<M: StateMachine>(disk: &Persistent<M>) -> bool {
    disk.initial.is_none()
}

/// Whether two clusters meet: where the snapshot of one disk that the world begins with ends,
/// another disk has something else. What a snapshot holds is committed, so no cluster comes to
/// that; and what only holds within a cluster need not hold between two.
pub(super) fn clusters_meet<M: StateMachine>(scenario: &Scenario<Raft<M>>) -> bool {
    scenario.disks.iter().any(|one| {
        let (index, term) = one.snapshot.last_included();
        scenario.disks.iter().any(|other| {
            let has_another = other.log.term_at(index).is_some_and(|at| at != term);
            let is_beside = other.snapshot.last_included_index() == index;
            has_another || is_beside && other.snapshot != one.snapshot
        })
    })
}

fn is_idle_if_blank<M: StateMachine>(host: &Host<Raft<M>>) -> bool {
    let follows_nobody = host
        .node()
        .is_none_or(|node| node.volatile.role == Role::Follower { leader: None });
    !is_blank(host.durable()) || *host.durable() == Persistent::default() && follows_nobody
}

/// The configurations that nodes act on or have replicated.
fn configurations<M: StateMachine>(world: &World<Raft<M>>) -> impl Iterator<Item = &Configuration> {
    let logs = { world.all_hosts() }.flat_map(|(_, host)| host.durable().log.from(Index(1)));
    let committed = world
        .ghost
        .committed
        .iter()
        .map(|committed| &committed.entry);
    logs.chain(committed)
        .filter_map(|entry| match &entry.content {
            Content::Configuration(configuration) => Some(configuration),
            Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
        })
}

fn an_id_is_of_one_disk<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let mut disks: BTreeMap<NodeId, DiskId> = BTreeMap::new();
    configurations(world).all(|configuration| {
        let mut contacts = configuration.contacts.iter();
        contacts.all(|(&id, contact)| *disks.entry(id).or_insert(contact.disk) == contact.disk)
    })
}

/// A crash forgets the commit index, and a disk is lost only while its node is down.
fn committed_entries_stay<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    old: &Host<Raft<M>>,
    new: &Host<Raft<M>>,
) -> bool {
    let Some(node) = old.node() else {
        return true;
    };
    if has_forgotten(scenario, new) {
        return true;
    }
    let commit_index = node.volatile.commit_index;
    let (old, new) = (&old.durable().log, &new.durable().log);
    new.last_index() >= commit_index && agree_up_to(old, new, commit_index)
}

/// Whether nobody has sent anything whose disk was not `such` before the step.
fn only_says<M: StateMachine>(
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
    such: fn(&Persistent<M>) -> bool,
) -> bool {
    let mut sent = after.network.sent();
    sent.all(|envelope| {
        let disk = before.host(envelope.from).map(Host::durable);
        disk.is_some_and(such)
    })
}

fn accepts_from_its_like<M: StateMachine>(
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::AppendEntries {
        leader_commit,
        checksum: Some(leader),
        ..
    } = envelope.message
    else {
        return true;
    };
    let Some(node) = after.host(envelope.to).and_then(Host::node) else {
        return true;
    };
    let applied = &node.volatile.applied;
    let own = applied.machine.checksum();
    let differs = applied.last_applied == leader_commit && own.is_some_and(|own| own != leader);
    let mut sent = after.network.sent();
    !differs
        || !sent.any(|answer| {
            let outcome = match &answer.message {
                Message::AppendEntriesResponse { outcome, .. } => Some(outcome),
                _ => None,
            };
            answer.from == envelope.to && matches!(outcome, Some(AppendOutcome::Accepted { .. }))
        })
}

/// The last committed command is on the disks of a quorum, none of which has been lost.
fn goes_on_without_the_lost<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let committed = { (1..).map(Index) }.zip(&world.ghost.committed);
    let commands = committed.filter(|(_, committed)| is_command(&committed.entry));
    let last = commands.last();
    let is_lost = world.all_hosts().any(|(_, host)| is_blank(host.on_disk()));
    is_lost
        && last.is_some_and(|(index, committed)| {
            let entry = Some(&committed.entry);
            let holds = |host: &Host<Raft<M>>| host.on_disk().log.get(index) == entry;
            let holders = world.all_hosts().filter(|(_, host)| holds(host));
            membership::suffices(scenario, world, &holders.map(|(id, _)| id).collect())
        })
}

/// A client wants a node in that is known with another disk, and has been told no: it asks, and
/// waits nowhere.
fn other_disk_is_refused<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.clients.iter().enumerate().any(|(client, state)| {
        let Some(Command::ChangeMembership { change, .. }) =
            scenario.scripts[client].get(state.next)
        else {
            return false;
        };
        let is_known = |(id, contact): (&NodeId, &Contact)| {
            configurations(world).any(|configuration| {
                let known = configuration.contacts.get(id);
                known.is_some_and(|known| known.disk != contact.disk)
            })
        };
        state.asking && state.waits_at.is_empty() && change.contacts.iter().any(is_known)
    })
}
