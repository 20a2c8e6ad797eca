//! Weighted simulation: random walks, on all cores, for the bugs that lie too deep to be walked
//! to breadth first.
//!
//! Chosen uniformly among all that is possible, steps come to little: faults use up their
//! budgets and timers their terms before anything is done, and what is done is mostly that a
//! message arrives once more. So
//! - each walk draws a weather (`weather.rs`) of its own: which faults are on, how often
//!   deliveries come before timers and clients, which nodes are slow (swarm testing, Groce et
//!   al. 2012). Within one walk all is one-sided, and over many walks each side has its turn;
//! - a walk favours, as readily as it has drawn, what was sent in the step before, and what it
//!   has not delivered before: where messages may arrive any number of times, their repetitions
//!   are faults like others, and as rare;
//! - a walk is short, and begins where an earlier one has shown something new
//!   (`frontier.rs`): a state that no walk from the start would come to twice is come to once
//!   and gone on from many times, under another weather each (Go-Explore, Ecoffet et al. 2021;
//!   coverage-guided fuzzing does the same with inputs). What is new is told by what the
//!   protocol says of itself: its reachability properties and its ghost state.
//!
//! What it does not verify: anything. A property that held here held in the walks that were
//! taken, and the verdict is never better than `bounded`. Liveness is not looked at.
//!
//! Walks are numbered, and taken in rounds of the same size. A walk depends on the seed, its
//! number, and what the rounds before it have kept: neither on the number of threads nor on the
//! clock, which decides only how many rounds there are.

mod frontier;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::thread;

use models::Specification;
use models::world::Scenario;
use serde::Serialize;

use self::frontier::Frontier;
use self::walk::Walk;
use super::{Findings, Fired, Limits, Stop};
use crate::distinct::Distinct;
use crate::examine;
use crate::progress::Progress;
use crate::shrink;

/// How far from the start walks lead, unless it is asked for otherwise.
pub const DEPTH: usize = 400;

/// How many walks there are in a round: enough for all threads, few enough that what they have
/// found is soon made use of.
const ROUND: u64 = 64;

/// How many steps are taken in a world, where worlds are drawn, before the next one is.
const STEPS_PER_WORLD: u64 = 20_000;

/// What a simulation has come to, beside what every engine tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulated {
    /// What all randomness came from.
    pub seed: u64,
    /// How many walks.
    pub walks: u64,
    /// How many worlds were kept for walks to begin at, the initial one included.
    pub kept: usize,
    /// How many steps led to the violation, before they were shrunk.
    pub found_in_steps: Option<usize>,
}

/// Takes walks through the worlds of `scenario` until a property is violated or a limit is
/// exceeded: without a deadline, a number of states, which here is one of steps, and a user
/// who interrupts, it does not end.
pub fn search<P: Specification>(
    scenario: &Scenario<P>,
    seed: u64,
    limits: &Limits,
    progress: &Progress,
) -> Findings<P> {
    let mut findings = Findings {
        unique: 0,
        generated: 0,
        depth: 0,
        seen: BTreeSet::new(),
        violation: None,
        stopped: None,
        fired: None,
        left_out: None,
        expected_collisions: None,
        simulated: None,
    };
    let mut simulated = Simulated {
        seed,
        walks: 0,
        kept: 1,
        found_in_steps: None,
    };
    match examine::start(scenario) {
        Ok(start) => {
            let mut simulation = Simulation {
                scenario,
                depth: limits.max_depth.unwrap_or(DEPTH),
                frontier: Frontier::new(start),
                distinct: Distinct::new(),
                fired: Fired::default(),
            };
            simulation.run(limits, progress, &mut findings, &mut simulated);
            simulated.kept = simulation.frontier.len();
            findings.fired = Some(simulation.fired);
        }
        Err(violation) => findings.violation = Some(violation),
    }
    if let Some(violation) = findings.violation.take() {
        simulated.found_in_steps = Some(violation.actions.len());
        findings.violation = Some(shrink::minimal(scenario, violation));
    }
    findings.simulated = Some(simulated);
    findings
}

/// As [`search`], in one world after the other, each of another number. Returns the number of the
/// world in which a property is violated, too.
pub fn search_drawn<P: Specification>(
    draw: &dyn Fn(u64) -> Scenario<P>,
    seed: u64,
    limits: &Limits,
    progress: &Progress,
) -> (Findings<P>, Option<u64>) {
    // Short enough to be typed.
    let number = |position: u64| examine::hash(&(seed, position)) >> 40;
    let at = |position: u64, left: Option<u64>| {
        let here = Limits {
            max_states: Some(left.map_or(STEPS_PER_WORLD, |left| left.min(STEPS_PER_WORLD))),
            ..*limits
        };
        search(&draw(number(position)), seed, &here, progress)
    };
    let (mut position, mut left) = (0, limits.max_states);
    let mut whole = at(position, left);
    loop {
        left = { limits.max_states }.map(|most| most.saturating_sub(whole.generated));
        let is_found = whole.violation.is_some();
        let goes_on = whole.stopped == Some(Stop::Steps) && left != Some(0);
        if is_found || !goes_on {
            return (whole, is_found.then(|| number(position)));
        }
        position += 1;
        join(&mut whole, at(position, left));
    }
}

