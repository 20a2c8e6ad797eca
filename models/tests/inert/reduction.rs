//! Compares worlds that drop what is inert with those that do not, of any protocol.

use models::Specification;
use models::protocol::NodeId;
use models::world::{
    Action, Delivery, Duplicates, Envelope, Faults, Host, Scenario, Timing, World,
};
use proptest::prelude::*;

use crate::support::runs::{choices, explore, explore_until, walk};

/// Searches `scenario` with and without the reduction, and hands back both counts of worlds.
pub(super) fn same_either_way<P: Specification>(scenario: Scenario<P>) -> (usize, usize) {
    let reduced = explore(&Scenario {
        drop_inert: true,
        ..scenario.clone()
    });
    let full = explore(&Scenario {
        drop_inert: false,
        ..scenario
    });
    assert_eq!(reduced.broken, full.broken);
    for (states, others, which) in [
        (&full.node_states, &reduced.node_states, "full"),
        (&reduced.node_states, &full.node_states, "reduced"),
    ] {
        let alone = states.iter().find(|(state, _)| !others.contains_key(state));
        assert!(alone.is_none(), "only in the {which} search: {alone:?}");
    }
    assert!(reduced.worlds <= full.worlds);
    (reduced.worlds, full.worlds)
}

/// Searches with and without the reduction; `property` must be broken both times.
pub(super) fn broken_either_way<P: Specification>(scenario: &Scenario<P>, property: &str) {
    for drop_inert in [true, false] {
        let scenario = Scenario {
            drop_inert,
            ..scenario.clone()
        };
        let broken = explore_until(&scenario, property).broken;
        assert!(
            broken.contains(&property),
            "reduced: {drop_inert}; {broken:?}"
        );
    }
}

/// The messages under way that are inert now.
pub(super) fn inert<P: Specification>(world: &World<P>) -> Vec<Envelope<P::Message>> {
    let mut under_way = world.network.in_flight();
    under_way.retain(|envelope| world.is_inert(envelope));
    under_way
}

/// A world in which messages are never used up, so that what was inert at any time can still
/// be delivered at any later time.
pub(super) fn lasting<P: Specification>(scenario: Scenario<P>) -> Scenario<P> {
    Scenario {
        drop_inert: false,
        delivery: Delivery::Bag,
        faults: Faults {
            duplicates: Duplicates::Unlimited,
            cuts: 0,
            ..scenario.faults
        },
        timing: Timing::Any,
        ..scenario
    }
}

/// A host, but for what waits there for its disk: that is as good as under way.
fn without_held<P: Specification>(host: &Host<P>) -> Host<P> {
    match host.clone() {
        Host::Up {
            node,
            armed,
            on_disk,
            ..
        } => Host::Up {
            node,
            armed,
            on_disk,
            held: Vec::new(),
        },
        down @ Host::Down { .. } => down,
    }
}

/// The messages that wait for a disk after a step, and did not before.
fn newly_held<P: Specification>(before: &World<P>, after: &World<P>) -> Vec<Envelope<P::Message>> {
    let held = |(from, host): (NodeId, &Host<P>)| {
        let messages = host.held().map(move |(to, message)| Envelope {
            from,
            to,
            message: message.clone(),
        });
        messages.collect::<Vec<_>>()
    };
    let earlier: Vec<_> = before.all_hosts().flat_map(held).collect();
    let mut news: Vec<_> = after.all_hosts().flat_map(held).collect();
    news.retain(|envelope| !earlier.contains(envelope));
    news
}

/// Delivers each inert message on the side: nothing may change but the network, and what waits for a
/// disk to get there. Returns how many there were that could be delivered.
pub(super) fn assert_changes_nothing<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
) -> usize {
    let mut delivered = 0;
    for envelope in inert(world) {
        let action = Action::Deliver(envelope);
        let mut after = world.clone();
        if after.apply(scenario, &action).is_err() {
            continue;
        }
        delivered += 1;
        let hosts = |world: &World<P>| {
            let hosts = world.all_hosts().map(|(_, host)| without_held(host));
            hosts.collect::<Vec<_>>()
        };
        assert_eq!(hosts(&after), hosts(world), "{action:?}");
        assert_eq!(after.ghost, world.ghost, "{action:?}");
        assert_eq!(after.clients, world.clients, "{action:?}");
        assert_eq!(after.history, world.history, "{action:?}");
    }
    delivered
}

/// What was inert before a transition, and is still under way, must be inert after it.
pub(super) fn assert_stays_inert<P: Specification>(
    before: &World<P>,
    action: &Action<P>,
    after: &World<P>,
) {
    let still = inert(after);
    let gone = |envelope: &Envelope<P::Message>| !after.network.in_flight().contains(envelope);
    for envelope in inert(before) {
        let stays = still.contains(&envelope) || gone(&envelope);
        assert!(stays, "{envelope:?} lives again after {action:?}");
    }
}

/// An inert message that is delivered sends nothing but what is inert in turn, whether the same is
/// under way already or not: otherwise dropping it early would lose something.
pub(super) fn assert_brings_about_what_is_inert<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
) {
    for envelope in inert(world) {
        let mut after = world.clone();
        let delivery = Action::Deliver(envelope.clone());
        if after.apply(scenario, &delivery).is_ok() {
            let held = newly_held(world, &after);
            for sent in after.network.sent().chain(&held) {
                assert!(after.is_inert(sent), "{envelope:?}: {sent:?}");
            }
        }
    }
}

/// Samples runs of `worlds` in which messages last: what is inert in any of their states changes
/// nothing but the network, then and ever after, and brings about only what is inert.
pub(super) fn assert_holds_of_samples<P: Specification>(
    cases: u32,
    worlds: impl Strategy<Value = Scenario<P>>,
) {
    let config = ProptestConfig::with_cases(cases);
    proptest!(config, |(scenario in worlds, choices in choices(120))| {
        let scenario = lasting(scenario);
        walk(&scenario, &choices, |before, action, after| {
            assert_changes_nothing(&scenario, after);
            assert_stays_inert(before, action, after);
            assert_brings_about_what_is_inert(&scenario, after);
        });
    });
}
