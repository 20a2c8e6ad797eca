//! `checks verify`: walks models' states, all of them or many.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use models::specification::Size;

use super::{Context, Ending, models_named};
use crate::catalogue;
use crate::cli::EngineArgs;
use crate::engine::{Engine, Limits, Reductions};
use crate::report::{Report, Verdict};
use crate::subject::{Run, Subject};

/// What to verify, and how.
pub struct Plan {
    /// The models' names; empty for all of the size.
    pub models: Vec<String>,
    /// Every model.
    pub all: bool,
    /// Only models of this size. Models given by their full name are verified whatever their
    /// size.
    pub size: Option<Size>,
    /// A mutant that runs in the protocol's place.
    pub mutant: Option<String>,
    /// The engine.
    pub engine: EngineArgs,
    /// What is left out.
    pub reductions: Reductions,
    /// Where to keep the search.
    pub checkpoint: Option<PathBuf>,
    /// The limits of each model's run, but for its time.
    pub limits: Limits,
    /// The time that each model's run may take.
    pub budget: Option<Duration>,
}

/// Verifies the plan's models, one after the other. Ends as the worst of them does: well if each
/// is verified, or ended at a limit that was asked for and has shown what it must.
///
/// # Errors
/// If a name is of no model or mutant, the engine does not do what is asked of it, or a trace
/// cannot be written.
pub fn run(context: &Context, plan: &Plan) -> Result<Ending> {
    let models = chosen(plan)?;
    if plan.checkpoint.is_some() && (models.len() != 1 || plan.engine.engine != Engine::Native) {
        bail!(
            "--checkpoint keeps the search of one model by the native engine: name one of the {}",
            models.len()
        );
    }
    let seed = plan.engine.seed(context, &plan.limits)?;
    let reports = verify_all(context, plan, seed, &models)?;
    context.say(&summary(&reports, models.len()));
    if plan.engine.engine != Engine::Native {
        context.say("safety only: liveness is decided by the native engine\n");
    }
    context.print_json(&reports)?;
    let interrupted = reports.len() < models.len() || context.is_interrupted();
    let endings = reports.iter().map(Report::ending);
    Ok(Ending::of_all(
        endings.chain(interrupted.then_some(Ending::Incomplete)),
    ))
}

/// How many models came to what.
fn summary(reports: &[Report], models: usize) -> String {
    let verdicts = [
        Verdict::Verified,
        Verdict::Bounded,
        Verdict::Incomplete,
        Verdict::Violated,
    ];
    let mut counts: Vec<String> = verdicts
        .map(|verdict| format!("{} {}", count(reports, verdict), verdict.name()))
        .into();
    if let changed @ 1.. = count(reports, Verdict::Changed) {
        counts.push(format!("{changed} {}", Verdict::Changed.name()));
    }
    let left = match models - reports.len() {
        0 => String::new(),
        left => format!("; {left} not begun"),
    };
    let line = format!("{} models: {}{left}\n", reports.len(), counts.join(", "));
    let says_little =
        |report: &&Report| report.verdict == Verdict::Bounded && !report.unseen.is_empty();
    match reports.iter().filter(says_little).count() {
        0 => line,
        few => format!(
            "{line}of the bounded, {few} have not shown what they must: that nothing was violated \
             says little\n"
        ),
    }
}

/// The plan's models.
fn chosen(plan: &Plan) -> Result<Vec<Box<dyn Subject>>> {
    if plan.models.is_empty() && plan.size.is_none() && !plan.all {
        let all = models_named(&[], plan.engine.engine)?;
        let names: Vec<&str> = all.iter().map(|model| model.model()).collect();
        bail!(
            "verify what? Name models, or write --all or --size gate; there are: {}",
            names.join(", ")
        );
    }
    let models = models_named(&plan.models, plan.engine.engine)?.into_iter();
    let models = models.filter(|model| {
        let by_name = plan.models.iter().any(|name| name == model.model());
        by_name || plan.size.is_none_or(|size| model.row().size == size)
    });
    let Some(id) = &plan.mutant else {
        return Ok(models.collect());
    };
    let with_mutant = |model: Box<dyn Subject>| catalogue::with_mutant(model.model(), id);
    models.map(with_mutant).collect()
}

/// Verifies models until all are done or the user has enough.
fn verify_all(
    context: &Context,
    plan: &Plan,
    seed: u64,
    models: &[Box<dyn Subject>],
) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for model in models {
        let progress = context.progress();
        let run = Run {
            progress: &progress,
            traces: &context.traces,
            reductions: plan.reductions,
            seed,
            checkpoint: plan.checkpoint.as_deref(),
        };
        let limits = plan.limits.within(plan.budget);
        let report = model.verify(plan.engine.engine, &limits, &run)?;
        context.say(&report.to_text());
        reports.push(report);
        if progress.is_interrupted() {
            break;
        }
    }
    Ok(reports)
}

fn count(reports: &[Report], verdict: Verdict) -> usize {
    let with_verdict = |report: &&Report| report.verdict == verdict;
    reports.iter().filter(with_verdict).count()
}
