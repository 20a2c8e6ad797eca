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
//! The graph is built breadth-first by one thread, 12 bytes an edge. A counterexample is a
//! reachable fair component ([`components`]) in the states in which what should come has not
//! come; it is shown as a stem and a loop ([`lasso`]), taken again in the world and held
//! against this page before it is reported.
//!
//! What it does not verify: that no two states share a 64-bit fingerprint.

pub mod components;
pub mod graph;
mod lasso;
mod space;

use std::collections::BTreeMap;

use models::Specification;
use models::specification::{Formula, Liveness};
use models::world::Scenario;

use self::graph::{Graph, State};
use self::lasso::Shape;
use self::space::Space;
pub use self::space::fairness;
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
    let mut findings = LiveFindings {
        unique: 0,
        decisions: BTreeMap::new(),
        violation: None,
        stopped: None,
    };
    let space = match Space::explore(scenario, &rows, limits, progress) {
        Ok(space) => space,
        Err(unfinished) => {
            findings.unique = unfinished.unique;
            findings.violation = unfinished.panic;
            findings.stopped = unfinished.stopped;
            return findings;
        }
    };
    findings.unique = space.graph.len().into();
    for (position, row) in rows.iter().enumerate() {
        let (decision, shape) = decide(&space, position, row);
        findings.decisions.insert(row.name, decision);
        if let (None, Some(shape)) = (&findings.violation, shape) {
            let (stem, cycle) = lasso::walk(&space.graph, &shape);
            let loop_start = stem.len();
            let actions = space::actions(scenario, stem.into_iter().chain(cycle));
            findings.violation = Some(Violation {
                property: row.name,
                panic: None,
                actions,
                loop_start: Some(loop_start),
            });
        }
    }
    findings
}

/// Decides one property; if it is violated, says where a fair run may violate it.
fn decide<P: Specification>(
    space: &Space,
    position: usize,
    row: &Liveness<P>,
) -> (Decision, Option<Shape>) {
    let graph = &space.graph;
    let first = |state: State| space.first(state, position);
    let second = |state: State| space.second(state, position);
    let shape = match row.formula {
        Formula::Eventually(_) => {
            if first(0) {
                return (Decision::Vacuous("it holds from the start"), None);
            }
            lingers(graph, &[0], &|state| !first(state))
        }
        Formula::LeadsTo(..) => {
            let sources: Vec<State> = (0..graph.len())
                .filter(|&state| first(state) && !second(state))
                .collect();
            if sources.is_empty() {
                return (Decision::Vacuous("what should lead to it never is"), None);
            }
            lingers(graph, &sources, &|state| !second(state))
        }
        Formula::InfinitelyOften(_) => {
            let anywhere: Vec<State> = (0..graph.len()).collect();
            lingers(graph, &anywhere, &|state| !first(state))
        }
        Formula::EventuallyAlways(_) => returns(graph, &|state| !first(state)),
    };
    match shape {
        Some(shape) => (Decision::Violated, Some(shape)),
        None if components::fair(graph, &|_| true).is_empty() => {
            let why = "the bounds cut every fair run short";
            (Decision::Vacuous(why), None)
        }
        None => (Decision::Holds, None),
    }
}

/// Where a fair run that comes to one of `sources` may stay in `region` for ever from there on.
fn lingers(graph: &Graph, sources: &[State], region: &dyn Fn(State) -> bool) -> Option<Shape> {
    let mut reached = vec![false; graph.len() as usize];
    let mut open: Vec<State> = sources.iter().copied().filter(|&s| region(s)).collect();
    let sources = open.clone();
    for &state in &open {
        reached[state as usize] = true;
    }
    while let Some(state) = open.pop() {
        for edge in graph.edges(state) {
            if region(edge.to) && !reached[edge.to as usize] {
                reached[edge.to as usize] = true;
                open.push(edge.to);
            }
        }
    }
    let components = components::fair(graph, &|state| reached[state as usize]);
    Shape::nearest(
        graph,
        &sources,
        &|state| reached[state as usize],
        components,
    )
}

/// Where a fair run may come back to a state of `marked` for ever.
fn returns(graph: &Graph, marked: &dyn Fn(State) -> bool) -> Option<Shape> {
    let components = components::fair(graph, &|_| true);
    components.into_iter().find_map(|component| {
        let entry = component.iter().copied().find(|&state| marked(state))?;
        Some(Shape::at(graph, entry, component))
    })
}
