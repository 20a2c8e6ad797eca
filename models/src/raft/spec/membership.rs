//! What must be true of membership changes (§6; thesis §4), and what must be possible.
//!
//! Verified here: that neighbouring configurations cannot decide apart from each other; that
//! learners and former members count for nothing; that no state of the disks locks everybody
//! out. Not verified here: that a change ends. That is liveness.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::protocol::{Input, Node, NodeId, Outbox};
use crate::raft::configuration::{Configuration, NOBODY};
use crate::raft::log::{Content, Index, Log};
use crate::raft::machine::StateMachine;
use crate::raft::message::Message;
use crate::raft::state::{Persistent, Role};
use crate::raft::{Raft, Timer};
use crate::world::{Action, Host, Scenario, World};

use super::contradictions::is_blank;
use super::invariants::agree_up_to;
use super::leadership;
use super::quorums::{in_force, is_quorum, latest_at, members, voters, votes};
use super::terms::is_in_reach;

/// The configurations that the entries hold, in order.
fn configurations<'a, C: 'a>(
    contents: impl Iterator<Item = &'a Content<C>>,
) -> impl Iterator<Item = &'a Configuration> {
    contents.filter_map(|content| match content {
        Content::Configuration(configuration) => Some(configuration),
        Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
    })
}

fn in_log<C>(log: &Log<C>) -> impl Iterator<Item = &Configuration> {
    configurations(log.from(Index(1)).iter().map(|entry| &entry.content))
}

pub(super) fn committed<M: StateMachine>(
    world: &World<Raft<M>>,
) -> impl Iterator<Item = &Configuration> {
    committed_up_to(world, Index(u64::MAX))
}

pub(super) fn committed_up_to<M: StateMachine>(
    world: &World<Raft<M>>,
    index: Index,
) -> impl Iterator<Item = &Configuration> {
    let count = usize::try_from(index.0).unwrap_or(usize::MAX);
    let committed = world.ghost.committed.iter().take(count);
    configurations(committed.map(|committed| &committed.entry.content))
}

/// The configuration that the cluster has started with.
pub(super) fn founding<M: StateMachine>(scenario: &Scenario<Raft<M>>) -> &Configuration {
    let initial = scenario.nodes.iter().map(Raft::initial);
    let known = { initial }.find(|initial| !initial.voters.is_empty());
    known.unwrap_or(&NOBODY)
}

/// The configuration that a node which remembers `durable` acted on when its log ended with
/// `index`.
pub(super) fn in_force_at<M: StateMachine>(
    world: &World<Raft<M>>,
    raft: &Raft<M>,
    durable: &Persistent<M>,
    index: Index,
) -> Configuration {
    let latest = latest_at(world, durable, index).map(|(_, latest)| latest);
    latest.unwrap_or_else(|| raft.initial()).clone()
}

fn in_force_on<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
    id: NodeId,
    durable: &Persistent<M>,
) -> Configuration {
    let raft = &scenario.nodes[usize::from(id.0)];
    in_force_at(world, raft, durable, durable.log.last_index())
}

/// Whether `holders` are enough for what is committed: a quorum of the last committed
/// configuration, or of the one that it leads to.
pub(super) fn suffices<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
    holders: &BTreeSet<NodeId>,
) -> bool {
    let Some(last) = committed(world).last() else {
        return is_quorum(founding(scenario), holders);
    };
    // What comes behind a joint configuration may have been committed under the next one.
    let ends_with_it = world.ghost.committed.last().is_some_and(
        |end| matches!(&end.entry.content, Content::Configuration(end) if end == last),
    );
    let next = Configuration {
        outgoing: BTreeSet::new(),
        ..last.clone()
    };
    is_quorum(last, holders) || !ends_with_it && is_quorum(&next, holders)
}

pub(super) fn last_in_log_is_in_force<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let last = latest_at(world, node.durable(), Index(u64::MAX));
        let acted_on = node.volatile.configuration.as_ref();
        acted_on.map(|acted_on| (acted_on.index, &acted_on.configuration)) == last
    })
}

