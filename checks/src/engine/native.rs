//! Our own breadth-first search: shortest counterexamples, the same whatever the number of
//! threads.
//!
//! Level by level. The states of a level are expanded in parallel, block by block; their
//! successors are then merged in order by one thread, so that states, depth and traces do
//! not depend on who was faster. A state is remembered as 16 bytes, its fingerprint and its
//! parent's; a trace is found by walking back and taking the steps again.
//!
//! What it does not verify: that no two states share a 64-bit fingerprint. With n states
//! the expected number of such pairs is about n²/2⁶⁵.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::thread;

use models::Specification;
use models::world::{Action, Scenario, World};

use super::{Findings, Limits, Stop, Violation};
use crate::examine::{self, NO_PANIC, Outcome, Sight};
use crate::progress::Progress;

/// How many states are expanded between two merges: enough to keep the threads busy, few
/// enough that their successors fit in memory beside the frontier.
const BLOCK: usize = 16 * 1024;

/// Each visited state's fingerprint, with its parent's. The initial state is its own parent.
type Visited = HashMap<u64, u64, BuildHasherDefault<AsIs>>;

/// Fingerprints are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed");
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

/// A state that waits to be expanded.
struct Waiting<P: Specification> {
    fingerprint: u64,
    world: World<P>,
}

/// What came of expanding some states.
struct Expanded<P: Specification> {
    generated: u64,
    successors: Vec<Successor<P>>,
}

/// A state found by expansion.
struct Successor<P: Specification> {
    parent: u64,
    fingerprint: u64,
    world: World<P>,
    found: Found,
}

/// What is to be seen in a new state or in the transition to it.
enum Found {
    Nothing,
    Reached(Vec<&'static str>),
    Broken(&'static str),
    Panicked(String),
}

/// Walks every state of `scenario` in breadth-first order, until a property is violated, a
/// limit is exceeded, or there is none left.
pub fn search<P: Specification>(
    scenario: &Scenario<P>,
    limits: &Limits,
    progress: &Progress,
) -> Findings<P> {
    let mut search = Search::new(scenario);
    let violation = match search.start() {
        Some(violation) => Some(violation),
        None => search.walk(limits, progress),
    };
    Findings {
        unique: search.visited.len() as u64,
        generated: search.generated,
        depth: search.depth,
        seen: search.seen,
        violation,
        stopped: search.stopped,
    }
}

struct Search<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    visited: Visited,
    frontier: Vec<Waiting<P>>,
    generated: u64,
    depth: usize,
    seen: BTreeSet<&'static str>,
    stopped: Option<Stop>,
}

impl<'a, P: Specification> Search<'a, P> {
    fn new(scenario: &'a Scenario<P>) -> Self {
        Self {
            scenario,
            visited: Visited::default(),
            frontier: Vec::new(),
            generated: 1,
            depth: 0,
            seen: BTreeSet::new(),
            stopped: None,
        }
    }

    /// Looks at the initial world. A violation there has no steps.
    fn start(&mut self) -> Option<Violation<P>> {
        let world = match examine::initial(self.scenario) {
            Ok(world) => world,
            Err(panic) => return Some(self.violation_at_start(NO_PANIC, Some(panic))),
        };
        let fingerprint = examine::fingerprint(&world);
        self.visited.insert(fingerprint, fingerprint);
        match examine::look(self.scenario, &world) {
            Sight::Broken(property) => return Some(self.violation_at_start(property, None)),
            Sight::Sound(seen) => self.seen.extend(seen),
        }
        self.frontier.push(Waiting { fingerprint, world });
        None
    }

    fn violation_at_start(&self, property: &'static str, panic: Option<String>) -> Violation<P> {
        Violation {
            property,
            panic,
            actions: Vec::new(),
            loop_start: None,
        }
    }

    fn walk(&mut self, limits: &Limits, progress: &Progress) -> Option<Violation<P>> {
        while !self.frontier.is_empty() {
            if limits.max_depth.is_some_and(|max| self.depth >= max) {
                self.stopped = Some(Stop::Depth);
                return None;
            }
            let level = std::mem::take(&mut self.frontier);
            for block in level.chunks(BLOCK) {
                let unique = self.visited.len() as u64;
                progress.update(unique, self.generated, self.depth, self.frontier.len());
                if let Some(stop) = limits.exceeded(progress) {
                    self.stopped = Some(stop);
                    return None;
                }
                for expanded in self.expand(block, limits.threads.get()) {
                    if let Some(violation) = self.merge(expanded) {
                        self.depth += 1;
                        return Some(violation);
                    }
                }
            }
            if !self.frontier.is_empty() {
                self.depth += 1;
            }
        }
        None
    }

