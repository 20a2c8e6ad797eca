//! What a crash leaves on disk: on one that keeps its word, and on the broken ones.

use std::collections::BTreeMap;

use models::world::{Action, Disk, Faults, Host, Scenario, World};
use models::{Input, NodeId};
use proptest::prelude::*;

use crate::support::runs::{apply, choices, walk};
use crate::support::scribe::{Line, Notes, Scribe, Tick, scribes};

fn tick(node: u16) -> Action<Scribe> {
    let (node, timer) = (NodeId(node), Tick);
    Action::Fire { node, timer }
}

fn on(disk: Disk<Scribe>, crash_within_step: bool) -> Scenario<Scribe> {
    Scenario {
        disk,
        faults: Faults {
            crashes: 3,
            crash_within_step,
            ..Faults::default()
        },
        ..scribes(2, 12)
    }
}

/// What is left of node 0 when it crashes now.
fn left(scenario: &Scenario<Scribe>, world: &World<Scribe>) -> Vec<u8> {
    let mut world = world.clone();
    apply(scenario, &mut world, &Action::Crash(NodeId(0)));
    world.host(NodeId(0)).expect("node 0").durable().0.clone()
}

fn after(scenario: &Scenario<Scribe>, actions: &[Action<Scribe>]) -> World<Scribe> {
    let mut world = World::initial(scenario);
    for action in actions {
        apply(scenario, &mut world, action);
    }
    world
}

/// A lost disk is replaced by an empty one while its node is down; there are so many such
/// losses, and an empty disk cannot be lost.
#[test]
fn a_lost_disk_is_empty() {
    let mut scenario = on(Disk::WriteThrough, false);
    scenario.faults.lost_disks = 1;
    let lost = Action::LoseDisk(NodeId(0));
    let mut world = after(&scenario, &[Action::Crash(NodeId(0))]);
    assert!(world.apply(&scenario, &lost).is_err(), "it is empty");
    let restart = Action::Restart(NodeId(0));
    for action in [&restart, &tick(0)] {
        apply(&scenario, &mut world, action);
    }
    assert!(world.apply(&scenario, &lost).is_err(), "its node is up");
    for action in [&Action::Crash(NodeId(0)), &lost, &restart, &tick(0)] {
        apply(&scenario, &mut world, action);
    }
    assert_eq!(left(&scenario, &world), [0, 1]);
    apply(&scenario, &mut world, &Action::Crash(NodeId(0)));
    assert!(world.apply(&scenario, &lost).is_err(), "one is lost");
}

/// The crashes within a step that node 0 may suffer now: how many records each keeps.
fn crashes_within(scenario: &Scenario<Scribe>, world: &World<Scribe>) -> Vec<usize> {
    let kept = |action: Action<Scribe>| match action {
        Action::CrashWithin {
            node: NodeId(0),
            kept,
            ..
        } => Some(kept),
        _ => None,
    };
    world
        .actions(scenario)
        .into_iter()
        .filter_map(kept)
        .collect()
}

#[test]
fn write_through_loses_nothing() {
    let scenario = on(Disk::WriteThrough, false);
    let world = after(&scenario, &[tick(0), tick(0)]);
    assert_eq!(left(&scenario, &world), [0, 1, 2, 3]);
    assert_eq!(crashes_within(&scenario, &world), [0; 0]);
    let sync = Action::Sync(NodeId(0));
    assert!(world.clone().apply(&scenario, &sync).is_err());
}

/// A frame is on disk whole or not at all: a crash within a step keeps both records of it, and
/// one that keeps none is a crash between steps.
#[test]
fn a_crash_within_a_step_keeps_the_whole_frame_and_lets_nothing_out() {
    let scenario = on(Disk::WriteThrough, true);
    let mut world = after(&scenario, &[tick(0)]);
    assert_eq!(crashes_within(&scenario, &world), [2]);
    let under_way = world.network.in_flight();
    let action = Action::CrashWithin {
        node: NodeId(0),
        input: models::Input::Fire(Tick),
        kept: 2,
    };
    apply(&scenario, &mut world, &action);
    let host = world.host(NodeId(0)).expect("node 0");
    let durable = Notes(vec![0, 1, 2, 3]);
    assert_eq!(host, &Host::Down { durable });
    assert_eq!(world.network.in_flight(), under_way);
    assert_eq!(world.faults.crashes, 1);
}