/// Whether every quorum of the one has a node in common with every quorum of the other.
///
/// Two majorities of one set do: it is enough that both need a majority of the same voters, as
/// neighbours do in joint consensus. Where they don't, each way to share the nodes out is looked
/// at: more nodes are never less of a quorum.
fn intersect(one: &Configuration, other: &Configuration) -> bool {
    let shared = |set: &BTreeSet<NodeId>| {
        !set.is_empty() && (*set == other.voters || *set == other.outgoing)
    };
    if shared(&one.voters) || shared(&one.outgoing) {
        return true;
    }
    let nodes: Vec<NodeId> = members(one).union(&members(other)).copied().collect();
    (0u32..1 << nodes.len()).all(|share| {
        let side = |wanted: u32| {
            let nodes = nodes
                .iter()
                .zip(0..)
                .filter(|&(_, bit)| share >> bit & 1 == wanted);
            nodes.map(|(&node, _)| node).collect::<BTreeSet<_>>()
        };
        !(is_quorum(one, &side(1)) && is_quorum(other, &side(0)))
    })
}

pub(super) fn neighbours_intersect<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let founding = founding(scenario);
    world.all_hosts().all(|(_, host)| {
        let log = &host.durable().log;
        let replaced = committed_up_to(world, log.base_index()).last();
        let mut before = replaced.unwrap_or(founding);
        in_log(log).all(|next| {
            let previous = core::mem::replace(&mut before, next);
            intersect(previous, next)
        })
    })
}

/// A configuration is followed by another only when it is committed: as far as anybody has
/// learned, or by what is on disk. (Who commits it and appends the next one in a step may
/// crash before anybody learns.)
pub(super) fn one_change_at_a_time<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let known = Index(world.ghost.committed.len() as u64);
    world.all_hosts().all(|(_, host)| {
        let log = &host.durable().log;
        let indices = (log.base_index().0.saturating_add(1)..=log.last_index().0).map(Index);
        let configurations = indices.filter_map(|index| match &log.get(index)?.content {
            Content::Configuration(configuration) => Some((index, configuration)),
            Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
        });
        let configurations: Vec<(Index, &Configuration)> = configurations.collect();
        let Some((_, earlier)) = configurations.split_last() else {
            return true;
        };
        earlier.iter().all(|&(index, configuration)| {
            let holds = |host: &Host<Raft<M>>| host.on_disk().log.get(index) == log.get(index);
            let holders = world.all_hosts().filter(|(_, host)| holds(host));
            index <= known || is_quorum(configuration, &holders.map(|(id, _)| id).collect())
        })
    })
}

pub(super) fn nobody_votes_and_learns<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let logs = world.all_hosts().map(|(_, host)| &host.durable().log);
    logs.flat_map(in_log).all(|configuration| {
        let mut voters = voters(configuration);
        voters.all(|voter| !configuration.learners.contains(&voter))
    })
}

/// A leader that hands its leadership over adds nothing meanwhile (thesis §3.10): the next one
/// leaves it, or this one when the transfer has failed.
pub(super) fn committed_joint_is_left<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        let (last, is_changing) = in_force(world, node);
        let stays = !last.outgoing.is_empty() && !is_changing;
        match &node.volatile.role {
            Role::Leader(leads) => leads.transfer.is_some() || !stays,
            Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => true,
        }
    })
}

pub(super) fn former_leaders_follow<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(id, node)| {
        let (last, is_changing) = in_force(world, node);
        !matches!(node.volatile.role, Role::Leader(_)) || is_changing || votes(last, id)
    })
}

/// The nodes that would vote for one whose disk is `candidate`, if they were asked in a term
/// that is new to all of them. Who takes no part votes for nobody.
fn supporters<M: StateMachine>(
    world: &World<Raft<M>>,
    candidate: &Persistent<M>,
) -> BTreeSet<NodeId> {
    let end = |durable: &Persistent<M>| (durable.log.last_term(), durable.log.last_index());
    let hosts = world.all_hosts();
    let supporters = hosts.filter(|(_, host)| {
        let disk = host.on_disk();
        disk.takes_part() && end(disk) <= end(candidate)
    });
    supporters.map(|(id, _)| id).collect()
}

