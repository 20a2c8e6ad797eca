//! Liveness: known answers on small graphs, among them those that a search which gives up at
//! states that it has seen before, or takes cut runs for ended ones, gets wrong.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use checks::engine::liveness::components;
use checks::engine::liveness::graph::{Fairness, Graph, Label, State, UNFAIR};
use checks::engine::liveness::{Decision, check};
use checks::engine::{Engine, Kind};
use checks::progress::Progress;
use checks::report::Verdict;
use checks::subject::{Case, Subject};
use checks::trace_file::TraceFile;
use models::world::Scenario;
use tempfile::tempdir;

use crate::support::maze::{BACK_AND_FORTH, Maze, maze};
use crate::support::{on, verify};

const EVENTUALLY: &str = "eventually 9";
const ALWAYS: &str = "eventually always 9";
const OFTEN: &str = "infinitely often 9";
const LEADS: &str = "1 leads to 9";

fn decide(scenario: &Scenario<Maze>, property: &'static str) -> Decision {
    let progress = Arc::new(Progress::new(Arc::new(AtomicBool::new(false))));
    let findings = check(scenario, &[property], &on(1), &progress);
    assert_eq!(
        findings.violation.is_some(),
        findings.decisions[property] == Decision::Violated
    );
    findings.decisions[property]
}

/// A graph, what lies beyond its bounds, and what is to be said of a property.
type Known = (
    &'static str,
    &'static [(u8, u8)],
    &'static [(u8, u8)],
    &'static str,
    Decision,
);

const CUT: Decision = Decision::Vacuous("the bounds cut every fair run short");

const KNOWN: &[Known] = &[
    (
        "a path",
        &[(0, 1), (1, 9)],
        &[],
        EVENTUALLY,
        Decision::Holds,
    ),
    ("a dead end", &[(0, 1)], &[], EVENTUALLY, Decision::Violated),
    (
        "a fork into a dead end",
        &[(0, 1), (0, 9)],
        &[],
        EVENTUALLY,
        Decision::Violated,
    ),
    // Two ways meet before the dead end: the second is cut off by those who look at each
    // state once only, with what was seen on the first way.
    (
        "a join",
        &[(0, 9), (0, 1), (9, 2), (1, 2)],
        &[],
        EVENTUALLY,
        Decision::Violated,
    ),
    // No state of the cycle is an end.
    (
        "a cycle",
        &[(0, 1), (1, 0)],
        &[],
        EVENTUALLY,
        Decision::Violated,
    ),
    (
        "a self-loop",
        &[(0, 0)],
        &[],
        EVENTUALLY,
        Decision::Violated,
    ),
    // Who is fair to the way out takes it.
    (
        "a cycle with a way out",
        &[(0, 1), (1, 0), (1, 9)],
        &[],
        EVENTUALLY,
        Decision::Holds,
    ),
    (
        "a self-loop with a way out",
        &[(0, 0), (0, 9)],
        &[],
        EVENTUALLY,
        Decision::Holds,
    ),
    (
        "a cycle behind a cycle",
        &[(0, 1), (1, 0), (1, 2), (2, 3), (3, 2)],
        &[],
        EVENTUALLY,
        Decision::Violated,
    ),
    (
        "back and forth",
        &[(0, 9), (9, 0)],
        &[],
        EVENTUALLY,
        Decision::Holds,
    ),
    (
        "back and forth",
        &[(0, 9), (9, 0)],
        &[],
        ALWAYS,
        Decision::Violated,
    ),
    (
        "back and forth",
        &[(0, 9), (9, 0)],
        &[],
        OFTEN,
        Decision::Holds,
    ),
    (
        "there to stay",
        &[(0, 9), (9, 9)],
        &[],
        ALWAYS,
        Decision::Holds,
    ),
    (
        "there, and nothing more",
        &[(0, 9)],
        &[],
        ALWAYS,
        Decision::Holds,
    ),
    (
        "there once",
        &[(0, 9), (9, 1)],
        &[],
        OFTEN,
        Decision::Violated,
    ),
    (
        "there once",
        &[(0, 9), (9, 1)],
        &[],
        ALWAYS,
        Decision::Violated,
    ),
    (
        "one of two components",
        &[(0, 9), (9, 9), (0, 2), (2, 2)],
        &[],
        OFTEN,
        Decision::Violated,
    ),
    (
        "led there",
        &[(0, 1), (1, 9), (9, 0)],
        &[],
        LEADS,
        Decision::Holds,
    ),
    (
        "not led there",
        &[(0, 9), (9, 1), (1, 2), (2, 1)],
        &[],
        LEADS,
        Decision::Violated,
    ),
    (
        "never begun",
        &[(0, 9)],
        &[],
        LEADS,
        Decision::Vacuous("what should lead to it never is"),
    ),
    // A run that the bounds cut is not stuck: it goes on where nobody looks.
    (
        "cut before it is there",
        &[(0, 1), (1, 9)],
        &[(1, 9)],
        EVENTUALLY,
        CUT,
    ),
    (
        "one way cut",
        &[(0, 1), (1, 9), (0, 9)],
        &[(1, 9)],
        EVENTUALLY,
        Decision::Holds,
    ),
    (
        "a cycle that may be left for beyond",
        &[(0, 1), (1, 0), (1, 9)],
        &[(1, 9)],
        EVENTUALLY,
        CUT,
    ),
    // Where nothing more happens the last state is repeated for ever.
    (
        "there, and nothing more",
        &[(0, 9)],
        &[],
        OFTEN,
        Decision::Holds,
    ),
    (
        "past it, and nothing more",
        &[(0, 9), (9, 1)],
        &[],
        OFTEN,
        Decision::Violated,
    ),
    (
        "begun, and nothing more",
        &[(0, 1)],
        &[],
        LEADS,
        Decision::Violated,
    ),
    (
        "a self-loop there",
        &[(0, 9), (9, 9)],
        &[],
        OFTEN,
        Decision::Holds,
    ),
    (
        "a self-loop on the way",
        &[(0, 1), (1, 1), (1, 9)],
        &[],
        LEADS,
        Decision::Holds,
    ),
    (
        "a self-loop that is never left",
        &[(0, 1), (1, 1)],
        &[],
        LEADS,
        Decision::Violated,
    ),
    // There are runs that remain in the one, and runs that remain in the other.
    (
        "one of two components",
        &[(0, 9), (9, 9), (0, 2), (2, 2)],
        &[],
        ALWAYS,
        Decision::Violated,
    ),
    (
        "one of two components, begun before",
        &[(0, 1), (1, 9), (9, 9), (1, 2), (2, 3), (3, 2)],
        &[],
        LEADS,
        Decision::Violated,
    ),
    (
        "two ways, both there to stay",
        &[(0, 9), (0, 1), (1, 9), (9, 9)],
        &[],
        ALWAYS,
        Decision::Holds,
    ),
    (
        "there between two components",
        &[(0, 1), (1, 0), (1, 9), (9, 2), (2, 3), (3, 2)],
        &[],
        EVENTUALLY,
        Decision::Holds,
    ),
    (
        "there between two components",
        &[(0, 1), (1, 0), (1, 9), (9, 2), (2, 3), (3, 2)],
        &[],
        OFTEN,
        Decision::Violated,
    ),
    (
        "begun by one of two ways that join",
        &[(0, 9), (0, 1), (9, 2), (1, 2)],
        &[],
        LEADS,
        Decision::Violated,
    ),
    (
        "begun again and again",
        &[(0, 1), (1, 9), (9, 1)],
        &[],
        LEADS,
        Decision::Holds,
    ),
    (
        "there for good, but for what is beyond",
        &[(0, 9), (9, 1)],
        &[(9, 1)],
        ALWAYS,
        CUT,
    ),
    (
        "begun and cut",
        &[(0, 1), (1, 9), (0, 2)],
        &[(1, 9)],
        LEADS,
        Decision::Holds,
    ),
    (
        "a cycle beside what is cut",
        &[(0, 1), (1, 9), (0, 2), (2, 0)],
        &[(1, 9)],
        OFTEN,
        CUT,
    ),
];