/// The message that was being handled is gone with the crash.
#[test]
fn a_crash_within_a_delivery_takes_the_message() {
    let mut scenario = on(Disk::WriteThrough, true);
    scenario.step = |scribe, node, input, out| {
        use models::Protocol;
        if let models::Input::Deliver { message, .. } = input {
            node.write(Line(100 + message));
        }
        scribe.step(node, input, out);
    };
    let mut world = after(&scenario, &[tick(1)]);
    assert_eq!(world.network.in_flight().len(), 1);
    let action = Action::CrashWithin {
        node: NodeId(0),
        input: models::Input::Deliver {
            from: NodeId(1),
            message: 0,
        },
        kept: 1,
    };
    apply(&scenario, &mut world, &action);
    assert_eq!(world.network.in_flight(), []);
    assert_eq!(world.host(NodeId(0)).expect("node 0").durable().0, [100]);
}

#[test]
fn a_torn_frame_keeps_any_prefix() {
    let scenario = on(Disk::TornFrame, false);
    let world = after(&scenario, &[tick(0)]);
    assert_eq!(crashes_within(&scenario, &world), [1, 2]);
    for (kept, expected) in [(1, vec![0, 1, 2]), (2, vec![0, 1, 2, 3])] {
        let mut world = world.clone();
        let action = Action::CrashWithin {
            node: NodeId(0),
            input: models::Input::Fire(Tick),
            kept,
        };
        apply(&scenario, &mut world, &action);
        assert_eq!(world.host(NodeId(0)).expect("node 0").durable().0, expected);
    }
}

#[test]
fn what_is_sent_before_it_is_synced_may_be_lost() {
    let scenario = on(Disk::SendBeforeSync, false);
    let sync = Action::Sync(NodeId(0));
    let mut world = after(&scenario, &[tick(0), sync.clone(), tick(0)]);
    let host = world.host(NodeId(0)).expect("node 0");
    assert_eq!(host.durable().0, [0, 1, 2, 3], "what the node believes");
    assert_eq!(host.on_disk().0, [0, 1], "what is so");
    assert_eq!(world.network.in_flight().len(), 2, "what others hear of it");
    assert_eq!(left(&scenario, &world), [0, 1]);
    apply(&scenario, &mut world, &sync);
    assert_eq!(left(&scenario, &world), [0, 1, 2, 3]);
    assert!(world.apply(&scenario, &sync).is_err(), "nothing to sync");
}

/// Node 0 takes its step as it is, and says something early beside it.
fn says_early(scenario: &mut Scenario<Scribe>) {
    scenario.step = |scribe, node, input, out| {
        use models::Protocol;
        let is_timer = matches!(input, Input::Fire(_));
        scribe.step(node, input, out);
        if is_timer {
            out.send_early(NodeId(1), 99);
        }
    };
}

#[test]
fn what_is_buffered_waits_for_the_disk_and_what_is_early_does_not() {
    let mut scenario = on(Disk::Buffered, true);
    says_early(&mut scenario);
    let sync = Action::Sync(NodeId(0));
    let mut world = after(&scenario, &[tick(0)]);
    let sent = |world: &World<Scribe>| -> Vec<u8> {
        world.network.under_way().map(|it| it.message).collect()
    };
    let host = world.host(NodeId(0)).expect("node 0");
    assert_eq!(host.durable().0, [0, 1], "what the node believes");
    assert_eq!(host.on_disk().0, [0; 0], "what is so");
    assert!(host.armed().next().is_some(), "timers are set at once");
    assert!(host.held().next().is_some(), "and the rest waits");
    assert_eq!(sent(&world), [99]);
    assert_eq!(crashes_within(&scenario, &world), [0; 0]);
    assert_eq!(left(&scenario, &world), [0; 0]);
    let lost = after(&scenario, &[tick(0), Action::Crash(NodeId(0))]);
    assert_eq!(sent(&lost), [99], "what was said early is not taken back");
    apply(&scenario, &mut world, &sync);
    assert!(sent(&world).len() > 1, "what waited has left");
    assert_eq!(left(&scenario, &world), [0, 1]);
    assert!(world.apply(&scenario, &sync).is_err(), "nothing to sync");
}

