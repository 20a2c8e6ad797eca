//! The engines: they see the same states, mean the same by a violation, and claim nothing
//! that they have not seen.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use checks::catalogue;
use checks::engine::{Engine, Kind, Limits};
use checks::progress::Progress;
use checks::report::{Report, Verdict};
use checks::subject::{Case, Run};
use tempfile::tempdir;

use crate::support::toy::{
    HARMLESS, IDLE_FAULT, INVARIANT_PANICS, OVERRUNS, PANICS, RIGHT, SHRUNKEN, SKIPS, STUCK,
    UNCOUNTED, VACUOUS, WITNESS_PANICS,
};
use crate::support::{on, verify};

const ENGINES: [Engine; 3] = [Engine::Native, Engine::StaterightBfs, Engine::StaterightDfs];

/// The models that take well under a second each.
const SMALL: [&str; 3] = ["raft/catch-up", "raft/clients", "raft/divergence"];

fn counts(report: &Report) -> (Verdict, u64, u64) {
    (report.verdict, report.unique, report.generated)
}

#[test]
fn all_engines_see_the_same_states_whatever_the_number_of_threads() {
    let traces = tempdir().expect("a folder");
    for name in SMALL {
        let model = catalogue::find(name, None).expect("a model of the catalogue");
        let expected = verify(model.as_ref(), Engine::Native, &on(1), traces.path());
        assert_eq!(expected.verdict, Verdict::Verified, "{name}");
        assert_eq!(Some(expected.unique), model.row().states, "{name}");
        for engine in ENGINES {
            for threads in [1, 2] {
                let report = verify(model.as_ref(), engine, &on(threads), traces.path());
                assert_eq!(
                    counts(&report),
                    counts(&expected),
                    "{name} with {} on {threads} threads",
                    engine.name()
                );
            }
        }
    }
}

/// Ours remembers steps between parts of worlds, and looks at what is under way only where a
/// property does. Stateright's search knows nothing of that and must come to the same.
#[test]
fn every_small_model_has_the_same_states_for_stateright() {
    const SMALL: u64 = 6_000;
    let traces = tempdir().expect("a folder");
    let mut compared = 0;
    for row in catalogue::protocols() {
        let is_small = |states: Option<u64>| states.is_some_and(|states| states <= SMALL);
        for model in row
            .models
            .iter()
            .filter(|model| is_small(model.row().states))
        {
            let ours = verify(model.as_ref(), Engine::Native, &on(1), traces.path());
            let theirs = verify(model.as_ref(), Engine::StaterightDfs, &on(1), traces.path());
            assert_eq!(counts(&ours), counts(&theirs), "{}", model.model());
            assert_eq!(ours.verdict, Verdict::Verified, "{}", ours.to_text());
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared} models");
}

/// What the reductions leave out makes no difference to any verdict: the right protocol is
/// verified, and what is planted is found, after as many steps.
#[test]
fn reductions_change_no_verdict() {
    let traces = tempdir().expect("a folder");
    let verify = |name, mutant, reductions| {
        let model = catalogue::find(name, mutant).expect("in the catalogue");
        let run = Run {
            progress: &Arc::new(Progress::default()),
            traces: traces.path(),
            reductions,
            seed: 0,
        };
        let report = model.verify(Engine::Native, &on(2), &run);
        report.expect("a report")
    };
    for name in ["raft/catch-up", "raft/clients", "zab/trunc", "maekawa/two"] {
        let (reduced, whole) = (verify(name, None, true), verify(name, None, false));
        assert_eq!(whole.verdict, Verdict::Verified, "{}", whole.to_text());
        assert!(reduced.unique < whole.unique, "{name}: nothing is reduced");
        assert_eq!(whole.reductions, [""; 0]);
        assert_eq!(reduced.reductions, ["inert messages"]);
        let seen = |report: &Report| {
            let rows = report.properties.iter();
            rows.filter(|row| row.holds == Some(true))
                .map(|row| row.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(&reduced), seen(&whole), "{name}");
    }
    let planted = [
        ("raft/divergence", "RAFT-VOTE-BY-LENGTH"),
        ("bully/asynchronous", "BUL-1"),
    ];
    for (name, id) in planted {
        let (reduced, whole) = (verify(name, Some(id), true), verify(name, Some(id), false));
        assert_eq!(whole.verdict, Verdict::Violated, "{id}");
        assert_eq!(whole.violation, reduced.violation, "{id}");
        assert_eq!(whole.steps.len(), reduced.steps.len(), "{id}");
    }
}

/// What a run has done is counted, the same on any number of threads.
#[test]
fn what_happened_is_counted() {
    let traces = tempdir().expect("a folder");
    let model = catalogue::find("raft/catch-up", None).expect("a model of the catalogue");
    let fired = |threads| {
        let report = verify(model.as_ref(), Engine::Native, &on(threads), traces.path());
        let fired = report.fired.expect("the native engine counts");
        assert_eq!(fired.actions.values().sum::<u64>() + 1, report.generated);
        fired
    };
    let expected = fired(1);
    assert!(
        expected.arms.contains_key("deliver AppendEntries"),
        "{expected:?}"
    );
    assert_eq!(fired(2), expected);
}

/// A fault that a model's row names and that never happens is a row that says too much.
#[test]
fn a_fault_that_never_happens_is_no_fault() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &IDLE_FAULT,
        decides: &[],
        mutant: None,
    };
    let report = verify(&case, Engine::Native, &on(1), traces.path());
    assert_eq!(report.verdict, Verdict::Violated);
    let violation = report.violation.expect("a complaint");
    assert_eq!(violation, "never happened: Drop");
}