/// Leader Completeness, one election ahead: in a later term, each of these elections can
/// happen.
pub(super) fn electable_nodes_are_complete<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let index = Index(world.ghost.committed.len() as u64);
    let Some(last) = world.ghost.committed.last() else {
        return true;
    };
    world.all_hosts().all(|(id, host)| {
        let disk = host.on_disk();
        disk.log.base_index() >= index
            || disk.log.get(index) == Some(&last.entry)
            || !disk.takes_part()
            || !is_quorum(
                &in_force_on(scenario, world, id, disk),
                &supporters(world, disk),
            )
    })
}

/// Some node stands for election when its timer runs out, and would win if all the others
/// were there. Without that the cluster has locked itself out for ever.
pub(super) fn somebody_is_electable<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    // Without a change of membership the longest log always wins.
    let changed =
        |(_, host): (NodeId, &Host<Raft<M>>)| in_log(&host.on_disk().log).next().is_some();
    !world.all_hosts().any(changed)
        || too_many_disks_are_lost(scenario, world)
        || world.all_hosts().any(|(id, host)| {
            let disk = host.on_disk();
            let electorate = in_force_on(scenario, world, id, disk);
            is_quorum(&electorate, &supporters(world, disk)) && stands(scenario, id, host)
        })
}

/// Whether the disks that are left are no quorum of a configuration that is in force somewhere: of
/// that the protocol promises nothing.
fn too_many_disks_are_lost<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let left = world
        .all_hosts()
        .filter(|(_, host)| !is_blank(host.on_disk()));
    let left: BTreeSet<NodeId> = left.map(|(id, _)| id).collect();
    world.faults.lost_disks > 0
        && world.all_hosts().any(|(id, host)| {
            let configuration = in_force_on(scenario, world, id, host.on_disk());
            voters(&configuration).next().is_some() && !is_quorum(&configuration, &left)
        })
}

/// Whether the node leads, or stands for election as soon as its timer runs out.
fn stands<M: StateMachine>(scenario: &Scenario<Raft<M>>, id: NodeId, host: &Host<Raft<M>>) -> bool {
    let raft = &scenario.nodes[usize::from(id.0)];
    let mut out = Outbox::new();
    let mut node = match host.node() {
        Some(node) => node.clone(),
        None => Node::boot(raft, host.on_disk().clone(), &mut out),
    };
    (scenario.step)(raft, &mut node, Input::Fire(Timer::Election), &mut out);
    !matches!(node.volatile.role, Role::Follower { .. })
}

/// A leader adds voters only when they have what it has committed.
pub(super) fn voters_have_caught_up<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let pairs = before.all_hosts().zip(after.all_hosts());
    { pairs }.all(|((id, old), (_, new))| {
        let (Some((led, _)), Some((leads, _)), Some(node)) =
            (leadership(old), leadership(new), old.node())
        else {
            return true;
        };
        let (was, is) = (old.durable(), new.durable());
        if led != leads || was.log.last_index() == is.log.last_index() {
            return true;
        }
        let (was_in_force, in_force) = (
            in_force_on(scenario, before, id, was),
            in_force_on(scenario, after, id, is),
        );
        let committed = node.volatile.commit_index;
        in_force
            .voters
            .iter()
            .filter(|&&voter| !votes(&was_in_force, voter))
            .all(|&voter| {
                let disk = after.host(voter).map(Host::on_disk);
                disk.is_some_and(|disk| {
                    disk.log.last_index() >= committed
                        && agree_up_to(&disk.log, &was.log, committed)
                })
            })
    })
}

/// "Servers process incoming RPC requests without consulting their current configurations"
/// (thesis §4.1): whether a node takes itself for a voter has no part in its vote. It may not
/// know yet that it is one, and be needed.
pub(super) fn whoever_is_asked_votes<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::RequestVote {
        term,
        last_log_index,
        last_log_term,
        leadership_transfer: _,
    } = &envelope.message
    else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(envelope.to), after.host(envelope.to)) else {
        return true;
    };
    let voter = old.durable();
    let asks_to_vote = *term > voter.current_term && is_in_reach(voter.current_term, *term)
        || *term == voter.current_term && voter.voted_for.is_none();
    let up_to_date =
        (*last_log_term, *last_log_index) >= (voter.log.last_term(), voter.log.last_index());
    let follows_nobody = old
        .node()
        .is_some_and(|node| matches!(node.volatile.role, Role::Follower { leader: None }));
    !(asks_to_vote && up_to_date && follows_nobody && voter.takes_part())
        || new.durable().voted_for == Some(envelope.from)
}