#[test]
fn amnesia_forgets_exactly_what_it_says() {
    let forgets: fn(&Line) -> bool = |line| line.0 % 2 == 1;
    let scenario = on(Disk::Amnesia { forgets }, false);
    let mut world = after(&scenario, &[tick(0), tick(0)]);
    let host = world.host(NodeId(0)).expect("node 0");
    assert_eq!(host.durable().0, [0, 1, 2, 3]);
    let sync = Action::Sync(NodeId(0));
    assert!(world.clone().apply(&scenario, &sync).is_err(), "for good");
    assert_eq!(left(&scenario, &world), [0, 2]);
    apply(&scenario, &mut world, &Action::Crash(NodeId(0)));
    apply(&scenario, &mut world, &Action::Restart(NodeId(0)));
    let host = world.host(NodeId(0)).expect("node 0");
    assert_eq!(
        (host.durable(), host.on_disk()),
        (&Notes(vec![0, 2]), &Notes(vec![0, 2]))
    );
}

proptest! {
    /// On a disk that syncs late, a crash leaves what the latest sync has written, and a
    /// restarted node believes in no more than that.
    #[test]
    fn a_crash_leaves_what_was_synced(choices in choices(80)) {
        let scenario = on(Disk::SendBeforeSync, false);
        let mut synced: BTreeMap<NodeId, Notes> = BTreeMap::new();
        walk(&scenario, &choices, |before, action, after| {
            if let Action::Sync(id) = action {
                let believed = before.host(*id).expect("a host").durable().clone();
                synced.insert(*id, believed);
            }
            for (id, host) in after.all_hosts() {
                assert_eq!(host.on_disk(), synced.entry(id).or_default(), "{action:?}");
            }
        });
    }

    /// On a disk that takes its time nothing that is not early leaves before what was written
    /// before it is there, and a crash takes back what waits.
    #[test]
    fn nothing_leaves_before_its_records(choices in choices(80)) {
        let scenario = on(Disk::Buffered, false);
        let mut synced: BTreeMap<NodeId, Notes> = BTreeMap::new();
        walk(&scenario, &choices, |before, action, after| {
            if let Action::Sync(id) = action {
                let believed = before.host(*id).expect("a host").durable().clone();
                synced.insert(*id, believed);
            }
            for (id, host) in after.all_hosts() {
                assert_eq!(host.on_disk(), synced.entry(id).or_default(), "{action:?}");
                let waits = host.held().next().is_some();
                assert!(!waits || host.on_disk() != host.durable(), "{action:?}");
            }
            for sent in after.network.sent() {
                let sender = after.host(sent.from).expect("a host");
                assert_eq!(sender.on_disk(), sender.durable(), "{action:?}");
            }
        });
    }

    /// On a disk that keeps its word there is no difference between belief and truth.
    #[test]
    fn an_honest_disk_holds_what_the_node_believes(
        torn in any::<bool>(),
        choices in choices(80),
    ) {
        let disk = if torn { Disk::TornFrame } else { Disk::WriteThrough };
        let scenario = on(disk, true);
        walk(&scenario, &choices, |_, _, world| {
            for (_, host) in world.all_hosts() {
                assert_eq!(host.on_disk(), host.durable());
                assert!(matches!(host, Host::Down { .. } | Host::Up { on_disk: None, .. }));
            }
        });
    }
}

#[test]
fn amnesia_also_forgets_what_a_crash_within_a_step_wrote() {
    let forgetful = Disk::Amnesia {
        forgets: |line: &Line| line.0 % 2 == 1,
    };
    let scenario = on(forgetful, true);
    let within = Action::CrashWithin {
        node: NodeId(0),
        input: Input::Fire(Tick),
        kept: 2,
    };
    let world = after(&scenario, &[tick(0), within]);
    let disk = world.host(NodeId(0)).map(Host::on_disk);
    assert_eq!(disk.map(|notes| notes.0.as_slice()), Some(&[0, 2][..]));
}
