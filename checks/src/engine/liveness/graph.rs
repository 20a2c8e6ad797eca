//! A finished state graph: who leads where, by which label, and which labels are fair.

use std::collections::VecDeque;

/// A state's number, in the order in which the states were found. The initial state is 0.
pub type State = u32;

/// A label's number. Fairness is promised label by label: two messages under way are two
/// labels, and so are the timers of two nodes.
pub type Label = u32;

/// The label of everything to which nobody is fair: faults.
pub const UNFAIR: Label = 0;

/// What is promised of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fairness {
    /// Nothing: it may be neglected for ever.
    None,
    /// It is taken again and again if it is enabled for ever from some state on.
    Weak,
    /// It is taken again and again if it is enabled again and again.
    Strong,
}

/// A step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it leads.
    pub to: State,
    /// What it is called.
    pub label: Label,
    /// Its position among what may happen in the state.
    pub action: u16,
}

/// Where a state was found first.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    /// The state from which.
    pub state: State,
    /// The position of the action.
    pub action: u16,
}

/// The graph. Built state by state, in the order of their numbers.
pub struct Graph {
    fairness: Vec<Fairness>,
    edges: Rows<Edge>,
    withheld: Rows<Label>,
    parents: Vec<Parent>,
}

/// A list of lists, one after the other in memory.
struct Rows<T> {
    ends: Vec<usize>,
    items: Vec<T>,
}

impl<T> Rows<T> {
    fn new() -> Self {
        Self {
            ends: vec![0],
            items: Vec::new(),
        }
    }

    fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.items.extend(row);
        self.ends.push(self.items.len());
    }

    fn get(&self, row: State) -> &[T] {
        let row = row as usize;
        &self.items[self.ends[row]..self.ends[row + 1]]
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl Graph {
    /// A graph without states.
    pub fn new() -> Self {
        Self {
            fairness: vec![Fairness::None],
            edges: Rows::new(),
            withheld: Rows::new(),
            parents: Vec::new(),
        }
    }

    /// A new label.
    pub fn label(&mut self, fairness: Fairness) -> Label {
        self.fairness.push(fairness);
        number(self.fairness.len() - 1)
    }

    /// A new state, found from this one; the initial state is found from itself.
    pub fn find(&mut self, parent: Parent) -> State {
        self.parents.push(parent);
        number(self.parents.len() - 1)
    }

    /// Says what may happen in the next state in order: its edges, and the labels that are
    /// enabled there but lead out of the bounds.
    pub fn expand(&mut self, edges: Vec<Edge>, withheld: Vec<Label>) {
        self.edges.push(edges);
        self.withheld.push(withheld);
    }

    /// The number of states.
    pub fn len(&self) -> State {
        number(self.parents.len())
    }

    /// Whether there is no state.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The steps from a state.
    pub fn edges(&self, state: State) -> &[Edge] {
        self.edges.get(state)
    }

    /// What is promised of a label.
    pub fn fairness(&self, label: Label) -> Fairness {
        self.fairness[label as usize]
    }

    /// The fair labels that are enabled in a state, each once.
    pub fn enabled(&self, state: State) -> Vec<Label> {
        let taken = self.edges(state).iter().map(|edge| edge.label);
        let all = taken.chain(self.withheld.get(state).iter().copied());
        let mut labels: Vec<Label> = all
            .filter(|&label| self.fairness(label) != Fairness::None)
            .collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// The actions on a shortest way from the initial state to this one.
    pub fn stem(&self, state: State) -> Vec<u16> {
        let mut actions = Vec::new();
        let mut state = state;
        while state != 0 {
            let Parent {
                state: from,
                action,
            } = self.parents[state as usize];
            actions.push(action);
            state = from;
        }
        actions.reverse();
        actions
    }

    /// A shortest way from one of `sources`, through states of `region` only, over an edge for
    /// which `arrives` holds or to a source that is itself an arrival: the state it begins in
    /// and its edges.
    pub fn way(
        &self,
        sources: &[State],
        region: &dyn Fn(State) -> bool,
        arrives: &dyn Fn(State, &Edge) -> bool,
    ) -> Option<(State, Vec<Edge>)> {
        let mut found: std::collections::HashMap<State, Option<(State, Edge)>> =
            sources.iter().map(|&source| (source, None)).collect();
        let mut queue: VecDeque<State> = sources.iter().copied().collect();
        while let Some(state) = queue.pop_front() {
            for edge in self.edges(state) {
                if !region(edge.to) {
                    continue;
                }
                if arrives(state, edge) {
                    let mut edges = vec![*edge];
                    let mut at = state;
                    while let Some((from, edge)) = found[&at] {
                        edges.push(edge);
                        at = from;
                    }
                    edges.reverse();
                    return Some((at, edges));
                }
                found.entry(edge.to).or_insert_with(|| {
                    queue.push_back(edge.to);
                    Some((state, *edge))
                });
            }
        }
        None
    }
}

/// # Panics
/// At more than 2³² states or labels: more than fit in memory.
fn number(position: usize) -> u32 {
    u32::try_from(position).expect("fewer than 2^32 states and labels")
}
