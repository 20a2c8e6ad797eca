//! What runs have found out about the worlds and transitions that they went through. Where a run
//! comes back to one, it need not be held against the properties again.
//!
//! Worlds and transitions are told apart by 64 bits: of the millions that a campaign goes through,
//! two are taken for each other with a probability of less than one in a million.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use models::Specification;
use models::world::Action;

use crate::examine::{self, Witnesses};

/// The worlds and transitions of one scenario that were found to be right.
#[derive(Default)]
pub(super) struct Known {
    /// By their fingerprints, what is shown in the worlds that break no invariant.
    worlds: HashMap<u64, Witnesses, FixedState>,
    /// The features that happen in the transitions that break no law.
    transitions: HashMap<Transition, u64, FixedState>,
}

/// A transition: the world that it leaves, and what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transition(u64);

impl Transition {
    /// What happens in the world with this fingerprint.
    pub(super) fn from<P: Specification>(world: u64, action: &Action<P>) -> Self {
        Self(examine::hash(&(world, action)))
    }
}

impl Known {
    /// How many of each are remembered. All are forgotten then: a long campaign goes through ever
    /// new ones.
    const LIMIT: usize = 1 << 20;

    /// What the world shows, if it is known to break no invariant.
    pub(super) fn world(&self, fingerprint: u64) -> Option<Witnesses> {
        self.worlds.get(&fingerprint).copied()
    }

    /// The features that happen in the transition, if it is known to break no law.
    pub(super) fn transition(&self, transition: Transition) -> Option<u64> {
        self.transitions.get(&transition).copied()
    }

    /// Remembers a world that breaks no invariant.
    pub(super) fn add_world(&mut self, fingerprint: u64, shown: Witnesses) {
        if self.worlds.len() == Self::LIMIT {
            self.worlds.clear();
        }
        self.worlds.insert(fingerprint, shown);
    }

    /// Remembers a transition that breaks no law.
    pub(super) fn add_transition(&mut self, transition: Transition, features: u64) {
        if self.transitions.len() == Self::LIMIT {
            self.transitions.clear();
        }
        self.transitions.insert(transition, features);
    }
}
