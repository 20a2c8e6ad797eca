//! What must happen in the end, once faults stop and the clients have asked all.

use crate::counter::Counter;
use crate::specification::{Formula, Liveness};
use crate::world::{Scenario, World};

use super::{exact, is_lost, owes};

pub(super) const FAIRNESS: &str = "faults stop and links are whole again; delivery of each message, each \
                        node's timers and restarts are weakly fair";

pub(super) const LIVENESS: &[Liveness<Counter>] = &[
    Liveness {
        name: "All replicas come to the exact sum",
        source: "Shapiro et al. 2011, §2.2.1, eventual convergence",
        formula: Formula::EventuallyAlways(all_agree),
        fairness: FAIRNESS,
    },
    Liveness {
        name: "Every delta is acknowledged",
        source: "Almeida et al. 2018, Algorithm 2",
        formula: Formula::LeadsTo(
            |_, world| world.running().any(|(_, node)| owes(node)),
            |_, world| !world.running().any(|(_, node)| owes(node)),
        ),
        fairness: FAIRNESS,
    },
    Liveness {
        name: "Who wants to leave may in the end",
        source: "a node's disk is needed until others know what is on it",
        formula: Formula::LeadsTo(
            |_, world| world.running().any(|(_, node)| node.volatile.leaving),
            |_, world| {
                let mut leaving = world.running().filter(|(_, node)| node.volatile.leaving);
                leaving.all(|(id, _)| world.ghost.drained.contains_key(&id))
            },
        ),
        fairness: FAIRNESS,
    },
    super::folds::DEAD_NAMES_ARE_FOLDED,
    Liveness {
        name: "The network falls silent again and again",
        source: "Demers et al. 1987, §1.3: an exchange is a push and a pull, and no more until the \
                 next is due",
        formula: Formula::InfinitelyOften(|_, world| world.network.under_way().next().is_none()),
        fairness: FAIRNESS,
    },
];

/// Every node runs and knows of each component exactly what was counted.
pub(super) fn all_agree(scenario: &Scenario<Counter>, world: &World<Counter>) -> bool {
    let known = || world.running().map(|(_, node)| &node.durable().counts);
    let Some(first) = known().next() else {
        return false;
    };
    let mut names = world.ghost.counted.keys().copied();
    known().count() == world.hosts.len()
        && known().all(|counts| counts.total == first.total && counts.folded == first.folded)
        && names.all(|name| {
            let count = u128::from(first.total.count(name));
            // What is in the sum of a fold is said by the properties of folds.
            let is_folded = first.folded.covers(name);
            is_lost(scenario, world, name)
                || is_folded
                || count == exact(scenario, world, None, name)
        })
}
