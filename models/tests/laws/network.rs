//! What the network does to messages. The scribes tell each other how often they have ticked,
//! so the order in which messages were sent shows in them.

use std::collections::BTreeMap;

use models::world::{Action, Delivery, Duplicates, Envelope, Faults, Scenario, Timing, World};
use models::{NodeId, Protocol};
use proptest::prelude::*;

use crate::support::runs::{apply, choices, walk};
use crate::support::scribe::{Scribe, Tick, scribes};

fn envelope(from: u16, to: u16, message: u8) -> Envelope<u8> {
    let (from, to) = (NodeId(from), NodeId(to));
    Envelope { from, to, message }
}

fn tick(node: u16) -> Action<Scribe> {
    let (node, timer) = (NodeId(node), Tick);
    Action::Fire { node, timer }
}

fn messages(world: &World<Scribe>, from: u16, to: u16) -> Vec<u8> {
    let under_way = world.network.in_flight().into_iter();
    let link = (NodeId(from), NodeId(to));
    under_way
        .filter(|envelope| (envelope.from, envelope.to) == link)
        .map(|envelope| envelope.message)
        .collect()
}

/// A world of two scribes, and node 0 has ticked three times.
fn three_ticks(scenario: &Scenario<Scribe>) -> World<Scribe> {
    let mut world = World::initial(scenario);
    for _ in 0..3 {
        apply(scenario, &mut world, &tick(0));
    }
    world
}

fn over(delivery: Delivery, faults: Faults) -> Scenario<Scribe> {
    Scenario {
        delivery,
        faults,
        ..scribes(2, 6)
    }
}

#[test]
fn fifo_delivers_in_the_order_sent() {
    let scenario = over(Delivery::Fifo, Faults::default());
    let mut world = three_ticks(&scenario);
    let late = Action::Deliver(envelope(0, 1, 1));
    assert!(world.clone().apply(&scenario, &late).is_err());
    for message in 0..3 {
        apply(
            &scenario,
            &mut world,
            &Action::Deliver(envelope(0, 1, message)),
        );
    }
    assert_eq!(world.network.in_flight(), []);
}

#[test]
fn a_bag_delivers_in_any_order() {
    let scenario = over(Delivery::Bag, Faults::default());
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut world = three_ticks(&scenario);
        for message in order {
            apply(
                &scenario,
                &mut world,
                &Action::Deliver(envelope(0, 1, message)),
            );
        }
        let heard = world
            .running()
            .nth(1)
            .map(|(_, node)| node.volatile.clone());
        assert_eq!(
            heard,
            Some(order.map(|message| (NodeId(0), message)).to_vec())
        );
    }
}

#[test]
fn a_crash_breaks_channels_but_not_a_bag() {
    let faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    for (delivery, left) in [(Delivery::Fifo, vec![]), (Delivery::Bag, vec![0, 1, 2])] {
        for crashing in [0, 1] {
            let scenario = over(delivery, faults);
            let mut world = three_ticks(&scenario);
            apply(&scenario, &mut world, &Action::Crash(NodeId(crashing)));
            assert_eq!(messages(&world, 0, 1), left, "{delivery:?}, n{crashing}");
        }
    }
}

/// A channel in order is a connection, and there is none to a node that is down.
#[test]
fn what_is_sent_to_a_crashed_node_waits_only_in_a_bag() {
    let faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    for (delivery, left) in [(Delivery::Fifo, vec![]), (Delivery::Bag, vec![0])] {
        let scenario = over(delivery, faults);
        let mut world = World::initial(&scenario);
        apply(&scenario, &mut world, &Action::Crash(NodeId(1)));
        apply(&scenario, &mut world, &tick(0));
        apply(&scenario, &mut world, &Action::Restart(NodeId(1)));
        assert_eq!(messages(&world, 0, 1), left, "{delivery:?}");
    }
}

#[test]
fn a_cut_link_loses_what_is_sent_and_holds_what_was_under_way() {
    let faults = Faults {
        cuts: 1,
        ..Faults::default()
    };
    for delivery in [Delivery::Fifo, Delivery::Bag] {
        let scenario = over(delivery, faults);
        let mut world = World::initial(&scenario);
        let (from, to) = (NodeId(0), NodeId(1));
        apply(&scenario, &mut world, &tick(0));
        apply(&scenario, &mut world, &Action::Cut { from, to });
        apply(&scenario, &mut world, &tick(0));
        apply(&scenario, &mut world, &tick(1));
        assert_eq!(messages(&world, 0, 1), [0], "sent before the cut");
        assert_eq!(messages(&world, 1, 0), [0], "the other way is whole");
        let delivery = Action::Deliver(envelope(0, 1, 0));
        assert!(world.clone().apply(&scenario, &delivery).is_err());
        apply(&scenario, &mut world, &Action::Heal);
        apply(&scenario, &mut world, &tick(0));
        assert_eq!(messages(&world, 0, 1), [0, 2]);
        apply(&scenario, &mut world, &delivery);
        let again = Action::Cut { from, to };
        assert!(world.apply(&scenario, &again).is_err(), "beyond the budget");
    }
}

