//! `checks mutants`: every mutant must be caught, and every control hold.
//!
//! A mutant's control is the same model with the right protocol in it: whatever catches the
//! mutant must not be something that the right protocol violates as well.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Context, Ending};
use crate::catalogue::{self, ProtocolRow};
use crate::cli::EngineArgs;
use crate::engine::{Engine, Limits, Reductions, Stop};
use crate::progress::Progress;
use crate::report::{Report, Verdict};
use crate::subject::{Run, Subject};

/// Which mutants to run, and how.
pub struct Plan {
    /// Only those of this protocol.
    pub protocol: Option<String>,
    /// All those of its protocol in this model, instead of each in the one that refutes it.
    pub model: Option<String>,
    /// The engine.
    pub engine: EngineArgs,
    /// The limits of each run, but for its time.
    pub limits: Limits,
    /// How long each run may take.
    pub budget: Duration,
}

/// One mutant or control.
#[derive(Clone, Debug, Serialize)]
pub struct MutantReport {
    /// The mutant's id; a control's is its model's name.
    pub id: String,
    /// The protocol.
    pub protocol: &'static str,
    /// Whether it is the right protocol.
    pub control: bool,
    /// Whether a property was violated.
    pub caught: bool,
    /// The property.
    pub property: Option<String>,
    /// How many steps the trace has.
    pub trace_len: usize,
    /// Where the trace is.
    pub trace_file: Option<String>,
    /// The model.
    pub model: String,
    /// What is wrong with the mutant.
    pub defect: &'static str,
    /// Wall-clock time.
    pub seconds: f64,
    /// The verdict on the model.
    pub verdict: Verdict,
    /// Why the run ended before every state was seen.
    pub stopped: Option<Stop>,
    /// Whether this is as it must be: mutants caught, controls not.
    pub ending: Ending,
}

impl MutantReport {
    fn to_text(&self) -> String {
        let cut_short = || match self.stopped {
            None | Some(Stop::Time) => "TIMED OUT".to_owned(),
            Some(stop) => format!("CUT SHORT: {}", stop.reason()),
        };
        let what = match (self.control, self.ending) {
            (true, Ending::Well) => format!("{}: control holds", self.verdict.name()),
            (true, Ending::Incomplete) => format!("CONTROL {}", cut_short()),
            (true, Ending::NotWell) if self.verdict == Verdict::Changed => {
                "CONTROL CHANGED".to_owned()
            }
            (true, Ending::NotWell) => "CONTROL REFUTED".to_owned(),
            (false, Ending::Well) => format!("caught in {} steps", self.trace_len),
            (false, Ending::Incomplete) => cut_short(),
            (false, Ending::NotWell) => "SURVIVED".to_owned(),
        };
        let property = self.property.as_deref().unwrap_or("");
        format!(
            "{:<22} {what:<24} {property:<30} {}\n",
            self.id, self.defect
        )
    }
}

/// Runs the plan's mutants and their controls.
///
/// # Errors
/// If there is no such protocol or model, the engine does not do what is asked of it, or a trace
/// cannot be written.
pub fn run(context: &Context, plan: &Plan) -> Result<Ending> {
    let rows = chosen(plan)?;
    let seed = plan.engine.seed(context, &plan.limits)?;
    let mut subjects = Vec::new();
    for row in &rows {
        let mutants = mutants(row, plan).into_iter();
        subjects.extend(mutants.map(|mutant| (row.name, mutant)));
    }
    let left_out: usize = rows.iter().map(|row| row.mutants.len()).sum();
    let left_out = left_out - subjects.len();
    for row in &rows {
        let controls = controls(row, plan)?.into_iter();
        subjects.extend(controls.map(|control| (row.name, control)));
    }
    let mut reports = Vec::new();
    for (protocol, subject) in &subjects {
        let progress = context.progress();
        let depth = deepest(&reports, subject.model());
        let run = run_of(&progress, &context.traces, seed);
        let report = run_one(protocol, subject.as_ref(), plan, &run, depth)?;
        context.say(&report.to_text());
        reports.push(report);
        if context.is_interrupted() {
            break;
        }
    }
    context.say(&summary(&reports));
    let not_begun = subjects.len() - reports.len();
    if not_begun > 0 {
        context.say(&format!("interrupted: {not_begun} not begun\n"));
    }
    if left_out > 0 {
        context.say(&format!(
            "{left_out} that liveness refutes left out: they are for --engine native\n"
        ));
    }
    context.print_json(&reports)?;
    let endings = reports.iter().map(|report| report.ending);
    let cut_short = (not_begun > 0).then_some(Ending::Incomplete);
    Ok(Ending::of_all(endings.chain(cut_short)))
}

/// How many mutants were caught, how many controls hold, and of how many that is not known.
fn summary(reports: &[MutantReport]) -> String {
    let count = |control: bool, ending: Option<Ending>| {
        let rows = reports.iter().filter(|row| row.control == control);
        rows.filter(|row| ending.is_none_or(|ending| row.ending == ending))
            .count()
    };
    let well = Some(Ending::Well);
    let line = format!(
        "{} of {} mutants caught, {} of {} controls hold",
        count(false, well),
        count(false, None),
        count(true, well),
        count(true, None),
    );
    let unknown = Some(Ending::Incomplete);
    match (count(false, unknown), count(true, unknown)) {
        (0, 0) => format!("{line}\n"),
        (mutants, controls) => {
            format!("{line}; cut short, and so not known: {mutants} mutants, {controls} controls\n")
        }
    }
}

