//! What runs have found out about the worlds and transitions that they went through. Where a run
//! comes back to one, it need not be held against the properties again; where it comes to one in
//! which only other messages are under way, it is asked for what looks at these alone.
//!
//! Worlds and transitions are told apart by 64 bits: of the millions that a campaign goes through,
//! two are taken for each other with a probability of less than one in a million.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;
use models::Specification;
use models::world::{Action, World};

use crate::examine::{self, Witnesses};
use crate::veiled::Sight;

/// The worlds and transitions of one scenario that have been looked at.
#[derive(Default)]
pub(super) struct Known {
    /// By their fingerprints, what is shown in the worlds that break no invariant.
    worlds: HashMap<u64, Witnesses, FixedState>,
    /// What is to be seen whatever is under way.
    cores: HashMap<u64, Sight, FixedState>,
    /// The transitions that break no law.
    transitions: HashSet<Transition, FixedState>,
}

/// What stands for a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// All but what is under way.
    pub(super) core: u64,
    /// All.
    pub(super) world: u64,
}

impl Fingerprint {
    pub(super) fn of<P: Specification>(world: &World<P>) -> Self {
        let World {
            hosts,
            network,
            faults,
            clients,
            pace,
            history,
            ghost,
            last_step: _,
        } = world;
        let rest = (faults, clients, pace, history, ghost);
        let core = examine::hash(&(hosts, network.cut_links(), rest));
        Self {
            core,
            world: examine::hash(&(core, network)),
        }
    }
}

/// A transition: the world that it leaves, and what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transition(u64);

impl Transition {
    /// What happens in the world with this fingerprint.
    pub(super) fn from<P: Specification>(before: Fingerprint, action: &Action<P>) -> Self {
        Self(examine::hash(&(before.world, action)))
    }
}

impl Known {
    /// How many of each are remembered. All are forgotten then: a long campaign goes through ever
    /// new ones.
    const LIMIT: usize = 1 << 18;

    /// What the world shows, if it is known to break no invariant.
    pub(super) fn world(&self, fingerprint: Fingerprint) -> Option<Witnesses> {
        self.worlds.get(&fingerprint.world).copied()
    }

    /// What is to be seen in worlds with this core, if it is known.
    pub(super) fn core(&self, fingerprint: Fingerprint) -> Option<&Sight> {
        self.cores.get(&fingerprint.core)
    }

    /// Whether the transition is known to break no law.
    pub(super) fn has_transition(&self, transition: Transition) -> bool {
        self.transitions.contains(&transition)
    }

    /// Remembers a world that breaks no invariant.
    pub(super) fn add_world(&mut self, fingerprint: Fingerprint, shown: Witnesses) {
        if self.worlds.len() == Self::LIMIT {
            self.worlds.clear();
        }
        self.worlds.insert(fingerprint.world, shown);
    }

    /// Remembers what is to be seen in worlds with this core.
    pub(super) fn add_core(&mut self, fingerprint: Fingerprint, sight: Sight) {
        if self.cores.len() == Self::LIMIT {
            self.cores.clear();
        }
        self.cores.insert(fingerprint.core, sight);
    }

    /// Remembers a transition that breaks no law.
    pub(super) fn add_transition(&mut self, transition: Transition) {
        if self.transitions.len() == Self::LIMIT {
            self.transitions.clear();
        }
        self.transitions.insert(transition);
    }
}
