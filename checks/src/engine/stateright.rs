//! A world as a [`stateright::Model`], and Stateright's checkers on it.
//!
//! Known of Stateright 0.31, and worked around here:
//! - a panic in a model ends a run as if all were well: panics are caught in
//!   [`examine`](crate::examine) and mark the state;
//! - it has no properties of transitions: a broken law marks the state that it led to;
//! - its breadth-first traces are not shortest, and paths that it reports need not be: a
//!   violation is only its word that there is one, and our own search finds the shortest;
//! - its time-out does nothing on one thread: the model itself stops handing out actions;
//! - `eventually` is unsound: liveness properties are not handed to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use derive_where::derive_where;
use models::Specification;
use models::trace;
use models::world::{Action, Scenario, World};
use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use super::{Engine, Findings, Limits, Reductions, Violation, native};
use crate::diagram;
use crate::examine::{self, INERT_IS_INERT, NO_PANIC, Outcome, Sight};
use crate::guide::{Guide, Part};
use crate::progress::Progress;

/// A world to be walked by Stateright.
pub struct WorldModel<P: Specification> {
    scenario: Arc<Scenario<P>>,
    /// Set when a limit is exceeded: no state has successors any more.
    halted: Arc<AtomicBool>,
    /// The trace to be followed, where one is shown.
    guide: Option<Arc<Guide<P>>>,
}

/// An action, and what it is to the trace that is shown, if one is.
#[derive_where(Clone, Debug, PartialEq)]
pub struct Choice<P: Specification> {
    /// The action.
    pub action: Action<P>,
    /// The trace's step that it is.
    pub part: Option<Part>,
}

/// A world, marked by what was wrong with the step to it.
#[derive_where(Clone, PartialEq, Eq, Hash)]
pub struct Marked<P: Specification> {
    /// The world after the step; before it, if it panicked.
    pub world: World<P>,
    /// The law that the step broke, or the invariant that the world breaks.
    pub broken: Option<&'static str>,
}

impl<P: Specification> std::fmt::Debug for Marked<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for host in trace::hosts(&self.world) {
            writeln!(f, "{host}")?;
        }
        let in_flight = self.world.network.in_flight();
        writeln!(f, "under way: {}", in_flight.len())?;
        for envelope in in_flight {
            let message = P::message_label(&envelope.message);
            writeln!(f, "  {} → {}: {message}", envelope.from, envelope.to)?;
        }
        for (client, state) in self.world.clients.iter().enumerate() {
            let waits = state.waits_at.keys().map(ToString::to_string);
            let waits = waits.collect::<Vec<_>>().join(" ");
            writeln!(
                f,
                "client {client}: {} answered, waits at [{waits}]",
                state.next
            )?;
        }
        let faults = &self.world.faults;
        writeln!(
            f,
            "faults so far: {} drops, {} duplicates, {} crashes, {} cuts",
            faults.drops, faults.duplicates, faults.crashes, faults.cuts
        )?;
        match self.broken {
            Some(broken) => writeln!(f, "BROKEN: {broken}"),
            None => Ok(()),
        }
    }
}

impl<P: Specification> WorldModel<P> {
    /// The world of `scenario`.
    pub fn new(scenario: Scenario<P>) -> Self {
        Self {
            scenario: Arc::new(scenario),
            halted: Arc::new(AtomicBool::new(false)),
            guide: None,
        }
    }

    fn part(&self, world: &World<P>, action: &Action<P>) -> Option<Part> {
        self.guide.as_ref()?.part(world, action)
    }

    /// The world, marked by the law that the step to it broke, or by what is wrong with it.
    fn marked(&self, world: World<P>, broken: Option<&'static str>) -> Marked<P> {
        let broken = broken.or_else(|| match examine::look(&self.scenario, &world) {
            Sight::Broken(property) => Some(property),
            Sight::Sound(_) => None,
        });
        Marked { world, broken }
    }
}

impl<P: Specification> Model for WorldModel<P> {
    type State = Marked<P>;
    type Action = Choice<P>;

    fn init_states(&self) -> Vec<Marked<P>> {
        vec![self.marked(World::initial(&self.scenario), None)]
    }

    fn actions(&self, state: &Marked<P>, choices: &mut Vec<Choice<P>>) {
        if state.broken.is_none() && !self.halted.load(Ordering::Relaxed) {
            let actions = examine::actions(&self.scenario, &state.world).into_iter();
            choices.extend(actions.map(|action| Choice {
                part: self.part(&state.world, &action),
                action,
            }));
        }
    }