/// How many steps the longest trace has that a mutant has left in this model.
fn deepest(reports: &[MutantReport], model: &str) -> usize {
    let here = reports.iter().filter(|row| row.model == model);
    here.map(|row| row.trace_len).max().unwrap_or(0)
}

/// The protocol's mutants, each in its model or all in the plan's. Only the native engine, and
/// only in the model that decides it, refutes what violates liveness alone.
fn mutants(row: &ProtocolRow, plan: &Plan) -> Vec<Box<dyn Subject>> {
    let decides_liveness = |mutant: &dyn Subject| !mutant.row().decides.is_empty();
    let safety_alone = plan.engine.engine != Engine::Native || plan.model.is_some();
    let mutants = row.mutants.iter().filter_map(|mutant| {
        let id = mutant.mutant()?.id;
        if safety_alone && decides_liveness(mutant.as_ref()) {
            return None;
        }
        (row.pair)(plan.model.as_deref().unwrap_or(mutant.model()), id)
    });
    mutants.collect()
}

/// The models that the mutants run in, with the right protocol in them.
fn controls(row: &ProtocolRow, plan: &Plan) -> Result<Vec<Box<dyn Subject>>> {
    let mutants = mutants(row, plan);
    let refutes = |model: &&str| mutants.iter().any(|mutant| mutant.model() == *model);
    let models = row.models.iter().chain(&row.fuzzed);
    let models = models.map(|model| model.model()).filter(refutes);
    models.map(catalogue::named).collect()
}

/// The protocols whose mutants these are.
fn chosen(plan: &Plan) -> Result<Vec<ProtocolRow>> {
    let protocol = match &plan.model {
        Some(model) => Some(protocol_of(catalogue::named(model)?.as_ref())),
        None => plan.protocol.as_deref(),
    };
    let names: Vec<String> = protocol.into_iter().map(str::to_owned).collect();
    catalogue::protocols_named(&names)
}

fn protocol_of(model: &dyn Subject) -> &'static str {
    model.model().split('/').next().unwrap_or_default()
}

/// Runs a mutant, or the control of mutants whose longest trace has `depth` steps.
///
/// # Errors
/// If the trace cannot be written.
pub fn run_one(
    protocol: &'static str,
    subject: &dyn Subject,
    plan: &Plan,
    run: &Run<'_>,
    depth: usize,
) -> Result<MutantReport> {
    let limits = plan.limits.within(Some(plan.budget));
    let report = subject.verify(plan.engine.engine, &limits, run)?;
    let mutant = subject.mutant();
    let ending = match mutant {
        Some(_) => mutant_ending(&report),
        // Liveness is decided on the finished graph or not at all, however deep its traces are.
        None if !subject.row().decides.is_empty() => control_ending(&report, None),
        None => control_ending(&report, Some(depth)),
    };
    Ok(MutantReport {
        id: mutant.map_or(report.model.clone(), |mutant| mutant.id.to_owned()),
        protocol,
        control: mutant.is_none(),
        caught: report.verdict == Verdict::Violated,
        property: report.violation,
        trace_len: report.steps.len(),
        trace_file: report.trace_file,
        model: report.model,
        defect: mutant.map_or("none: the right protocol", |mutant| mutant.defect),
        seconds: report.seconds,
        verdict: report.verdict,
        stopped: report.stopped,
        ending,
    })
}

/// What surrounds each run.
fn run_of<'a>(progress: &'a Arc<Progress>, traces: &'a Path, seed: u64) -> Run<'a> {
    Run {
        progress,
        traces,
        reductions: Reductions::STANDARD,
        seed,
        checkpoint: None,
    }
}

/// A mutant has survived where every state was seen: of what was cut short nothing is known.
fn mutant_ending(report: &Report) -> Ending {
    match report.verdict {
        Verdict::Violated => Ending::Well,
        // A mutant's states are not counted.
        Verdict::Verified | Verdict::Changed => Ending::NotWell,
        Verdict::Bounded | Verdict::Incomplete => Ending::Incomplete,
    }
}

/// A control whose run was cut short holds if that was no earlier than its mutants were caught:
/// breadth first, all that is as few steps away has been looked at.
fn control_ending(report: &Report, depth: Option<usize>) -> Ending {
    let is_breadth_first = report.engine == Engine::Native.name();
    let is_deep_enough = depth.is_some_and(|depth| depth > 0 && report.depth >= depth);
    match report.verdict {
        Verdict::Violated | Verdict::Changed => Ending::NotWell,
        Verdict::Verified => Ending::Well,
        // A simulation, which ends in no other way.
        Verdict::Bounded => Ending::Well,
        Verdict::Incomplete if is_breadth_first && is_deep_enough => Ending::Well,
        Verdict::Incomplete => Ending::Incomplete,
    }
}
