//! The simulation: bugs that lie deep are found within so many steps, from the start and whatever
//! the seed, which uniform choice is not; the same seed gives the same; nothing is claimed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use checks::catalogue;
use checks::engine::{Engine, Limits, Reductions, Stop};
use checks::examine::{self, Outcome};
use checks::progress::Progress;
use checks::report::{Report, Verdict};
use checks::subject::{Case, Run, Subject};
use checks::trace_file::TraceFile;
use models::Specification;
use models::raft::spec::from_the_start;
use models::world::Scenario;
use tempfile::tempdir;

use crate::support::on;
use crate::support::stairs::{CLIMB, STUMBLES};
use crate::support::toy::{
    INVARIANT_PANICS, OVERRUNS, PANICS, RIGHT, SKIPS, STUCK, UNCOUNTED, WITNESS_PANICS,
};

/// Figure 8's bug, and its sibling, each in a world in which nothing is prepared.
const DEEP: [(&str, &str); 4] = [
    ("raft/five-from-the-start", "RAFT-4"),
    ("raft/five-from-the-start", "RAFT-VOTE-BY-LENGTH"),
    ("raft/three-from-the-start", "RAFT-4"),
    ("raft/three-from-the-start", "RAFT-VOTE-BY-LENGTH"),
];

/// Within how many steps each must be found: a few seconds.
const STEPS: u64 = 250_000;

fn steps(max: u64, threads: usize) -> Limits {
    Limits {
        max_states: Some(max),
        ..on(threads)
    }
}

fn simulate(subject: &dyn Subject, seed: u64, limits: &Limits, traces: &Path) -> Report {
    let progress = Arc::new(Progress::default());
    let run = Run {
        progress: &progress,
        traces,
        reductions: Reductions::STANDARD,
        seed,
        checkpoint: None,
    };
    let report = subject.verify(Engine::Simulate, limits, &run);
    report.expect("the trace can be written")
}

/// Everything but what depends on the machine.
fn timeless(report: Report) -> String {
    let report = Report {
        seconds: 0.0,
        peak_rss_bytes: None,
        threads: 0,
        ..report
    };
    serde_json::to_string(&report).expect("it is plain data")
}

#[test]
fn figure_8_and_votes_by_length_are_found_from_the_start_whatever_the_seed() {
    let traces = tempdir().expect("a folder");
    for (model, id) in DEEP {
        let mutant = catalogue::with_mutant(model, id).expect("it is in the catalogue");
        for seed in 1..=5 {
            let report = simulate(mutant.as_ref(), seed, &steps(STEPS, 2), traces.path());
            assert_eq!(report.verdict, Verdict::Violated, "{}", report.to_text());
            let found = report.violation.expect("a violation");
            assert!(
                found.starts_with("Whoever can be elected holds what is committed")
                    || found.starts_with("Leader Completeness"),
                "{model} {id}: {found}"
            );
        }
    }
}

/// A disk that is lost, two clusters that meet (a file that says otherwise than the log makes such,
/// too), and replicas in different states: what each of them does where nobody looks who it is.
const MISTAKEN_IDENTITY: [(&str, &str); 4] = [
    ("raft/lost-disk", "RAFT-BLANK-ACKNOWLEDGES"),
    ("raft/emptied", "RAFT-BLANK-TAKES-PART"),
    ("raft/two-clusters", "RAFT-TRUNCATES-COMMITTED"),
    ("raft/two-states", "RAFT-CHECKSUM-IGNORED"),
];

#[test]
fn mistaken_identities_are_found_by_simulation_whatever_the_seed() {
    let traces = tempdir().expect("a folder");
    for (model, id) in MISTAKEN_IDENTITY {
        let mutant = catalogue::with_mutant(model, id).expect("it is in the catalogue");
        let control = catalogue::named(model).expect("it is in the catalogue");
        for seed in 1..=3 {
            let report = simulate(mutant.as_ref(), seed, &steps(STEPS, 2), traces.path());
            assert_eq!(report.verdict, Verdict::Violated, "{}", report.to_text());
            let report = simulate(control.as_ref(), seed, &steps(STEPS / 20, 2), traces.path());
            assert_eq!(report.verdict, Verdict::Bounded, "{}", report.to_text());
        }
    }
}

/// Chooses uniformly among all that is possible, again and again from the start, and counts the
/// steps until something is violated.
fn uniformly<P: Specification>(scenario: &Scenario<P>, seed: u64, max: u64) -> Option<u64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let start = examine::initial(scenario).expect("it can begin");
    let mut steps = 0;
    loop {
        let mut world = start.clone();
        for _ in 0..400 {
            if steps >= max {
                return None;
            }
            let mut actions = examine::actions(scenario, &world);
            if actions.is_empty() {
                break;
            }
            let action = actions.swap_remove(rng.usize(..actions.len()));
            steps += 1;
            let Outcome::Next(after, law) = examine::take(scenario, &world, &action) else {
                return Some(steps);
            };
            world = after;
            if law.is_some() || examine::broken_invariant(scenario, &world).is_some() {
                return Some(steps);
            }
        }
    }
}