    /// Expands a block in parallel. The results are in the order of the block.
    fn expand(&self, block: &[Waiting<P>], threads: usize) -> Vec<Expanded<P>> {
        let (scenario, visited) = (self.scenario, &self.visited);
        if threads == 1 || block.len() < 64 {
            return vec![expand(scenario, visited, block)];
        }
        thread::scope(|scope| {
            let workers: Vec<_> = block
                .chunks(block.len().div_ceil(threads))
                .map(|part| scope.spawn(move || expand(scenario, visited, part)))
                .collect();
            let results = workers.into_iter().map(|worker| worker.join());
            // Models' panics are caught where they happen; this one is the engine's own.
            results
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn merge(&mut self, expanded: Expanded<P>) -> Option<Violation<P>> {
        self.generated += expanded.generated;
        for successor in expanded.successors {
            match &successor.found {
                Found::Broken(property) => {
                    return Some(self.trace(&successor, property, None));
                }
                Found::Panicked(message) => {
                    let message = Some(message.clone());
                    return Some(self.trace(&successor, NO_PANIC, message));
                }
                Found::Nothing | Found::Reached(_) => {}
            }
            if let Entry::Vacant(vacant) = self.visited.entry(successor.fingerprint) {
                vacant.insert(successor.parent);
                if let Found::Reached(names) = successor.found {
                    self.seen.extend(names);
                }
                self.frontier.push(Waiting {
                    fingerprint: successor.fingerprint,
                    world: successor.world,
                });
            }
        }
        None
    }

    /// The steps to a violation: back along the parents, then forward again.
    fn trace(
        &self,
        last: &Successor<P>,
        property: &'static str,
        panic: Option<String>,
    ) -> Violation<P> {
        let mut fingerprints = vec![last.parent];
        let mut fingerprint = last.parent;
        while self.visited[&fingerprint] != fingerprint {
            fingerprint = self.visited[&fingerprint];
            fingerprints.push(fingerprint);
        }
        fingerprints.reverse();
        let mut world = World::initial(self.scenario);
        let mut actions = Vec::new();
        for &next in &fingerprints[1..] {
            let (action, after) = step_to(self.scenario, &world, next);
            actions.push(action);
            world = after;
        }
        actions.push(breaking(self.scenario, &world, property));
        Violation {
            property,
            panic,
            actions,
            loop_start: None,
        }
    }
}

/// The step from `world` to the state with this fingerprint.
fn step_to<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    fingerprint: u64,
) -> (Action<P>, World<P>) {
    let steps = examine::actions(scenario, world).into_iter();
    let mut next = steps.filter_map(|action| match examine::take(scenario, world, &action) {
        Outcome::Next(after, _) if examine::fingerprint(&after) == fingerprint => {
            Some((action, after))
        }
        _ => None,
    });
    next.next()
        .expect("a visited state was reached by a step from its parent")
}

/// The first step from `world` that breaks `property`.
fn breaking<P: Specification>(
    scenario: &Scenario<P>,
    world: &World<P>,
    property: &'static str,
) -> Action<P> {
    let mut steps = examine::actions(scenario, world).into_iter();
    steps
        .find(|action| match examine::take(scenario, world, action) {
            Outcome::NotEnabled => false,
            Outcome::Panicked(_) => property == NO_PANIC,
            Outcome::Next(after, broken) => {
                let sight = || examine::look(scenario, &after);
                broken == Some(property)
                    || matches!(sight(), Sight::Broken(broken) if broken == property)
            }
        })
        .expect("the property was broken by a step from this state")
}

/// Expands states, and examines the successors that are not known yet.
fn expand<P: Specification>(
    scenario: &Scenario<P>,
    visited: &Visited,
    part: &[Waiting<P>],
) -> Expanded<P> {
    let mut expanded = Expanded {
        generated: 0,
        successors: Vec::new(),
    };
    // Most states have several parents on one level: the first to find one examines it.
    let mut found_here: HashSet<u64, BuildHasherDefault<AsIs>> = HashSet::default();
    for Waiting { fingerprint, world } in part {
        for action in examine::actions(scenario, world) {
            expanded.generated += 1;
            let (world, found) = match examine::take(scenario, world, &action) {
                Outcome::NotEnabled => continue,
                Outcome::Panicked(message) => (world.clone(), Found::Panicked(message)),
                Outcome::Next(after, Some(law)) => (after, Found::Broken(law)),
                Outcome::Next(after, None) => (after, Found::Nothing),
            };
            let mut successor = Successor {
                parent: *fingerprint,
                fingerprint: examine::fingerprint(&world),
                world,
                found,
            };
            if let Found::Nothing = successor.found {
                if visited.contains_key(&successor.fingerprint)
                    || !found_here.insert(successor.fingerprint)
                {
                    continue;
                }
                successor.found = look(scenario, &successor.world);
            }
            expanded.successors.push(successor);
        }
    }
    expanded
}

fn look<P: Specification>(scenario: &Scenario<P>, world: &World<P>) -> Found {
    match examine::look(scenario, world) {
        Sight::Broken(property) => Found::Broken(property),
        Sight::Sound(seen) => Found::Reached(seen),
    }
}
