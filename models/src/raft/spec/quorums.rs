//! Who is a quorum, and by which configuration a node acts (§6; thesis §4).
//!
//! In the specification's own words: what the protocol makes of it is checked by them, so that they
//! must not be the protocol's.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::protocol::{Node, NodeId};
use crate::raft::Raft;
use crate::raft::configuration::Configuration;
use crate::raft::log::{Content, Index};
use crate::raft::machine::StateMachine;
use crate::raft::state::Persistent;
use crate::world::World;

/// Whether those of whom this is true are a quorum: more than half of the voters, and in joint
/// consensus "separate majorities from both the old and new configurations" (§6).
pub(super) fn are_quorum(configuration: &Configuration, are: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: &BTreeSet<NodeId>| {
        let count = voters.iter().filter(|&&voter| are(voter)).count();
        count > voters.len() / 2
    };
    let Configuration {
        voters, outgoing, ..
    } = configuration;
    majority(voters) && (outgoing.is_empty() || majority(outgoing))
}

/// Whether these are a quorum.
pub(super) fn is_quorum(configuration: &Configuration, nodes: &BTreeSet<NodeId>) -> bool {
    are_quorum(configuration, |node| nodes.contains(&node))
}

/// The greatest value that a quorum has reached, where each voter has reached the value that
/// `reached` tells; none where nobody votes.
pub(super) fn reached_by_quorum<T: Copy + Ord>(
    configuration: &Configuration,
    reached: impl Fn(NodeId) -> T,
) -> Option<T> {
    let values = voters(configuration).map(&reached);
    let agreed = values.filter(|&value| are_quorum(configuration, |voter| reached(voter) >= value));
    agreed.max()
}

/// All voters, old and new; who is both comes twice.
pub(super) fn voters(configuration: &Configuration) -> impl Iterator<Item = NodeId> + '_ {
    let voters = configuration.voters.iter().chain(&configuration.outgoing);
    voters.copied()
}

/// Whether the votes of the node count.
pub(super) fn votes(configuration: &Configuration, node: NodeId) -> bool {
    voters(configuration).any(|voter| voter == node)
}

/// All members: voters, old and new, and learners.
pub(super) fn members(configuration: &Configuration) -> BTreeSet<NodeId> {
    let learners = configuration.learners.iter().copied();
    voters(configuration).chain(learners).collect()
}

/// The last configuration up to `index` of a log that was found to be right, with its place: among
/// the entries that are kept, or of those that a snapshot has replaced. These are committed, and
/// remembered for that.
pub(super) fn latest_at<'a, M: StateMachine>(
    world: &'a World<Raft<M>>,
    durable: &'a Persistent<M>,
    index: Index,
) -> Option<(Index, &'a Configuration)> {
    let log = &durable.log;
    let base = log.base_index();
    let places = |first: u64, last: Index| (first..=last.0).rev().map(Index);
    let kept = places(base.0.saturating_add(1), index.min(log.last_index()));
    let kept = kept.filter_map(|place| Some((place, &log.get(place)?.content)));
    let replaced = places(1, index.min(base)).filter_map(|place| {
        let position = usize::try_from(place.0 - 1).ok()?;
        Some((place, &world.ghost.committed.get(position)?.entry.content))
    });
    let mut configurations = kept.chain(replaced).filter_map(|(place, it)| match it {
        Content::Configuration(configuration) => Some((place, configuration)),
        Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
    });
    configurations.next()
}

/// The configuration that a node acts on: "a server always uses the latest configuration in its
/// log, regardless of whether the entry is committed" (§6), or the one that it has begun with; and
/// whether it is not known to be committed.
pub(super) fn in_force<'a, M: StateMachine>(
    world: &'a World<Raft<M>>,
    node: &'a Node<Raft<M>>,
) -> (&'a Configuration, bool) {
    let durable = node.durable();
    match latest_at(world, durable, durable.log.last_index()) {
        Some((index, latest)) => (latest, index > node.volatile.commit_index),
        None => (begun_with(durable), false),
    }
}

/// The configuration that the disk was set up with.
fn begun_with<M: StateMachine>(durable: &Persistent<M>) -> &Configuration {
    durable.initial.as_ref().unwrap_or(&NOBODY)
}

static NOBODY: Configuration = Configuration {
    voters: BTreeSet::new(),
    outgoing: BTreeSet::new(),
    learners: BTreeSet::new(),
    contacts: alloc::collections::BTreeMap::new(),
};

/// Whom a leader replicates to: the other members, and until that is known to be committed those of
/// the configuration before (thesis §4.2.2: who leaves learns of it).
pub(super) fn peers<M: StateMachine>(
    world: &World<Raft<M>>,
    id: NodeId,
    node: &Node<Raft<M>>,
) -> Vec<NodeId> {
    let durable = node.durable();
    let mut peers = members(in_force(world, node).0);
    let latest = latest_at(world, durable, durable.log.last_index());
    if let Some((index, _)) = latest.filter(|(index, _)| *index > node.volatile.commit_index) {
        let before = latest_at(world, durable, Index(index.0 - 1));
        let before = before.map_or(begun_with(durable), |(_, before)| before);
        peers.extend(members(before));
    }
    peers.into_iter().filter(|&peer| peer != id).collect()
}
