//! Many runs: drawn, played in parallel, and the first violation shrunk.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread;

use models::Specification;
use models::world::{Scenario, World};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::Plan;
use super::known::Known;
use super::pairs::Pairs;
use super::sample::{self, Sampled};
use super::schedule::{Schedule, schedules};
use crate::distinct::Distinct;
use crate::engine::{Stop, Violation};
use crate::examine;
use crate::progress::Progress;
use crate::shrink;

/// How many cases each thread plays between two looks at the clock.
const CASES_PER_THREAD: u64 = 16;
/// How many cases in a row are played in one world, where worlds are drawn.
const CASES_PER_WORLD: u64 = 4;
/// How often proptest may try to make a failing schedule simpler. Delta debugging does the
/// better part.
const SHRINKS: u32 = 300;

/// What many runs came to.
pub struct Campaign<P: Specification> {
    /// How many runs.
    pub cases: u64,
    /// Their steps.
    pub steps: u64,
    /// About how many different worlds they went through.
    pub distinct: u64,
    /// In how many runs each reachability property was seen.
    pub witnesses: BTreeMap<&'static str, u64>,
    /// In how many runs each two features have happened.
    pub pairs: Pairs,
    /// What was violated in the first run that violated anything.
    pub found: Option<Found<P>>,
    /// Why it ended before all cases were played.
    pub stopped: Option<Stop>,
}

/// A violation, as it was found and as it was shrunk.
pub struct Found<P: Specification> {
    /// The number of the run.
    pub case: u64,
    /// How many steps the run took.
    pub steps: usize,
    /// The number of its world, if that was drawn.
    pub number: Option<u64>,
    /// What its world is made of.
    pub scenario: Scenario<P>,
    /// The violation with as few steps as could be.
    pub violation: Violation<P>,
}

/// A world in which runs begin.
struct Ground<P: Specification> {
    /// Its number, if it was drawn.
    number: Option<u64>,
    scenario: Scenario<P>,
    start: World<P>,
}

/// The worlds of a model, where nothing is wrong with the start of the only one.
enum Playing<'a, P: Specification> {
    One(Arc<Ground<P>>),
    Drawn(&'a (dyn Fn(u64) -> Scenario<P> + Sync)),
}

/// The worlds of a model.
pub enum Grounds<'a, P: Specification> {
    /// The same for every run.
    One(Box<Scenario<P>>),
    /// One for each number.
    Drawn(&'a (dyn Fn(u64) -> Scenario<P> + Sync)),
}

/// Samples runs of the model until one violates a property, or the plan is done.
pub fn run<P: Specification>(
    model: &str,
    grounds: Grounds<'_, P>,
    plan: &Plan,
    progress: &Progress,
) -> Campaign<P> {
    let mut campaign = Campaign {
        cases: 0,
        steps: 0,
        distinct: 1,
        witnesses: BTreeMap::new(),
        pairs: Pairs::default(),
        found: None,
        stopped: None,
    };
    let source = |grounds| Source {
        grounds,
        seed: plan.seed,
        model: name_hash(model),
        steps: plan.steps,
    };
    let playing = match grounds {
        Grounds::One(scenario) => {
            let ground = Ground::begin(None, *scenario);
            let ground = ground.map(|ground| Playing::One(Arc::new(ground)));
            ground.map_err(|found| campaign.found = Some(*found))
        }
        Grounds::Drawn(draw) => Ok(Playing::Drawn(draw)),
    };
    if let Ok(playing) = playing {
        source(playing).play_all(plan, progress, &mut campaign);
    }
    campaign
}

impl<P: Specification> Ground<P> {
    /// # Errors
    /// If something is wrong with the world before anything has happened.
    fn begin(number: Option<u64>, scenario: Scenario<P>) -> Result<Self, Box<Found<P>>> {
        match examine::start(&scenario) {
            Ok(start) => Ok(Self {
                number,
                scenario,
                start,
            }),
            Err(violation) => Err(Box::new(Found {
                case: 0,
                steps: 0,
                number,
                scenario,
                violation,
            })),
        }
    }
}

fn name_hash(model: &str) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    hasher.write(model.as_bytes());
    hasher.finish()
}

/// What came of a case.
struct Played<P: Specification> {
    sampled: Sampled<P>,
    found: Option<Found<P>>,
}

/// What a thread knows of the world that it has played in last.
#[derive(Default)]
struct Memory {
    number: Option<u64>,
    known: Known,
}

impl Memory {
    /// What is known of the world of this number, if it was drawn.
    fn of(&mut self, number: Option<u64>) -> &mut Known {
        if self.number != number {
            *self = Self {
                number,
                known: Known::default(),
            };
        }
        &mut self.known
    }
}

/// Where cases come from.
struct Source<'a, P: Specification> {
    grounds: Playing<'a, P>,
    seed: u64,
    model: u64,
    steps: usize,
}

