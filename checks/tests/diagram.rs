//! Diagrams: what a run shows, in well-formed SVG.

use checks::catalogue;
use checks::diagram::{sequence, with_notes};
use checks::guide::{Guide, Part};
use checks::trace_file::TraceFile;
use models::raft::Timer;
use models::raft::spec::{Adder, clients, election};
use models::world::{Action, Scenario, World};
use models::{NodeId, raft};

type Raft = raft::Raft<Adder>;

/// Chooses actions by their descriptions, one after the other.
fn run(scenario: &Scenario<Raft>, labels: &[&str]) -> Vec<Action<Raft>> {
    let mut world = World::initial(scenario);
    let mut actions = Vec::new();
    for label in labels {
        let possible = world.actions(scenario).into_iter();
        let described = possible.map(|action| {
            let words = models::trace::describe(scenario, &world, &action);
            (words, action)
        });
        let fitting = described.filter(|(words, _)| words.starts_with(label));
        // A crash within a step begins as one between steps.
        let shortest = fitting.min_by_key(|(words, _)| words.len());
        let (_, action) = shortest.unwrap_or_else(|| {
            panic!("no action is described as \"{label}\"");
        });
        world.apply(scenario, &action).expect("it was listed");
        actions.push(action);
    }
    actions
}

const ELECTION: [&str; 3] = [
    "n0: Election",
    "n0 → n1: RequestVote ",
    "n1 → n0: RequestVoteResponse",
];

/// Whether every tag that is opened is closed, and nothing stands outside the root.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag ends");
        assert!(!text.contains('"') || !open.is_empty(), "{text}");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty());
        let name = name.expect("a tag has a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "in {svg}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    let elsewhere = svg.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "<script", "@import", "href"] {
        assert!(!elsewhere.contains(outside), "it refers to {outside}");
    }
}

#[test]
fn no_action_is_a_picture_too() {
    let svg = sequence(&election(3, 2, 1), &[]);
    assert_well_formed(&svg);
    assert!(svg.contains(">n2</text>"));
    assert!(!svg.contains("marker-end"));
}

#[test]
fn an_election_shows_its_messages_and_roles() {
    let scenario = election(3, 2, 1);
    let svg = sequence(&scenario, &run(&scenario, &ELECTION));
    assert_well_formed(&svg);
    assert_eq!(svg.matches("marker-end").count(), 2);
    for words in [
        "Election timeout",
        "RequestVote t1",
        ">candidate<",
        ">LEADER<",
    ] {
        assert!(svg.contains(words), "{words} is not in {svg}");
    }
}

#[test]
fn a_message_leaves_where_it_was_sent() {
    let scenario = election(3, 2, 1);
    let steps = ["n0: Election", "n2: Election", "n1 crashes", "n1 restarts"];
    let late = ["n0 → n1: RequestVote "];
    let svg = sequence(&scenario, &run(&scenario, &[&steps[..], &late].concat()));
    let of_row = |number: &str| {
        let line = svg
            .lines()
            .find(|line| line.ends_with(&format!(">{number}</text>")));
        attribute(line.expect("the row has a number"), "y=") - 4
    };
    let arrow = svg.lines().find(|line| line.contains("marker-end"));
    let arrow = arrow.expect("there is one arrow");
    assert_eq!(attribute(arrow, "y1="), of_row("1"));
    assert_eq!(attribute(arrow, "y2="), of_row("5"));
    assert!(svg.contains("class=\"down\""), "n1 was down");
}

fn attribute(line: &str, name: &str) -> usize {
    let (_, rest) = line
        .split_once(&format!(" {name}\""))
        .expect("the attribute is there");
    let (value, _) = rest.split_once('"').expect("it ends");
    value.parse().expect("it is a number")
}

#[test]
fn a_client_has_a_lane_with_its_question_and_its_answer() {
    let scenario = clients(2, 1, &[1, 1]);
    let steps = [
        "client 1 asks n0",
        "n0 → n1: AppendEntries t1 prev=0@t0 [t1:no-op",
        "n1 → n0: AppendEntriesResponse t1 accepted match=1",
        "n0 → n1: AppendEntries t1 prev=1@t1",
        "n1 → n0: AppendEntriesResponse t1 accepted match=2",
    ];
    let svg = sequence(
        &scenario,
        &run(&scenario, &[&ELECTION[..], &steps].concat()),
    );
    assert_well_formed(&svg);
    assert!(svg.contains(">client 1</text>"));
    assert!(!svg.contains(">client 0</text>"), "it asked nothing");
    assert!(svg.contains("c1#1 Add(2)"), "the question");
    assert!(svg.contains("Reply response: Sum(2)"), "the answer");
}

