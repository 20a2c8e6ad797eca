//! What must hold in every state.

use alloc::collections::BTreeSet;

use crate::protocol::NodeId;
use crate::raft::Raft;
use crate::raft::log::{Content, Entry, Index, Log, Term};
use crate::raft::machine::StateMachine;
use crate::raft::snapshot::Applied;
use crate::raft::state::Role;
use crate::specification::Invariant;
use crate::world::{Disk, Scenario, World};

use super::contradictions::{clusters_meet, is_blank};
use super::quorums::{are_quorum, in_force, is_quorum, reached_by_quorum};
use super::{Committed, is_linearizable, leadership, membership, sessions, told};

impl<M: StateMachine> Raft<M> {
    pub(super) const STATE_PROPERTIES: &'static [Invariant<Self>] = &[
        Invariant {
            name: "Election Safety",
            source: "Figure 3, §5.2: at most one leader can be elected in a given term",
            holds: |_, world| election_safety(world),
        },
        Invariant {
            name: "Leader Append-Only",
            source: "Figure 3, §5.3: since its no-op a leader's log holds its own entries alone",
            holds: |_, world| leader_append_only(world),
        },
        Invariant {
            name: "Log Matching",
            source: "Figure 3, §5.3: logs with an equal entry are identical up to it",
            holds: |scenario, world| log_matching(world) || clusters_meet(scenario),
        },
        Invariant {
            name: "Leader Completeness",
            source: "Figure 3, §5.4: a committed entry is in the log of every later leader",
            holds: |scenario, world| leader_completeness(world) || clusters_meet(scenario),
        },
        Invariant {
            name: "State Machine Safety",
            source: "Figure 3, §5.4.3: no two servers apply different commands for one index",
            holds: |scenario, world| state_machine_safety(world) || clusters_meet(scenario),
        },
        Invariant {
            name: "Votes are durable",
            source: "§5.2, §5.6: no vote is counted that a crash of the voter could undo",
            holds: votes_are_durable,
        },
        Invariant {
            name: "Committed entries are durable",
            source: "§5.3, §5.6: what is committed is on the disks of a majority, or was before they \
                     were lost: nobody else is enough to elect or to commit without it",
            holds: |scenario, world| {
                committed_entries_are_durable(scenario, world) || clusters_meet(scenario)
            },
        },
        Invariant {
            name: "Acknowledgements are durable",
            source: "Figure 2: matchIndex is true of the follower's disk, as long as it has that disk",
            holds: |_, world| acknowledgements_are_durable(world),
        },
        Invariant {
            name: "Whoever can be elected holds what is committed",
            source: "§5.4: Leader Completeness, one election ahead",
            holds: |scenario, world| {
                membership::electable_nodes_are_complete(scenario, world) || clusters_meet(scenario)
            },
        },
        Invariant {
            name: "The last configuration in the log is in force",
            source: "§6: a server always uses the latest configuration in its log",
            holds: |_, world| membership::last_in_log_is_in_force(world),
        },
        Invariant {
            name: "Neighbouring quorums intersect",
            source: "§6: no point at which both C-old and C-new can decide alone",
            holds: membership::neighbours_intersect,
        },
        Invariant {
            name: "One change at a time",
            source: "§6; thesis §4.1: a configuration follows another once that is committed",
            holds: |_, world| membership::one_change_at_a_time(world),
        },
        Invariant {
            name: "Nobody votes and learns",
            source: "thesis §4.2.1: who is promoted is a learner no longer",
            holds: |_, world| membership::nobody_votes_and_learns(world),
        },
        Invariant {
            name: "A change is made as it was asked for",
            source: "§6; thesis §4.1: and is committed when its client is told so",
            holds: told::changes_are_made,
        },
        Invariant {
            name: "A committed joint configuration is left",
            source: "§6; etcd 12136: the leader that commits C-old,new has C-new in its log",
            holds: |_, world| membership::committed_joint_is_left(world),
        },
        Invariant {
            name: "A leader that has left steps down",
            source: "§6: once it has committed C-new, of which it is no part",
            holds: |_, world| membership::former_leaders_follow(world),
        },
        Invariant {
            name: "Somebody can be elected",
            source: "thesis §4.2.2, CCF: no state of the disks locks the cluster out",
            holds: membership::somebody_is_electable,
        },
        Invariant {
            name: "Only voters stand for election",
            source: "thesis §4.2.1: neither a learner nor a node that has yet to join",
            holds: membership::only_voters_stand,
        },
        Invariant {
            name: "Next index is above match index",
            source: "Figure 2, volatile state on leaders",
            holds: |_, world| next_index_is_above_match_index(world),
        },
        Invariant {
            name: "Applied, committed, last index are in order",
            source: "Figure 2: lastApplied ≤ commitIndex ≤ the last index",
            holds: |_, world| indices_are_in_order(world),
        },
        Invariant {
            name: "Exactly once",
            source: "§8; thesis §6.3: each command of the committed log is applied once at most",
            holds: |scenario, world| exactly_once(world) || clusters_meet(scenario),
        },
        Self::REPLICAS_AGREE,
        Self::TABLE_IS_THE_LOGS,
        Self::NOBODY_IS_CONTRADICTED,
        Self::HALTS_ARE_DURABLE,
        Self::BLANK_DISKS_STAY_BLANK,
        Self::AN_ID_IS_OF_ONE_DISK,
        Self::SESSIONS_ARE_BOUNDED,
        Self::NEXT_SESSION_IS_LATER,
        Self::READS_ARE_BOUNDED,
        Self::READS_HAVE_A_LEADER,
        Self::READS_WAIT_ONCE,
        Self::READS_ARE_ANSWERED,
        Self::SNAPSHOT_IS_APPLIED_PREFIX,
        Self::LOG_CONTINUES_SNAPSHOT,
        Self::TRANSFER_ENDS,
        Invariant {
            name: "What a quorum has is committed",
            source: "Figure 2, \"Leaders\": a majority of matchIndex[i] ≥ N, of the current term",
            holds: |_, world| what_a_quorum_has_is_committed(world),
        },
        Self::TERMS_IN_A_LOG_INCREASE,
        Self::MEMBERS_ARE_TRACKED,
        Self::WHO_IS_FOLLOWED_LEADS,
        Self::WINDOW_IS_TRUE,
        Self::NOTHING_WAITS,
        Self::LEADERS_ASK_AGAIN,
        Self::TIMERS_FOLLOW_ROLES,
        Self::SNAPSHOTS_ARE_TAKEN,
        Self::UNSAVED_IS_COUNTED,
        Self::BLOBS_ARE_SENT,
        Self::PARTIALS_ARE_NEEDED,
        Invariant {
            name: "Linearizability",
            source: "§8; Herlihy and Wing 1990",
            holds: is_linearizable,
        },
    ];
}

