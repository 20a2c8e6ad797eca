//! Many runs: drawn, played in parallel, and the first violation shrunk.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::thread;

use models::Specification;
use models::world::{Scenario, World};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::Plan;
use super::sample::{self, Sampled};
use super::schedule::{Schedule, schedules};
use crate::distinct::Distinct;
use crate::engine::{Stop, Violation};
use crate::examine;
use crate::progress::Progress;
use crate::shrink;

/// How many cases each thread plays between two looks at the clock.
const CASES_PER_THREAD: u64 = 16;
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
    /// The violation with as few steps as could be.
    pub violation: Violation<P>,
}

/// Samples runs of the model until one violates a property, or the plan is done.
pub fn run<P: Specification>(
    model: &str,
    scenario: &Scenario<P>,
    plan: &Plan,
    progress: &Progress,
) -> Campaign<P> {
    let mut campaign = Campaign {
        cases: 0,
        steps: 0,
        distinct: 1,
        witnesses: BTreeMap::new(),
        found: None,
        stopped: None,
    };
    match examine::start(scenario) {
        Ok(start) => {
            let source = Source {
                scenario,
                start,
                seed: plan.seed,
                model: name_hash(model),
                steps: plan.steps,
            };
            source.play_all(plan, progress, &mut campaign);
        }
        Err(violation) => {
            campaign.found = Some(Found {
                case: 0,
                steps: 0,
                violation,
            });
        }
    }
    campaign
}

fn name_hash(model: &str) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    hasher.write(model.as_bytes());
    hasher.finish()
}

/// Where cases come from.
struct Source<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    start: World<P>,
    seed: u64,
    model: u64,
    steps: usize,
}

impl<P: Specification> Source<'_, P> {
    fn play_all(&self, plan: &Plan, progress: &Progress, campaign: &mut Campaign<P>) {
        let mut distinct = Distinct::new();
        let batch = CASES_PER_THREAD * plan.threads.get() as u64;
        let mut longest = 0;
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
            for (case, sampled) in self.play_batch(first..last, plan.threads.get()) {
                campaign.cases += 1;
                campaign.steps += sampled.steps;
                longest = longest.max(sampled.steps as usize);
                for fingerprint in sampled.fingerprints {
                    distinct.add(fingerprint);
                }
                for name in sampled.seen {
                    *campaign.witnesses.entry(name).or_default() += 1;
                }
                let is_first = campaign
                    .found
                    .as_ref()
                    .is_none_or(|found| case < found.case);
                if let Some(violation) = sampled.violation.filter(|_| is_first) {
                    campaign.found = Some(Found {
                        case,
                        steps: violation.actions.len(),
                        violation,
                    });
                }
            }
            campaign.distinct = distinct.estimate();
            progress.update(campaign.distinct, campaign.steps, longest, 0);
        }
        if let Some(found) = campaign.found.take() {
            campaign.found = Some(self.shrink(found));
        }
    }

    /// Plays the cases of a batch, all of them, so that the result does not depend on who
    /// was faster.
    fn play_batch(&self, cases: std::ops::Range<u64>, threads: usize) -> Vec<(u64, Sampled<P>)> {
        let play_every = |offset: usize| {
            let mine = cases.clone().skip(offset).step_by(threads);
            mine.map(|case| (case, self.play(case))).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let play_every = &play_every;
            let workers: Vec<_> = (0..threads)
                .map(|offset| scope.spawn(move || play_every(offset)))
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

    fn play(&self, case: u64) -> Sampled<P> {
        let (_, tree) = self.draw(case);
        sample::play(self.scenario, &self.start, &tree.current())
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
            .map(|run| shrink::minimal(self.scenario, run));
        let direct = shrink::minimal(self.scenario, found.violation);
        let violation = match simpler {
            Some(simpler) if simpler.actions.len() < direct.actions.len() => simpler,
            _ => direct,
        };
        Found { violation, ..found }
    }

    /// The run of the simplest schedule that proptest finds to violate the same property.
    fn simplify(&self, found: &Found<P>) -> Option<Violation<P>> {
        let property = found.violation.property;
        let (mut runner, tree) = self.draw(found.case);
        let play = |schedule: &Schedule| {
            let sampled = sample::play(self.scenario, &self.start, schedule);
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
