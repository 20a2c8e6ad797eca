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
//!
//! Components are found by Tarjan's algorithm (1972), without recursion and with one number a
//! state (Pearce 2016, "A space-efficient algorithm for finding strongly connected components"),
//! and each is judged as soon as it is complete: nothing is kept of those that are not fair.

use super::graph::{Fairness, Graph, Label, State, UNFAIR};
use super::uses::Uses;
use crate::engine::Stop;

/// Not met yet.
const NEW: u32 = 0;

/// Not looked at any more, or not at all.
const DONE: u32 = u32::MAX;

/// After how many states the limits are looked at.
const LOOK_AT_LIMITS: u32 = 1 << 16;

/// The memory that a search may take, for each state of the graph: where it is on all states'
/// stacks.
pub(super) const BYTES: u64 = (size_of::<u32>() + size_of::<State>() + size_of::<Frame>()) as u64;

/// The largest sets within `region` in which a fair run may stay for ever, each in ascending
/// order.
///
/// # Errors
/// Why the search has stopped, if `limit` says that it must.
pub fn fair(
    graph: &Graph,
    region: &dyn Fn(State) -> bool,
    limit: &dyn Fn() -> Option<Stop>,
) -> Result<Vec<Vec<State>>, Stop> {
    let mark = |state| if region(state) { NEW } else { DONE };
    let mut search = Search {
        graph,
        limit,
        lows: (0..graph.len()).map(mark).collect(),
        stack: Vec::new(),
        path: Vec::new(),
        clock: 0,
        uses: Uses::new(graph.labels()),
        found: Vec::new(),
        open: Vec::new(),
    };
    for root in 0..graph.len() {
        search.explore(root)?;
    }
    while let Some(part) = search.open.pop() {
        search.clock = 0;
        for &state in &part {
            search.lows[state as usize] = NEW;
        }
        for root in part {
            search.explore(root)?;
        }
    }
    search.found.sort_unstable();
    Ok(search.found)
}

struct Search<'a> {
    graph: &'a Graph,
    limit: &'a dyn Fn() -> Option<Stop>,
    /// Of a state on the stack: when the earliest one was met that it is known to reach there.
    /// [`NEW`] and [`DONE`] of all others.
    lows: Vec<u32>,
    /// What has been met and is in no complete component.
    stack: Vec<State>,
    /// The way to the state that is being looked at.
    path: Vec<Frame>,
    clock: u32,
    uses: Uses,
    /// The components in which a run may stay.
    found: Vec<Vec<State>>,
    /// States in which a run may stay at most.
    open: Vec<Vec<State>>,
}

/// A state on the way of the depth-first search.
#[derive(Clone, Copy)]
struct Frame {
    state: State,
    /// When it was met, from 1.
    met: u32,
    /// How much is left of its steps.
    left: u32,
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

impl Search<'_> {
    /// Finds the components of all that `root` reaches and that has not been met.
    fn explore(&mut self, root: State) -> Result<(), Stop> {
        if self.lows[root as usize] != NEW {
            return Ok(());
        }
        self.enter(root)?;
        while let Some(frame) = self.path.last().copied() {
            match self.advance(frame) {
                Some(next) => self.enter(next)?,
                None => self.leave(frame),
            }
        }
        Ok(())
    }

    fn enter(&mut self, state: State) -> Result<(), Stop> {
        self.clock += 1;
        if self.clock.is_multiple_of(LOOK_AT_LIMITS)
            && let Some(stop) = (self.limit)()
        {
            return Err(stop);
        }
        self.lows[state as usize] = self.clock;
        self.stack.push(state);
        self.path.push(Frame {
            state,
            met: self.clock,
            left: self.graph.edges(state).left(),
        });
        Ok(())
    }

    /// Follows the steps that are left of a state, up to one that leads to a new one.
    fn advance(&mut self, frame: Frame) -> Option<State> {
        let mut low = self.lows[frame.state as usize];
        let mut edges = self.graph.rest(frame.state, frame.left);
        let mut new = None;
        for edge in edges.by_ref() {
            match self.lows[edge.to as usize] {
                NEW => {
                    new = Some(edge.to);
                    break;
                }
                // Nothing is later than `DONE`.
                other => low = low.min(other),
            }
        }
        self.lows[frame.state as usize] = low;
        if let Some(last) = self.path.last_mut() {
            last.left = edges.left();
        }
        new
    }

    /// All that the state reaches has been met.
    fn leave(&mut self, frame: Frame) {
        self.path.pop();
        let low = self.lows[frame.state as usize];
        if low == frame.met {
            self.complete(frame);
        } else if let Some(parent) = self.path.last() {
            let parents = &mut self.lows[parent.state as usize];
            *parents = low.min(*parents);
        }
    }

    /// What is on the stack from this state on is a component.
    fn complete(&mut self, root: Frame) {
        let first = self.stack.iter().rposition(|&state| state == root.state);
        let first = first.expect("what is on the way is on the stack");
        match self.judge(first, root.met) {
            Judgement::Unfair => {}
            Judgement::Without(states) => self.open.push(states),
            Judgement::Fair => {
                let mut component = self.stack[first..].to_vec();
                component.sort_unstable();
                self.found.push(component);
            }
        }
        for state in self.stack.drain(first..) {
            self.lows[state as usize] = DONE;
        }
    }

    /// Judges the component that begins here on the stack, with a state that was met then.
    fn judge(&mut self, first: usize, met: u32) -> Judgement {
        let (graph, lows, uses) = (self.graph, &self.lows, &mut self.uses);
        let component = &self.stack[first..];
        uses.clear();
        for &state in component {
            graph.each_enabled(state, |label| uses.enable(label, state));
            for edge in graph.edges(state) {
                // What was met before the component's first state reaches it, and is none of it.
                let low = lows[edge.to as usize];
                if edge.label != UNFAIR && low >= met && low != DONE {
                    uses.take(edge.label);
                }
            }
        }
        if uses.is_any_neglected_in(component.len()) {
            return Judgement::Unfair;
        }
        let neglected =
            |label: Label| graph.fairness(label) == Fairness::Strong && uses.is_neglected(label);
        if !uses.labels().any(neglected) {
            return Judgement::Fair;
        }
        let is_kept = |state: &State| {
            let mut is_kept = true;
            graph.each_enabled(*state, |label| is_kept &= !neglected(label));
            is_kept
        };
        Judgement::Without(component.iter().copied().filter(is_kept).collect())
    }
}
