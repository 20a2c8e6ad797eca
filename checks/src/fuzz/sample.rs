//! One run: a schedule, played in a world.

use std::collections::BTreeSet;

use models::Specification;
use models::world::{Action, Duplicates, Faults, Kind, Scenario, World};

use super::schedule::{Choice, FaultsOn, Schedule, Swarm};
use crate::engine::Violation;
use crate::examine::{self, NO_PANIC, Outcome};

/// What one run came to.
pub(super) struct Sampled<P: Specification> {
    pub(super) steps: u64,
    /// The fingerprints of the worlds on the way.
    pub(super) fingerprints: Vec<u64>,
    /// What the run has shown.
    pub(super) seen: BTreeSet<&'static str>,
    pub(super) violation: Option<Violation<P>>,
}

/// Plays the schedule from `start` on.
pub(super) fn play<P: Specification>(
    scenario: &Scenario<P>,
    start: &World<P>,
    schedule: &Schedule,
) -> Sampled<P> {
    let weather = Weather::new(scenario, &schedule.swarm);
    let mut world = start.clone();
    let mut actions = Vec::new();
    let mut sampled = Sampled {
        steps: 0,
        fingerprints: Vec::with_capacity(schedule.choices.len()),
        seen: BTreeSet::new(),
        violation: None,
    };
    note_witnesses(scenario, &world, &mut sampled.seen);
    for choice in &schedule.choices {
        let Some((action, storms)) = weather.choose(&world, choice) else {
            break;
        };
        let outcome = examine::take(weather.scenario(storms), &world, &action);
        actions.push(action);
        sampled.steps += 1;
        let (broken, panic) = match outcome {
            Outcome::NotEnabled => {
                actions.pop();
                continue;
            }
            Outcome::Panicked(message) => (Some(NO_PANIC), Some(message)),
            Outcome::Next(after, law) => {
                world = after;
                (
                    law.or_else(|| examine::broken_invariant(scenario, &world)),
                    None,
                )
            }
        };
        sampled.fingerprints.push(examine::fingerprint(&world));
        if let Some(property) = broken {
            sampled.violation = Some(Violation {
                property,
                panic,
                actions,
                loop_start: None,
            });
            break;
        }
        note_witnesses(scenario, &world, &mut sampled.seen);
    }
    sampled
}

/// Looks for what has not been seen yet.
fn note_witnesses<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    seen: &mut BTreeSet<&'static str>,
) {
    for reachable in P::REACHABLE {
        if !seen.contains(reachable.name) && (reachable.seen)(scenario, world) {
            seen.insert(reachable.name);
        }
    }
}

/// The scenario as this run knows it: with the faults that are on, and without any. In most
/// steps no fault happens, and then it need not be listed which could.
struct Weather<'a, P: Specification> {
    stormy: Scenario<P>,
    calm: Scenario<P>,
    swarm: &'a Swarm,
}

impl<'a, P: Specification> Weather<'a, P> {
    fn new(scenario: &Scenario<P>, swarm: &'a Swarm) -> Self {
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

    fn scenario(&self, storms: bool) -> &Scenario<P> {
        if storms { &self.stormy } else { &self.calm }
    }

    /// Resolves a choice against what is possible now: the action, and whether it is a
    /// fault.
    fn choose(&self, world: &World<P>, choice: &Choice) -> Option<(Action<P>, bool)> {
        if choice.fault % 1000 < self.swarm.fault_rate {
            let mut actions = examine::actions(&self.stormy, world);
            actions.retain(|action| is_fault(action.kind()));
            if let Some(action) = self.pick(&actions, choice) {
                return Some((action.clone(), true));
            }
        }
        let actions = examine::actions(&self.calm, world);
        let action = self.pick(&actions, choice)?;
        Some((action.clone(), false))
    }

    /// First the kind, then the action: else the kinds with many actions would crowd out
    /// the others.
    fn pick<'b>(&self, actions: &'b [Action<P>], choice: &Choice) -> Option<&'b Action<P>> {
        let kinds: BTreeSet<Kind> = actions.iter().map(Action::kind).collect();
        let kind = weighted(kinds.iter(), |kind| self.kind_weight(**kind), choice.kind)?;
        let of_kind = actions.iter().filter(|action| action.kind() == *kind);
        weighted(of_kind, |action| self.action_weight(action), choice.which)
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
