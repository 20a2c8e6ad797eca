//! Our own breadth-first search: shortest counterexamples, the same whatever the number of
//! threads.
//!
//! A visited state is its fingerprint, of 64 bits or 128; how it was found takes two bytes more; a
//! waiting one is the numbers of its parts. What it does not verify: that no two states share a
//! fingerprint. The number of such pairs that is to be expected is part of what it reports.

pub mod bfs;
pub(super) mod bytes;
pub mod checkpoint;
mod discovery;
mod frontier;
mod positions;
pub mod space;
pub mod visited;
pub(super) mod worlds;

use std::io;

use models::Specification;
use models::world::Scenario;

use self::bfs::Walked;
use self::checkpoint::Keeper;
use self::worlds::Worlds;
use super::{Findings, Limits, Reductions, Violation};
use crate::examine::{self, NO_PANIC};
use crate::progress::Progress;

/// Walks every state of `scenario` in breadth-first order, until a property is violated, a
/// limit is exceeded, or there is none left.
pub fn search<P: Specification>(
    scenario: &Scenario<P>,
    reductions: Reductions,
    limits: &Limits,
    progress: &Progress,
) -> Findings<P> {
    let initial = match examine::initial(scenario) {
        Ok(initial) => initial,
        Err(panic) => return no_start(panic),
    };
    let worlds = Worlds::new(scenario, reductions, limits, initial);
    findings(&worlds, bfs::walk(&worlds, limits, progress))
}

/// As [`search`], and the search is kept: see [`Keeper`].
///
/// # Errors
/// If what was kept cannot be read.
pub fn search_kept<P: Specification>(
    scenario: &Scenario<P>,
    reductions: Reductions,
    limits: &Limits,
    progress: &Progress,
    keeper: &mut Keeper,
) -> io::Result<Findings<P>> {
    let initial = match examine::initial(scenario) {
        Ok(initial) => initial,
        Err(panic) => return Ok(no_start(panic)),
    };
    let worlds = Worlds::new(scenario, reductions, limits, initial);
    let walked = bfs::walk_kept(&worlds, limits, progress, keeper)?;
    Ok(findings(&worlds, walked))
}

/// What was found, in the scenario's own terms.
fn findings<P: Specification>(worlds: &Worlds<'_, P>, walked: Walked) -> Findings<P> {
    let seen = P::REACHABLE.iter().enumerate();
    let seen = seen.filter(|(row, _)| walked.marks & (1 << row) != 0);
    Findings {
        unique: walked.unique,
        generated: walked.generated,
        depth: walked.depth,
        seen: seen.map(|(_, reachable)| reachable.name).collect(),
        violation: walked.breach.map(|(breach, path)| Violation {
            property: breach.property,
            panic: breach.panic,
            actions: worlds.retrace(&path),
            loop_start: None,
        }),
        stopped: walked.stopped,
        fired: Some(worlds.named(&walked.tally)),
        left_out: Some(walked.left_out),
        expected_collisions: Some(walked.expected_collisions * worlds.crowding()),
        simulated: None,
    }
}

/// What is found where building the initial world panics.
fn no_start<P: Specification>(panic: String) -> Findings<P> {
    Findings {
        unique: 0,
        generated: 1,
        depth: 0,
        seen: std::collections::BTreeSet::new(),
        violation: Some(Violation {
            property: NO_PANIC,
            panic: Some(panic),
            actions: Vec::new(),
            loop_start: None,
        }),
        stopped: None,
        fired: None,
        left_out: None,
        expected_collisions: None,
        simulated: None,
    }
}