#[test]
fn small_graphs_have_their_known_answers() {
    for (what, edges, beyond, property, expected) in KNOWN {
        let decision = decide(&maze(edges, beyond), property);
        assert_eq!(decision, *expected, "{what}: {property}");
    }
}

/// It holds from the start, so that nothing has to happen.
#[test]
fn what_holds_from_the_start_shows_nothing() {
    // Vertex 0 is not 9 in any maze, so the start is moved there.
    let scenario = maze(&[(0, 9), (9, 9)], &[]);
    let moved = Scenario {
        prologue: vec![models::world::Action::Fire {
            node: models::NodeId(0),
            timer: (0, 9),
        }],
        ..scenario
    };
    let expected = Decision::Vacuous("it holds from the start");
    assert_eq!(decide(&moved, EVENTUALLY), expected);
}

/// Builds a graph from edges `(from, to, label)` and labels that lead beyond.
fn graph(
    states: State,
    fairness: &[Fairness],
    edges: &[(State, State, Label)],
    withheld: &[(State, Label)],
) -> Graph {
    let mut graph = Graph::new();
    for &fairness in fairness {
        graph.label(fairness);
    }
    for _ in 0..states {
        graph.find(0);
    }
    for state in 0..states {
        let here = edges.iter().filter(|(from, ..)| *from == state);
        let edges: Vec<(Label, State)> = here.map(|&(_, to, label)| (label, to)).collect();
        let beyond = withheld.iter().filter(|(at, _)| *at == state);
        let beyond: Vec<Label> = beyond.map(|&(_, label)| label).collect();
        graph.expand(&edges, &beyond);
    }
    graph
}

fn fair(graph: &Graph) -> Vec<Vec<State>> {
    components::fair(graph, &|_| true, &|| None).expect("no limit")
}

/// Round between 0 and 1; from 1 alone label 2 leads to 2.
const ROUND: &[(State, State, Label)] = &[(0, 1, 1), (1, 0, 1), (1, 2, 2), (2, 2, 1)];

