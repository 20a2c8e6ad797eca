//! What must happen in the end.

use crate::maekawa::Maekawa;
use crate::protocol::NodeId;
use crate::specification::{Formula, Liveness};
use crate::world::{Host, World};

use super::{local_of, orchestrator};

const FAIRNESS: &str = "faults stop; delivery of each message, each node's timers, restarts and \
                        each client's next request are weakly fair";

const PATIENT: &str = "faults stop; delivery of each message, each node's timers, restarts and \
                       each client's next request are weakly fair; messages beat timers";

pub(super) const LIVENESS: &[Liveness<Maekawa>] = &[
    Liveness {
        name: "Every request is granted",
        source: "§4: no deadlock; clients that enter also leave",
        formula: Formula::Eventually(|scenario, world| {
            let mut clients = world.clients.iter().zip(&scenario.scripts);
            clients.all(|(client, script)| client.next == script.len())
        }),
        fairness: FAIRNESS,
    },
    Liveness {
        name: "Nobody starves",
        source: "§4: requests are granted by time stamp; shown of node 1, as an example",
        formula: Formula::LeadsTo(
            |_, world| waits(world, NodeId(1)),
            |_, world| !waits(world, NodeId(1)),
        ),
        fairness: FAIRNESS,
    },
    Liveness {
        name: "An epoch change ends",
        source: "members answer whatever they hold, who leaves releases it, and the dead are found out",
        formula: Formula::LeadsTo(
            |_, world| orchestrator(world).is_some_and(|durable| durable.changing),
            |_, world| orchestrator(world).is_some_and(|durable| !durable.changing),
        ),
        fairness: PATIENT,
    },
    Liveness {
        name: "Who is registered becomes a member",
        source: "a node that is told to register asks until it is one",
        formula: Formula::EventuallyAlways(|_, world| {
            world.running().all(|(id, node)| {
                let durable = orchestrator(world);
                let is_member = durable.is_some_and(|durable| durable.members.contains(&id));
                id == NodeId(0) || is_member == node.durable().registered
            })
        }),
        fairness: PATIENT,
    },
];

/// Whether a client of the node waits: for a lock that no client of the node has.
fn waits(world: &World<Maekawa>, id: NodeId) -> bool {
    let local = world.host(id).and_then(Host::node).and_then(local_of);
    local.is_some_and(|local| {
        let member = local.membership.as_ref();
        let is_held = |lock| member.is_some_and(|member| member.held(lock).is_some());
        !local.claims.keys().all(is_held)
    })
}
