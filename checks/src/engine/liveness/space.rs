//! A model's state graph, with what the liveness properties say of each state.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use models::Specification;
use models::specification::{Formula, Liveness, OfState};
use models::world::{Action, Kind, Scenario, Withheld, World};

use super::graph::{Edge, Fairness, Graph, Label, Parent, State, UNFAIR};
use crate::engine::{Limits, Stop, Violation};
use crate::examine::{self, NO_PANIC, Outcome};
use crate::progress::Progress;

/// The most properties that one model can decide: two bits each.
const MOST_ROWS: usize = 32;

/// After how many states the limits are looked at.
const LOOK_AT_LIMITS: u32 = 1024;

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
pub(super) struct Space {
    /// The graph.
    pub(super) graph: Graph,
    /// For each state two bits for each property.
    marks: Vec<u64>,
}

/// Why there is no finished graph.
pub(super) struct Unfinished<P: Specification> {
    /// Distinct states until then.
    pub(super) unique: u64,
    /// The panic of the model that ended it.
    pub(super) panic: Option<Violation<P>>,
    /// The limit that ended it.
    pub(super) stopped: Option<Stop>,
}

impl Space {
    /// Whether the state satisfies the first predicate of this property's formula.
    pub(super) fn first(&self, state: State, position: usize) -> bool {
        self.marks[state as usize] & (1 << (2 * position)) != 0
    }

    /// Whether the state satisfies the second predicate of this property's formula.
    pub(super) fn second(&self, state: State, position: usize) -> bool {
        self.marks[state as usize] & (2 << (2 * position)) != 0
    }

    /// Walks every state of `scenario`.
    pub(super) fn explore<P: Specification>(
        scenario: &Scenario<P>,
        rows: &[&Liveness<P>],
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Self, Unfinished<P>> {
        assert!(rows.len() <= MOST_ROWS, "at most {MOST_ROWS} properties");
        let mut explorer = Explorer {
            scenario,
            rows,
            space: Self {
                graph: Graph::new(),
                marks: Vec::new(),
            },
            states: HashMap::new(),
            labels: HashMap::new(),
            requests: HashMap::new(),
            frontier: VecDeque::new(),
            generated: 1,
        };
        match explorer.walk(limits, progress) {
            Ok(()) => Ok(explorer.space),
            Err(Ended::Stopped(stop)) => Err(explorer.unfinished(None, Some(stop))),
            Err(Ended::Panicked(panic)) => Err(explorer.unfinished(Some(panic), None)),
        }
    }
}

/// The actions at these positions, one after the other from the initial world.
pub(super) fn actions<P: Specification>(
    scenario: &Scenario<P>,
    positions: impl Iterator<Item = u16>,
) -> Vec<Action<P>> {
    let mut world = World::initial(scenario);
    positions
        .map(|position| {
            let action = examine::actions(scenario, &world).swap_remove(position.into());
            match examine::take(scenario, &world, &action) {
                Outcome::Next(after, _) => world = after,
                Outcome::NotEnabled | Outcome::Panicked(_) => {
                    unreachable!("the graph has an edge for this action")
                }
            }
            action
        })
        .collect()
}

/// Why the walk ended early.
enum Ended<P: Specification> {
    Stopped(Stop),
    Panicked(Violation<P>),
}

struct Explorer<'a, P: Specification> {
    scenario: &'a Scenario<P>,
    rows: &'a [&'a Liveness<P>],
    space: Space,
    states: HashMap<u64, State>,
    labels: HashMap<Action<P>, Label>,
    requests: HashMap<usize, Label>,
    /// The states that wait to be expanded, in the order of their numbers.
    frontier: VecDeque<World<P>>,
    generated: u64,
}