#[test]
fn uniform_choice_does_not_find_in_as_many_steps_what_weighted_choice_does() {
    const STEPS: u64 = 60_000;
    let traces = tempdir().expect("a folder");
    let mutants = { models::raft::spec::MUTANTS.iter().copied() }.flatten();
    let mutants: Vec<_> = mutants.filter(|mutant| mutant.id == "RAFT-4").collect();
    let mut scenario = from_the_start(5, 5);
    (mutants[0].inject)(&mut scenario);
    let subject = catalogue::with_mutant("raft/five-from-the-start", "RAFT-4");
    let subject = subject.expect("it is in the catalogue");
    let (mut weighted, mut uniform) = (0, 0);
    for seed in 1..=5 {
        let report = simulate(subject.as_ref(), seed, &steps(STEPS, 2), traces.path());
        weighted += usize::from(report.verdict == Verdict::Violated);
        uniform += usize::from(uniformly(&scenario, seed, STEPS).is_some());
    }
    assert_eq!(weighted, 5);
    assert!(uniform <= 1, "{uniform} of 5: chance alone would do");
}

#[test]
fn the_right_protocol_holds_and_is_no_more_than_bounded() {
    let traces = tempdir().expect("a folder");
    let mut names: Vec<&str> = DEEP.iter().map(|(model, _)| *model).collect();
    names.dedup();
    for name in names {
        let model = catalogue::named(name).expect("it is in the catalogue");
        let report = simulate(model.as_ref(), 1, &steps(100_000, 2), traces.path());
        assert_eq!(report.verdict, Verdict::Bounded, "{}", report.to_text());
        assert_eq!(report.stopped, Some(Stop::Steps));
        let claimed = report.properties.iter().filter(|row| row.holds.is_some());
        let mut claimed = claimed.map(|row| (row.kind, row.holds));
        assert!(
            claimed.all(|claim| claim == (checks::engine::Kind::Reachable, Some(true))),
            "walks verify nothing: {}",
            report.to_text()
        );
    }
}

/// Every protocol's largest worlds, sampled: nothing is violated, and something happens. Of worlds that
/// are drawn, five: in one of them alone there may be little to do.
#[test]
fn every_protocol_holds() {
    let traces = tempdir().expect("a folder");
    for subject in catalogue::fuzzed(&[]).expect("all of them") {
        let report = simulate(subject.as_ref(), 1, &steps(100_000, 2), traces.path());
        assert_eq!(report.verdict, Verdict::Bounded, "{}", report.to_text());
        let simulated = report.simulated.as_ref().expect("it was one");
        assert!(simulated.kept > 10, "{}", report.to_text());
        let fired = report.fired.as_ref().expect("it is counted");
        let fired = fired.actions.values().sum::<u64>();
        // A walk that begins where nothing more can happen counts for a step, and fires nothing.
        let least = report.generated - simulated.walks;
        assert!(
            (least..=report.generated).contains(&fired),
            "{}",
            report.to_text()
        );
        assert!(report.unique > report.generated / 5, "{}", report.to_text());
    }
}

#[test]
fn the_same_seed_gives_the_same_walks_whatever_the_number_of_threads() {
    let traces = tempdir().expect("a folder");
    let right = catalogue::named("raft/three-from-the-start").expect("a model");
    let mutant = catalogue::with_mutant("raft/fuzz-datagrams", "RAFT-6").expect("a mutant");
    for subject in [right, mutant] {
        let run = |seed, threads| {
            let limits = steps(30_000, threads);
            timeless(simulate(subject.as_ref(), seed, &limits, traces.path()))
        };
        let expected = run(7, 1);
        assert_eq!(run(7, 2), expected);
        assert_eq!(run(7, 3), expected);
        assert_ne!(run(8, 2), expected);
    }
}

#[test]
fn a_trace_names_its_seed_is_shrunk_and_replays() {
    let traces = tempdir().expect("a folder");
    let (model, id) = ("raft/five-from-the-start", "RAFT-VOTE-BY-LENGTH");
    let mutant = catalogue::with_mutant(model, id).expect("a mutant");
    let report = simulate(mutant.as_ref(), 11, &steps(STEPS, 2), traces.path());
    let simulated = report.simulated.expect("it was one");
    assert!(simulated.found_in_steps.expect("something") > report.steps.len());
    let file = report.trace_file.expect("a trace");
    let trace = TraceFile::read(Path::new(&file)).expect("it can be read");
    assert_eq!((trace.seed, trace.mutant.as_deref()), (Some(11), Some(id)));
    let replay = mutant.replay(&trace).expect("every step is possible");
    assert_eq!(replay.violated.map(str::to_owned), trace.property);
    assert_eq!(replay.steps.len(), report.steps.len());
}

