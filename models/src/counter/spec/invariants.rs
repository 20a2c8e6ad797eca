//! What must hold in every state.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::counter::counts::Counts;
use crate::counter::g_counter::ReplicaId;
use crate::counter::window::Bucket;
use crate::counter::{Counter, Timer};
use crate::protocol::{Node, NodeId};
use crate::specification::Invariant;
use crate::world::{Host, Scenario, World};

use super::liveness::all_agree;
use super::{exact, folds, has, is_lost, owes, running_at};

pub(super) const INVARIANTS: &[Invariant<Counter>] = &[
    Invariant {
        name: "No acknowledged increment is lost",
        source: "acknowledged ≤ value: what a client was told is on the disk of who told it",
        holds: no_acknowledged_increment_is_lost,
    },
    Invariant {
        name: "Nobody knows more of a component than its owner",
        source: "Shapiro et al. 2011, Specification 6: a replica increments its own component \
                 alone; no delta carries what a crash could undo",
        holds: nobody_knows_more_than_the_owner,
    },
    Invariant {
        name: "Nothing is counted that was not asked",
        source: "value ≤ attempted: no component is ever said to be more than was counted",
        holds: nothing_is_counted_that_was_not_asked,
    },
    Invariant {
        name: "Windows are exact",
        source: "each bucket has what was counted in its span of time, and nothing else",
        holds: windows_are_exact,
    },
    Invariant {
        name: "The total outlives its buckets",
        source: "what the buckets of a component have is never more than its total, also where a \
                 disk was lost",
        holds: |_, world| {
            let mut hosts = world.all_hosts();
            hosts.all(|(_, host)| total_covers_buckets(host))
        },
    },
    Invariant {
        name: "One writer for each component",
        source: "Shapiro et al. 2011, Specification 6: myID() is unique",
        holds: |_, world| one_writer_for_each_component(world),
    },
    Invariant {
        name: "Who owes nothing agrees",
        source: "Shapiro et al. 2011, §2.2.1: replicas that have delivered the same updates have \
                 equivalent state, the exact sum",
        holds: who_owes_nothing_agrees,
    },
    Invariant {
        name: "Deltas are kept until acknowledged",
        source: "Almeida et al. 2018, Algorithm 2: what is not in the buffer, the neighbour has",
        holds: deltas_are_kept_until_acknowledged,
    },
    Invariant {
        name: "Who owes has its timer running",
        source: "Almeida et al. 2018, Algorithm 2, periodically; Demers et al. 1987, §1.3",
        holds: |scenario, world| {
            let hosts = scenario.nodes.iter().zip(world.all_hosts());
            { hosts }.all(|(counter, (_, host))| timers_run(counter.fold.is_some(), host))
        },
    },
    Invariant {
        name: "Who owes nothing waits for nothing",
        source: "Almeida et al. 2018, Algorithm 2, periodically: a timer that runs when everything \
                 is acknowledged is for nothing",
        holds: |_, world| {
            world
                .all_hosts()
                .all(|(_, host)| no_timer_runs_in_vain(host))
        },
    },
    Invariant {
        name: "No more clients are remembered than there is room for",
        source: "a disk does not grow with the clients that have ever counted",
        holds: |scenario, world| {
            let nodes = scenario.nodes.iter().zip(world.all_hosts());
            nodes.into_iter().all(|(config, (_, host))| {
                host.durable().recent.clients().count() <= config.max_sessions.max(1)
            })
        },
    },
    Invariant {
        name: "Values told are the sum",
        source: "Shapiro et al. 2011, Specification 6: query value",
        holds: |_, world| world.ghost.misreported.is_empty(),
    },
    Invariant {
        name: "What has expired is owed to nobody",
        source: "what is kept for a member that is cut off does not grow with time",
        holds: |_, world| {
            world.running().all(|(_, node)| {
                let mut members = node.volatile.members.values();
                members.all(|peer| {
                    let mut buckets = peer.pending.buckets.iter();
                    buckets.all(|(bucket, _)| bucket.start >= node.durable().horizon)
                })
            })
        },
    },
    Invariant {
        name: "Buckets are as one's own window has them",
        source: "buckets of another width or start are never merged, nor kept for nothing",
        holds: |scenario, world| {
            let hosts = scenario.nodes.iter().zip(world.all_hosts());
            { hosts }.all(|(counter, (_, host))| {
                let mut buckets = host.durable().counts.buckets.iter();
                buckets.all(|(bucket, _)| counter.window.is_some_and(|window| has(window, bucket)))
            })
        },
    },
    Invariant {
        name: "Who has left is not needed",
        source: "what a node knew when it said so is on the disk of every member, and of one at \
                 least",
        holds: |_, world| who_has_left_is_not_needed(world),
    },
    folds::ONE_FOLD_OF_EACH_NUMBER,
    folds::COUNTS_ONCE,
    folds::WHO_COUNTS_IS_NOT_DEAD,
    folds::DEPARTED_ARE_NO_MEMBERS,
    folds::FOLDED_IS_OWED_TO_NOBODY,
];

