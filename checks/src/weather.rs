//! What a sampled run is like: which faults happen in it, how readily each kind of action does,
//! how fast each node is.
//!
//! Drawn once for each run, and for each another (swarm testing, Groce et al. 2012): a run that
//! can do everything does nothing often. What is drawn is a matter of who draws; here it is
//! resolved against what is possible.

use std::collections::BTreeSet;

use models::Specification;
use models::world::{Action, Duplicates, Faults, Kind, Scenario, World};

use crate::examine;

/// What is decided once for a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    pub(crate) faults: FaultsOn,
    /// In how many steps of a thousand one of these faults happens.
    pub(crate) fault_rate: u16,
    pub(crate) weights: Weights,
    /// How readily each node takes messages, and how readily its timers run out. Nodes
    /// beyond the list begin it anew.
    pub(crate) pace: Vec<u8>,
    pub(crate) impatience: Vec<u8>,
}

/// Which faults may happen in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultsOn {
    pub(crate) drops: bool,
    pub(crate) duplicates: bool,
    pub(crate) crashes: bool,
    pub(crate) crashes_within: bool,
    pub(crate) cuts: bool,
}

/// How often each kind of action is chosen where no fault is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    pub(crate) deliver: u8,
    pub(crate) fire: u8,
    pub(crate) ask: u8,
    pub(crate) restart: u8,
    pub(crate) sync: u8,
    pub(crate) heal: u8,
}

/// One step's draws, each a fraction of 65,536.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Whether a fault happens.
    pub(crate) fault: u16,
    /// Which kind of action.
    pub(crate) kind: u16,
    /// Which action of the kind.
    pub(crate) which: u16,
}

/// What may happen in this run: the scenario with the faults that are on, and without any. In
/// most steps no fault happens, and then it need not be listed which could. Steps are taken in
/// the scenario itself: properties look at what is in it.
pub(crate) struct Weather<'a, P: Specification> {
    stormy: Scenario<P>,
    calm: Scenario<P>,
    swarm: &'a Swarm,
}

impl<'a, P: Specification> Weather<'a, P> {
    pub(crate) fn new(scenario: &Scenario<P>, swarm: &'a Swarm) -> Self {
        let with = |faults| Scenario {
            faults,
            ..scenario.clone()
        };
        Self {
            stormy: with(limited(scenario.faults, swarm.faults)),
            calm: with(limited(scenario.faults, NO_FAULTS)),
            swarm,
        }
    }

    /// Resolves a choice against what is possible now. Among actions of one kind, each is
    /// `favour`ed beyond what its node is.
    pub(crate) fn choose(
        &self,
        world: &World<P>,
        choice: &Choice,
        favour: impl Fn(&Action<P>) -> u64,
    ) -> Option<Action<P>> {
        if choice.fault % 1000 < self.swarm.fault_rate {
            let mut actions = examine::actions(&self.stormy, world);
            actions.retain(|action| is_fault(action.kind()));
            if let Some(action) = self.pick(&actions, choice, &favour) {
                return Some(action.clone());
            }
        }
        let actions = examine::actions(&self.calm, world);
        self.pick(&actions, choice, &favour).cloned()
    }

    /// First the kind, then the action: else the kinds with many actions would crowd out
    /// the others.
    fn pick<'b>(
        &self,
        actions: &'b [Action<P>],
        choice: &Choice,
        favour: &impl Fn(&Action<P>) -> u64,
    ) -> Option<&'b Action<P>> {
        let weight = |action: &Action<P>| self.action_weight(action) * favour(action);
        let weights: Vec<u64> = actions.iter().map(weight).collect();
        let possible = || {
            actions
                .iter()
                .zip(&weights)
                .filter(|(_, weight)| **weight > 0)
        };
        let kinds: BTreeSet<Kind> = possible().map(|(action, _)| action.kind()).collect();
        let kind = weighted(kinds.iter(), |kind| self.kind_weight(**kind), choice.kind)?;
        let of_kind = possible().filter(|(action, _)| action.kind() == *kind);
        let (action, _) = weighted(of_kind, |(_, weight)| **weight, choice.which)?;
        Some(action)
    }

    fn kind_weight(&self, kind: Kind) -> u64 {
        let weights = &self.swarm.weights;
        u64::from(match kind {
            Kind::Deliver => weights.deliver,
            Kind::Fire => weights.fire,
            Kind::Ask => weights.ask,
            Kind::Restart => weights.restart,
            Kind::Sync => weights.sync,
            Kind::Heal => weights.heal,
            // Whether there is a fault at all has been decided before.
            Kind::Duplicate
            | Kind::Drop
            | Kind::Crash
            | Kind::CrashWithin
            | Kind::Cut
            | Kind::Isolate
            | Kind::AskUnheard
            | Kind::LoseDisk => 1,
        })
    }

    fn action_weight(&self, action: &Action<P>) -> u64 {
        let of_node = |weights: &[u8]| {
            let position = action.node().map_or(0, |node| usize::from(node.0));
            let mut weights = weights.iter().cycle().skip(position);
            weights.next().map_or(1, |&weight| u64::from(weight))
        };
        match action.kind() {
            Kind::Deliver => of_node(&self.swarm.pace),
            Kind::Fire => of_node(&self.swarm.impatience),
            _ => 1,
        }
    }
}

const NO_FAULTS: FaultsOn = FaultsOn {
    drops: false,
    duplicates: false,
    crashes: false,
    crashes_within: false,
    cuts: false,
};

/// The budget, without what is off. Unlimited duplicates stay: they are not an action of
/// their own, but what delivery means.
fn limited(faults: Faults, on: FaultsOn) -> Faults {
    let if_on = |on: bool, budget: u8| if on { budget } else { 0 };
    Faults {
        drops: if_on(on.drops, faults.drops),
        duplicates: match faults.duplicates {
            Duplicates::UpTo(budget) => Duplicates::UpTo(if_on(on.duplicates, budget)),
            Duplicates::Unlimited => Duplicates::Unlimited,
        },
        crashes: if_on(on.crashes, faults.crashes),
        crash_within_step: on.crashes_within && faults.crash_within_step,
        cuts: if_on(on.cuts, faults.cuts),
        lost_replies: if_on(on.drops, faults.lost_replies),
        lost_disks: if_on(on.crashes, faults.lost_disks),
    }
}

fn is_fault(kind: Kind) -> bool {
    match kind {
        Kind::Duplicate
        | Kind::Drop
        | Kind::Crash
        | Kind::CrashWithin
        | Kind::Cut
        | Kind::Isolate
        | Kind::AskUnheard
        | Kind::LoseDisk => true,
        Kind::Deliver | Kind::Fire | Kind::Ask | Kind::Restart | Kind::Sync | Kind::Heal => false,
    }
}

/// The item on which `roll`, a fraction of 65,536 of the total weight, falls.
fn weighted<T>(
    items: impl Iterator<Item = T> + Clone,
    weight: impl Fn(&T) -> u64,
    roll: u16,
) -> Option<T> {
    let total: u64 = items.clone().map(|item| weight(&item)).sum();
    let mut left = (u64::from(roll) * total) >> 16;
    for item in items {
        let weight = weight(&item);
        if left < weight {
            return Some(item);
        }
        left -= weight;
    }
    None
}
