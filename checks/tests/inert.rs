//! What is dropped as inert and is not is found by every engine, while it searches.

use checks::engine::{Engine, Findings, Limits, Reductions, native, stateright};
use checks::examine::{INERT_IS_INERT, NO_PANIC};
use checks::progress::Progress;
use models::raft::Raft;
use models::raft::message::Message;
use models::raft::spec::{Adder, MODELS, MUTANTS};
use models::world::Scenario;
use models::{Input, Protocol as _};

use crate::support::on;

type Checked = Raft<Adder>;

/// The scenario of a model of Raft's, in which what is called inert is dropped.
fn dropping(model: &str) -> Scenario<Checked> {
    let mut models = MODELS.iter().copied().flatten();
    let model = models.find(|row| row.name == model);
    let mut scenario = (model.expect("a model of the catalogue").scenario)();
    scenario.drop_inert = true;
    scenario
}

/// What each engine says is violated.
fn violated(scenario: &Scenario<Checked>) -> Vec<Option<&'static str>> {
    let limits = Limits {
        max_states: Some(200_000),
        ..on(2)
    };
    let progress = Progress::default();
    let ours = native::search(scenario, Reductions::STANDARD, &limits, &progress);
    let theirs = stateright::search(scenario, Engine::StaterightBfs, &limits, &progress);
    let property = |found: Findings<Checked>| found.violation.map(|violation| violation.property);
    vec![property(ours), property(theirs)]
}

/// A protocol that acts on messages which it declares inert is caught by that alone.
#[test]
fn a_message_that_is_acted_on() {
    let mut mutants = MUTANTS.iter().copied().flatten();
    let stale = mutants.find(|mutant| mutant.id == "RAFT-VOTE-STALE");
    let mut scenario = dropping("raft/election");
    (stale.expect("a mutant of the catalogue").inject)(&mut scenario);
    scenario.drop_inert = true;
    assert_eq!(violated(&scenario), [Some(INERT_IS_INERT); 2]);
}

/// While leadership is transferred an old answer makes a leader that has no CheckQuorum tell the
/// target again to stand, though nothing about the leader changes, and though the same may be under
/// way already.
#[test]
fn a_message_that_is_answered_with_what_is_not_inert() {
    for model in ["raft/transfer-amid-change", "raft/transfer-amid-expiry"] {
        let scenario = dropping(model);
        assert_eq!(violated(&scenario), [Some(INERT_IS_INERT); 2], "{model}");
    }
}

/// A step that panics on a message which is never delivered panics all the same.
#[test]
fn a_message_that_makes_a_node_panic() {
    let mut scenario = dropping("raft/election");
    scenario.step = |raft, node, input, out| {
        if let Input::Deliver { message, .. } = &input {
            let is_old = message.term() < node.durable().current_term;
            let is_vote = matches!(message, Message::RequestVoteResponse { .. });
            assert!(!is_old || !is_vote, "an old vote!");
        }
        raft.step(node, input, out);
    };
    assert_eq!(violated(&scenario), [Some(NO_PANIC); 2]);
}