    fn next_state(&self, last: &Marked<P>, choice: Choice<P>) -> Option<Marked<P>> {
        match examine::take(&self.scenario, &last.world, &choice.action) {
            Outcome::NotEnabled => None,
            Outcome::Next(world, broken) => Some(self.marked(world, broken)),
            Outcome::Panicked(_) => Some(Marked {
                world: last.world.clone(),
                broken: Some(NO_PANIC),
            }),
        }
    }

    fn format_action(&self, choice: &Choice<P>) -> String {
        // Stateright does not say in which state: what a client asks is then not known.
        let words = match &choice.action {
            Action::Ask { client, node } => format!("client {client} asks {node}"),
            action => trace::describe(&self.scenario, &World::initial(&self.scenario), action),
        };
        match choice.part {
            None => words,
            Some(part) => format!("{words}  ◂ {part}"),
        }
    }

    fn format_step(&self, last: &Marked<P>, choice: Choice<P>) -> Option<String> {
        let next = self.next_state(last, choice)?;
        let before = trace::hosts(&last.world);
        let after = trace::hosts(&next.world);
        let changed = before.iter().zip(&after).filter(|(old, new)| old != new);
        let lines: Vec<String> = changed
            .map(|(old, new)| format!("- {old}\n+ {new}"))
            .collect();
        Some(lines.join("\n"))
    }

    fn as_svg(&self, path: Path<Marked<P>, Choice<P>>) -> Option<String> {
        let actions = actions(path);
        let guide = self.guide.as_ref();
        let turns = guide.map_or_else(Vec::new, |guide| guide.turns(&actions));
        Some(diagram::with_notes(&self.scenario, &actions, &turns))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NO_PANIC, |_, state: &Marked<P>| {
                state.broken != Some(NO_PANIC)
            }),
            Property::always(INERT_IS_INERT, |_, state: &Marked<P>| {
                state.broken != Some(INERT_IS_INERT)
            }),
        ];
        for (invariant, holds) in P::INVARIANTS.iter().zip(indexed::INVARIANTS::<P>()) {
            properties.push(Property::always(invariant.name, holds));
        }
        for (law, holds) in P::LAWS.iter().zip(indexed::LAWS::<P>()) {
            properties.push(Property::always(law.name, holds));
        }
        for (reachable, seen) in P::REACHABLE.iter().zip(indexed::REACHABLE::<P>()) {
            properties.push(Property::sometimes(reachable.name, seen));
        }
        properties
    }
}

/// Stateright's conditions are plain functions, which cannot remember which row of a table
/// they stand for. So there is one function for each row number.
#[allow(non_snake_case)]
mod indexed {
    use super::{Marked, Specification, WorldModel};

    pub(super) type Condition<P> = fn(&WorldModel<P>, &Marked<P>) -> bool;

    /// The largest number of rows in a table of properties.
    pub(super) const ROWS: usize = 80;

    fn invariant<P: Specification, const ROW: usize>(_: &WorldModel<P>, state: &Marked<P>) -> bool {
        state.broken != Some(P::INVARIANTS[ROW].name)
    }

    fn law<P: Specification, const ROW: usize>(_: &WorldModel<P>, state: &Marked<P>) -> bool {
        state.broken != Some(P::LAWS[ROW].name)
    }

    fn reachable<P: Specification, const ROW: usize>(
        model: &WorldModel<P>,
        state: &Marked<P>,
    ) -> bool {
        // Of a marked state nothing is asked: looking at it may panic.
        state.broken.is_none() && (P::REACHABLE[ROW].seen)(&model.scenario, &state.world)
    }

    macro_rules! rows {
        ($table:ident, $function:ident, $($row:literal)*) => {
            pub(super) fn $table<P: Specification>() -> [Condition<P>; ROWS] {
                const { assert!(P::$table.len() <= ROWS, "more properties than ROWS") };
                [$($function::<P, $row>),*]
            }
        };
    }
    macro_rules! table {
        ($table:ident, $function:ident) => {
            rows!($table, $function, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
                21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48
                49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76
                77 78 79);
        };
    }
    table!(INVARIANTS, invariant);
    table!(LAWS, law);
    table!(REACHABLE, reachable);
}

/// The actions of a path.
fn actions<P: Specification>(path: Path<Marked<P>, Choice<P>>) -> Vec<Action<P>> {
    let choices = path.into_actions().into_iter();
    choices.map(|choice| choice.action).collect()
}