#[test]
fn a_counterexample_is_the_same_and_shortest_whatever_the_engine_and_threads() {
    let traces = tempdir().expect("a folder");
    let mutant = catalogue::find("raft/divergence", Some("RAFT-VOTE-BY-LENGTH"));
    let mutant = mutant.expect("a mutant of the catalogue");
    let expected = verify(mutant.as_ref(), Engine::Native, &on(1), traces.path());
    assert_eq!(expected.verdict, Verdict::Violated);
    assert_eq!(expected.steps.len(), 9, "{:#?}", expected.steps);
    for engine in ENGINES {
        for threads in [1, 2] {
            let report = verify(mutant.as_ref(), engine, &on(threads), traces.path());
            assert_eq!(report.steps, expected.steps, "{}", engine.name());
            assert_eq!(report.violation, expected.violation, "{}", engine.name());
        }
    }
}

#[test]
fn every_kind_of_violation_is_found_by_every_engine() {
    let traces = tempdir().expect("a folder");
    let planted = [
        (&PANICS, "No panic", 3),
        (&SKIPS, "One at a time", 3),
        (&OVERRUNS, "At most five", 6),
    ];
    for (mutant, property, steps) in planted {
        let case = Case {
            model: &RIGHT,
            decides: &[],
            mutant: Some(mutant),
        };
        for engine in ENGINES {
            let report = verify(&case, engine, &on(1), traces.path());
            assert_eq!(report.verdict, Verdict::Violated, "{}", mutant.id);
            let violation = report.violation.expect("a violation");
            assert!(violation.starts_with(property), "{violation}");
            assert_eq!(report.steps.len(), steps, "{} {}", mutant.id, engine.name());
            let failed = report
                .properties
                .iter()
                .find(|row| row.holds == Some(false));
            assert_eq!(failed.map(|row| row.name), Some(property));
        }
    }
}

/// Not only a step may panic, and not only where a state count would show that it did.
#[test]
fn a_panic_in_a_property_is_a_violation_for_every_engine() {
    let traces = tempdir().expect("a folder");
    for mutant in [&INVARIANT_PANICS, &WITNESS_PANICS] {
        let case = Case {
            model: &UNCOUNTED,
            decides: &[],
            mutant: Some(mutant),
        };
        for engine in ENGINES {
            for threads in [1, 2] {
                let report = verify(&case, engine, &on(threads), traces.path());
                assert_eq!(
                    (report.verdict, report.violation.as_deref()),
                    (Verdict::Violated, Some("No panic")),
                    "{} {}",
                    mutant.id,
                    engine.name()
                );
            }
        }
    }
}

