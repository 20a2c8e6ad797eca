//! Bully names the leaders (`models::zab::bully`).

use models::NodeId;
use models::bully::election;
use models::raft::spec::Adder;
use models::world::{Action, Delivery, Host, Scenario, Timing, World};
use models::zab::bully::Bully;
use models::zab::spec::bully::{at_large, cold_start};
use models::zab::spec::writes;
use models::zab::state::{Phase, Role};
use models::zab::{Timer, Zab};

use super::{act, histories, settle};
use crate::support::runs::{broken, fixed_choices, walk};

type Z = Zab<Adder, Bully>;

/// Timers by how long they run, the shortest first, as their docs demand.
fn duration(timer: &Timer<Bully>) -> u8 {
    match timer {
        Timer::Election(election::Timer::Okay) => 0,
        Timer::Ping => 1,
        Timer::Election(election::Timer::Coordinator) => 2,
        Timer::Sync => 3,
        Timer::Init => 4,
    }
}

/// Delivers all, then lets the shortest timer run out, until `is_done`. In a good network that
/// takes no more than `rounds`.
fn run(
    scenario: &Scenario<Z>,
    world: &mut World<Z>,
    rounds: usize,
    is_done: impl Fn(&World<Z>) -> bool,
) {
    for _ in 0..=rounds {
        settle(scenario, world);
        if is_done(world) {
            return;
        }
        let fires = world.actions(scenario).into_iter();
        let mut fires: Vec<_> = fires
            .filter_map(|action| match action {
                Action::Fire { node, timer } => Some((duration(&timer), node, timer)),
                _ => None,
            })
            .collect();
        fires.sort_by_key(|&(duration, node, _)| (duration, node));
        let Some((_, node, timer)) = fires.into_iter().next() else {
            panic!("nothing happens any more: {world:?}");
        };
        act(scenario, world, &Action::Fire { node, timer });
    }
    panic!("not within {rounds} timeouts: {world:?}");
}

/// Whom each running node takes for the leader, if it broadcasts.
fn leaders(world: &World<Z>) -> Vec<Option<NodeId>> {
    let leader = |id: NodeId, host: &Host<Z>| {
        let node = host.node()?;
        match &node.volatile.role {
            Role::Following(following) if following.phase == Phase::Broadcast => {
                Some(following.leader)
            }
            Role::Leading(leading) if is_established(leading) => Some(id),
            Role::Looking | Role::Following(_) | Role::Leading(_) => None,
        }
    };
    world
        .all_hosts()
        .filter(|(_, host)| host.node().is_some())
        .map(|(id, host)| leader(id, host))
        .collect()
}

fn is_established(leading: &models::zab::state::Leading) -> bool {
    matches!(leading, models::zab::state::Leading::Primary(primary) if primary.established)
}

fn all_follow(world: &World<Z>, leader: u16) -> bool {
    let leaders = leaders(world);
    leaders.iter().all(|&known| known == Some(NodeId(leader)))
}

/// Messages beat timers and timers their elders: the highest node leads, all follow, and a
/// write is answered.
#[test]
fn a_cold_start_ends_with_one_leader_that_commits() {
    for size in [1, 2, 3, 5] {
        let scenario = Scenario {
            scripts: writes(&[1]),
            ..cold_start(size, Delivery::Fifo, Timing::Quiescent, 40)
        };
        let mut world = World::initial(&scenario);
        run(&scenario, &mut world, 1, |world| {
            all_follow(world, size - 1)
        });
        let node = NodeId(0);
        act(&scenario, &mut world, &Action::Ask { client: 0, node });
        settle(&scenario, &mut world);
        assert_eq!(world.ghost.delivered.len(), 1, "{size} nodes");
        assert!(histories(&world).iter().all(|history| history == &["1.1"]));
    }
}

/// Of those that are left the one with the most recent history leads, whatever its id.
#[test]
fn the_most_recent_history_leads_next() {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cold_start(4, Delivery::Fifo, Timing::Quiescent, 40)
    };
    scenario.bounds.impatient = true;
    scenario.faults.crashes = 1;
    let mut world = World::initial(&scenario);
    run(&scenario, &mut world, 1, |world| all_follow(world, 3));
    let node = NodeId(3);
    act(&scenario, &mut world, &Action::Ask { client: 0, node });
    // The proposal gets to n0 alone.
    let envelopes = world.network.in_flight().into_iter();
    let to_n0 = envelopes.filter(|envelope| envelope.to == NodeId(0));
    for envelope in to_n0 {
        act(&scenario, &mut world, &Action::Deliver(envelope));
    }
    act(&scenario, &mut world, &Action::Crash(NodeId(3)));
    let histories_before = histories(&world);
    assert_eq!(histories_before, [&["1.1"][..], &[], &[], &["1.1"]]);
    run(&scenario, &mut world, 20, |world| all_follow(world, 0));
    assert_eq!(world.ghost.delivered.len(), 1);
}

/// A leader that comes back is told who leads now, and follows.
#[test]
fn a_leader_that_comes_back_follows() {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cold_start(3, Delivery::Fifo, Timing::Quiescent, 40)
    };
    scenario.bounds.impatient = true;
    scenario.bounds.pings = true;
    scenario.faults.crashes = 1;
    let mut world = World::initial(&scenario);
    run(&scenario, &mut world, 1, |world| all_follow(world, 2));
    act(&scenario, &mut world, &Action::Crash(NodeId(2)));
    scenario.bounds.pings = false;
    run(&scenario, &mut world, 20, |world| all_follow(world, 1));
    let node = NodeId(0);
    act(&scenario, &mut world, &Action::Ask { client: 0, node });
    settle(&scenario, &mut world);
    act(&scenario, &mut world, &Action::Restart(NodeId(2)));
    run(&scenario, &mut world, 20, |world| {
        world.hosts.len() == 3 && all_follow(world, 1)
    });
    assert!(histories(&world).iter().all(|history| history == &["2.1"]));
}

/// Where delays are not bounded Bully names two leaders at once. The epochs decide between
/// them, and no property is broken; nor is one where everything else goes wrong, too.
#[test]
fn two_leaders_at_once_break_nothing() {
    let unbounded = Scenario {
        scripts: writes(&[2]),
        tries: 3,
        ..cold_start(3, Delivery::Fifo, Timing::Any, 8)
    };
    let (mut rivals, mut reigns, mut delivered) = (0, 0, 0);
    for seed in 0..200 {
        let mut has_rivals = false;
        let end = walk_unbroken(&unbounded, seed, |world| {
            let roles = world.running().map(|(_, node)| &node.volatile.role);
            has_rivals |= roles
                .filter(|role| matches!(role, Role::Leading(_)))
                .count()
                > 1;
        });
        rivals += usize::from(has_rivals);
        reigns += end.ghost.reigns.len();
        delivered += end.ghost.delivered.len();
        walk_unbroken(&at_large(), seed, |_| {});
    }
    let counts = (rivals, reigns, delivered);
    assert!(rivals > 50 && reigns > 100 && delivered > 20, "{counts:?}");
}

/// A random walk on which no property may be broken.
fn walk_unbroken(scenario: &Scenario<Z>, seed: u64, mut look: impl FnMut(&World<Z>)) -> World<Z> {
    let choices = fixed_choices(seed, 400);
    walk(scenario, &choices, |before, action, after| {
        let broken = broken(scenario, before, action, after);
        assert!(
            broken.is_empty(),
            "seed {seed}: {broken:?} after {action:?}"
        );
        look(after);
    })
}
