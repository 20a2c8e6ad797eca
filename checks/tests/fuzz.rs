//! The fuzzer: the same seed gives the same runs, bugs are found, and runs in which nothing
//! happens are not taken for good ones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use checks::catalogue;
use checks::engine::{Reductions, Stop};
use checks::fuzz::{FuzzReport, FuzzVerdict, Plan};
use checks::progress::Progress;
use checks::subject::{Case, Run, Subject};
use checks::trace_file::TraceFile;
use tempfile::tempdir;

use crate::support::on;
use crate::support::toy::{OVERRUNS, PANICS, RIGHT, VACUOUS};

fn plan(seed: u64, cases: u64, threads: usize) -> Plan {
    Plan {
        seed,
        cases: Some(cases),
        deadline: None,
        steps: 200,
        threads: on(threads).threads,
    }
}

fn fuzz(subject: &dyn Subject, plan: &Plan, traces: &Path) -> FuzzReport {
    let progress = Arc::new(Progress::default());
    let run = Run {
        progress: &progress,
        traces,
        reductions: Reductions::STANDARD,
        seed: 0,
        checkpoint: None,
    };
    let report = subject.fuzz(plan, &run);
    report.expect("the trace can be written")
}

/// Everything but the time that it took.
fn timeless(report: FuzzReport) -> String {
    let report = FuzzReport {
        seconds: 0.0,
        ..report
    };
    serde_json::to_string(&report).expect("it is plain data")
}

#[test]
fn the_same_seed_gives_the_same_runs() {
    let folder = tempdir().expect("a folder");
    for subject in catalogue::fuzzed(&[]).expect("all of them") {
        let run = |seed, threads| {
            timeless(fuzz(
                subject.as_ref(),
                &plan(seed, 64, threads),
                folder.path(),
            ))
        };
        let first = run(5, 2);
        // Each thread knows its own runs alone: that makes no difference.
        assert_eq!(first, run(5, 3), "{}", subject.model());
        assert_ne!(first, run(6, 2), "{}", subject.model());
    }
}

#[test]
fn threads_make_no_difference_to_what_is_found() {
    let folder = tempdir().expect("a folder");
    let mutant =
        catalogue::with_mutant("raft/fuzz-three", "RAFT-READ-UNCONFIRMED").expect("it is there");
    let run = |threads| fuzz(mutant.as_ref(), &plan(3, 2000, threads), folder.path());
    let (one, three) = (run(1), run(3));
    assert_eq!(one.verdict, FuzzVerdict::Violated, "{one:?}");
    assert_eq!(one.found_in_case, three.found_in_case);
    assert_eq!(one.trace, three.trace);
}

#[test]
fn the_right_protocol_holds_and_its_runs_show_what_they_must() {
    let folder = tempdir().expect("a folder");
    // As long as the gate's: some of what they must show takes a run a while.
    let plan = Plan {
        steps: Plan::STEPS as usize,
        ..plan(1, 400, 2)
    };
    for subject in catalogue::fuzzed(&[]).expect("all of them") {
        let report = fuzz(subject.as_ref(), &plan, folder.path());
        assert_eq!(report.verdict, FuzzVerdict::Held, "{}", report.to_text());
        assert!(report.witnesses.iter().any(|witness| witness.required));
        assert_eq!(report.cases, 400);
        assert!(report.distinct > report.steps / 10, "{}", report.to_text());
    }
}

#[test]
fn a_mutant_is_found_shrunk_and_its_trace_replays() {
    let folder = tempdir().expect("a folder");
    for (model, id) in [
        ("raft/fuzz-datagrams", "RAFT-2"),
        ("raft/fuzz-datagrams", "RAFT-6"),
        ("raft/fuzz-datagrams", "RAFT-VOTE-BLIND"),
        ("raft/fuzz-datagrams", "RAFT-SEND-BEFORE-SYNC"),
        // Here the trace names the world, too.
        ("raft/drawn", "RAFT-6"),
        ("raft/drawn", "RAFT-VOTE-BLIND"),
    ] {
        let mutant = catalogue::with_mutant(model, id).expect("it is there");
        let report = fuzz(mutant.as_ref(), &plan(1, 2000, 2), folder.path());
        assert_eq!(
            report.verdict,
            FuzzVerdict::Violated,
            "{}",
            report.to_text()
        );
        let file = report.trace_file.expect("there is a trace");
        let trace = TraceFile::read(Path::new(&file)).expect("it can be read");
        assert_eq!((trace.seed, trace.mutant.as_deref()), (Some(1), Some(id)));
        assert_eq!(trace.model.contains('@'), model == "raft/drawn");
        let again = catalogue::find(&trace.model, trace.mutant.as_deref());
        let replay = again.expect("the trace names it").replay(&trace);
        let replay = replay.expect("every step is possible");
        assert_eq!(replay.violated.map(str::to_owned), trace.property);
        assert_eq!(replay.steps.len(), report.trace.len());
    }
}