/// A mutant without a defect must count as a survivor, whatever else about it is different.
#[test]
fn a_mutant_is_refuted_by_a_property_or_not_at_all() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &SHRUNKEN,
        decides: &[],
        mutant: Some(&HARMLESS),
    };
    let report = verify(&case, Engine::Native, &on(1), traces.path());
    assert_eq!(report.verdict, Verdict::Verified);
}

/// A protocol that acts on messages which it declares inert is caught by that alone.
#[test]
fn a_message_that_is_dropped_as_inert_and_is_not_is_a_violation() {
    use models::raft::spec::{MODELS, MUTANTS};

    let stale = MUTANTS
        .iter()
        .copied()
        .flatten()
        .find(|mutant| mutant.id == "RAFT-VOTE-STALE");
    let inject = stale.expect("a mutant of the catalogue").inject;
    let model = MODELS
        .iter()
        .copied()
        .flatten()
        .find(|model| model.name == "raft/election");
    let mut scenario = (model.expect("a model of the catalogue").scenario)();
    inject(&mut scenario);
    scenario.drop_inert = true;
    let progress = checks::progress::Progress::default();
    let found = checks::engine::native::search(&scenario, &on(2), &progress);
    let property = found.violation.map(|violation| violation.property);
    assert_eq!(property, Some("Inert messages are inert"));
}

#[test]
fn a_panic_is_reported_with_its_message() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &RIGHT,
        decides: &[],
        mutant: Some(&PANICS),
    };
    let report = verify(&case, Engine::Native, &on(2), traces.path());
    let violation = report.violation.expect("a violation");
    assert!(violation.contains("three!"), "{violation}");
}

/// A prologue that the protocol does not play along with is a violation too, not a crash.
#[test]
fn a_world_that_cannot_begin_is_reported_by_every_engine() {
    let traces = tempdir().expect("a folder");
    let stuck = Case {
        model: &STUCK,
        decides: &[],
        mutant: None,
    };
    for engine in ENGINES {
        let report = verify(&stuck, engine, &on(1), traces.path());
        assert_eq!(report.verdict, Verdict::Violated);
        let violation = report.violation.expect("a violation");
        assert!(
            violation.contains("not possible in the prologue"),
            "{violation}"
        );
    }
}

#[test]
fn a_model_that_shows_too_little_is_not_verified() {
    let traces = tempdir().expect("a folder");
    for (model, complaint) in [
        (&VACUOUS, "never seen: six is reached"),
        (&SHRUNKEN, "6 states, where the catalogue says 7"),
    ] {
        let case = Case {
            model,
            decides: &[],
            mutant: None,
        };
        for engine in ENGINES {
            let report = verify(&case, engine, &on(1), traces.path());
            assert_eq!(report.verdict, Verdict::Violated, "{complaint}");
            let violation = report.violation.expect("a complaint");
            assert!(violation.starts_with(complaint), "{violation}");
        }
    }
}

#[test]
fn a_run_that_was_cut_short_claims_nothing() {
    let traces = tempdir().expect("a folder");
    let model = catalogue::find("raft/election", None).expect("a model of the catalogue");
    let cut = [
        Limits {
            max_states: Some(1000),
            ..on(2)
        },
        Limits {
            threads: NonZero::<usize>::MIN,
            ..on(1).within(Some(Duration::ZERO))
        },
        Limits {
            max_depth: Some(3),
            ..on(1)
        },
    ];
    for limits in cut {
        let report = verify(model.as_ref(), Engine::Native, &limits, traces.path());
        assert_eq!(report.verdict, Verdict::Bounded);
        assert!(report.stopped.is_some());
        let claimed = report.properties.iter().filter(|row| row.holds.is_some());
        let kinds: Vec<Kind> = claimed.map(|row| row.kind).collect();
        assert!(
            kinds.iter().all(|kind| *kind == Kind::Reachable),
            "only what was seen may be claimed: {kinds:?}"
        );
    }
}
