//! The graph on which liveness is decided, held against its plain definition: worlds that are
//! built, compared and kept whole, and nothing remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use checks::engine::liveness::fairness;
use checks::engine::liveness::graph::{Fairness, State};
use checks::engine::liveness::space::{Name, Space, predicates};
use checks::engine::{Bits, Limits};
use checks::examine::{self, Outcome};
use checks::progress::Progress;
use models::specification::{LiveModel, Liveness, Size};
use models::world::{Action, Delivery, Scenario, Withheld, World};
use models::{Specification, bully, counter, maekawa, raft, zab};

use crate::support::maze::maze;
use crate::support::on;

/// More would take too long.
const SMALL: u64 = 12_000;

/// A state, by the plain definition.
struct Plain<P: Specification> {
    edges: Vec<(Name<P>, State)>,
    withheld: Vec<Name<P>>,
    marks: Vec<bool>,
}

/// Every state, in the order in which a search finds them.
#[expect(
    clippy::mutable_key_type,
    reason = "a veil is no part of what is compared, and no network here has one"
)]
fn plain<P: Specification>(scenario: &Scenario<P>, rows: &[&Liveness<P>]) -> Vec<Plain<P>> {
    let predicates = predicates(rows);
    let initial = World::initial(scenario);
    let mut numbers: HashMap<World<P>, State> = HashMap::from([(initial.clone(), 0)]);
    let mut worlds = vec![initial];
    let mut states = Vec::new();
    while states.len() < worlds.len() {
        let world = worlds[states.len()].clone();
        let mut edges = Vec::new();
        for action in examine::actions(scenario, &world) {
            let Outcome::Next(after, _) = examine::take(scenario, &world, &action) else {
                panic!("what is listed is possible");
            };
            let next = worlds.len() as State;
            let to = *numbers.entry(after.clone()).or_insert(next);
            if to == next {
                worlds.push(after);
            }
            edges.push((name(action), to));
        }
        let withheld = world.withheld(scenario).into_iter().map(|what| match what {
            Withheld::Timer { node, timer } => name(Action::Fire { node, timer }),
            Withheld::Request { client } => Name::Request(client),
        });
        states.push(Plain {
            edges,
            withheld: withheld.collect(),
            marks: predicates.iter().map(|p| p(scenario, &world)).collect(),
        });
    }
    states
}

fn name<P: Specification>(action: Action<P>) -> Name<P> {
    match fairness(action.kind()) {
        Fairness::None => Name::Fault,
        Fairness::Weak | Fairness::Strong => Name::Action(Arc::new(action)),
    }
}

/// Holds the graph of a scenario against the plain one, and returns how many states it has.
fn compare<P: Specification>(what: &str, scenario: &Scenario<P>, limits: &Limits) -> State {
    let rows: Vec<&Liveness<P>> = P::LIVENESS.iter().collect();
    let predicates = predicates(&rows);
    let progress = Progress::new(Arc::new(AtomicBool::new(false)));
    let explored = Space::explore(scenario, &rows, &predicates, limits, &progress);
    let Ok(mut space) = explored else {
        panic!("{what}: no finished graph");
    };
    let plain = plain(scenario, &rows);
    assert_eq!(space.graph.len() as usize, plain.len(), "{what}");
    let places = pair(what, &space, &plain);
    for (state, &place) in (0..).zip(&places) {
        let plain = &plain[place as usize];
        let mut marks = plain.marks.iter();
        for (position, row) in rows.iter().enumerate() {
            let mut is_as_plain = |mark| assert_eq!(marks.next(), Some(&mark), "{what}: {state}");
            is_as_plain(space.first(state, position));
            if matches!(row.formula, models::specification::Formula::LeadsTo(..)) {
                is_as_plain(space.second(state, position));
            }
        }
    }
    let last = space.graph.len() - 1;
    leads_to(what, scenario, &mut space, last);
    last + 1
}

