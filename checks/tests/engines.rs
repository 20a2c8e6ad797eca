//! The engines: they see the same states, mean the same by a violation, and claim nothing
//! that they have not seen.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use checks::catalogue;
use checks::command::Ending;
use checks::engine::{Bits, Engine, Kind, Limits, Reductions};
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

/// What inert messages leave out makes no difference to any verdict: the right protocol is
/// verified, and what is planted is found, after as many steps.
#[test]
fn dropping_inert_messages_changes_no_verdict() {
    let traces = tempdir().expect("a folder");
    let without = reductions("commuting");
    for name in ["raft/catch-up", "raft/clients", "zab/trunc", "maekawa/two"] {
        let reduced = reduced(name, None, Reductions::STANDARD, traces.path());
        let whole = self::reduced(name, None, without, traces.path());
        assert_eq!(whole.verdict, Verdict::Verified, "{}", whole.to_text());
        assert!(reduced.unique < whole.unique, "{name}: nothing is reduced");
        assert_eq!(whole.reductions, ["commuting"]);
        assert_eq!(reduced.reductions, ["inert", "commuting"]);
        assert_eq!(shown(&reduced), shown(&whole), "{name}");
    }
    for (name, id) in PLANTED {
        let reduced = reduced(name, Some(id), Reductions::STANDARD, traces.path());
        let whole = self::reduced(name, Some(id), without, traces.path());
        assert_eq!(whole.verdict, Verdict::Violated, "{id}");
        assert_eq!(whole.violation, reduced.violation, "{id}");
        assert_eq!(whole.steps.len(), reduced.steps.len(), "{id}");
    }
}

/// Of two steps that commute one order is enough: as many states of every small model, as deep,
/// and so are those of some without reductions of another kind.
#[test]
fn taking_one_order_of_steps_that_commute_changes_no_state() {
    const SMALL: u64 = 20_000;
    let traces = tempdir().expect("a folder");
    let compare = |name, on, off| {
        let on = reduced(name, None, reductions(on), traces.path());
        let off = reduced(name, None, reductions(off), traces.path());
        assert_eq!(counts(&on), counts(&off), "{name}");
        assert_eq!(on.verdict, Verdict::Verified, "{}", on.to_text());
        assert_eq!(on.depth, off.depth, "{name}");
        assert_eq!(shown(&on), shown(&off), "{name}");
        assert_eq!(on.fired, off.fired, "{name}");
        assert_eq!(off.left_out, Some(0), "{name}");
        on.left_out.expect("it counts them")
    };
    let protocols = catalogue::protocols();
    let models = protocols.iter().flat_map(|row| &row.models);
    let small = models.filter(|model| {
        let row = model.row();
        row.decides.is_empty() && row.states.is_some_and(|states| states <= SMALL)
    });
    let left_out: Vec<u64> = small
        .map(|model| compare(model.model(), "inert,commuting", "inert"))
        .collect();
    assert!(left_out.len() > 40, "{} models", left_out.len());
    let reduced_some = left_out.iter().filter(|&&steps| steps > 0).count();
    assert!(reduced_some > 20, "of so few models: {reduced_some}");
    // Here messages become inert by what happens to their senders.
    compare("maekawa/clients", "inert,commuting", "inert");
    for name in ["raft/catch-up", "raft/clients", "zab/trunc", "maekawa/two"] {
        compare(name, "commuting", "none");
    }
    for (name, id) in PLANTED {
        let on = reduced(name, Some(id), Reductions::STANDARD, traces.path());
        let off = reduced(name, Some(id), reductions("inert"), traces.path());
        assert_eq!(off.verdict, Verdict::Violated, "{id}");
        // As soon; not always the same one of several that are as near.
        assert_eq!(on.verdict, Verdict::Violated, "{id}");
        assert_eq!(on.steps.len(), off.steps.len(), "{id}");
    }
}

