//! `checks mutants`: every mutant must be caught, and every control hold.
//!
//! A mutant's control is the same model with the right protocol in it: whatever catches the
//! mutant must not be something that the right protocol violates as well.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{Context, Ending};
use crate::catalogue::{self, ProtocolRow};
use crate::cli::EngineArgs;
use crate::engine::{Engine, Limits, Reductions};
use crate::report::Verdict;
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
}

impl MutantReport {
    /// Whether this is as it must be: mutants caught, controls not.
    pub fn is_well(&self) -> bool {
        self.control == (self.verdict != Verdict::Violated)
    }

    fn to_text(&self) -> String {
        let what = match (self.control, self.is_well()) {
            (true, true) => format!("{}: control holds", self.verdict.name()),
            (true, false) => "CONTROL REFUTED".to_owned(),
            (false, true) => format!("caught in {} steps", self.trace_len),
            (false, false) => "SURVIVED".to_owned(),
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
    let mut reports = run_mutants(context, plan, seed)?;
    for row in &rows {
        for control in controls(row, plan)? {
            reports.push(run_one(context, row.name, control.as_ref(), plan, seed)?);
        }
    }
    let mutants = reports.iter().filter(|report| !report.control);
    let caught = mutants.clone().filter(|report| report.is_well()).count();
    let controls = reports.iter().filter(|report| report.control);
    let held = controls.clone().filter(|report| report.is_well()).count();
    context.say(&format!(
        "{caught} of {} mutants caught, {held} of {} controls hold\n",
        mutants.count(),
        controls.count(),
    ));
    let left_out: usize = rows.iter().map(|row| row.mutants.len()).sum();
    let left_out = left_out - reports.iter().filter(|report| !report.control).count();
    if left_out > 0 {
        context.say(&format!(
            "{left_out} that liveness refutes left out: they are for --engine native\n"
        ));
    }
    context.print_json(&reports)?;
    Ok(Ending::of(reports.iter().all(MutantReport::is_well)))
}

/// Runs the plan's mutants without their controls. One that is not caught within the budget has
/// survived.
///
/// # Errors
/// If there is no such protocol or model, or a trace cannot be written.
pub fn run_mutants(context: &Context, plan: &Plan, seed: u64) -> Result<Vec<MutantReport>> {
    let mut reports = Vec::new();
    for row in chosen(plan)? {
        for mutant in mutants(&row, plan) {
            reports.push(run_one(context, row.name, mutant.as_ref(), plan, seed)?);
        }
    }
    Ok(reports)
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
    let mut protocols = catalogue::protocols();
    if let Some(name) = protocol
        && !protocols.iter().any(|row| row.name == name)
    {
        let names: Vec<&str> = protocols.iter().map(|row| row.name).collect();
        bail!(
            "there is no protocol \"{name}\"; there are: {}",
            names.join(", ")
        );
    }
    protocols.retain(|row| protocol.is_none_or(|name| name == row.name));
    Ok(protocols)
}

fn protocol_of(model: &dyn Subject) -> &'static str {
    model.model().split('/').next().unwrap_or_default()
}

fn run_one(
    context: &Context,
    protocol: &'static str,
    subject: &dyn Subject,
    plan: &Plan,
    seed: u64,
) -> Result<MutantReport> {
    let progress = context.progress();
    let run = Run {
        progress: &progress,
        traces: &context.traces,
        reductions: Reductions::STANDARD,
        seed,
        checkpoint: None,
    };
    let limits = plan.limits.within(Some(plan.budget));
    let report = subject.verify(plan.engine.engine, &limits, &run)?;
    let mutant = subject.mutant();
    let report = MutantReport {
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
    };
    context.say(&report.to_text());
    if progress.is_interrupted() {
        bail!("interrupted at {}", report.id);
    }
    Ok(report)
}
