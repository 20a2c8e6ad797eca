//! What must happen in the end, once faults stop and the clients have asked all.

use super::reference::Reference;
use super::store;
use crate::mvcc::standalone::Standalone;
use crate::specification::{Formula, Liveness};
use crate::world::{Scenario, World};

const FAIRNESS: &str = "faults stop; delivery of each message and restarts are weakly fair, each watcher's \
                        timer and the clients strongly";

pub(super) const LIVENESS: &[Liveness<Standalone>] = &[
    Liveness {
        name: "Every watcher comes to see all there is",
        source: "etcd's watch guarantees: reliable; a sequence of events never drops any subsequence",
        formula: Formula::LeadsTo(
            |scenario, world| !all_have_seen_all(scenario, world),
            all_have_seen_all,
        ),
        fairness: FAIRNESS,
    },
    Liveness {
        name: "The network falls silent again and again",
        source: "who has been told all there is asks no more until its timer runs out",
        formula: Formula::InfinitelyOften(|_, world| world.network.under_way().next().is_none()),
        fairness: FAIRNESS,
    },
];

/// Whether every watcher is beyond the latest revision of its store: that it has seen what is before
/// where it stands, or was told of the gap, is an invariant.
fn all_have_seen_all(scenario: &Scenario<Standalone>, world: &World<Standalone>) -> bool {
    let Some(store) = store(world) else {
        return true;
    };
    let latest = Reference::of(&store.durable().log).revision();
    scenario.nodes.iter().all(|node| {
        let (Some(watch), Some(host)) = (&node.watches, world.host(node.id)) else {
            return true;
        };
        host.durable().seen_up_to.unwrap_or(watch.from) > latest
    })
}