/// Models, and what is planted in them.
const PLANTED: [(&str, &str); 2] = [
    ("raft/divergence", "RAFT-VOTE-BY-LENGTH"),
    ("bully/asynchronous", "BUL-1"),
];

pub(crate) fn reductions(names: &str) -> Reductions {
    names.parse().expect("reductions")
}

/// What the native engine says of a model, or of a mutant in it, with these reductions.
fn reduced(name: &str, mutant: Option<&str>, reductions: Reductions, traces: &Path) -> Report {
    let model = catalogue::find(name, mutant).expect("in the catalogue");
    let run = Run {
        progress: &Arc::new(Progress::default()),
        traces,
        reductions,
        seed: 0,
        checkpoint: None,
    };
    let report = model.verify(Engine::Native, &on(2), &run);
    report.expect("a report")
}

/// The properties that hold, and what was shown.
pub(crate) fn shown(report: &Report) -> Vec<&str> {
    let rows = report.properties.iter();
    let shown = rows.filter(|row| row.holds == Some(true));
    shown.map(|row| row.name).collect()
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
        drawn: None,
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
            drawn: None,
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
            drawn: None,
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
        drawn: None,
    };
    let report = verify(&case, Engine::Native, &on(1), traces.path());
    assert_eq!(report.verdict, Verdict::Verified);
}

#[test]
fn a_panic_is_reported_with_its_message() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &RIGHT,
        decides: &[],
        mutant: Some(&PANICS),
        drawn: None,
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
        drawn: None,
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
    for (model, verdict, complaint) in [
        (&VACUOUS, Verdict::Violated, "never seen: six is reached"),
        (
            &SHRUNKEN,
            Verdict::Changed,
            "6 states, where the catalogue says 7: nothing is refuted",
        ),
    ] {
        let case = Case {
            model,
            decides: &[],
            mutant: None,
            drawn: None,
        };
        for engine in ENGINES {
            let report = verify(&case, engine, &on(1), traces.path());
            assert_eq!(report.verdict, verdict, "{complaint}");
            assert_eq!(report.ending(), Ending::NotWell, "{complaint}");
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
        // Time is no bound: how far a search gets in it is not to be had again.
        let expected = match limits.deadline {
            Some(_) => Verdict::Incomplete,
            None => Verdict::Bounded,
        };
        assert_eq!(report.verdict, expected);
        assert!(report.stopped.is_some());
        let claimed = report.properties.iter().filter(|row| row.holds.is_some());
        let kinds: Vec<Kind> = claimed.map(|row| row.kind).collect();
        assert!(
            kinds.iter().all(|kind| *kind == Kind::Reachable),
            "only what was seen may be claimed: {kinds:?}"
        );
    }
}

/// Fingerprints of 128 bits tell as many states apart as those of 64, and say how sure that is.
#[test]
fn wide_fingerprints_tell_the_same_states_apart() {
    let traces = tempdir().expect("a folder");
    let wide = Limits {
        fingerprints: Bits::Wide,
        ..on(2)
    };
    for (name, mutant) in [
        ("raft/catch-up", None),
        ("maekawa/two", None),
        ("raft/divergence", Some("RAFT-VOTE-BY-LENGTH")),
    ] {
        let model = catalogue::find(name, mutant).expect("in the catalogue");
        let narrow = verify(model.as_ref(), Engine::Native, &on(2), traces.path());
        let wide = verify(model.as_ref(), Engine::Native, &wide, traces.path());
        assert_eq!(counts(&wide), counts(&narrow), "{name}");
        assert_eq!(wide.depth, narrow.depth, "{name}");
        assert_eq!(wide.steps, narrow.steps, "{name}");
        let sure = |report: &Report| report.expected_collisions.expect("it says");
        assert!(sure(&wide) < 1e-12 * sure(&narrow), "{name}");
        let said = wide.to_text();
        assert!(
            mutant.is_some() || said.contains("128-bit fingerprints"),
            "{said}"
        );
    }
}