/// For each state of the graph its number in the plain one. The two begin at the same one, and
/// each label leads on in both: what can be told apart by its labels is the same.
fn pair<P: Specification>(what: &str, space: &Space<'_, P>, plain: &[Plain<P>]) -> Vec<State> {
    let mut places = vec![None; plain.len()];
    places[0] = Some(0);
    for state in 0..space.graph.len() {
        let place: State = places[state as usize].expect("it was found from an earlier one");
        let ours: Vec<_> = space.graph.edges(state).collect();
        let mut theirs: Vec<_> = plain[place as usize].edges.iter().collect();
        assert_eq!(ours.len(), theirs.len(), "{what}: steps from {state}");
        for edge in ours {
            let name = space.name(edge.label);
            let at = theirs.iter().position(|(theirs, _)| theirs == name);
            let at = at.unwrap_or_else(|| panic!("{what}: no {name:?} from {state}"));
            let to = theirs.remove(at).1;
            let known = *places[edge.to as usize].get_or_insert(to);
            assert_eq!(known, to, "{what}: {name:?} from {state}");
        }
        let mut withheld = Vec::new();
        space
            .graph
            .each_withheld(state, |label| withheld.push(space.name(label).clone()));
        assert_eq!(withheld, plain[place as usize].withheld, "{what}: {state}");
    }
    let mut all: Vec<State> = places.into_iter().flatten().collect();
    let paired = all.clone();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), plain.len(), "{what}: two states are one");
    paired
}

/// The way to a state can be gone in the world.
fn leads_to<P: Specification>(
    what: &str,
    scenario: &Scenario<P>,
    space: &mut Space<'_, P>,
    state: State,
) {
    let mut world = World::initial(scenario);
    let stem = space.graph.stem(state);
    for action in space.actions(&stem) {
        let taken = world.apply(scenario, &action);
        assert!(taken.is_ok(), "{what}: {action:?} is not possible");
    }
}

fn compare_all<P: Specification>(models: &[LiveModel<P>]) -> usize {
    let is_small = |model: &&LiveModel<P>| {
        let row = &model.model;
        row.size == Size::Gate && row.states.is_some_and(|states| states <= SMALL)
    };
    let small: Vec<_> = models.iter().filter(is_small).collect();
    for LiveModel { model, .. } in &small {
        let states = compare(model.name, &(model.scenario)(), &on(1));
        assert_eq!(Some(u64::from(states)), model.states, "{}", model.name);
    }
    small.len()
}

#[test]
fn small_models_have_the_graph_that_the_plain_definition_gives() {
    let compared = compare_all(raft::spec::LIVE)
        + compare_all(bully::spec::LIVE)
        + compare_all(counter::spec::LIVE)
        + compare_all(maekawa::spec::LIVE)
        + compare_all(zab::spec::bully::LIVE);
    assert!(compared >= 9, "{compared} models");
}

/// A vertex, and what the bounds withhold there.
#[test]
fn a_maze_has_the_graph_that_it_is_drawn_as() {
    let edges: &[(u8, u8)] = &[(0, 1), (1, 0), (1, 1), (1, 9), (9, 2), (0, 2)];
    assert_eq!(compare("a maze", &maze(edges, &[(1, 9)]), &on(1)), 3);
    assert_eq!(compare("a maze", &maze(edges, &[]), &on(1)), 4);
}

/// Where messages arrive in any order, and where none is dropped as inert; where steps are
/// forgotten and taken anew, and where states are told apart by 128 bits.
#[test]
fn other_worlds_and_other_limits_have_it_as_well() {
    let of = |name| {
        let mut models = raft::spec::LIVE.iter().map(|live| &live.model);
        let model = models.find(|model| model.name == name);
        (model.expect("a model").scenario)()
    };
    let mut any_order = of("raft/live-change");
    any_order.delivery = Delivery::Bag;
    // A loss is not named, and would not be told from another.
    any_order.faults.drops = 0;
    compare("any order", &any_order, &on(1));
    let mut with_inert = of("raft/live-retransmission");
    with_inert.drop_inert = false;
    compare("with inert messages", &with_inert, &on(1));
    let forgetful = Limits {
        memory: Some(4 << 20),
        ..on(1)
    };
    compare("forgetful", &of("raft/live-loss"), &forgetful);
    let wide = Limits {
        fingerprints: Bits::Wide,
        ..on(1)
    };
    compare("128 bits", &of("raft/live-retransmission"), &wide);
}