#[test]
fn weak_fairness_does_not_ask_for_what_is_enabled_now_and_then() {
    let weak = graph(3, &[Fairness::Weak, Fairness::Weak], ROUND, &[]);
    assert_eq!(fair(&weak), [vec![0, 1], vec![2]]);
}

#[test]
fn strong_fairness_asks_for_what_is_enabled_again_and_again() {
    let strong = graph(3, &[Fairness::Weak, Fairness::Strong], ROUND, &[]);
    assert_eq!(fair(&strong), [vec![2]]);
}

/// The states in which the label is enabled are left out; what is left may still be a round.
#[test]
fn strong_fairness_may_be_had_in_a_part_of_a_component() {
    let edges = [
        (0, 1, 1),
        (1, 0, 1),
        (1, 2, 1),
        (2, 0, 1),
        (2, 3, 2),
        (3, 3, 1),
    ];
    let strong = graph(4, &[Fairness::Weak, Fairness::Strong], &edges, &[]);
    assert_eq!(fair(&strong), [vec![0, 1], vec![3]]);
}

#[test]
fn nobody_is_fair_to_a_fault() {
    let edges = [(0, 0, 1), (0, 1, UNFAIR), (1, 1, 1)];
    let faulty = graph(2, &[Fairness::Weak], &edges, &[]);
    assert_eq!(fair(&faulty), [vec![0], vec![1]]);
}

/// A state without steps is a run of its own, for ever; one that something fair leads away
/// from is none, whether the step is within the bounds or beyond.
#[test]
fn nothing_more_may_happen_only_where_nothing_fair_can() {
    let edges = [(0, 1, 1), (1, 2, UNFAIR)];
    let still = graph(4, &[Fairness::Weak], &edges, &[(3, 1)]);
    assert_eq!(fair(&still), [vec![1], vec![2]]);
}

#[test]
fn a_component_that_only_the_bounds_keep_a_run_in_is_none() {
    let edges = [(0, 1, 1), (1, 0, 1)];
    let weak = graph(2, &[Fairness::Weak; 2], &edges, &[(0, 2), (1, 2)]);
    assert_eq!(fair(&weak), Vec::<Vec<State>>::new());
    let now_and_then = graph(2, &[Fairness::Weak; 2], &edges, &[(0, 2)]);
    assert_eq!(fair(&now_and_then), [vec![0, 1]]);
    let strong = graph(2, &[Fairness::Weak, Fairness::Strong], &edges, &[(0, 2)]);
    assert_eq!(fair(&strong), Vec::<Vec<State>>::new());
}

/// The run is shown as a stem and a loop, and the file says it again.
#[test]
fn a_run_for_ever_is_reported_and_replayed() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &BACK_AND_FORTH,
        decides: &[ALWAYS],
        mutant: None,
        drawn: None,
    };
    let report = verify(&case, Engine::Native, &on(1), traces.path());
    assert_eq!(report.verdict, Verdict::Violated);
    assert_eq!(report.loop_start, Some(1), "{:#?}", report.steps);
    assert_eq!(report.steps.len(), 3);
    let row = report.properties.iter().find(|row| row.name == ALWAYS);
    assert_eq!(
        row.map(|row| (row.kind, row.holds)),
        Some((Kind::Liveness, Some(false)))
    );
    assert!(report.to_text().contains("and from here on for ever:"));
    let file = report.trace_file.expect("a trace");
    let mut trace = TraceFile::read(file.as_ref()).expect("a trace");
    let replay = case.replay(&trace).expect("it replays");
    assert_eq!(
        (replay.violated, replay.loop_start),
        (Some(ALWAYS), Some(1))
    );

    // A loop that does not close is no run, and one that is not fair is no violation.
    trace.loop_start = Some(2);
    let refused = case.replay(&trace).expect_err("no loop").to_string();
    assert!(refused.contains("do not come back"), "{refused}");
    trace.loop_start = Some(3);
    let unfair = case.replay(&trace).expect("a run");
    assert_eq!(unfair.violated, None);
}

/// Wherever the time is up, in the search or behind it, a run that was cut short is incomplete, and
/// nothing is held against the model.
#[test]
fn a_run_that_is_cut_short_is_incomplete() {
    let traces = tempdir().expect("a folder");
    let model = checks::catalogue::find("counter/live-partition", None);
    let model = model.expect("a model of the catalogue");
    let mut cut_short = 0;
    for milliseconds in (5..=200).step_by(5) {
        let budget = Duration::from_millis(milliseconds);
        let limits = on(1).within(Some(budget));
        let report = verify(model.as_ref(), Engine::Native, &limits, traces.path());
        let expected = match report.stopped {
            Some(_) => Verdict::Incomplete,
            None => Verdict::Verified,
        };
        assert_eq!(report.verdict, expected, "{}", report.to_text());
        cut_short += usize::from(report.stopped.is_some());
    }
    assert!(cut_short > 0, "nothing was cut short");
}