#[test]
fn an_isolated_node_is_cut_off_both_ways() {
    let mut scenario = scribes(3, 6);
    scenario.faults.cuts = 1;
    let mut world = World::initial(&scenario);
    apply(&scenario, &mut world, &Action::Isolate(NodeId(1)));
    for node in 0..3 {
        apply(&scenario, &mut world, &tick(node));
    }
    let under_way = world.network.in_flight();
    assert_eq!(under_way, [envelope(0, 2, 0), envelope(2, 0, 0)]);
    assert!(world.network.is_partitioned());
    apply(&scenario, &mut world, &Action::Heal);
    assert!(!world.network.is_partitioned());
}

#[test]
fn a_duplicate_arrives_and_stays_under_way_within_the_budget() {
    let faults = Faults {
        duplicates: Duplicates::UpTo(1),
        ..Faults::default()
    };
    for delivery in [Delivery::Fifo, Delivery::Bag] {
        let scenario = over(delivery, faults);
        let mut world = three_ticks(&scenario);
        let duplicate = Action::Duplicate(envelope(0, 1, 0));
        apply(&scenario, &mut world, &duplicate);
        assert_eq!(messages(&world, 0, 1), [0, 1, 2]);
        assert!(world.apply(&scenario, &duplicate).is_err());
        apply(&scenario, &mut world, &Action::Deliver(envelope(0, 1, 0)));
        let heard = world.running().nth(1).map(|(_, node)| node.volatile.len());
        assert_eq!(heard, Some(2));
    }
}

#[test]
fn without_end_to_duplicates_nothing_is_used_up() {
    let faults = Faults {
        duplicates: Duplicates::Unlimited,
        ..Faults::default()
    };
    let scenario = over(Delivery::Bag, faults);
    let mut world = three_ticks(&scenario);
    for _ in 0..5 {
        apply(&scenario, &mut world, &Action::Deliver(envelope(0, 1, 1)));
    }
    assert_eq!(messages(&world, 0, 1), [0, 1, 2]);
    assert_eq!(world.faults.duplicates, 0);
}

#[test]
fn a_dropped_message_is_gone_within_the_budget() {
    let faults = Faults {
        drops: 1,
        ..Faults::default()
    };
    let scenario = over(Delivery::Bag, faults);
    let mut world = three_ticks(&scenario);
    apply(&scenario, &mut world, &Action::Drop(envelope(0, 1, 1)));
    assert_eq!(messages(&world, 0, 1), [0, 2]);
    let another = Action::Drop(envelope(0, 1, 0));
    assert!(world.apply(&scenario, &another).is_err());
}

#[test]
fn nobody_who_is_down_hears_anything() {
    let faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    let scenario = over(Delivery::Bag, faults);
    let mut world = three_ticks(&scenario);
    apply(&scenario, &mut world, &Action::Crash(NodeId(1)));
    let delivery = Action::Deliver(envelope(0, 1, 0));
    assert!(world.apply(&scenario, &delivery).is_err());
    apply(&scenario, &mut world, &Action::Restart(NodeId(1)));
    apply(&scenario, &mut world, &delivery);
}

proptest! {
    /// Whatever is lost on the way, what arrives over an ordered channel since the receiver
    /// has started arrives in the order sent, once, but for duplicates: those come at once.
    #[test]
    fn channels_keep_their_order(choices in choices(150)) {
        let scenario = Scenario {
            delivery: Delivery::Fifo,
            timing: Timing::Any,
            faults: Faults {
                drops: 3,
                duplicates: Duplicates::UpTo(3),
                crashes: 2,
                crash_within_step: true,
                cuts: 2,
                ..Faults::default()
            },
            ..scribes(3, 20)
        };
        walk(&scenario, &choices, |_, _, world| {
            for (_, node) in world.running() {
                let mut latest: BTreeMap<NodeId, u8> = BTreeMap::new();
                for &(from, message) in &node.volatile {
                    let before = latest.insert(from, message);
                    assert!(before <= Some(message), "{:?}", node.volatile);
                }
            }
        });
    }

    /// A bag loses nothing by itself: a message is under way until it is delivered or dropped.
    #[test]
    fn a_bag_keeps_what_is_not_delivered(choices in choices(100)) {
        let scenario = over(Delivery::Bag, Faults { drops: 2, crashes: 2, ..Faults::default() });
        walk(&scenario, &choices, |before, action, after| {
            let mut expected = before.network.in_flight();
            if let Action::Deliver(gone) | Action::Drop(gone) = action {
                expected.retain(|envelope| envelope != gone);
            }
            let now = after.network.in_flight();
            assert!(expected.iter().all(|envelope| now.contains(envelope)));
        });
    }
}

/// Nodes that are started together hear each other's first words, on connections too.
#[test]
fn what_is_sent_at_boot_arrives_in_both_directions() {
    let scenario = Scenario {
        delivery: Delivery::Fifo,
        boot: |scribe: &Scribe, _, out| {
            out.send(NodeId(1 - scribe.id().0), 42);
            Vec::new()
        },
        ..scribes(2, 4)
    };
    let world = World::initial(&scenario);
    assert_eq!(messages(&world, 0, 1), [42]);
    assert_eq!(messages(&world, 1, 0), [42]);
}

#[test]
#[should_panic(expected = "unlimited duplicates need a bag")]
fn knobs_that_make_a_world_stand_still_are_refused() {
    let faults = Faults {
        duplicates: Duplicates::Unlimited,
        ..Faults::default()
    };
    World::initial(&over(Delivery::Fifo, faults));
}