impl<P: Specification> Source<'_, P> {
    fn play_all(&self, plan: &Plan, progress: &Progress, campaign: &mut Campaign<P>) {
        let mut distinct = Distinct::new();
        let batch = CASES_PER_THREAD * plan.threads.get() as u64;
        let mut longest = 0;
        let mut memories: Vec<Memory> = Vec::new();
        memories.resize_with(plan.threads.get(), Memory::default);
        while campaign.found.is_none() {
            let first = campaign.cases;
            let last = plan
                .cases
                .unwrap_or(u64::MAX)
                .min(first.saturating_add(batch));
            if first >= last {
                break;
            }
            campaign.stopped = stop(plan, progress);
            if campaign.stopped.is_some() {
                break;
            }
            for (case, Played { sampled, found }) in self.play_batch(first..last, &mut memories) {
                campaign.cases += 1;
                campaign.steps += sampled.steps;
                longest = longest.max(sampled.steps as usize);
                for fingerprint in sampled.fingerprints {
                    distinct.add(fingerprint);
                }
                for name in sampled.seen.names::<P>() {
                    *campaign.witnesses.entry(name).or_default() += 1;
                }
                campaign.pairs.add(sampled.features);
                let is_first = campaign
                    .found
                    .as_ref()
                    .is_none_or(|found| case < found.case);
                campaign.found = found.filter(|_| is_first).or(campaign.found.take());
            }
            campaign.distinct = distinct.estimate();
            progress.update(campaign.distinct, campaign.steps, longest, 0);
        }
        if let Some(found) = campaign.found.take() {
            campaign.found = Some(self.shrink(found));
        }
    }

    /// Plays the cases of a batch, all of them, so that the result does not depend on who
    /// was faster. A thread for each memory.
    fn play_batch(
        &self,
        cases: std::ops::Range<u64>,
        memories: &mut [Memory],
    ) -> Vec<(u64, Played<P>)> {
        let threads = memories.len();
        let play_every = |offset: usize, memory: &mut Memory| {
            let mine = cases.clone().skip(offset).step_by(threads);
            let played = mine.map(|case| (case, self.play(case, memory)));
            played.collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let play_every = &play_every;
            let workers: Vec<_> = memories
                .iter_mut()
                .enumerate()
                .map(|(offset, memory)| scope.spawn(move || play_every(offset, memory)))
                .collect();
            let results = workers.into_iter().flat_map(|worker| {
                // Models' panics are caught where they happen; this one is the fuzzer's own.
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            results.collect()
        })
    }

    fn play(&self, case: u64, memory: &mut Memory) -> Played<P> {
        let (_, tree) = self.draw(case);
        let ground = match self.ground(case) {
            Ok(ground) => ground,
            Err(found) => {
                return Played {
                    sampled: Sampled::default(),
                    found: Some(Found { case, ..*found }),
                };
            }
        };
        let known = memory.of(ground.number);
        let mut sampled = sample::play(&ground.scenario, &ground.start, &tree.current(), known);
        let found = sampled.violation.take().map(|violation| Found {
            case,
            steps: violation.actions.len(),
            number: ground.number,
            scenario: ground.scenario.clone(),
            violation,
        });
        Played { sampled, found }
    }

    /// The world of a case: some cases in a row share one that is drawn.
    fn ground(&self, case: u64) -> Result<Arc<Ground<P>>, Box<Found<P>>> {
        match &self.grounds {
            Playing::One(ground) => Ok(Arc::clone(ground)),
            Playing::Drawn(draw) => {
                let number = examine::hash(&(self.seed, self.model, case / CASES_PER_WORLD));
                // Short enough to be typed.
                let number = number >> 40;
                Ground::begin(Some(number), draw(number)).map(Arc::new)
            }
        }
    }

    /// The schedule of the case, and the runner that drew it.
    fn draw(&self, case: u64) -> (TestRunner, impl ValueTree<Value = Schedule>) {
        let mut seed = [0; 32];
        let parts = [self.seed, self.model, case];
        for (bytes, part) in seed.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        let config = Config {
            failure_persistence: None,
            // Bounded in `simplify`: proptest says on standard error that it stops early.
            max_shrink_iters: u32::MAX,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let tree = schedules(self.steps)
            .new_tree(&mut runner)
            .expect("these strategies reject nothing");
        (runner, tree)
    }

    /// Shrinks a violation twice over, and takes the shorter result: as it was found, action
    /// by action, and after proptest has made the schedule simpler. A simpler schedule may
    /// make a longer run, or one that is better to shrink.
    fn shrink(&self, found: Found<P>) -> Found<P> {
        let simpler = self
            .simplify(&found)
            .map(|run| shrink::minimal(&found.scenario, run));
        let direct = shrink::minimal(&found.scenario, found.violation);
        let violation = match simpler {
            Some(simpler) if simpler.actions.len() < direct.actions.len() => simpler,
            _ => direct,
        };
        Found { violation, ..found }
    }

    /// The run of the simplest schedule that proptest finds to violate the same property.
    fn simplify(&self, found: &Found<P>) -> Option<Violation<P>> {
        let property = found.violation.property;
        let ground = self.ground(found.case).ok()?;
        let (mut runner, tree) = self.draw(found.case);
        let play = |schedule: &Schedule| {
            let known = &mut Known::default();
            let sampled = sample::play(&ground.scenario, &ground.start, schedule, known);
            let violation = sampled.violation;
            violation.filter(|violation| violation.property == property)
        };
        let tries = Cell::new(0);
        let simplest = runner.run_one(tree, |schedule| {
            tries.set(tries.get() + 1);
            // What is not tried any more is not simpler.
            match (tries.get() <= SHRINKS).then(|| play(&schedule)).flatten() {
                Some(_) => Err(TestCaseError::fail(property)),
                None => Ok(()),
            }
        });
        match simplest {
            Err(TestError::Fail(_, schedule)) => play(&schedule),
            _ => None,
        }
    }
}

fn stop(plan: &Plan, progress: &Progress) -> Option<Stop> {
    if progress.is_interrupted() {
        Some(Stop::Interrupted)
    } else if plan
        .deadline
        .is_some_and(|deadline| std::time::Instant::now() >= deadline)
    {
        Some(Stop::Time)
    } else {
        None
    }
}
