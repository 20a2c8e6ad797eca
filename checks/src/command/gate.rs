//! `checks gate`: what a user puts in CI.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use models::specification::Size;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::{Context, Ending, mutants};
use crate::catalogue::{self, ProtocolRow};
use crate::cli::{EngineArgs, GateArgs};
use crate::engine::{Engine, Limits, Reductions};
use crate::fuzz::{FuzzReport, FuzzVerdict, Plan};
use crate::progress::Progress;
use crate::report::{Report, Verdict};
use crate::subject::{Run, Subject};

/// How much of each large model the gate sees: enough for every mutant that needs one.
const SEARCHED_STATES: u64 = 200_000;

/// How long the gate gives each mutant to be caught. Most take less than a second; one that
/// only liveness refutes needs the finished graph, the slowest about a minute.
const MUTANT_BUDGET: Duration = Duration::from_secs(240);

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
/// mutants and a seeded fuzz: of every protocol, or of those named.
///
/// # Errors
/// If there is no such protocol, or a file cannot be written.
pub fn run(context: &Context, args: &GateArgs) -> Result<Ending> {
    let protocols = chosen(&args.protocols)?;
    let mut gate = Gate {
        context,
        // The parts say what is to be said: what they themselves would print stays unsaid.
        quiet: Context {
            json: true,
            traces: context.traces.clone(),
            interrupted: context.interrupted.clone(),
        },
        limits: Limits::on(args.threads),
        fail_fast: args.fail_fast,
        arms: BTreeSet::new(),
        report: GateReport {
            ok: true,
            parts: Vec::new(),
        },
    };
    let started = Instant::now();
    let ended = gate.check(&protocols)?;
    let report = gate.report;
    context.say(&format!(
        "{} in {:.0} s{}\n",
        if report.ok { "PASS" } else { "FAIL" },
        started.elapsed().as_secs_f64(),
        match ended {
            ControlFlow::Continue(()) => "",
            ControlFlow::Break(()) => ", and not all of it has run",
        }
    ));
    if let Some(path) = &args.junit {
        write_junit(&report, path)?;
    }
    context.print_json(&report)?;
    Ok(Ending::of(report.ok))
}

/// The protocols of these names, or all where no name is given.
fn chosen(names: &[String]) -> Result<Vec<ProtocolRow>> {
    let mut protocols = catalogue::protocols();
    for name in names {
        if !protocols.iter().any(|row| row.name == name) {
            let names: Vec<&str> = protocols.iter().map(|row| row.name).collect();
            bail!(
                "there is no protocol \"{name}\"; there are: {}",
                names.join(", ")
            );
        }
    }
    protocols.retain(|row| names.is_empty() || names.iter().any(|name| name == row.name));
    Ok(protocols)
}

/// A gate at work.
struct Gate<'a> {
    context: &'a Context,
    quiet: Context,
    limits: Limits,
    fail_fast: bool,
    /// The arms that models have taken, each with its protocol.
    arms: BTreeSet<(&'static str, String)>,
    report: GateReport,
}

