//! One run: a schedule, played in a world.

use derive_where::derive_where;
use models::Specification;
use models::world::{Action, Scenario, World};

use super::known::{Fingerprint, Known, Transition};
use super::pairs;
use super::schedule::Schedule;
use crate::engine::Violation;
use crate::examine::{self, NO_PANIC, Outcome, Sight, Witnesses};
use crate::veiled;
use crate::weather::Weather;

/// What one run came to.
#[derive_where(Default)]
pub(super) struct Sampled<P: Specification> {
    pub(super) steps: u64,
    /// The fingerprints of the worlds on the way.
    pub(super) fingerprints: Vec<u64>,
    /// What the run has shown.
    pub(super) seen: Witnesses,
    /// The features that have happened in it, each a bit in the order of their table.
    pub(super) features: u64,
    pub(super) violation: Option<Violation<P>>,
}

/// A property that does not hold, and the message, if a panic is why.
type Broken = (&'static str, Option<String>);

/// Plays the schedule from `start` on, with which nothing is wrong.
pub(super) fn play<P: Specification>(
    scenario: &Scenario<P>,
    start: &World<P>,
    schedule: &Schedule,
    known: &mut Known,
) -> Sampled<P> {
    let weather = Weather::new(scenario, &schedule.swarm);
    let mut run = Run {
        scenario,
        known,
        world: start.clone(),
        fingerprint: Fingerprint::of(start),
        sampled: Sampled {
            fingerprints: Vec::with_capacity(schedule.choices.len()),
            ..Sampled::default()
        },
    };
    let mut actions = Vec::new();
    let mut broken = run.look();
    for choice in &schedule.choices {
        if broken.is_some() {
            break;
        }
        let Some(action) = weather.choose(&run.world, choice, |_| 1) else {
            break;
        };
        broken = run.take(&action);
        actions.push(action);
    }
    run.sampled.violation = broken.map(|(property, panic)| Violation {
        property,
        panic,
        actions,
        loop_start: None,
    });
    run.sampled
}

/// A run under way.
struct Run<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    known: &'a mut Known,
    world: World<P>,
    fingerprint: Fingerprint,
    sampled: Sampled<P>,
}

impl<P: Specification> Run<'_, P> {
    /// Takes a step that is possible, and looks at the world that it leads to.
    fn take(&mut self, action: &Action<P>) -> Option<Broken> {
        let transition = Transition::from(self.fingerprint, action);
        let is_known = self.known.has_transition(transition);
        let outcome = if is_known {
            examine::take_again(self.scenario, &self.world, action)
        } else {
            examine::take_listed(self.scenario, &self.world, action)
        };
        self.sampled.steps += 1;
        let (after, law) = match outcome {
            Outcome::NotEnabled => unreachable!("it is among what is possible"),
            Outcome::Panicked(message) => return Some((NO_PANIC, Some(message))),
            Outcome::Next(after, law) => (after, law),
        };
        let happened = self.sampled.features;
        self.sampled.features =
            pairs::happening(self.scenario, &self.world, action, &after, happened);
        self.world = after;
        self.fingerprint = Fingerprint::of(&self.world);
        self.sampled.fingerprints.push(self.fingerprint.world);
        if let Some(law) = law {
            return Some((law, None));
        }
        if !is_known {
            self.known.add_transition(transition);
        }
        self.look()
    }

    /// Looks at the world, unless it is known.
    fn look(&mut self) -> Option<Broken> {
        let shown = match self.known.world(self.fingerprint) {
            Some(shown) => shown,
            None => match self.look_anew() {
                Sight::Broken(property) => return Some((property, None)),
                Sight::Sound(shown) => {
                    self.known.add_world(self.fingerprint, shown);
                    shown
                }
            },
        };
        self.sampled.seen = self.sampled.seen.union(shown);
        None
    }

    /// Looks at a world that is not known, and whose core may be.
    fn look_anew(&mut self) -> Sight {
        if let Some(sight) = self.known.core(self.fingerprint) {
            return examine::look_again(self.scenario, &self.world, sight);
        }
        let under_way = self.world.network.veil();
        let sight = veiled::look(self.scenario, &self.world);
        self.world.network.lift(under_way);
        let Ok(sight) = sight else {
            // What is broken before that, or the panic.
            return examine::look(self.scenario, &self.world);
        };
        let seen = examine::look_again(self.scenario, &self.world, &sight);
        self.known.add_core(self.fingerprint, sight);
        seen
    }
}

#[cfg(test)]
mod tests {
    use models::raft::Raft;
    use models::raft::spec::{Adder, DRAWN, MUTANTS};
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;
    use crate::fuzz::schedule::schedules;

    /// What is known of earlier runs makes no difference to what comes of one.
    #[test]
    fn what_is_known_changes_nothing() {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut violated = 0;
        for number in 0..12 {
            let mut scenario = (DRAWN[0].scenario)(number);
            let mut mutants = MUTANTS.iter().copied().flatten();
            let mutant = mutants.find(|mutant| mutant.id == "RAFT-3");
            if number % 2 == 0 {
                (mutant.expect("it is in the catalogue").inject)(&mut scenario);
            }
            let start = examine::initial(&scenario).expect("it can begin");
            let mut known = Known::default();
            for _ in 0..12 {
                let tree = schedules(200).new_tree(&mut runner);
                let schedule = tree.expect("nothing is rejected").current();
                let play = |known: &mut Known| {
                    let sampled = play(&scenario, &start, &schedule, known);
                    let violation = sampled.violation.map(|it| (it.property, it.actions.len()));
                    let shown: Vec<_> = sampled.seen.names::<Raft<Adder>>().collect();
                    (sampled.fingerprints, shown, sampled.features, violation)
                };
                let with = play(&mut known);
                assert_eq!(play(&mut known), with, "all of it is known now");
                assert_eq!(play(&mut Known::default()), with, "nothing is known");
                violated += usize::from(with.3.is_some());
            }
        }
        assert!(violated > 0, "no run shows a violation");
    }
}