/// Neither is there a walk from the bottom to the top by chance, nor is a walk long enough to
/// get there: what one has come to is gone on from.
#[test]
fn a_model_whose_only_bug_is_deep_is_found() {
    let traces = tempdir().expect("a folder");
    let case = |mutant| Case {
        model: &CLIMB,
        decides: &[],
        mutant,
        drawn: None,
    };
    for seed in 1..=3 {
        let limits = steps(100_000, 2);
        let right = simulate(&case(None), seed, &limits, traces.path());
        assert_eq!(right.verdict, Verdict::Bounded, "{}", right.to_text());
        let wrong = simulate(&case(Some(&STUMBLES)), seed, &limits, traces.path());
        assert_eq!(wrong.verdict, Verdict::Violated, "{}", wrong.to_text());
        assert_eq!(wrong.steps.len(), 40);
    }
    let mut scenario = case(Some(&STUMBLES)).scenario();
    assert_eq!(uniformly(&scenario, 1, 100_000), None);
    scenario.step = |stairs, node, input, out| {
        models::Protocol::step(stairs, node, input, out);
        node.volatile = 41;
    };
    assert_eq!(uniformly(&scenario, 1, 100_000), Some(1), "it can find");
}

#[test]
fn every_kind_of_violation_is_found() {
    let traces = tempdir().expect("a folder");
    let planted = [
        (&RIGHT, &PANICS, "No panic", 3),
        (&RIGHT, &SKIPS, "One at a time", 3),
        (&RIGHT, &OVERRUNS, "At most five", 6),
        (&UNCOUNTED, &INVARIANT_PANICS, "No panic", 1),
        (&UNCOUNTED, &WITNESS_PANICS, "No panic", 1),
    ];
    for (model, mutant, property, length) in planted {
        let case = Case {
            model,
            decides: &[],
            mutant: Some(mutant),
            drawn: None,
        };
        let report = simulate(&case, 1, &steps(1000, 1), traces.path());
        let violation = report.violation.as_deref().unwrap_or_default();
        assert!(violation.starts_with(property), "{}", report.to_text());
        assert_eq!(report.steps.len(), length, "{}", mutant.id);
    }
    let stuck = Case {
        model: &STUCK,
        decides: &[],
        mutant: None,
        drawn: None,
    };
    let report = simulate(&stuck, 1, &steps(1000, 1), traces.path());
    assert_eq!(report.verdict, Verdict::Violated);
    assert!(report.steps.is_empty());
}

/// A world in which soon nothing more can happen is walked to its end again and again.
#[test]
fn it_ends_where_its_limits_are() {
    let traces = tempdir().expect("a folder");
    let case = Case {
        model: &RIGHT,
        decides: &[],
        mutant: None,
        drawn: None,
    };
    let report = simulate(&case, 1, &steps(1000, 2), traces.path());
    assert_eq!(report.verdict, Verdict::Bounded);
    assert_eq!(report.depth, 5);
    let two_deep = Limits {
        max_depth: Some(2),
        ..steps(1000, 2)
    };
    assert_eq!(simulate(&case, 1, &two_deep, traces.path()).depth, 2);
    let brief = on(1).within(Some(Duration::from_millis(50)));
    let report = simulate(&case, 1, &brief, traces.path());
    assert_eq!(report.stopped, Some(Stop::Time));
    assert!(report.generated > 0);

    let interrupted = Arc::new(Progress::new(Arc::new(AtomicBool::new(true))));
    let run = Run {
        progress: &interrupted,
        traces: traces.path(),
        reductions: Reductions::STANDARD,
        seed: 1,
        checkpoint: None,
    };
    let report = case.verify(Engine::Simulate, &on(1), &run);
    let report = report.expect("nothing to write");
    assert_eq!(report.stopped, Some(Stop::Interrupted));
}

/// A family of worlds is walked world after world, and what is found names the one that it is in.
#[test]
fn where_worlds_are_drawn_many_are_walked_and_the_one_with_the_violation_is_named() {
    let traces = tempdir().expect("a folder");
    let mutant = catalogue::with_mutant("raft/drawn", "RAFT-TWO-VOTES").expect("both are there");
    let limits = steps(2_000_000, 2);
    let report = simulate(mutant.as_ref(), 1, &limits, traces.path());
    assert_eq!(report.verdict, Verdict::Violated, "{}", report.to_text());
    assert!(report.model.starts_with("raft/drawn@"), "{}", report.model);
    let path = report.trace_file.clone().expect("a trace");
    let trace = TraceFile::read(Path::new(&path)).expect("it can be read");
    assert_eq!(trace.model, report.model);
    let again = simulate(mutant.as_ref(), 1, &steps(2_000_000, 1), traces.path());
    assert_eq!(timeless(again), timeless(report));

    let right = catalogue::named("counter/drawn").expect("it is in the catalogue");
    let report = simulate(right.as_ref(), 1, &steps(50_000, 2), traces.path());
    assert_eq!(
        (report.model.as_str(), report.stopped),
        ("counter/drawn", Some(Stop::Steps))
    );
    let walks = report.simulated.expect("it was simulated").walks;
    let one = right.numbered(7).expect("its worlds are drawn");
    let one = simulate(one.as_ref(), 1, &steps(20_000, 2), traces.path());
    assert!(walks > one.simulated.expect("it was simulated").walks);
}
