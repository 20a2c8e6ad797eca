//! Where a fair run may stay for ever: the fair components of a finished graph.
//!
//! A run that stays in a set of states for ever, and visits all of them again and again, is
//! fair to a *weakly* fair label if the label is not enabled in one of the states or is taken
//! between two of them; to a *strongly* fair one if it is enabled in none of the states or is
//! taken. The set must be strongly connected, so it lies in a strongly connected component.
//! Weak fairness asks no more of a component than of any part of it. Strong fairness may: the
//! states in which an untaken label is enabled are then removed, and what is left is searched
//! again (Emerson and Lei 1987, §4; Lichtenstein and Pnueli 1985, §3).
//!
//! Nothing more happening is a run as well: a state without a fair label that is enabled and
//! leads elsewhere is a component of its own.

use std::collections::HashMap;

use super::graph::{Fairness, Graph, Label, State};

/// The largest sets within `region` in which a fair run may stay for ever, each in ascending
/// order.
pub fn fair(graph: &Graph, region: &dyn Fn(State) -> bool) -> Vec<Vec<State>> {
    let all = (0..graph.len()).filter(|&state| region(state)).collect();
    let mut found = Vec::new();
    let mut open: Vec<Vec<State>> = vec![all];
    let mut membership = Membership::new(graph.len());
    while let Some(part) = open.pop() {
        for component in strongly_connected(graph, &mut membership, &part) {
            match judge(graph, &mut membership, &component) {
                Judgement::Fair => found.push(component),
                Judgement::Unfair => {}
                Judgement::Without(states) => open.push(states),
            }
        }
    }
    found.sort();
    found
}

/// What is to be said of one component.
enum Judgement {
    /// A run may stay in all of it.
    Fair,
    /// No run may stay in any of it.
    Unfair,
    /// A run may stay in these states at most.
    Without(Vec<State>),
}

/// Which states belong to the set that is being looked at. Marks that are never cleared: a new
/// set has a new mark.
struct Membership {
    marks: Vec<u32>,
    current: u32,
}

impl Membership {
    fn new(states: State) -> Self {
        Self {
            marks: vec![0; states as usize],
            current: 0,
        }
    }

    fn become_set_of(&mut self, states: &[State]) {
        self.current += 1;
        for &state in states {
            self.marks[state as usize] = self.current;
        }
    }

    fn contains(&self, state: State) -> bool {
        self.marks[state as usize] == self.current
    }
}

/// How often a label is enabled in a component, and whether it is taken in it.
#[derive(Default)]
struct Use {
    enabled: usize,
    taken: bool,
}

fn judge(graph: &Graph, membership: &mut Membership, component: &[State]) -> Judgement {
    membership.become_set_of(component);
    let mut uses: HashMap<Label, Use> = HashMap::new();
    for &state in component {
        for label in graph.enabled(state) {
            uses.entry(label).or_default().enabled += 1;
        }
        for edge in graph.edges(state) {
            if membership.contains(edge.to)
                && let Some(usage) = uses.get_mut(&edge.label)
            {
                usage.taken = true;
            }
        }
    }
    let is_neglected = |label: &Label| uses.get(label).is_some_and(|usage| !usage.taken);
    let everywhere = |usage: &Use| !usage.taken && usage.enabled == component.len();
    if uses.values().any(everywhere) {
        return Judgement::Unfair;
    }
    let neglected =
        |label: &Label| graph.fairness(*label) == Fairness::Strong && is_neglected(label);
    let kept = |state: &&State| !graph.enabled(**state).iter().any(neglected);
    let rest: Vec<State> = component.iter().filter(kept).copied().collect();
    if rest.len() == component.len() {
        Judgement::Fair
    } else {
        Judgement::Without(rest)
    }
}

/// A state on the way of the depth-first search.
struct Frame {
    state: State,
    /// The position of the next edge to follow.
    next: usize,
}

/// What Tarjan's algorithm knows of a state.
#[derive(Clone, Copy, Default)]
struct Visit {
    /// When it was found, from 1; 0 if it has not been.
    index: u32,
    /// The earliest state on the stack that it is known to reach.
    low: u32,
    on_stack: bool,
}

/// The strongly connected components of the part of the graph that consists of `part`
/// (Tarjan 1972, without recursion). Each in ascending order.
fn strongly_connected(
    graph: &Graph,
    membership: &mut Membership,
    part: &[State],
) -> Vec<Vec<State>> {
    membership.become_set_of(part);
    let mut visits: HashMap<State, Visit> = HashMap::with_capacity(part.len());
    let mut components = Vec::new();
    let mut stack: Vec<State> = Vec::new();
    let mut path: Vec<Frame> = Vec::new();
    let mut clock = 0;
    for &root in part {
        if visits.contains_key(&root) {
            continue;
        }
        enter(root, &mut clock, &mut visits, &mut stack, &mut path);
        while let Some(Frame { state, next }) = path.last_mut() {
            let state = *state;
            if let Some(edge) = graph.edges(state).get(*next) {
                *next += 1;
                if !membership.contains(edge.to) {
                    continue;
                }
                match visits.get(&edge.to).copied() {
                    None => enter(edge.to, &mut clock, &mut visits, &mut stack, &mut path),
                    Some(visit) if visit.on_stack => lower(&mut visits, state, visit.index),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            let visit = visits[&state];
            if let Some(parent) = path.last() {
                lower(&mut visits, parent.state, visit.low);
            }
            if visit.low == visit.index {
                components.push(pop_component(state, &mut visits, &mut stack));
            }
        }
    }
    components
}

fn enter(
    state: State,
    clock: &mut u32,
    visits: &mut HashMap<State, Visit>,
    stack: &mut Vec<State>,
    path: &mut Vec<Frame>,
) {
    *clock += 1;
    let visit = Visit {
        index: *clock,
        low: *clock,
        on_stack: true,
    };
    visits.insert(state, visit);
    stack.push(state);
    path.push(Frame { state, next: 0 });
}

fn lower(visits: &mut HashMap<State, Visit>, state: State, to: u32) {
    if let Some(visit) = visits.get_mut(&state) {
        visit.low = visit.low.min(to);
    }
}

fn pop_component(
    root: State,
    visits: &mut HashMap<State, Visit>,
    stack: &mut Vec<State>,
) -> Vec<State> {
    let mut component = Vec::new();
    while let Some(state) = stack.pop() {
        if let Some(visit) = visits.get_mut(&state) {
            visit.on_stack = false;
        }
        component.push(state);
        if state == root {
            break;
        }
    }
    component.sort_unstable();
    component
}
