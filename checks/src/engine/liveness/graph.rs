//! A finished state graph: who leads where, by which label, and which labels are fair.

use std::collections::VecDeque;

use super::rows::Rows;
use crate::engine::native::bytes;

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
    pub action: u32,
}

/// The graph. Built state by state, in the order of their numbers.
///
/// A row is some four to six bytes an edge: the number of labels that lead out of the bounds,
/// those labels, and then for each edge its label and how far away the state is that it leads to.
pub struct Graph {
    fairness: Vec<Fairness>,
    rows: Rows,
    /// From where each state was found first; the initial state from itself.
    parents: Vec<State>,
}

/// The steps from a state, one after the other.
#[derive(Clone)]
pub struct Edges<'a> {
    bytes: &'a [u8],
    from: State,
    action: u32,
}

impl Edges<'_> {
    /// How much is left: see [`Graph::rest`].
    pub(super) fn left(&self) -> u32 {
        self.bytes.len() as u32
    }
}

impl Iterator for Edges<'_> {
    type Item = Edge;

    fn next(&mut self) -> Option<Edge> {
        if self.bytes.is_empty() {
            return None;
        }
        let label = bytes::read(&mut self.bytes) as Label;
        let distance = bytes::read(&mut self.bytes);
        let action = self.action;
        self.action += 1;
        Some(Edge {
            to: at(self.from, distance),
            label,
            action,
        })
    }
}

/// How far `to` is from `from`: small numbers for what is near, before it or behind.
fn distance(from: State, to: State) -> u64 {
    let distance = i64::from(to) - i64::from(from);
    (distance << 1 ^ distance >> 63) as u64
}

/// What is so far from `from`.
fn at(from: State, distance: u64) -> State {
    let distance = (distance >> 1) as i64 ^ -((distance & 1) as i64);
    (i64::from(from) + distance) as State
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
            rows: Rows::new(),
            parents: Vec::new(),
        }
    }

    /// A new label.
    pub fn label(&mut self, fairness: Fairness) -> Label {
        self.fairness.push(fairness);
        number(self.fairness.len() - 1)
    }

    /// How many labels there are, that of faults included.
    pub fn labels(&self) -> usize {
        self.fairness.len()
    }

    /// A new state, found from this one; the initial state is found from itself.
    pub fn find(&mut self, parent: State) -> State {
        self.parents.push(parent);
        number(self.parents.len() - 1)
    }

    /// Says what may happen in the next state in order: its edges, each a label and where it
    /// leads, in the order of the actions, and the labels that are enabled there but lead out of
    /// the bounds.
    pub fn expand(&mut self, edges: &[(Label, State)], withheld: &[Label]) {
        let from = number(self.rows.len());
        self.rows.push(|row| {
            bytes::write(row, withheld.len() as u64);
            for &label in withheld {
                bytes::write(row, label.into());
            }
            for &(label, to) in edges {
                bytes::write(row, label.into());
                bytes::write(row, distance(from, to));
            }
        });
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
    pub fn edges(&self, state: State) -> Edges<'_> {
        let mut bytes = self.rows.get(state);
        skip_withheld(&mut bytes, |_| ());
        Edges {
            bytes,
            from: state,
            action: 0,
        }
    }

    /// The last of the steps from a state, of which so much was left. Their positions are not
    /// known any more.
    pub(super) fn rest(&self, state: State, left: u32) -> Edges<'_> {
        let row = self.rows.get(state);
        Edges {
            bytes: &row[row.len() - left as usize..],
            from: state,
            action: 0,
        }
    }

    /// What is promised of a label.
    pub fn fairness(&self, label: Label) -> Fairness {
        self.fairness[label as usize]
    }

    /// Names each fair label that is enabled in a state; one may be named twice.
    pub fn each_enabled(&self, state: State, mut name: impl FnMut(Label)) {
        let mut bytes = self.rows.get(state);
        skip_withheld(&mut bytes, &mut name);
        let edges = Edges {
            bytes,
            from: state,
            action: 0,
        };
        edges
            .map(|edge| edge.label)
            .filter(|&label| label != UNFAIR)
            .for_each(name);
    }

    /// Names each label that is enabled in a state and leads out of the bounds.
    pub fn each_withheld(&self, state: State, name: impl FnMut(Label)) {
        skip_withheld(&mut self.rows.get(state), name);
    }

    /// Whether a fair label is enabled in a state.
    pub fn is_enabled(&self, state: State, label: Label) -> bool {
        let mut is_enabled = false;
        self.each_enabled(state, |enabled| is_enabled |= enabled == label);
        is_enabled
    }

    /// The memory taken.
    pub(super) fn memory(&self) -> u64 {
        self.rows.memory() + (self.parents.capacity() * size_of::<State>()) as u64
    }

    /// The actions on a shortest way from the initial state to this one.
    pub fn stem(&self, state: State) -> Vec<u32> {
        let mut actions = Vec::new();
        let mut state = state;
        while state != 0 {
            let parent = self.parents[state as usize];
            actions.extend(self.edge(parent, state).map(|edge| edge.action));
            state = parent;
        }
        actions.reverse();
        actions
    }

    /// A shortest way from one of `sources`, through states of `region` only, over an edge for
    /// which `arrives` holds: the state it begins in and its edges.
    pub fn way(
        &self,
        sources: &[State],
        region: &dyn Fn(State) -> bool,
        arrives: &dyn Fn(State, &Edge) -> bool,
    ) -> Option<(State, Vec<Edge>)> {
        // Zero for what has not been found, so that what is never touched takes no memory.
        let mut found: Vec<u64> = vec![0; self.parents.len()];
        for &source in sources {
            found[source as usize] = u64::from(source) + 1;
        }
        let mut queue: VecDeque<State> = sources.iter().copied().collect();
        while let Some(state) = queue.pop_front() {
            for edge in self.edges(state) {
                if !region(edge.to) {
                    continue;
                }
                if arrives(state, &edge) {
                    return Some(self.trace(&found, state, edge));
                }
                if found[edge.to as usize] == 0 {
                    found[edge.to as usize] = u64::from(state) + 1;
                    queue.push_back(edge.to);
                }
            }
        }
        None
    }

    /// The way by which a search found `last`, an edge from `at`.
    fn trace(&self, found: &[u64], at: State, last: Edge) -> (State, Vec<Edge>) {
        let (mut at, mut edges) = (at, vec![last]);
        loop {
            let from = (found[at as usize] - 1) as State;
            if from == at {
                edges.reverse();
                return (at, edges);
            }
            edges.extend(self.edge(from, at));
            at = from;
        }
    }

    /// The first edge that leads from one state to another.
    fn edge(&self, from: State, to: State) -> Option<Edge> {
        self.edges(from).find(|edge| edge.to == to)
    }
}

/// Takes the labels that lead out of the bounds off the front of a row.
fn skip_withheld(row: &mut &[u8], mut name: impl FnMut(Label)) {
    for _ in 0..bytes::read(row) {
        name(bytes::read(row) as Label);
    }
}

/// # Panics
/// At more than 2³² states or labels: more than fit in memory.
fn number(position: usize) -> u32 {
    u32::try_from(position).expect("fewer than 2^32 states and labels")
}
