//! Which timers run out before which, where time-outs have been chosen well.

use alloc::collections::{BTreeMap, BTreeSet};

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::renamed::Rename;
use crate::protocol::{NodeId, Protocol};
use crate::specification::Specification;

/// A timer of a node.
type Clock<P> = (NodeId, <P as Protocol>::Timer);

/// For each running timer the shorter ones that have not run out since it was started. A timer
/// that waits for none is not listed.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Pace<P: Protocol> {
    behind: BTreeMap<Clock<P>, BTreeSet<Clock<P>>>,
}

impl<P: Specification> Pace<P> {
    /// Whether the timer need not wait for a shorter one.
    pub fn is_due(&self, node: NodeId, timer: &P::Timer) -> bool {
        self.behind.is_empty() || !self.behind.contains_key(&(node, timer.clone()))
    }

    /// A timer has been started, anew perhaps, while these run.
    pub(super) fn start<'a>(
        &mut self,
        node: NodeId,
        timer: &P::Timer,
        running: impl Iterator<Item = (NodeId, &'a P::Timer)>,
    ) {
        let shorter = running
            .filter(|(_, other)| P::outlasts(timer, other))
            .map(|(id, other)| (id, other.clone()));
        let shorter: BTreeSet<Clock<P>> = shorter.collect();
        let clock = (node, timer.clone());
        if shorter.is_empty() {
            self.behind.remove(&clock);
        } else {
            self.behind.insert(clock, shorter);
        }
    }

    /// A timer has run out or been stopped: nothing waits for it any more.
    pub(super) fn stop(&mut self, node: NodeId, timer: &P::Timer) {
        self.forget(|(id, other)| *id == node && other == timer);
    }

    /// All timers of a node have stopped.
    pub(super) fn stop_all(&mut self, node: NodeId) {
        self.forget(|(id, _)| *id == node);
    }

    /// The same, of nodes under their new names.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let clock = |(node, timer): &Clock<P>| (names.node(*node), names.value(timer));
        let behind = self.behind.iter();
        Self {
            behind: behind
                .map(|(waits, shorter)| (clock(waits), shorter.iter().map(clock).collect()))
                .collect(),
        }
    }

    fn forget(&mut self, stopped: impl Fn(&Clock<P>) -> bool) {
        self.behind.retain(|clock, shorter| {
            shorter.retain(|other| !stopped(other));
            !stopped(clock) && !shorter.is_empty()
        });
    }
}