impl<P: Specification> Explorer<'_, P> {
    fn walk(&mut self, limits: &Limits, progress: &Progress) -> Result<(), Ended<P>> {
        let world = examine::initial(self.scenario)
            .map_err(|message| Ended::Panicked(panicked(message, Vec::new())))?;
        let start = Parent {
            state: 0,
            action: 0,
        };
        self.meet(world, start)?;
        let mut next: State = 0;
        while let Some(world) = self.frontier.pop_front() {
            if next.is_multiple_of(LOOK_AT_LIMITS) {
                let unique = self.space.graph.len().into();
                progress.update(unique, self.generated, 0, self.frontier.len());
                if let Some(stop) = limits.exceeded(progress) {
                    return Err(Ended::Stopped(stop));
                }
            }
            self.expand(next, &world)?;
            next += 1;
        }
        Ok(())
    }

    fn expand(&mut self, state: State, world: &World<P>) -> Result<(), Ended<P>> {
        let mut edges = Vec::new();
        for (position, action) in (0..).zip(examine::actions(self.scenario, world)) {
            let parent = Parent {
                state,
                action: position,
            };
            let after = match examine::take(self.scenario, world, &action) {
                Outcome::NotEnabled => continue,
                Outcome::Next(after, _) => after,
                Outcome::Panicked(message) => {
                    let mut stem = self.stem(state);
                    stem.push(action);
                    return Err(Ended::Panicked(panicked(message, stem)));
                }
            };
            self.generated += 1;
            let to = self.meet(after, parent)?;
            edges.push(Edge {
                to,
                label: self.label(action),
                action: position,
            });
        }
        let withheld = world.withheld(self.scenario);
        let withheld = withheld.into_iter().map(|what| self.withheld(what));
        let withheld = withheld.collect();
        self.space.graph.expand(edges, withheld);
        Ok(())
    }

    /// The state's number, a new one if it is new.
    fn meet(&mut self, world: World<P>, parent: Parent) -> Result<State, Ended<P>> {
        match self.states.entry(examine::fingerprint(&world)) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let state = self.space.graph.find(parent);
                vacant.insert(state);
                match marks(self.scenario, self.rows, &world) {
                    Ok(marks) => self.space.marks.push(marks),
                    Err(message) => {
                        let stem = self.stem(state);
                        return Err(Ended::Panicked(panicked(message, stem)));
                    }
                }
                self.frontier.push_back(world);
                Ok(state)
            }
        }
    }

    fn label(&mut self, action: Action<P>) -> Label {
        let fairness = fairness(action.kind());
        if fairness == Fairness::None {
            return UNFAIR;
        }
        let graph = &mut self.space.graph;
        *self
            .labels
            .entry(action)
            .or_insert_with(|| graph.label(fairness))
    }

    fn withheld(&mut self, what: Withheld<P>) -> Label {
        match what {
            Withheld::Timer { node, timer } => self.label(Action::Fire { node, timer }),
            Withheld::Request { client } => {
                let graph = &mut self.space.graph;
                *self
                    .requests
                    .entry(client)
                    .or_insert_with(|| graph.label(fairness(Kind::Ask)))
            }
        }
    }

    fn stem(&self, state: State) -> Vec<Action<P>> {
        actions(self.scenario, self.space.graph.stem(state).into_iter())
    }

    fn unfinished(self, panic: Option<Violation<P>>, stopped: Option<Stop>) -> Unfinished<P> {
        Unfinished {
            unique: self.space.graph.len().into(),
            panic,
            stopped,
        }
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

/// Two bits for each property: whether the world satisfies its formula's predicates.
///
/// # Errors
/// The message, if one of them panics.
fn marks<P: Specification>(
    scenario: &Scenario<P>,
    rows: &[&Liveness<P>],
    world: &World<P>,
) -> Result<u64, String> {
    let holds = |predicate: OfState<P>| examine::satisfies(scenario, world, predicate);
    let mut marks = 0;
    for (position, row) in rows.iter().enumerate() {
        let (first, second) = match row.formula {
            Formula::Eventually(p) | Formula::EventuallyAlways(p) | Formula::InfinitelyOften(p) => {
                (holds(p)?, false)
            }
            Formula::LeadsTo(p, q) => (holds(p)?, holds(q)?),
        };
        marks |= (u64::from(first) | u64::from(second) << 1) << (2 * position);
    }
    Ok(marks)
}