/// Who has never been a voter does not stand for election.
pub(super) fn only_voters_stand<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.running().all(|(id, node)| {
        let raft = &scenario.nodes[usize::from(id.0)];
        matches!(node.volatile.role, Role::Follower { .. })
            || votes(raft.initial(), id)
            || in_log(&node.durable().log)
                .chain(committed_up_to(world, node.durable().log.base_index()))
                .any(|configuration| votes(configuration, id))
    })
}

/// A change of membership has begun, and is not done: some log ends in a configuration that is
/// joint, or that nobody knows to be committed.
pub(super) fn change_is_under_way<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let known = Index(world.ghost.committed.len() as u64);
    world.all_hosts().any(|(_, host)| {
        let last = latest_at(world, host.durable(), Index(u64::MAX));
        last.is_some_and(|(index, last)| !last.outgoing.is_empty() || index > known)
    })
}

/// A joint configuration is committed.
pub(super) fn joint_is_committed<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    committed(world).any(Configuration::is_joint)
}

/// A change of voters is committed as a whole.
pub(super) fn change_is_done<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    committed(world)
        .skip_while(|configuration| !configuration.is_joint())
        .any(|configuration| !configuration.is_joint())
}

/// A learner has become a voter, and that is committed.
pub(super) fn learner_is_promoted<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let mut learners = BTreeSet::new();
    committed(world).any(|configuration| {
        learners.extend(&configuration.learners);
        !configuration.is_joint() && !learners.is_disjoint(&configuration.voters)
    })
}

/// One leader has begun a change, another has ended it.
pub(super) fn change_is_inherited<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let entries = world
        .ghost
        .committed
        .iter()
        .map(|committed| &committed.entry);
    let mut begun = None;
    { entries }.any(|entry| match &entry.content {
        Content::Configuration(configuration) if configuration.is_joint() => {
            begun = Some(entry.term);
            false
        }
        Content::Configuration(_) => begun.take().is_some_and(|term| term < entry.term),
        Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => false,
    })
}

/// A leader is no member of the configuration that it replicates.
pub(super) fn outsider_leads<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world.running().any(|(id, node)| {
        let raft = &scenario.nodes[usize::from(id.0)];
        matches!(node.volatile.role, Role::Leader(_)) && !raft.configuration(node).is_member(id)
    })
}

/// A leader has left the cluster, and follows.
pub(super) fn leader_has_left<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let Some(last) = committed(world).last() else {
        return false;
    };
    world.running().any(|(id, node)| {
        let has_led = world.ghost.leaders.iter().any(|&(_, leader)| leader == id);
        has_led && !last.is_member(id) && matches!(node.volatile.role, Role::Follower { .. })
    })
}

/// A node that was a learner, and never votes, has left the cluster, and knows it.
pub(super) fn learner_has_left<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().any(|(id, node)| {
        let was = |is_it: fn(&Configuration, NodeId) -> bool| {
            committed_up_to(world, node.volatile.commit_index).any(|known| is_it(known, id))
        };
        let last = committed_up_to(world, node.volatile.commit_index).last();
        was(|known, id| known.learners.contains(&id))
            && !was(votes)
            && last.is_some_and(|last| !members(last).contains(&id))
    })
}

/// Two logs hold different configurations at one index: one of them will go.
pub(super) fn configurations_diverge<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let logs = || world.all_hosts().map(|(_, host)| &host.durable().log);
    logs().any(|one| {
        let Some(in_force) = one.configuration_at(one.last_index()) else {
            return false;
        };
        logs().any(|other| {
            let entry = other.get(in_force.index);
            entry.is_some_and(|entry| Some(entry) != one.get(in_force.index))
        })
    })
}