/// Adds what was found in the next world.
fn join<P: Specification>(whole: &mut Findings<P>, next: Findings<P>) {
    whole.unique += next.unique;
    whole.generated += next.generated;
    whole.depth = whole.depth.max(next.depth);
    whole.seen.extend(next.seen);
    whole.violation = next.violation;
    whole.stopped = next.stopped;
    if let (Some(fired), Some(more)) = (&mut whole.fired, next.fired) {
        add(&mut fired.actions, &more.actions);
        add(&mut fired.arms, &more.arms);
    }
    if let (Some(simulated), Some(more)) = (&mut whole.simulated, next.simulated) {
        simulated.walks += more.walks;
        simulated.kept += more.kept;
        simulated.found_in_steps = more.found_in_steps;
    }
}

/// A simulation at work.
struct Simulation<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    /// How far from the start walks lead.
    depth: usize,
    frontier: Frontier<P>,
    /// The worlds on the way.
    distinct: Distinct,
    fired: Fired,
}

impl<P: Specification> Simulation<'_, P> {
    fn run(
        &mut self,
        limits: &Limits,
        progress: &Progress,
        findings: &mut Findings<P>,
        simulated: &mut Simulated,
    ) {
        let threads = limits.threads.get() as u64;
        while findings.violation.is_none() {
            findings.stopped = exceeded(limits, progress, findings.generated);
            if findings.stopped.is_some() {
                break;
            }
            let first = simulated.walks;
            for walk in self.round(simulated.seed, first..first + ROUND, threads) {
                simulated.walks += 1;
                findings.depth = findings.depth.max(walk.depth);
                // A walk counts for one step at least: else one that cannot begin never ends.
                findings.generated += walk.steps.max(1);
                self.note(walk, findings);
                // What was walked at the same time, after it, counts for nothing: it would
                // depend on how much that is.
                if findings.violation.is_some() {
                    break;
                }
            }
            findings.unique = self.distinct.estimate();
            progress.update(findings.unique, findings.generated, findings.depth, 0);
        }
    }

    /// Takes the walks of these numbers, in parallel; what they came to is in their order.
    fn round(&self, seed: u64, walks: Range<u64>, threads: u64) -> Vec<Walk<P>> {
        let every = |offset: u64| {
            let mine = walks.clone().skip(offset as usize);
            let mine = mine.step_by(threads as usize);
            mine.map(|number| (number, self.walk(seed, number)))
                .collect::<Vec<_>>()
        };
        let mut taken = thread::scope(|scope| {
            let every = &every;
            let others: Vec<_> = (1..threads)
                .map(|offset| scope.spawn(move || every(offset)))
                .collect();
            let mut taken = every(0);
            for other in others {
                // Models' panics are caught where they happen; this one is the engine's own.
                taken.extend(
                    other
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                );
            }
            taken
        });
        taken.sort_by_key(|(number, _)| *number);
        taken.into_iter().map(|(_, walk)| walk).collect()
    }

    fn walk(&self, seed: u64, number: u64) -> Walk<P> {
        let mut rng = fastrand::Rng::with_seed(examine::hash(&(seed, number)));
        let place = self.frontier.place(&mut rng);
        let steps = walk::LENGTH.min(self.depth.saturating_sub(place.depth()));
        walk::walk(self.scenario, place, steps, &self.frontier, &mut rng)
    }

    /// Notes what a walk has come to.
    fn note(&mut self, walk: Walk<P>, findings: &mut Findings<P>) {
        for &fingerprint in &walk.fingerprints {
            self.distinct.add(fingerprint);
        }
        add(&mut self.fired.actions, &walk.fired.actions);
        add(&mut self.fired.arms, &walk.fired.arms);
        findings.seen.extend(&walk.seen);
        for place in walk.discoveries {
            if place.depth() < self.depth {
                self.frontier.keep(place);
            }
        }
        findings.violation = walk.violation;
    }
}

fn add(all: &mut BTreeMap<String, u64>, these: &BTreeMap<String, u64>) {
    for (name, count) in these {
        match all.get_mut(name) {
            Some(sum) => *sum += count,
            None => {
                all.insert(name.clone(), *count);
            }
        }
    }
}

/// Why the simulation must stop now, if it must.
fn exceeded(limits: &Limits, progress: &Progress, steps: u64) -> Option<Stop> {
    let but_for_states = Limits {
        max_states: None,
        ..*limits
    };
    let too_many = limits.max_states.is_some_and(|max| steps >= max);
    but_for_states
        .exceeded(progress)
        .or(too_many.then_some(Stop::Steps))
}