/// Serves Stateright's Explorer of `scenario` at this address. Leads along a trace, if there is
/// one. Does not return.
pub fn serve<P: Specification>(
    scenario: Scenario<P>,
    guide: Option<Guide<P>>,
    address: SocketAddr,
) {
    let model = WorldModel {
        guide: guide.map(Arc::new),
        ..WorldModel::new(scenario)
    };
    model.checker().serve(address);
}

/// The place on the page at which a trace has been followed to its end.
pub fn place<P: Specification>(guide: &Guide<P>) -> String {
    // There is one initial state, and it is chosen first.
    let choices = guide.choices().iter().map(|choice| format!("/{choice}"));
    format!("#/steps/0{}", choices.collect::<String>())
}

/// Lets Stateright walk `scenario`. Where it finds a violation, our own search finds the
/// shortest one.
pub fn search<P: Specification>(
    scenario: &Scenario<P>,
    engine: Engine,
    limits: &Limits,
    progress: &Progress,
) -> Findings<P> {
    if examine::initial(scenario).is_err() {
        // There is no initial world to hand out: ours reports why.
        return native::search(scenario, Reductions::ALL, limits, progress);
    }
    let model = WorldModel::new(scenario.clone());
    let halted = Arc::clone(&model.halted);
    let builder = model
        .checker()
        .threads(limits.threads.get())
        .finish_when(HasDiscoveries::AnyFailures);
    match engine {
        Engine::StaterightBfs => watch(builder.spawn_bfs(), scenario, &halted, limits, progress),
        _ => watch(builder.spawn_dfs(), scenario, &halted, limits, progress),
    }
}

fn watch<P: Specification>(
    mut checker: impl Checker<WorldModel<P>>,
    scenario: &Scenario<P>,
    halted: &AtomicBool,
    limits: &Limits,
    progress: &Progress,
) -> Findings<P> {
    // A small world may be done before anybody looks at the clock.
    let mut stopped = limits.exceeded(progress);
    halted.store(stopped.is_some(), Ordering::Relaxed);
    while !checker.is_done() {
        thread::sleep(Duration::from_millis(20));
        let (unique, generated) = (checker.unique_state_count(), checker.state_count());
        progress.update(unique as u64, generated as u64, checker.max_depth(), 0);
        if stopped.is_none() {
            stopped = limits.exceeded(progress);
            halted.store(stopped.is_some(), Ordering::Relaxed);
        }
    }
    // A worker that has died would otherwise look like one that has nothing left to do.
    let workers = checker.handles().into_iter();
    let died = workers.filter_map(|worker| worker.join().err()).next();
    if let Some(panic) = died {
        std::panic::resume_unwind(panic);
    }
    // Stateright finds the paths of its discoveries by walking the model again.
    halted.store(false, Ordering::Relaxed);
    let discoveries = checker.discoveries();
    let failed = violated::<P>(discoveries.keys().copied());
    let violation = match failed {
        Some(property) => shortest(scenario, limits, progress, || {
            let actions = actions(discoveries[property].clone());
            Violation {
                property,
                panic: None,
                actions,
                loop_start: None,
            }
        }),
        None => None,
    };
    let witnesses = P::REACHABLE.iter().map(|reachable| reachable.name);
    Findings {
        unique: checker.unique_state_count() as u64,
        generated: checker.state_count() as u64,
        // Stateright counts the states of a path, we its steps.
        depth: checker.max_depth().saturating_sub(1),
        seen: witnesses
            .filter(|name| discoveries.contains_key(name))
            .collect(),
        violation,
        stopped,
        fired: None,
        left_out: None,
        expected_collisions: None,
        simulated: None,
    }
}

/// The name of a discovery that is a violation, if there is one.
fn violated<P: Specification>(names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let is_witness = |name: &&'static str| P::REACHABLE.iter().any(|reach| reach.name == *name);
    names.filter(|name| !is_witness(name)).min()
}

/// The shortest violation, as our own search finds it; Stateright's own path if that search
/// is interrupted before.
fn shortest<P: Specification>(
    scenario: &Scenario<P>,
    limits: &Limits,
    progress: &Progress,
    theirs: impl FnOnce() -> Violation<P>,
) -> Option<Violation<P>> {
    let unlimited = Limits {
        max_states: None,
        ..*limits
    };
    let ours = native::search(scenario, Reductions::ALL, &unlimited, progress);
    Some(ours.violation.unwrap_or_else(theirs))
}