fn no_acknowledged_increment_is_lost(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    world.ghost.counted.keys().all(|&name| {
        let owner = world.host(name.node);
        let kept = owner.map_or(0, |owner| owner.on_disk().counts.total.count(name));
        // What is folded there is accounted for by the sum: see `folds`.
        let is_folded = owner.is_some_and(|owner| owner.on_disk().counts.folded.covers(name));
        let exact = exact(scenario, world, None, name);
        is_lost(scenario, world, name) || is_folded || u128::from(kept) >= exact
    })
}

/// What anybody says of a component: on a disk, in memory, under way.
fn said(world: &World<Counter>) -> impl Iterator<Item = (Option<Bucket>, ReplicaId, u64)> {
    let under_way = world.network.under_way();
    let under_way = under_way.map(|envelope| envelope.message.counts());
    let known = world.all_hosts().map(|(_, host)| &host.durable().counts);
    known.chain(under_way).flat_map(Counts::components)
}

/// The most that anybody says of each bucket's component.
fn most_said(world: &World<Counter>) -> BTreeMap<(Bucket, ReplicaId), u64> {
    let mut most = BTreeMap::new();
    let of_buckets = |(bucket, name, count)| Some(((bucket?, name), count));
    for (component, count) in said(world).filter_map(of_buckets) {
        let so_far: &mut u64 = most.entry(component).or_default();
        *so_far = count.max(*so_far);
    }
    most
}

fn nothing_is_counted_that_was_not_asked(
    scenario: &Scenario<Counter>,
    world: &World<Counter>,
) -> bool {
    let mut most: BTreeMap<ReplicaId, u64> = BTreeMap::new();
    for (_, name, count) in said(world).filter(|(bucket, ..)| bucket.is_none()) {
        let so_far = most.entry(name).or_default();
        *so_far = count.max(*so_far);
    }
    { most.into_iter() }
        .all(|(name, count)| u128::from(count) <= exact(scenario, world, None, name))
}

/// At most what was counted, at anybody; all of it at who counted it, until it expires.
fn windows_are_exact(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    { most_said(world).into_iter() }.all(|((bucket, name), count)| {
        u128::from(count) <= exact(scenario, world, Some(bucket), name)
    }) && world
        .all_hosts()
        .all(|(id, host)| own_buckets_are_exact(scenario, world, id, host))
}

fn own_buckets_are_exact(
    scenario: &Scenario<Counter>,
    world: &World<Counter>,
    id: NodeId,
    host: &Host<Counter>,
) -> bool {
    let Some(window) = scenario.nodes[usize::from(id.0)].window else {
        return true;
    };
    let durable = host.durable();
    let Some(name) = durable.identity else {
        return true;
    };
    let counted = world.ghost.counted.get(&name).into_iter().flatten();
    let increments = counted.filter_map(|&request| super::asked(scenario, request));
    let buckets = increments.map(|increment| running_at(window, increment.now));
    let mut kept = buckets.filter(|bucket| bucket.start >= durable.horizon);
    kept.all(|bucket| {
        let count = durable.counts.buckets.count(bucket, name);
        u128::from(count) == exact(scenario, world, Some(bucket), name)
    })
}

fn total_covers_buckets(host: &Host<Counter>) -> bool {
    let counts = &host.durable().counts;
    let mut within: BTreeMap<ReplicaId, u128> = BTreeMap::new();
    for (name, count) in { counts.buckets.iter() }.flat_map(|(_, of)| of.components()) {
        *within.entry(name).or_default() += u128::from(count);
    }
    { within.into_iter() }.all(|(name, within)| {
        counts.folded.covers(name) || within <= u128::from(counts.total.count(name))
    })
}

fn nobody_knows_more_than_the_owner(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    said(world).all(|(bucket, name, count)| {
        count <= on_owners_disk(world, bucket, name) || is_lost(scenario, world, name)
    })
}

