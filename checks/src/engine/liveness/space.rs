//! A model's state graph, with what the liveness properties say of each state.

use std::collections::HashMap;
use std::sync::Arc;

use derive_where::derive_where;
use foldhash::fast::FixedState;
use models::Specification;
use models::specification::{Formula, Liveness, OfState};
use models::world::{Action, Kind, Scenario};

use super::components;
use super::graph::{Fairness, Graph, Label, State, UNFAIR};
use super::marks::Marks;
use super::numbers::Numbers;
use super::waiting::Waiting;
use crate::engine::native::worlds::transitions::{Taken, Transitions};
use crate::engine::{Bits, Limits, Stop, Violation};
use crate::examine::{self, NO_PANIC};
use crate::progress::Progress;

/// After how many states the limits are looked at.
const LOOK_AT_LIMITS: State = 1 << 12;

/// What is promised of actions of this kind.
pub fn fairness(kind: Kind) -> Fairness {
    match kind {
        Kind::Deliver | Kind::Restart | Kind::Heal | Kind::Sync => Fairness::Weak,
        Kind::Fire | Kind::Ask => Fairness::Strong,
        Kind::Duplicate
        | Kind::Drop
        | Kind::AskUnheard
        | Kind::Crash
        | Kind::CrashWithin
        | Kind::LoseDisk
        | Kind::Cut
        | Kind::Isolate => Fairness::None,
    }
}

/// A finished state graph.
pub struct Space<'a, P: Specification> {
    /// The graph.
    pub graph: Graph,
    /// What the properties' predicates say of the states.
    marks: Marks,
    columns: Vec<Column>,
    labels: Labels<P>,
    transitions: Transitions<'a, P>,
}

/// Where the predicates of a property's formula are.
#[derive(Clone, Copy)]
struct Column {
    first: usize,
    /// The same one, where there is but one.
    second: usize,
}

/// Why there is no finished graph.
pub struct Unfinished<P: Specification> {
    /// Distinct states until then.
    pub unique: u64,
    /// The panic of the model that ended it.
    pub panic: Option<Violation<P>>,
    /// The limit that ended it.
    pub stopped: Option<Stop>,
}

/// The predicates of these properties' formulas, one behind the other.
pub fn predicates<P: Specification>(rows: &[&Liveness<P>]) -> Vec<OfState<P>> {
    let of = |row: &&Liveness<P>| match row.formula {
        Formula::Eventually(p) | Formula::EventuallyAlways(p) | Formula::InfinitelyOften(p) => {
            vec![p]
        }
        Formula::LeadsTo(p, q) => vec![p, q],
    };
    rows.iter().flat_map(of).collect()
}

fn columns<P: Specification>(rows: &[&Liveness<P>]) -> Vec<Column> {
    let mut next = 0;
    let column = |row: &&Liveness<P>| {
        let (first, two) = (next, matches!(row.formula, Formula::LeadsTo(..)));
        let second = first + usize::from(two);
        next = second + 1;
        Column { first, second }
    };
    rows.iter().map(column).collect()
}

impl<'a, P: Specification> Space<'a, P> {
    /// Walks every state of `scenario`, and asks these properties of each, whose predicates these
    /// are.
    ///
    /// # Errors
    /// Why there is no finished graph.
    pub fn explore(
        scenario: &'a Scenario<P>,
        rows: &[&Liveness<P>],
        predicates: &'a [OfState<P>],
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Self, Unfinished<P>> {
        let initial = examine::initial(scenario).map_err(|message| Unfinished {
            unique: 0,
            panic: Some(panicked(message, Vec::new())),
            stopped: None,
        })?;
        let mut explorer = Explorer {
            space: Self {
                graph: Graph::new(),
                marks: Marks::new(predicates.len()),
                columns: columns(rows),
                labels: Labels::new(),
                transitions: Transitions::new(scenario, predicates, limits, initial),
            },
            numbers: Numbers::new(limits.fingerprints == Bits::Wide),
            waiting: Waiting::default(),
            generated: 1,
            edges: Vec::new(),
            withheld: Vec::new(),
        };
        match explorer.walk(limits, progress) {
            Ok(()) => Ok(explorer.space),
            Err(ended) => Err(explorer.space.unfinished(ended)),
        }
    }

    /// Whether the state satisfies the first predicate of this property's formula.
    pub fn first(&self, state: State, row: usize) -> bool {
        self.marks.get(state, self.columns[row].first)
    }

    /// Whether the state satisfies the second predicate of this property's formula.
    pub fn second(&self, state: State, row: usize) -> bool {
        self.marks.get(state, self.columns[row].second)
    }

    /// What a label is of.
    pub fn name(&self, label: Label) -> &Name<P> {
        &self.labels.names[label as usize]
    }

    /// The actions at these positions, one after the other from the initial world.
    pub fn actions(&mut self, positions: &[u32]) -> Vec<Action<P>> {
        self.transitions.retrace(positions)
    }

    fn unfinished(mut self, ended: Ended) -> Unfinished<P> {
        let unique = self.graph.len().into();
        let (panic, stopped) = match ended {
            Ended::Stopped(stop) => (None, Some(stop)),
            Ended::Panicked { message, at, step } => {
                let mut path = self.graph.stem(at);
                path.extend(step);
                let actions = self.actions(&path);
                (Some(panicked(message, actions)), None)
            }
        };
        Unfinished {
            unique,
            panic,
            stopped,
        }
    }
}

/// Why the walk ended early.
enum Ended {
    Stopped(Stop),
    Panicked {
        message: String,
        /// In this state, or
        at: State,
        /// in this step from there.
        step: Option<u32>,
    },
}

/// What a label is of.
#[derive_where(Clone, Debug, PartialEq)]
pub enum Name<P: Specification> {
    /// Everything to which nobody is fair.
    Fault,
    /// An action.
    Action(Arc<Action<P>>),
    /// A client that would ask once more and may not.
    Request(usize),
}

/// The labels: one for each action to which somebody is fair.
struct Labels<P: Specification> {
    /// By where the action is kept: the same actions are one.
    numbers: HashMap<*const Action<P>, Label, FixedState>,
    requests: HashMap<usize, Label, FixedState>,
    names: Vec<Name<P>>,
}

impl<P: Specification> Labels<P> {
    fn new() -> Self {
        Self {
            numbers: HashMap::default(),
            requests: HashMap::default(),
            names: vec![Name::Fault],
        }
    }

