//! What must happen in the end, once faults stop.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::{Formula, Liveness};
use crate::world::World;
use crate::zab::Zab;
use crate::zab::state::{Leading, Phase, Role};

use super::{Bounded, is_quorum};

const FAIRNESS: &str = "faults stop; the election settles on one live node with a most recent \
                        history; delivery of each message, each node's timers and restarts are \
                        weakly fair; messages beat Init and Sync timers";

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const PROGRESS: &'static [Liveness<Self>] = &[
        Liveness {
            name: "An election ends in a synchronised quorum, for ever",
            source: "DSN 2011, §V, liveness; Medeiros 2012, §3.3",
            formula: Formula::EventuallyAlways(|scenario, world| {
                has_quorum(world, |count| is_quorum(&scenario.nodes[0], count))
            }),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "Every request is answered",
            source: "DSN 2011, §V, liveness: what a primary with a live quorum broadcasts commits",
            formula: Formula::Eventually(|scenario, world| {
                let mut clients = world.clients.iter().zip(&scenario.scripts);
                clients.all(|(client, script)| client.next == script.len())
            }),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "Every node catches up",
            source: "Medeiros 2012, §4.2: by DIFF, TRUNC or SNAP",
            formula: Formula::EventuallyAlways(|_, world| {
                let last = world.ghost.last_delivered();
                world.running().count() == world.hosts.len()
                    && world
                        .running()
                        .all(|(_, node)| node.volatile.delivered.zxid == last)
            }),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "The network falls silent again and again",
            source: "Medeiros 2012, §3.5: pings are a matter of time; what one sets off ends before \
                     the next is due",
            formula: Formula::InfinitelyOften(|_, world| {
                world.network.under_way().next().is_none()
            }),
            fairness: FAIRNESS,
        },
    ];
}

/// One node leads, and so many, itself included, broadcast with it that it is enough.
pub(super) fn has_quorum<M: StateMachine, E: Bounded>(
    world: &World<Zab<M, E>>,
    is_enough: impl Fn(usize) -> bool,
) -> bool {
    let leads = |(id, node): (NodeId, &crate::Node<Zab<M, E>>)| match &node.volatile.role {
        Role::Leading(Leading::Primary(primary)) => primary.established.then_some(id),
        Role::Looking | Role::Following(_) | Role::Leading(_) => None,
    };
    let mut leaders = world.running().filter_map(leads);
    let (Some(leader), None) = (leaders.next(), leaders.next()) else {
        return false;
    };
    let follows = |(_, node): &(NodeId, &crate::Node<Zab<M, E>>)| match node.volatile.role {
        Role::Following(following) => {
            following.leader == leader && following.phase == Phase::Broadcast
        }
        Role::Looking | Role::Leading(_) => false,
    };
    is_enough(world.running().filter(follows).count() + 1)
}
