//! From a fair component to a run that stays in it: a stem and a loop.

use std::collections::BTreeSet;

use super::graph::{Edge, Fairness, Graph, State};

/// A way to a fair component, and the component.
pub(super) struct Shape {
    /// The positions of the actions on the way to the entry.
    stem: Vec<u32>,
    /// The state in which the loop begins and ends.
    entry: State,
    /// The component, in ascending order.
    component: Vec<State>,
}

impl Shape {
    /// The component with this state as the entry, by a shortest way.
    pub(super) fn at(graph: &Graph, entry: State, component: Vec<State>) -> Self {
        Self {
            stem: graph.stem(entry),
            entry,
            component,
        }
    }

    /// The component that is nearest to a source, through states of `region`.
    pub(super) fn nearest(
        graph: &Graph,
        sources: &[State],
        region: &dyn Fn(State) -> bool,
        mut components: Vec<Vec<State>>,
    ) -> Option<Self> {
        if components.is_empty() {
            return None;
        }
        let mut is_home = vec![false; graph.len() as usize];
        for &state in components.iter().flatten() {
            is_home[state as usize] = true;
        }
        let is_home = |state: State| is_home[state as usize];
        let (source, way) = match sources.iter().find(|&&source| is_home(source)) {
            Some(&source) => (source, Vec::new()),
            None => graph.way(sources, region, &|_, edge| is_home(edge.to))?,
        };
        let entry = way.last().map_or(source, |edge| edge.to);
        let mut stem = graph.stem(source);
        stem.extend(way.iter().map(|edge| edge.action));
        let is_in = |component: &Vec<State>| component.binary_search(&entry).is_ok();
        let home = components.iter().position(is_in)?;
        Some(Self {
            stem,
            entry,
            component: components.swap_remove(home),
        })
    }
}

/// The positions of the actions: first of the stem, then of the loop. An empty loop is a run in
/// which nothing more happens.
pub(super) fn walk(graph: &Graph, shape: &Shape) -> (Vec<u32>, Vec<u32>) {
    let cycle = cycle(graph, shape.entry, &shape.component);
    let cycle = cycle.iter().map(|edge| edge.action).collect();
    (shape.stem.clone(), cycle)
}

/// A way around in the component, back to `entry`, that is fair to every label. Not always the
/// shortest.
fn cycle(graph: &Graph, entry: State, component: &[State]) -> Vec<Edge> {
    let mut enabled = BTreeSet::new();
    graph.each_enabled(entry, |label| _ = enabled.insert(label));
    if enabled.is_empty() {
        return Vec::new();
    }
    let inside = |state: State| component.binary_search(&state).is_ok();
    for &state in component {
        graph.each_enabled(state, |label| _ = enabled.insert(label));
    }
    let mut cycle: Vec<Edge> = Vec::new();
    for label in enabled {
        let rests = |state: State| {
            let weak = graph.fairness(label) == Fairness::Weak;
            weak && !graph.is_enabled(state, label)
        };
        let is_served = |edge: &Edge| edge.label == label || rests(edge.to);
        if rests(entry) || cycle.iter().any(is_served) {
            continue;
        }
        let at = cycle.last().map_or(entry, |edge| edge.to);
        let way = graph.way(&[at], &inside, &|_, edge| is_served(edge));
        cycle.extend(way.into_iter().flat_map(|(_, edges)| edges));
    }
    let at = cycle.last().map_or(entry, |edge| edge.to);
    if at != entry {
        let way = graph.way(&[at], &inside, &|_, edge| edge.to == entry);
        cycle.extend(way.into_iter().flat_map(|(_, edges)| edges));
    }
    cycle
}
