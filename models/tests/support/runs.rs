//! Worlds, and ways through them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use models::raft::log::Term;
use models::raft::spec::{Bounds, Total, client_commands, guarded, request};
use models::raft::{Command, Raft};
use models::world::{Action, Delivery, Disk, Duplicates, Faults, Kind, Scenario, Timing, World};
use models::{NodeId, Specification};
use proptest::prelude::*;

use super::bench::Checked;

/// A Raft cluster in which every node may stand for election up to `max_term`.
pub(crate) fn cluster(size: u16, max_term: u64) -> Scenario<Checked> {
    let ids: Vec<NodeId> = (0..size).map(NodeId).collect();
    let nodes = ids.iter().map(|&id| Raft::new(id, ids.clone())).collect();
    let candidates = ids.into_iter().map(|id| (id, Term(max_term))).collect();
    let in_time = BTreeSet::new();
    Scenario::new(
        nodes,
        Bounds {
            candidates,
            in_time,
        },
    )
}

/// A cluster in which everything can go wrong that an honest disk survives: a writer of two
/// commands, another of one, and a reader.
pub(crate) fn troubled(size: u16) -> Scenario<Checked> {
    let mut scripts = client_commands(&[2, 1]);
    scripts.push(vec![Command::Read {
        request: request(2, 0),
        query: Total,
    }]);
    Scenario {
        scripts,
        tries: 3,
        faults: Faults {
            drops: 4,
            duplicates: Duplicates::UpTo(4),
            crashes: 3,
            crash_within_step: true,
            cuts: 2,
            ..Faults::default()
        },
        ..cluster(size, 6)
    }
}

/// [`troubled`] under each network and timing, and under the disks of `disks`, with PreVote and
/// CheckQuorum or without.
pub(crate) fn any_troubled(disks: &'static [Disk<Checked>]) -> BoxedStrategy<Scenario<Checked>> {
    let delivery = prop_oneof![Just(Delivery::Bag), Just(Delivery::Fifo)];
    let timing = prop_oneof![3 => Just(Timing::Any), 1 => Just(Timing::Quiescent)];
    let disk = proptest::sample::select(disks);
    let flags = (any::<bool>(), any::<bool>());
    let knobs = (1u16..=4, delivery, timing, disk, flags);
    knobs
        .prop_map(|(size, delivery, timing, disk, (drop_inert, is_guarded))| {
            let troubled = troubled(size);
            Scenario {
                delivery,
                timing,
                disk,
                drop_inert,
                ..if is_guarded {
                    guarded(troubled)
                } else {
                    troubled
                }
            }
        })
        .boxed()
}

/// What picks the actions of a walk.
pub(crate) fn choices(length: usize) -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..length)
}

/// `length` choices that are the same in every run.
pub(crate) fn fixed_choices(seed: u64, length: usize) -> Vec<u16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u16
    };
    (0..length).map(|_| next()).collect()
}

/// The action that `choice` picks. Three times in four it is one that moves things on: with
/// faults as likely as the rest, nothing would ever come of anything.
pub(crate) fn pick<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    choice: u16,
) -> Option<Action<P>> {
    let mut actions = world.actions(scenario);
    if !choice.is_multiple_of(4) {
        let moves_on = |action: &Action<P>| {
            matches!(
                action.kind(),
                Kind::Deliver | Kind::Fire | Kind::Ask | Kind::Restart | Kind::Heal
            )
        };
        let moving: Vec<Action<P>> = actions.iter().filter(|&a| moves_on(a)).cloned().collect();
        if !moving.is_empty() {
            actions = moving;
        }
    }
    if actions.is_empty() {
        return None;
    }
    let position = usize::from(choice / 4) % actions.len();
    Some(actions.swap_remove(position))
}

/// Walks through a world, and shows each transition to `visit`. Returns where it ends.
pub(crate) fn walk<P: Specification>(
    scenario: &Scenario<P>,
    choices: &[u16],
    mut visit: impl FnMut(&World<P>, &Action<P>, &World<P>),
) -> World<P> {
    let mut world = World::initial(scenario);
    for &choice in choices {
        let Some(action) = pick(scenario, &world, choice) else {
            break;
        };
        let before = world.clone();
        apply(scenario, &mut world, &action);
        visit(&before, &action, &world);
    }
    world
}

