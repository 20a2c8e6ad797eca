//! Liveness on the finished state graph: sound, within the model's bounds.
//!
//! # What is decided
//!
//! A *run* is an infinite sequence of worlds, each the one before or a step from it, that
//! begins in the initial world. It is *fair* if
//! - a message that can be delivered from some moment on is delivered, and likewise a crashed
//!   node restarts, cut links heal, and what is to be synced is synced (weak fairness, message
//!   by message, node by node);
//! - a timer that may run out again and again runs out, and a client without an answer asks
//!   each node that it may ask again and again (strong fairness: what happens between two of
//!   those moments does not cancel an alarm).
//!
//! Nobody is fair to a fault: drops, duplicates, crashes, lost disks and cuts may happen or
//! not, and since their budgets are finite they stop in every run. A property of the table
//! [`LIVENESS`](models::Specification::LIVENESS) holds of a model if it holds of every fair run
//! that stays within the model's bounds.
//!
//! # Bounds are no ends
//!
//! Where the bounds withhold a timer, or a client that may ask more than once has used up its
//! tries, the run is not stuck: it would go on outside the space. (A client that asks once waits
//! as long as somebody owes it an answer.) What is withheld therefore counts as enabled and never
//! taken. A run that stays where it is withheld for ever is not fair, and no counterexample;
//! nor is it evidence. A model in which every fair run is cut short in this way decides
//! nothing, and is reported as vacuous.
//!
//! # How
//!
//! The graph is built breadth-first by one thread, which takes steps as the search of the native
//! engine does: once between each two cores. An edge is some five bytes. A counterexample is a
//! reachable fair component ([`components`]) in the states in which what should come has not
//! come; it is shown as a stem and a loop ([`lasso`]), taken again in the world and held
//! against this page before it is reported.
//!
//! What it does not verify: that no two states share a fingerprint.

pub mod components;
pub mod graph;
mod lasso;
mod marks;
mod numbers;
mod rows;
pub mod space;
mod uses;
mod waiting;

use std::collections::BTreeMap;

use models::Specification;
use models::specification::{Formula, Liveness};
use models::world::Scenario;

use self::graph::{Graph, State};
use self::lasso::Shape;
pub use self::space::fairness;
use self::space::{Space, Unfinished, predicates};
use super::{Limits, Stop, Violation};
use crate::progress::Progress;

/// What is to be said of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every fair run within the bounds has it.
    Holds,
    /// Some fair run has not.
    Violated,
    /// It holds, for a reason that says nothing of the protocol.
    Vacuous(&'static str),
}

/// What a check of liveness has found.
pub struct LiveFindings<P: Specification> {
    /// Distinct states.
    pub unique: u64,
    /// The properties decided.
    pub decisions: BTreeMap<&'static str, Decision>,
    /// How the first property that is violated is violated.
    pub violation: Option<Violation<P>>,
    /// Why the graph is not finished. Nothing is decided then.
    pub stopped: Option<Stop>,
}