impl Gate<'_> {
    /// Whether the models of a protocol have taken every arm of its step function: one that was
    /// never taken has never been checked.
    fn taken(&self, row: &ProtocolRow) -> Part {
        let family = row.family();
        let all = row
            .models
            .first()
            .map(|model| model.arms())
            .unwrap_or_default();
        let never = all
            .iter()
            .filter(|arm| !self.arms.contains(&(family, (*arm).clone())));
        let never: Vec<&str> = never.map(String::as_str).collect();
        Part {
            name: format!("arms {family}"),
            ok: never.is_empty() && !all.is_empty(),
            seconds: 0.0,
            detail: match never.is_empty() {
                true => format!("all {} taken", all.len()),
                false => format!("never taken: {}", never.join(", ")),
            },
        }
    }

    /// Runs all parts, what fails fastest first; breaks off at a failure if that is wanted,
    /// and when the user has had enough.
    fn check(&mut self, protocols: &[ProtocolRow]) -> Result<ControlFlow<()>> {
        let models = || {
            protocols
                .iter()
                .flat_map(|row| row.models.iter().map(|m| (row.family(), m)))
        };
        for size in [Size::Gate, Size::Large] {
            for (protocol, model) in models().filter(|(_, model)| model.row().size == size) {
                let report = match size {
                    Size::Gate => self.verified(model.as_ref()),
                    Size::Large => self.searched(model.as_ref()),
                }?;
                let arms = report.fired.iter().flat_map(|fired| fired.arms.keys());
                self.arms.extend(arms.map(|arm| (protocol, arm.clone())));
                if self.add(part_of(&report, size)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        let everything = catalogue::protocols();
        let is_run = |row: &ProtocolRow| protocols.iter().any(|run| run.name == row.name);
        for row in protocols {
            // What one of a family does not do another may.
            let mut family = everything
                .iter()
                .filter(|other| other.family() == row.family());
            if !family.all(is_run) || row.name != row.family() {
                continue;
            }
            let part = self.taken(row);
            if self.add(part).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for row in protocols {
            let part = self.refuted(row)?;
            if self.add(part).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for model in protocols.iter().flat_map(|row| &row.fuzzed) {
            let part = self.fuzzed(model.as_ref())?;
            if self.add(part).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn add(&mut self, mut part: Part) -> ControlFlow<()> {
        if self.context.is_interrupted() {
            part.ok = false;
            part.detail.push_str(", interrupted");
        }
        self.context.say(&format!(
            "{} {:<28} {:>6.1} s  {}\n",
            if part.ok { "ok  " } else { "FAIL" },
            part.name,
            part.seconds,
            part.detail
        ));
        let goes_on = part.ok || (!self.fail_fast && !self.context.is_interrupted());
        self.report.ok &= part.ok;
        self.report.parts.push(part);
        if goes_on {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// A small model: verified, not merely bounded.
    fn verified(&self, model: &dyn Subject) -> Result<Report> {
        let progress = self.quiet.progress();
        model.verify(Engine::Native, &self.limits, &self.run(&progress))
    }

    /// A large model, as far as a gate has time: the same states each time, nearest first.
    fn searched(&self, model: &dyn Subject) -> Result<Report> {
        let progress = self.quiet.progress();
        let limits = Limits {
            max_states: Some(SEARCHED_STATES),
            ..self.limits
        };
        model.verify(Engine::Native, &limits, &self.run(&progress))
    }

    /// The mutants of a protocol: all caught. Their controls have just been verified, being
    /// models of the catalogue, or are too large for a gate.
    fn refuted(&self, row: &ProtocolRow) -> Result<Part> {
        let plan = mutants::Plan {
            protocol: Some(row.name.to_owned()),
            model: None,
            engine: EngineArgs {
                engine: Engine::Native,
                seed: None,
            },
            limits: self.limits,
            budget: MUTANT_BUDGET,
        };
        let reports = mutants::run_mutants(&self.quiet, &plan, 0)?;
        let seconds = reports.iter().map(|report| report.seconds).sum();
        let survivors = reports.iter().filter(|report| !report.is_well());
        let survivors: Vec<&str> = survivors.map(|report| report.id.as_str()).collect();
        let detail = if survivors.is_empty() {
            format!("all {} caught", reports.len())
        } else {
            format!("survived: {}", survivors.join(", "))
        };
        Ok(Part {
            name: format!("mutants {}", row.name),
            ok: survivors.is_empty() && !reports.is_empty(),
            seconds,
            detail,
        })
    }

    /// A world that is too large to walk, sampled: always the same runs.
    fn fuzzed(&self, model: &dyn Subject) -> Result<Part> {
        let progress = self.quiet.progress();
        let plan = Plan::for_gate(self.limits.threads);
        let report = model.fuzz(&plan, &self.run(&progress))?;
        Ok(part_of_fuzz(&report))
    }

    fn run<'a>(&'a self, progress: &'a Arc<Progress>) -> Run<'a> {
        Run {
            progress,
            traces: &self.quiet.traces,
            reductions: Reductions::STANDARD,
            seed: 0,
            checkpoint: None,
        }
    }
}

fn part_of(report: &Report, size: Size) -> Part {
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
    let (what, ok) = match size {
        Size::Gate => ("verify", report.verdict == Verdict::Verified),
        Size::Large => ("search", report.verdict != Verdict::Violated),
    };
    Part {
        name: format!("{what} {}", report.model),
        ok,
        seconds: report.seconds,
        detail,
    }
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
