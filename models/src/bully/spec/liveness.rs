//! What must happen in the end, once faults stop.

use crate::bully::Bully;
use crate::protocol::Data;
use crate::specification::{Formula, Liveness};
use crate::world::World;

use super::{is_settled, named};

const FAIRNESS: &str = "faults stop; delivery of each message, restarts, Okay timeouts and \
                        heartbeats are weakly fair, the other timeouts strongly; messages beat \
                        timers, Okay timeouts beat Coordinator timeouts, heartbeats beat Leader \
                        timeouts";

impl<R: Data> Bully<R> {
    pub(super) const PROGRESS: &'static [Liveness<Self>] = &[
        Liveness {
            name: "Every election ends",
            source: "Assertion 2",
            formula: Formula::LeadsTo(elects, |world, state| !elects(world, state)),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "Eventually all name the highest node that is up",
            source: "Assertion 2",
            formula: Formula::EventuallyAlways(is_settled),
            fairness: FAIRNESS,
        },
        Liveness {
            name: "The network falls silent again and again",
            source: "§II: a node that is up answers at once; a time-out is longer than all that it \
                     sets off takes",
            formula: Formula::InfinitelyOften(|_, world| {
                world.network.under_way().next().is_none()
            }),
            fairness: FAIRNESS,
        },
    ];
}

fn elects<R: Data>(_: &crate::world::Scenario<Bully<R>>, world: &World<Bully<R>>) -> bool {
    named(world).any(|leader| leader.is_none())
}