/// No leader waits for more than a quorum. An entry of an earlier term waits for one of the
/// leader's own.
fn what_a_quorum_has_is_committed<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(id, node)| match &node.volatile.role {
        Role::Leader(leadership) => {
            let last_index = node.durable().log.last_index();
            let (configuration, _) = in_force(world, node);
            let replicated = reached_by_quorum(configuration, |voter| {
                let progress = leadership.progress.get(&voter);
                let matched = progress.map_or(Index(0), |peer| peer.match_index);
                if voter == id { last_index } else { matched }
            });
            let is_due = |replicated: &Index| *replicated >= leadership.term_start;
            let replicated = replicated.filter(is_due);
            replicated.is_none_or(|replicated| node.volatile.commit_index >= replicated)
        }
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => true,
    })
}

fn election_safety<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let terms: BTreeSet<Term> = world.ghost.leaders.iter().map(|&(term, _)| term).collect();
    terms.len() == world.ghost.leaders.len()
}

fn leader_append_only<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| match &node.volatile.role {
        Role::Leader(leadership) => {
            let term = node.durable().current_term;
            let log = &node.durable().log;
            let begins = match log.get(leadership.term_start) {
                Some(first) => first.content == Content::Noop,
                None => log.base_index() >= leadership.term_start,
            };
            let own = log.from(leadership.term_start);
            begins && own.iter().all(|entry| entry.term == term)
        }
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => true,
    })
}

fn log_matching<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let logs = || {
        world
            .all_hosts()
            .map(|(id, host)| (id, &host.durable().log))
    };
    logs().all(|(a, log)| {
        logs()
            .filter(|&(b, _)| a < b)
            .all(|(_, other)| logs_match(log, other))
    })
}

/// Whether the logs are identical up to the last index at which they have entries of equal
/// term.
pub(super) fn logs_match<C: PartialEq>(a: &Log<C>, b: &Log<C>) -> bool {
    let mut index = a.last_index().min(b.last_index());
    while index > Index(0) && a.term_at(index) != b.term_at(index) {
        index = index.previous();
    }
    agree_up_to(a, b, index)
}

/// Whether the logs have equal entries up to `index`, as far as both keep them. What has been
/// discarded is compared as a snapshot ([`snapshots`](super::snapshots)).
pub(super) fn agree_up_to<C: PartialEq>(a: &Log<C>, b: &Log<C>, index: Index) -> bool {
    let base = a.base_index().max(b.base_index());
    let mut indices = (base.0.saturating_add(1)..=index.0).map(Index);
    indices.all(|index| a.get(index) == b.get(index))
}

fn leader_completeness<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().all(|(_, host)| match leadership(host) {
        Some((term, _)) => holds_committed(&host.durable().log, &world.ghost.committed, term),
        None => true,
    })
}

