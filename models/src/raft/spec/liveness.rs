//! What must happen in the end, once faults stop.

use crate::protocol::NodeId;
use crate::raft::Raft;
use crate::raft::machine::StateMachine;
use crate::raft::state::Role;
use crate::specification::{Formula, Liveness};
use crate::world::World;

use super::membership;

const FAIRNESS: &str = "faults stop; delivery of each message, each node's timers and restarts \
                        are weakly fair; messages beat election timers";

impl<M: StateMachine> Raft<M> {
    pub(super) const PROGRESS: &'static [Liveness<Self>] = &[
        Liveness {
            name: "Eventually one leader for ever",
            source: "§5.2, §5.6",
            formula: Formula::EventuallyAlways(|_, world| has_agreed_leader(world)),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "Every request is answered",
            source: "§8",
            formula: Formula::Eventually(|scenario, world| {
                let mut clients = world.clients.iter().zip(&scenario.scripts);
                clients.all(|(client, script)| client.next == script.len())
            }),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "A started membership change ends",
            source: "§6; thesis §4: with C-new committed, or overruled, whoever leads by then",
            formula: Formula::LeadsTo(
                |_, world| membership::change_is_under_way(world),
                |_, world| !membership::change_is_under_way(world),
            ),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "Every node catches up",
            source: "§5.3",
            formula: Formula::EventuallyAlways(|_, world| {
                let known = world.ghost.committed.len() as u64;
                world.running().count() == world.hosts.len()
                    && world
                        .running()
                        .all(|(_, node)| node.volatile.applied.last_applied.0 == known)
            }),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "The network falls silent again and again",
            source: "§5.6: the broadcast time is much less than a time-out: what one has set off ends \
                     before the next",
            formula: Formula::InfinitelyOften(|_, world| {
                world.network.under_way().next().is_none()
            }),
            fairness: FAIRNESS,
        },
    ];
}

/// One node leads and all others that run follow it.
fn has_agreed_leader<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    let leads = |(id, node): (NodeId, &crate::Node<Raft<M>>)| {
        matches!(node.volatile.role, Role::Leader(_)).then_some(id)
    };
    let Some(chosen) = world.running().find_map(leads) else {
        return false;
    };
    world.running().all(|(id, node)| match &node.volatile.role {
        Role::Leader(_) => id == chosen,
        Role::Follower { leader } => *leader == Some(chosen),
        Role::PreCandidate { .. } | Role::Candidate { .. } => false,
    })
}