#[test]
fn runs_that_show_nothing_are_vacuous() {
    let folder = tempdir().expect("a folder");
    let case = |model, mutant| Case {
        model,
        decides: &[],
        mutant,
        drawn: None,
    };
    let right = fuzz(&case(&RIGHT, None), &plan(1, 20, 1), folder.path());
    assert_eq!(right.verdict, FuzzVerdict::Held);
    let vacuous = fuzz(&case(&VACUOUS, None), &plan(1, 20, 1), folder.path());
    assert_eq!(vacuous.verdict, FuzzVerdict::Vacuous);
    let said = vacuous.violation.expect("it says why");
    assert!(said.contains("six is reached"), "{said}");
}

#[test]
fn a_panic_is_a_violation_with_a_trace() {
    let folder = tempdir().expect("a folder");
    let mutant = |mutant| Case {
        model: &RIGHT,
        decides: &[],
        mutant: Some(mutant),
        drawn: None,
    };
    let report = fuzz(&mutant(&PANICS), &plan(1, 20, 1), folder.path());
    assert_eq!(report.verdict, FuzzVerdict::Violated);
    assert_eq!(report.trace.len(), 3);
    let report = fuzz(&mutant(&OVERRUNS), &plan(1, 20, 1), folder.path());
    assert_eq!(report.verdict, FuzzVerdict::Violated);
}

#[test]
fn the_time_and_the_user_end_it() {
    let folder = tempdir().expect("a folder");
    let subject = catalogue::named("raft/fuzz-three").expect("it is in the catalogue");
    let endless = Plan {
        cases: None,
        ..plan(1, 0, 1)
    };
    let brief = Plan {
        deadline: Some(Instant::now() + Duration::from_millis(300)),
        ..endless
    };
    let report = fuzz(subject.as_ref(), &brief, folder.path());
    assert_eq!(report.stopped, Some(Stop::Time));
    assert!(report.cases > 0, "it reports what was covered");
    let too_brief = Plan {
        deadline: Some(Instant::now()),
        ..plan(1, 1000, 1)
    };
    let report = fuzz(subject.as_ref(), &too_brief, folder.path());
    assert_eq!((report.cases, report.verdict), (0, FuzzVerdict::Incomplete));

    let interrupted = Arc::new(AtomicBool::new(true));
    let progress = Arc::new(Progress::new(interrupted));
    let run = Run {
        progress: &progress,
        traces: folder.path(),
        reductions: Reductions::ALL,
        seed: 0,
        checkpoint: None,
    };
    let report = subject.fuzz(&endless, &run).expect("nothing to write");
    assert_eq!(report.stopped, Some(Stop::Interrupted));
    assert_eq!(report.verdict, FuzzVerdict::Incomplete, "nothing was seen");
}

/// A number stands for one world, whoever asks for it; a model whose worlds are not drawn has none.
#[test]
fn a_drawn_world_is_had_by_its_number() {
    let folder = tempdir().expect("a folder");
    let world = |name: &str| catalogue::find(name, None);
    for model in ["raft/drawn", "zab/drawn", "maekawa/drawn", "counter/drawn"] {
        let seven = world(&format!("{model}@7")).expect("there is one for each number");
        assert_eq!(seven.name(), format!("{model}@7"));
        let run = || timeless(fuzz(seven.as_ref(), &plan(1, 8, 1), folder.path()));
        assert_eq!(run(), run());
        let rows = (0..40).filter_map(|number| world(&format!("{model}@{number}")));
        let mut nodes: Vec<usize> = rows.map(|subject| subject.row().nodes).collect();
        nodes.sort_unstable();
        nodes.dedup();
        assert!(nodes.len() > 1, "{model}: all worlds have {nodes:?} nodes");
    }
    for name in [
        "raft/drawn@seven",
        "raft/drawn@",
        "raft/clients@7",
        "raft/nothing@7",
    ] {
        assert!(world(name).is_none(), "{name}");
    }
}
