//! `checks gate`: what a user puts in CI.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use models::specification::Size;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::{Context, Ending, models_named, mutants, verify};
use crate::catalogue;
use crate::cli::GateArgs;
use crate::engine::{Engine, Limits};
use crate::fuzz::{FuzzReport, FuzzVerdict, Plan};
use crate::report::{Report, Verdict};
use crate::subject::Run;

/// How much of each large model the gate sees: enough for every mutant that needs one.
const SEARCHED_STATES: u64 = 200_000;

/// How long the gate gives each mutant to be caught. The slowest takes a few seconds.
const MUTANT_BUDGET: Duration = Duration::from_secs(60);

/// The gate's result.
#[derive(Debug, Serialize)]
struct GateReport {
    ok: bool,
    parts: Vec<Part>,
}

/// One thing that the gate has checked.
#[derive(Debug, Serialize)]
struct Part {
    name: String,
    ok: bool,
    seconds: f64,
    detail: String,
}

/// Verifies the small models, searches the large ones as far as there is time, runs the
/// mutants and a seeded fuzz.
///
/// # Errors
/// If a file cannot be written.
pub fn run(context: &Context, args: &GateArgs) -> Result<Ending> {
    let limits = Limits::on(args.threads);
    // The parts say what is to be said: what they themselves would print stays unsaid.
    let quiet = Context {
        json: true,
        traces: context.traces.clone(),
        interrupted: context.interrupted.clone(),
    };
    let started = Instant::now();
    let mut report = GateReport {
        ok: true,
        parts: Vec::new(),
    };
    for part in [verified, searched, refuted, fuzzed] {
        for part in part(&quiet, &limits)? {
            context.say(&format!(
                "{} {:<28} {:>6.1} s  {}\n",
                if part.ok { "ok  " } else { "FAIL" },
                part.name,
                part.seconds,
                part.detail
            ));
            report.ok &= part.ok;
            report.parts.push(part);
        }
    }
    context.say(&format!(
        "{} in {:.0} s\n",
        if report.ok { "PASS" } else { "FAIL" },
        started.elapsed().as_secs_f64()
    ));
    if let Some(path) = &args.junit {
        write_junit(&report, path)?;
    }
    context.print_json(&report)?;
    Ok(Ending::of(report.ok))
}

/// The small catalogue: every model verified, none merely bounded.
fn verified(context: &Context, limits: &Limits) -> Result<Vec<Part>> {
    let mut models = models_named(&[])?;
    models.retain(|model| model.row().size == Size::Gate);
    let plan = verify::Plan {
        models: Vec::new(),
        all: false,
        size: Some(Size::Gate),
        engine: Engine::Native,
        limits: *limits,
        budget: None,
    };
    let reports = verify::verify_all(context, &plan, &models)?;
    let mut parts: Vec<Part> = reports.iter().map(part_of).collect();
    if parts.len() < models.len() {
        parts.push(Part {
            name: "verify".to_owned(),
            ok: false,
            seconds: 0.0,
            detail: format!(
                "interrupted: {} models not verified",
                models.len() - parts.len()
            ),
        });
    }
    Ok(parts)
}

/// The large models, as far as a gate has time: the same states each time, nearest first.
fn searched(context: &Context, limits: &Limits) -> Result<Vec<Part>> {
    let mut models = models_named(&[])?;
    models.retain(|model| model.row().size == Size::Large);
    let plan = verify::Plan {
        models: Vec::new(),
        all: false,
        size: Some(Size::Large),
        engine: Engine::Native,
        limits: Limits {
            max_states: Some(SEARCHED_STATES),
            ..*limits
        },
        budget: None,
    };
    let reports = verify::verify_all(context, &plan, &models)?;
    let parts = reports.iter().map(|report| Part {
        name: format!("search {}", report.model),
        ok: report.verdict != Verdict::Violated && !context.is_interrupted(),
        ..part_of(report)
    });
    Ok(parts.collect())
}

fn part_of(report: &Report) -> Part {
    let detail = match &report.violation {
        None => format!("{}, {} states", report.verdict.name(), report.unique),
        Some(violation) => format!(
            "{violation}, {} steps{}",
            report.steps.len(),
            report
                .trace_file
                .as_ref()
                .map_or_else(String::new, |file| format!(", see {file}"))
        ),
    };
    Part {
        name: format!("verify {}", report.model),
        ok: report.verdict == Verdict::Verified,
        seconds: report.seconds,
        detail,
    }
}

/// The mutants of every protocol: all caught. Their controls have just been verified, being
/// models of the catalogue, or are too large for a gate.
fn refuted(context: &Context, limits: &Limits) -> Result<Vec<Part>> {
    let reports = mutants::run_mutants(context, None, limits, MUTANT_BUDGET)?;
    let seconds = reports.iter().map(|report| report.seconds).sum();
    let survivors = reports.iter().filter(|report| !report.is_well());
    let survivors: Vec<&str> = survivors.map(|report| report.id.as_str()).collect();
    let detail = if survivors.is_empty() {
        format!("all {} caught", reports.len())
    } else {
        format!("survived: {}", survivors.join(", "))
    };
    Ok(vec![Part {
        name: "mutants".to_owned(),
        ok: survivors.is_empty() && !reports.is_empty(),
        seconds,
        detail,
    }])
}

/// The worlds that are too large to walk, sampled: always the same runs.
fn fuzzed(context: &Context, limits: &Limits) -> Result<Vec<Part>> {
    let plan = Plan::for_gate(limits.threads);
    let mut parts = Vec::new();
    for model in catalogue::fuzzed(&[])? {
        let run = Run {
            progress: &context.progress(),
            traces: &context.traces,
        };
        parts.push(part_of_fuzz(&model.fuzz(&plan, &run)?));
    }
    Ok(parts)
}

fn part_of_fuzz(report: &FuzzReport) -> Part {
    let found = report
        .violation
        .as_ref()
        .map_or_else(String::new, |violation| {
            format!(
                ": {violation}, {} steps, see {}",
                report.trace.len(),
                report.trace_file.as_deref().unwrap_or("no file")
            )
        });
    Part {
        name: format!("fuzz {}", report.model),
        ok: report.verdict == FuzzVerdict::Held && report.stopped.is_none(),
        seconds: report.seconds,
        detail: format!(
            "{}, {} cases, {} steps, seed {}{found}",
            report.verdict.name(),
            report.cases,
            report.steps,
            report.seed
        ),
    }
}

fn write_junit(report: &GateReport, path: &Path) -> Result<()> {
    let mut suite = TestSuite::new("gate");
    for part in &report.parts {
        let status = if part.ok {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(part.detail.clone());
            status
        };
        let mut case = TestCase::new(part.name.clone(), status);
        case.set_time(Duration::from_secs_f64(part.seconds));
        case.set_system_out(part.detail.clone());
        suite.add_test_case(case);
    }
    let mut junit = quick_junit::Report::new("lockstep");
    junit.add_test_suite(suite);
    let xml = junit
        .to_string()
        .context("cannot write the result as JUnit XML")?;
    fs::write(path, xml).with_context(|| format!("cannot write {}", path.display()))
}