    fn action(&mut self, graph: &mut Graph, action: &Arc<Action<P>>) -> Label {
        *self
            .numbers
            .entry(Arc::as_ptr(action))
            .or_insert_with(|| match fairness(action.kind()) {
                Fairness::None => UNFAIR,
                fairness => {
                    self.names.push(Name::Action(Arc::clone(action)));
                    graph.label(fairness)
                }
            })
    }

    /// The label of a client that would ask and may not.
    fn request(&mut self, graph: &mut Graph, client: usize) -> Label {
        *self.requests.entry(client).or_insert_with(|| {
            self.names.push(Name::Request(client));
            graph.label(fairness(Kind::Ask))
        })
    }
}

struct Explorer<'a, P: Specification> {
    space: Space<'a, P>,
    numbers: Numbers,
    /// The states that wait to be expanded, in the order of their numbers.
    waiting: Waiting,
    generated: u64,
    /// The steps from the state that is being expanded.
    edges: Vec<(Label, State)>,
    /// What the bounds withhold there.
    withheld: Vec<Label>,
}

impl<P: Specification> Explorer<'_, P> {
    fn walk(&mut self, limits: &Limits, progress: &Progress) -> Result<(), Ended> {
        let initial = self.space.transitions.begin();
        self.meet(initial, 0)?;
        let mut next: State = 0;
        while let Some(states) = self.waiting.take() {
            let mut states = states.as_slice();
            while !states.is_empty() {
                if next.is_multiple_of(LOOK_AT_LIMITS) {
                    self.look_at_limits(next, limits, progress)?;
                }
                self.space.transitions.stand(next == 0, &mut states);
                self.expand(next)?;
                next += 1;
            }
        }
        Ok(())
    }

    fn look_at_limits(
        &self,
        expanded: State,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<(), Ended> {
        let states = self.space.graph.len();
        let waiting = (states - expanded) as usize;
        progress.update(states.into(), self.generated, 0, waiting);
        let is_full = limits.memory.is_some_and(|most| self.memory() > most);
        let stop = limits
            .exceeded(progress)
            .or(is_full.then_some(Stop::Memory));
        stop.map_or(Ok(()), |stop| Err(Ended::Stopped(stop)))
    }

    /// The memory taken, with that which the search for fair components is going to take.
    fn memory(&self) -> u64 {
        let Space {
            graph,
            marks,
            transitions,
            ..
        } = &self.space;
        let search = u64::from(graph.len()) * components::BYTES;
        let states = graph.memory() + marks.memory() + self.numbers.memory();
        states + self.waiting.memory() + search + transitions.memory()
    }

    fn expand(&mut self, state: State) -> Result<(), Ended> {
        self.edges.clear();
        while let Some(taken) = self.space.transitions.take() {
            let Taken { action, hash } = taken.map_err(|message| Ended::Panicked {
                message,
                at: state,
                step: Some(self.edges.len() as u32),
            })?;
            self.generated += 1;
            let to = self.meet(hash, state)?;
            let Space { graph, labels, .. } = &mut self.space;
            self.edges.push((labels.action(graph, &action), to));
        }
        self.withhold();
        self.space.graph.expand(&self.edges, &self.withheld);
        Ok(())
    }

    fn withhold(&mut self) {
        let Space {
            graph,
            labels,
            transitions,
            ..
        } = &mut self.space;
        let (timers, requests) = transitions.withheld();
        self.withheld.clear();
        let timers = timers.iter().map(|timer| labels.action(graph, timer));
        self.withheld.extend(timers);
        let requests = requests.iter().map(|&client| labels.request(graph, client));
        self.withheld.extend(requests);
    }

    /// The number of the state that a step from `parent` has just led to, a new one if it is new.
    fn meet(&mut self, hash: [u64; 2], parent: State) -> Result<State, Ended> {
        let Space {
            graph,
            marks,
            transitions,
            ..
        } = &mut self.space;
        let state = self.numbers.number(hash);
        if state < graph.len() {
            return Ok(state);
        }
        graph.find(parent);
        let seen = transitions.marks().map_err(|message| Ended::Panicked {
            message,
            at: state,
            step: None,
        })?;
        marks.push(seen);
        self.waiting.push(|bytes| transitions.write(bytes));
        Ok(state)
    }
}

fn panicked<P: Specification>(message: String, actions: Vec<Action<P>>) -> Violation<P> {
    Violation {
        property: NO_PANIC,
        panic: Some(message),
        actions,
        loop_start: None,
    }
}