/// What the owner of a component has of it on disk; of a bucket that has expired there, or a total
/// that is folded, no matter how much.
fn on_owners_disk(world: &World<Counter>, bucket: Option<Bucket>, name: ReplicaId) -> u64 {
    let Some(owner) = world.host(name.node) else {
        return 0;
    };
    let disk = owner.on_disk();
    match bucket {
        Some(bucket) if bucket.start < disk.horizon => u64::MAX,
        None if disk.counts.folded.covers(name) => u64::MAX,
        _ => disk.counts.count(bucket, name),
    }
}

fn one_writer_for_each_component(world: &World<Counter>) -> bool {
    let names = world
        .all_hosts()
        .filter_map(|(_, host)| host.durable().identity);
    let names: Vec<ReplicaId> = names.collect();
    let distinct: BTreeSet<&ReplicaId> = names.iter().collect();
    distinct.len() == names.len()
}

fn deltas_are_kept_until_acknowledged(
    scenario: &Scenario<Counter>,
    world: &World<Counter>,
) -> bool {
    // A disk that is lost takes with it what was acknowledged: push-pull brings it again.
    world.faults.lost_disks > 0
        || world.running().all(|(_, node)| {
            let durable = node.durable();
            let own = |&(_, name, _): &(_, ReplicaId, _)| durable.identity == Some(name);
            node.volatile.members.iter().all(|(&member, peer)| {
                let has = |(bucket, name, count): (Option<Bucket>, ReplicaId, u64)| {
                    count <= peer.pending.count(bucket, name)
                        || is_known_to(scenario, world, member, bucket, name, count)
                };
                durable.counts.components().filter(own).all(has)
            })
        })
}

/// Whether this is on the member's disk, or of a bucket that the member does not want.
fn is_known_to(
    scenario: &Scenario<Counter>,
    world: &World<Counter>,
    member: NodeId,
    bucket: Option<Bucket>,
    name: ReplicaId,
    count: u64,
) -> bool {
    let Some(disk) = world.host(member).map(Host::on_disk) else {
        return true;
    };
    let window = scenario.nodes[usize::from(member.0)].window;
    let is_wanted = bucket.is_none_or(|bucket| {
        bucket.start >= disk.horizon && window.is_some_and(|window| has(window, bucket))
    });
    !is_wanted || disk.counts.folded.covers(name) || count <= disk.counts.count(bucket, name)
}

fn timers_run(folds: bool, host: &Host<Counter>) -> bool {
    match host {
        Host::Up { node, armed, .. } => {
            let owes = owes(node);
            armed.contains(&Timer::PushPull)
                && (!folds || armed.contains(&Timer::Fold))
                && (!owes || armed.contains(&Timer::Broadcast))
        }
        Host::Down { .. } => true,
    }
}

fn no_timer_runs_in_vain(host: &Host<Counter>) -> bool {
    match host {
        Host::Up { node, armed, .. } => owes(node) || !armed.contains(&Timer::Broadcast),
        Host::Down { .. } => true,
    }
}

fn who_owes_nothing_agrees(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    let is_settled = |node: &Node<Counter>| {
        let knows_all = node.volatile.members.len() + 1 == world.hosts.len();
        knows_all && !owes(node)
    };
    let all_are = world.running().count() == world.hosts.len()
        && world.running().all(|(_, node)| is_settled(node));
    // A lost disk's own counts are known to whom push-pull has told them.
    !all_are || world.faults.lost_disks > 0 || all_agree(scenario, world)
}

fn who_has_left_is_not_needed(world: &World<Counter>) -> bool {
    let lost = world.faults.lost_disks > 0;
    lost || world.ghost.drained.iter().all(|(&id, counts)| {
        let mut others = world.all_hosts().filter(|(other, _)| *other != id);
        if !others.any(|(_, host)| has_all(&host.on_disk().counts, counts)) {
            return false;
        }
        // One that has restarted since is told anew who is a member.
        let leaves = |node: &&Node<Counter>| node.volatile.leaving;
        let Some(node) = world.host(id).and_then(Host::node).filter(leaves) else {
            return true;
        };
        node.volatile.members.keys().all(|&member| {
            let disk = world.host(member).map(Host::on_disk);
            disk.is_none_or(|disk| has_all(&disk.counts, counts))
        })
    })
}

/// Whether the total has every component of the other, or has it folded.
fn has_all(known: &Counts, counts: &Counts) -> bool {
    let mut total = counts.total.components();
    known.folded.number >= counts.folded.number
        && total.all(|(name, count)| known.folded.covers(name) || count <= known.total.count(name))
}
