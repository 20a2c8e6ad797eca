//! DIFF, TRUNC and SNAP (Medeiros 2012, §4.2).

use models::NodeId;
use models::world::{Action, World};
use models::zab::spec;

use super::{act, delivered, histories, name, settle};

/// The old leader's transaction, which nobody else has heard of, is truncated.
#[test]
fn trunc_takes_what_was_never_committed() {
    let scenario = spec::trunc(2, 0);
    let mut world = World::initial(&scenario);
    assert_eq!(histories(&world), [vec!["1.1"], vec![], vec![]]);
    name(&scenario, &mut world, 1, &[1, 2]);
    settle(&scenario, &mut world);
    let ask = Action::Ask {
        client: 0,
        node: NodeId(1),
    };
    act(&scenario, &mut world, &ask);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world), [vec!["1.1"], vec!["2.1"], vec!["2.1"]]);
}

/// A follower that lacks two transactions gets just these.
#[test]
fn diff_brings_what_is_missing() {
    let scenario = spec::diff(0);
    let mut world = World::initial(&scenario);
    assert_eq!(histories(&world)[2], [""; 0]);
    name(&scenario, &mut world, 0, &[2]);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world)[2], ["1.1", "1.2"]);
    assert_eq!(delivered(&world)[2], delivered(&world)[0]);
}

/// A follower that lacks what the leader has deleted gets a snapshot, and the rest behind it.
#[test]
fn snap_takes_the_place_of_what_is_deleted() {
    let scenario = spec::snap(0);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[2]);
    settle(&scenario, &mut world);
    assert_eq!(histories(&world)[2], ["1.3"]);
    assert_eq!(delivered(&world)[2], delivered(&world)[0]);
}

/// Found by checking: a follower that broadcasts hears a new epoch from the leader that it
/// follows, for that has started anew. It must give it only so long, as with any new leader.
#[test]
fn a_leader_that_starts_anew_is_given_only_so_long() {
    let scenario = spec::discovery(&[2, 2, 2], &[(0, 2)], 1);
    let mut world = World::initial(&scenario);
    name(&scenario, &mut world, 0, &[0, 1]);
    settle(&scenario, &mut world);
    name(&scenario, &mut world, 0, &[2]);
    act(&scenario, &mut world, &Action::Crash(NodeId(0)));
    act(&scenario, &mut world, &Action::Restart(NodeId(0)));
    name(&scenario, &mut world, 0, &[0, 1]);
    // Every step holds "Nobody waits in vain" against the timers that run.
    settle(&scenario, &mut world);
    assert_eq!(world.ghost.reigns.len(), 2);
}