#[test]
fn a_violation_ends_the_picture() {
    let mut scenario = election(3, 2, 1);
    let mutants = raft::spec::MUTANTS.iter().copied().flatten();
    let mutant = { mutants }.find(|mutant| mutant.id == "RAFT-QUORUM");
    (mutant.expect("it is in the catalogue").inject)(&mut scenario);
    let timeout = Action::Fire {
        node: NodeId(0),
        timer: Timer::Election,
    };
    let svg = sequence(&scenario, &[timeout.clone(), timeout]);
    assert_well_formed(&svg);
    assert!(svg.contains("violated: "));
    assert!(!svg.contains(">2</text>"), "it goes on after the violation");
}

#[test]
fn an_impossible_step_is_named() {
    let restart = Action::Restart(NodeId(1));
    let svg = sequence(&election(3, 2, 1), &[restart]);
    assert_well_formed(&svg);
    assert!(svg.contains("step 1 is not possible here"));
}

#[test]
fn actions_of_another_protocol_are_refused() {
    let subject = catalogue::named("raft/election").expect("it is in the catalogue");
    let actions = serde_json::json!([{ "Sing": "loudly" }]);
    let drawn = subject.diagram(&TraceFile::new(subject.model(), None, actions));
    let error = drawn.expect_err("these are no actions");
    assert!(error.to_string().contains("raft/election"), "{error}");
}

/// A run that follows a trace with a loop is told where that begins, and each time that it comes
/// round; one that leaves the trace is told no more.
#[test]
fn a_loop_is_told_each_time_that_it_comes_round() {
    let mut scenario = election(3, 2, 0);
    scenario.drop_inert = false;
    // Messages may arrive any number of times: after the last, all is as before it.
    let labels = [
        "n0: Election",
        "n0 → n1: RequestVote ",
        "n0 → n1: RequestVote ",
    ];
    let actions = run(&scenario, &labels);
    let guide =
        Guide::new(&scenario, actions.clone(), Some(2), Some("It ends")).expect("it is possible");
    let rows = |run: &[Action<Raft>]| {
        let turns = guide.turns(run).into_iter();
        turns.map(|(row, _)| row).collect::<Vec<_>>()
    };
    assert!(rows(&actions[..1]).is_empty());
    assert_eq!(rows(&actions[..2]), [2]);
    assert_eq!(rows(&actions), [2, 3]);
    let twice = [&actions[..], &actions[2..]].concat();
    assert_eq!(rows(&twice), [2, 3, 4]);
    let elsewhere = [&actions[..], &run(&scenario, &["n1: Election"])].concat();
    assert_eq!(rows(&elsewhere), [2, 3]);
    let svg = with_notes(&scenario, &twice, &guide.turns(&twice));
    assert_well_formed(&svg);
    for words in [
        "on for ever: violated: It ends",
        "once round",
        "2 times round",
    ] {
        assert!(svg.contains(words), "{words} is not in {svg}");
    }

    let mut world = World::initial(&scenario);
    assert_eq!(guide.part(&world, &actions[0]), Some(Part::Stem(1, 2)));
    assert_eq!(guide.part(&world, &actions[1]), None);
    for action in &twice {
        world.apply(&scenario, action).expect("it is possible");
    }
    assert_eq!(guide.part(&world, &actions[2]), Some(Part::Loop(1, 1)));

    let still = Guide::new(&scenario, actions.clone(), Some(3), None).expect("it is possible");
    let words = still.turns(&actions);
    assert_eq!(
        words,
        [(3, "and nothing more happens, for ever".to_owned())]
    );
    assert!(Guide::new(&scenario, actions.clone(), Some(4), None).is_err());
    assert!(Guide::new(&scenario, actions[1..].to_vec(), None, None).is_err());
}
