//! Shrinking: the same property violated, by as few steps as can be had.

use checks::engine::Violation;
use checks::fuzz::{self, Grounds, Plan};
use checks::progress::Progress;
use checks::shrink::{minimal, violating};
use models::raft::spec::{Adder, FUZZED, MUTANTS};
use models::raft::{Raft, Timer};
use models::world::{Action, Scenario};
use models::{NodeId, raft};

use crate::support::on;

/// A world with the mutant in it.
fn mutated(id: &str) -> Scenario<Raft<Adder>> {
    let mut scenario = raft::spec::election(3, 2, 1);
    let mutant = MUTANTS
        .iter()
        .copied()
        .flatten()
        .find(|mutant| mutant.id == id);
    (mutant.expect("it is in the catalogue").inject)(&mut scenario);
    scenario
}

fn timeout(node: u16) -> Action<Raft<Adder>> {
    Action::Fire {
        node: NodeId(node),
        timer: Timer::Election,
    }
}

/// Without any one of its steps the trace does not show the property violated.
fn assert_one_minimal(scenario: &Scenario<Raft<Adder>>, violation: &Violation<Raft<Adder>>) {
    let actions = &violation.actions;
    let whole = violating(scenario, actions.iter(), violation.property);
    assert_eq!(whole.as_ref(), Some(actions), "it does not replay");
    for left_out in 0..actions.len() {
        let rest = actions.iter().enumerate();
        let rest = rest.filter(|(position, _)| *position != left_out);
        let rest = rest.map(|(_, action)| action);
        let shorter = violating(scenario, rest, violation.property);
        assert!(shorter.is_none(), "step {left_out} can be left out");
    }
}

#[test]
fn what_has_nothing_to_do_with_it_goes() {
    let scenario = mutated("RAFT-QUORUM");
    let noise = [Action::Crash(NodeId(1)), Action::Restart(NodeId(1))];
    let actions = [&noise[..], &[timeout(0), timeout(1)]].concat();
    let property = "Votes are durable";
    let actions = violating(&scenario, actions.iter(), property).expect("half is not enough");
    assert_eq!(actions.len(), 3, "the violation ends it");
    let shrunk = minimal(
        &scenario,
        Violation {
            property,
            panic: None,
            actions,
            loop_start: None,
        },
    );
    assert_eq!(shrunk.actions, [timeout(0)]);
    assert_one_minimal(&scenario, &shrunk);
}

#[test]
fn what_does_not_replay_is_left_alone() {
    let scenario = mutated("RAFT-QUORUM");
    let actions = vec![timeout(0)];
    let shrunk = minimal(
        &scenario,
        Violation {
            property: "Linearizability",
            panic: None,
            actions: actions.clone(),
            loop_start: None,
        },
    );
    assert_eq!(shrunk.actions, actions);
}

#[test]
fn what_the_fuzzer_finds_is_one_minimal() {
    for id in ["RAFT-3", "RAFT-8", "RAFT-VOTE-BLIND"] {
        let mut scenario = (FUZZED[0][0].scenario)();
        let mutant = MUTANTS
            .iter()
            .copied()
            .flatten()
            .find(|mutant| mutant.id == id);
        (mutant.expect("it is in the catalogue").inject)(&mut scenario);
        let plan = Plan {
            seed: 1,
            cases: Some(200),
            deadline: None,
            steps: Plan::STEPS as usize,
            threads: on(2).threads,
        };
        let campaign = fuzz::run(
            FUZZED[0][0].name,
            Grounds::One(Box::new(scenario.clone())),
            &plan,
            &Progress::default(),
        );
        let found = campaign
            .found
            .unwrap_or_else(|| panic!("{id} is not found"));
        assert!(
            found.violation.actions.len() < found.steps,
            "{id} is not shrunk"
        );
        assert_one_minimal(&scenario, &found.violation);
    }
}