/// Makes an action happen that is known to be possible.
pub(crate) fn apply<P: Specification>(
    scenario: &Scenario<P>,
    world: &mut World<P>,
    action: &Action<P>,
) {
    let applied = world.apply(scenario, action);
    applied.unwrap_or_else(|error| panic!("{action:?}: {error}"));
}

/// The names of the properties that a transition, or the state after it, breaks.
pub(crate) fn broken<P: Specification>(
    scenario: &Scenario<P>,
    before: &World<P>,
    action: &Action<P>,
    after: &World<P>,
) -> Vec<&'static str> {
    let laws = P::LAWS.iter();
    let laws = laws.filter(|law| !(law.holds)(scenario, before, action, after));
    let invariants = P::INVARIANTS.iter();
    let invariants = invariants.filter(|invariant| !(invariant.holds)(scenario, after));
    let laws = laws.map(|law| law.name);
    laws.chain(invariants.map(|invariant| invariant.name))
        .collect()
}

/// A fingerprint of 128 bits, the same in every run: two independent 64-bit hashes, so that
/// an accident would need about 10¹⁹ states.
pub(crate) fn fingerprint(value: &impl Hash) -> (u64, u64) {
    let mut plain = DefaultHasher::new();
    value.hash(&mut plain);
    let mut salted = DefaultHasher::new();
    0x5eed_u64.hash(&mut salted);
    value.hash(&mut salted);
    (plain.finish(), salted.finish())
}

/// What a search has found.
pub(crate) struct Explored {
    /// How many worlds there are.
    pub(crate) worlds: usize,
    /// The states of the nodes and of all that is known of them, the network left out; each
    /// with the first world that showed it, printed.
    pub(crate) node_states: BTreeMap<(u64, u64), String>,
    /// The properties that are broken somewhere.
    pub(crate) broken: Vec<&'static str>,
}

/// Visits every reachable world, breadth first. Beyond a violation it does not go.
pub(crate) fn explore<P: Specification>(scenario: &Scenario<P>) -> Explored {
    explore_but(scenario, &[])
}

/// As [`explore`], but blind to the properties that are `ignored`.
pub(crate) fn explore_but<P: Specification>(scenario: &Scenario<P>, ignored: &[&str]) -> Explored {
    search(scenario, ignored, |_| false)
}

/// As [`explore`], until `property` is broken.
pub(crate) fn explore_until<P: Specification>(scenario: &Scenario<P>, property: &str) -> Explored {
    search(scenario, &[], |explored| {
        explored.broken.contains(&property)
    })
}

fn search<P: Specification>(
    scenario: &Scenario<P>,
    ignored: &[&str],
    is_enough: impl Fn(&Explored) -> bool,
) -> Explored {
    let initial = World::initial(scenario);
    let mut seen = BTreeSet::from([fingerprint(&initial)]);
    let mut explored = Explored {
        worlds: 0,
        node_states: BTreeMap::new(),
        broken: Vec::new(),
    };
    note_nodes(&mut explored, &initial);
    let mut frontier = VecDeque::from([initial]);
    while let Some(world) = frontier.pop_front() {
        if is_enough(&explored) {
            break;
        }
        explored.worlds += 1;
        for action in world.actions(scenario) {
            let mut next = world.clone();
            apply(scenario, &mut next, &action);
            let mut violated = broken(scenario, &world, &action, &next);
            violated.retain(|property| !ignored.contains(property));
            note_nodes(&mut explored, &next);
            let is_new = seen.insert(fingerprint(&next));
            if is_new && violated.is_empty() {
                frontier.push_back(next);
            }
            explored.broken.extend(violated);
        }
    }
    explored.broken.sort_unstable();
    explored.broken.dedup();
    explored
}

fn note_nodes<P: Specification>(explored: &mut Explored, world: &World<P>) {
    let nodes = (&world.hosts, &world.ghost, &world.clients, &world.history);
    explored
        .node_states
        .entry(fingerprint(&nodes))
        .or_insert_with(|| format!("{nodes:?}"));
}
