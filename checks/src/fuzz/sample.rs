//! One run: a schedule, played in a world.

use std::collections::BTreeSet;

use derive_where::derive_where;
use models::Specification;
use models::world::{Scenario, World};

use super::pairs;
use super::schedule::Schedule;
use crate::engine::Violation;
use crate::examine::{self, NO_PANIC, Outcome};
use crate::weather::Weather;

/// What one run came to.
#[derive_where(Default)]
pub(super) struct Sampled<P: Specification> {
    pub(super) steps: u64,
    /// The fingerprints of the worlds on the way.
    pub(super) fingerprints: Vec<u64>,
    /// What the run has shown.
    pub(super) seen: BTreeSet<&'static str>,
    /// The features that have happened in it, each a bit in the order of their table.
    pub(super) features: u64,
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
        features: 0,
        violation: None,
    };
    // Nothing is wrong with the start.
    examine::note_witnesses(scenario, &world, &mut sampled.seen);
    for choice in &schedule.choices {
        let Some(action) = weather.choose(&world, choice, |_| 1) else {
            break;
        };
        let outcome = examine::take(scenario, &world, &action);
        actions.push(action);
        sampled.steps += 1;
        let (broken, panic) = match outcome {
            Outcome::NotEnabled => {
                actions.pop();
                continue;
            }
            Outcome::Panicked(message) => (Some(NO_PANIC), Some(message)),
            Outcome::Next(after, law) => {
                let action = actions.last().expect("it has just been taken");
                let happened = sampled.features;
                sampled.features = pairs::happening(scenario, &world, action, &after, happened);
                world = after;
                let broken = law
                    .or_else(|| examine::broken_invariant_alone(scenario, &world))
                    .or_else(|| examine::note_witnesses(scenario, &world, &mut sampled.seen));
                (broken, None)
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
    }
    sampled
}
