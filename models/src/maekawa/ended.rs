//! Which of a node's sessions have ended: what their clients have asked may still arrive.
//!
//! A crash forgets it, as it forgets the sessions: what was asked of a node before it crashed a host
//! does not hand to it when it is up again.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The numbers of the sessions that have ended, as spans: where a host counts upwards, there is a
/// gap for each session that goes on, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ended {
    /// The first number of each span, and its last. No two spans touch.
    spans: BTreeMap<u64, u64>,
}

impl Ended {
    /// Whether the session of this number has ended.
    pub fn contains(&self, number: u64) -> bool {
        let mut until = self.spans.range(..=number);
        until.next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// Notes that the session of this number has ended.
    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let mut until = self.spans.range(..number);
        let before = until
            .next_back()
            .filter(|&(_, &last)| last.checked_add(1) == Some(number));
        let first = before.map_or(number, |(&first, _)| first);
        let after = number.checked_add(1);
        let last = after.and_then(|after| self.spans.remove(&after));
        self.spans.insert(first, last.unwrap_or(number));
    }
}