/// Whether `log` has all that was committed before `term`.
pub(super) fn holds_committed<C: PartialEq>(
    log: &Log<C>,
    committed: &[Committed<C>],
    term: Term,
) -> bool {
    let indices = (1..).map(Index);
    indices
        .zip(committed)
        .filter(|(_, committed)| committed.in_term < term)
        .all(|(index, committed)| holds(log, index, &committed.entry))
}

/// Whether `log` has `entry` at `index`, or had it and has a snapshot in its place.
fn holds<C: PartialEq>(log: &Log<C>, index: Index, entry: &Entry<C>) -> bool {
    log.base_index() >= index || log.get(index) == Some(entry)
}

fn state_machine_safety<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let log = &node.durable().log;
        let discarded = usize::try_from(log.base_index().0).unwrap_or(usize::MAX);
        log.up_to(node.volatile.applied.last_applied)
            .iter()
            .zip(world.ghost.committed.iter().skip(discarded))
            .all(|(entry, committed)| *entry == committed.entry)
    })
}

fn votes_are_durable<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.running().all(|(id, node)| {
        let term = node.durable().current_term;
        let stands = |voter: NodeId| voted_on_disk(world, voter, term, id);
        match &node.volatile.role {
            Role::Follower { .. } | Role::PreCandidate { .. } => true,
            // Its own vote is on its way to disk together with its request for others'.
            Role::Candidate { votes } => {
                votes.iter().all(|&voter| stands(voter)) || votes.iter().all(|&voter| voter == id)
            }
            Role::Leader(leadership) => {
                let nodes = world.all_hosts().map(|(voter, _)| voter);
                let votes = nodes.filter(|&voter| stands(voter)).collect();
                let raft = &scenario.nodes[usize::from(id.0)];
                // It was elected with the log that it had before its no-op.
                let elected_at = leadership.term_start.previous();
                let electorate = membership::in_force_at(world, raft, node.durable(), elected_at);
                // Who needs no other's vote says nothing before its own is on disk.
                let waits = matches!(scenario.disk, Disk::Buffered)
                    && are_quorum(&electorate, |voter| voter == id);
                waits || stands(id) && is_quorum(&electorate, &votes)
            }
        }
    })
}

/// Whether `voter` cannot vote for another in `term` any more, whatever happens to it.
fn voted_on_disk<M: StateMachine>(
    world: &World<Raft<M>>,
    voter: NodeId,
    term: Term,
    candidate: NodeId,
) -> bool {
    world.host(voter).is_some_and(|host| {
        let disk = host.on_disk();
        // On a blank disk it votes for nobody.
        is_blank(disk)
            || disk.current_term > term
            || disk.current_term == term && disk.voted_for == Some(candidate)
    })
}

fn committed_entries_are_durable<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let committed = &world.ghost.committed;
    let Some(last) = committed.last() else {
        return true;
    };
    let index = Index(committed.len() as u64);
    // Logs match, so a log that holds the last committed entry holds them all.
    let holders = world
        .all_hosts()
        // Who has lost its disk is as good as a holder: nobody is elected by it, and nothing
        // committed.
        .filter(|(_, host)| {
            let disk = host.on_disk();
            is_blank(disk) || holds(&disk.log, index, &last.entry)
        })
        .map(|(id, _)| id)
        .collect();
    membership::suffices(scenario, world, &holders)
}

fn acknowledgements_are_durable<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().all(|(_, host)| {
        let Some((term, leadership)) = leadership(host) else {
            return true;
        };
        leadership.progress.iter().all(|(&peer, progress)| {
            let Some(disk) = world.host(peer).map(|peer| peer.on_disk()) else {
                return false;
            };
            // A later leader may have overwritten what this one knows of, or it is lost.
            is_blank(disk)
                || disk.current_term > term
                || disk.log.last_index() >= progress.match_index
                    && agree_up_to(&disk.log, &host.durable().log, progress.match_index)
        })
    })
}

fn next_index_is_above_match_index<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().all(|(_, host)| match leadership(host) {
        Some((_, leadership)) => leadership
            .progress
            .values()
            .all(|progress| progress.next_index > progress.match_index),
        None => true,
    })
}

fn indices_are_in_order<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let last_applied = node.volatile.applied.last_applied;
        let commit_index = node.volatile.commit_index;
        last_applied <= commit_index && commit_index <= node.durable().log.last_index()
    })
}

/// Each node's state machine is what the committed log makes when each request counts once at
/// most.
fn exactly_once<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world
        .running()
        .all(|(_, node)| is_replay(world, &node.volatile.applied))
}

/// Whether the machine is what the committed log makes up to its last applied index.
pub(super) fn is_replay<M: StateMachine>(world: &World<Raft<M>>, applied: &Applied<M>) -> bool {
    applied.machine == sessions::replay(world, applied)
}
