//! `checks fuzz`: samples runs of worlds that are too large to walk.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Context, Ending, any_seed};
use crate::catalogue;
use crate::cli::FuzzArgs;
use crate::engine::{Limits, Reductions};
use crate::fuzz::{FuzzReport, FuzzVerdict, Plan};
use crate::subject::{Run, Subject};

/// Samples the models, one after the other.
///
/// # Errors
/// If a name is of no model or mutant, or a trace cannot be written.
pub fn run(context: &Context, args: &FuzzArgs) -> Result<Ending> {
    let subjects = chosen(args)?;
    let plan = Plan {
        seed: args.seed.unwrap_or_else(any_seed),
        cases: args.cases.or(args.budget.is_none().then_some(Plan::CASES)),
        deadline: None,
        steps: args.steps as usize,
        threads: Limits::on(args.threads).threads,
    };
    context.say(&format!("seed {}\n", plan.seed));
    let reports = fuzz_all(context, &plan, args.budget, &subjects)?;
    let with = |verdict: FuzzVerdict| {
        reports
            .iter()
            .filter(move |row| row.verdict == verdict)
            .count()
    };
    context.say(&format!(
        "{} models: {} held, {} vacuous, {} incomplete, {} violated{}\n",
        reports.len(),
        with(FuzzVerdict::Held),
        with(FuzzVerdict::Vacuous),
        with(FuzzVerdict::Incomplete),
        with(FuzzVerdict::Violated),
        match subjects.len() - reports.len() {
            0 => String::new(),
            left => format!("; {left} not begun"),
        }
    ));
    context.print_json(&reports)?;
    let cut_short = (reports.len() < subjects.len()).then_some(Ending::Incomplete);
    let endings = reports.iter().map(|report| report.verdict.ending());
    Ok(Ending::of_all(endings.chain(cut_short)))
}

/// Samples the models, until all are done or the user has enough. The budget is shared
/// evenly by those that are left.
///
/// # Errors
/// If a trace cannot be written.
pub fn fuzz_all(
    context: &Context,
    plan: &Plan,
    budget: Option<Duration>,
    subjects: &[Box<dyn Subject>],
) -> Result<Vec<FuzzReport>> {
    let end = budget.map(|budget| Instant::now() + budget);
    let mut reports = Vec::new();
    for (left, subject) in (1..=subjects.len() as u32).rev().zip(subjects) {
        let share = end.map(|end| end.saturating_duration_since(Instant::now()) / left);
        let plan = Plan {
            deadline: share.map(|share| Instant::now() + share),
            ..*plan
        };
        let progress = context.progress();
        let run = Run {
            progress: &progress,
            traces: &context.traces,
            reductions: Reductions::STANDARD,
            seed: plan.seed,
            checkpoint: None,
        };
        let report = subject.fuzz(&plan, &run)?;
        context.say(&report.to_text());
        reports.push(report);
        if progress.is_interrupted() {
            break;
        }
    }
    Ok(reports)
}

/// The models named, or all that are there to be fuzzed, each with the mutant if one is.
fn chosen(args: &FuzzArgs) -> Result<Vec<Box<dyn Subject>>> {
    let subjects = catalogue::fuzzed(&args.models)?;
    let Some(id) = &args.mutant else {
        return Ok(subjects);
    };
    let with_mutant = |subject: Box<dyn Subject>| catalogue::with_mutant(&subject.name(), id);
    subjects.into_iter().map(with_mutant).collect()
}