/// Decides the liveness properties of these names.
pub fn check<P: Specification>(
    scenario: &Scenario<P>,
    names: &[&'static str],
    limits: &Limits,
    progress: &Progress,
) -> LiveFindings<P> {
    let rows: Vec<&Liveness<P>> = P::LIVENESS
        .iter()
        .filter(|row| names.contains(&row.name))
        .collect();
    let predicates = predicates(&rows);
    match Space::explore(scenario, &rows, &predicates, limits, progress) {
        Ok(space) => findings(space, &rows, limits, progress),
        Err(Unfinished {
            unique,
            panic,
            stopped,
        }) => LiveFindings {
            unique,
            decisions: BTreeMap::new(),
            violation: panic,
            stopped,
        },
    }
}

/// Decides the properties on the finished graph.
fn findings<P: Specification>(
    mut space: Space<'_, P>,
    rows: &[&Liveness<P>],
    limits: &Limits,
    progress: &Progress,
) -> LiveFindings<P> {
    let mut findings = LiveFindings {
        unique: space.graph.len().into(),
        decisions: BTreeMap::new(),
        violation: None,
        stopped: None,
    };
    // How many states there are is settled.
    let limits = Limits {
        max_states: None,
        ..*limits
    };
    let limit = || limits.exceeded(progress);
    let judged = rows.iter().enumerate().try_for_each(|(position, row)| {
        let (decision, shape) = decide(&space, position, row, &limit)?;
        findings.decisions.insert(row.name, decision);
        if let (None, Some(shape)) = (&findings.violation, shape) {
            findings.violation = Some(violation(&mut space, row.name, &shape));
        }
        Ok(())
    });
    findings.stopped = judged.err();
    findings
}

/// A run that stays in a component for ever.
fn violation<P: Specification>(
    space: &mut Space<'_, P>,
    property: &'static str,
    shape: &Shape,
) -> Violation<P> {
    let (mut path, cycle) = lasso::walk(&space.graph, shape);
    let loop_start = path.len();
    path.extend(cycle);
    Violation {
        property,
        panic: None,
        actions: space.actions(&path),
        loop_start: Some(loop_start),
    }
}

/// Decides one property; if it is violated, says where a fair run may violate it.
///
/// # Errors
/// Why it has stopped, if `limit` says that it must.
fn decide<P: Specification>(
    space: &Space<'_, P>,
    position: usize,
    row: &Liveness<P>,
    limit: &dyn Fn() -> Option<Stop>,
) -> Result<(Decision, Option<Shape>), Stop> {
    let graph = &space.graph;
    let first = |state: State| space.first(state, position);
    let second = |state: State| space.second(state, position);
    let all = 0..graph.len();
    let shape = match row.formula {
        Formula::Eventually(_) => {
            if first(0) {
                return Ok((Decision::Vacuous("it holds from the start"), None));
            }
            lingers(graph, vec![0], &|state| !first(state), limit)?
        }
        Formula::LeadsTo(..) => {
            let sources: Vec<State> = all.filter(|&s| first(s) && !second(s)).collect();
            if sources.is_empty() {
                let why = "what should lead to it never is";
                return Ok((Decision::Vacuous(why), None));
            }
            lingers(graph, sources, &|state| !second(state), limit)?
        }
        Formula::InfinitelyOften(_) => {
            let sources = all.filter(|&state| !first(state)).collect();
            lingers(graph, sources, &|state| !first(state), limit)?
        }
        Formula::EventuallyAlways(_) => returns(graph, &|state| !first(state), limit)?,
    };
    match shape {
        Some(shape) => Ok((Decision::Violated, Some(shape))),
        None if components::fair(graph, &|_| true, limit)?.is_empty() => {
            let why = "the bounds cut every fair run short";
            Ok((Decision::Vacuous(why), None))
        }
        None => Ok((Decision::Holds, None)),
    }
}

/// Where a fair run that comes to one of `sources`, which are states of `region`, may stay in
/// `region` for ever from there on.
fn lingers(
    graph: &Graph,
    sources: Vec<State>,
    region: &dyn Fn(State) -> bool,
    limit: &dyn Fn() -> Option<Stop>,
) -> Result<Option<Shape>, Stop> {
    let mut reached = vec![false; graph.len() as usize];
    for &state in &sources {
        reached[state as usize] = true;
    }
    let mut open = sources.clone();
    while let Some(state) = open.pop() {
        for edge in graph.edges(state) {
            if region(edge.to) && !reached[edge.to as usize] {
                reached[edge.to as usize] = true;
                open.push(edge.to);
            }
        }
    }
    let reached = |state: State| reached[state as usize];
    let components = components::fair(graph, &reached, limit)?;
    Ok(Shape::nearest(graph, &sources, &reached, components))
}

/// Where a fair run may come back to a state of `marked` for ever.
fn returns(
    graph: &Graph,
    marked: &dyn Fn(State) -> bool,
    limit: &dyn Fn() -> Option<Stop>,
) -> Result<Option<Shape>, Stop> {
    let components = components::fair(graph, &|_| true, limit)?;
    Ok(components.into_iter().find_map(|component| {
        let entry = component.iter().copied().find(|&state| marked(state))?;
        Some(Shape::at(graph, entry, component))
    }))
}
