//! `checks mutants`: every mutant must be caught, and every control hold.
//!
//! A mutant's control is the same model with the right protocol in it: whatever catches the
//! mutant must not be something that the right protocol violates as well.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{Context, Ending};
use crate::catalogue::{self, ProtocolRow};
use crate::engine::{Engine, Limits};
use crate::report::Verdict;
use crate::subject::{Run, Subject};

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

/// Runs the mutants of a protocol, or of all, and their controls, each for so long at most.
///
/// # Errors
/// If there is no such protocol, or a trace cannot be written.
pub fn run(
    context: &Context,
    protocol: Option<&str>,
    limits: &Limits,
    budget: Duration,
) -> Result<Ending> {
    let reports = run_all(context, protocol, limits, budget)?;
    let mutants = reports.iter().filter(|report| !report.control);
    let caught = mutants.clone().filter(|report| report.is_well()).count();
    let controls = reports.iter().filter(|report| report.control);
    let held = controls.clone().filter(|report| report.is_well()).count();
    context.say(&format!(
        "{caught} of {} mutants caught, {held} of {} controls hold\n",
        mutants.count(),
        controls.count(),
    ));
    context.print_json(&reports)?;
    Ok(Ending::of(reports.iter().all(MutantReport::is_well)))
}

/// Runs the mutants of a protocol, or of all, and then their controls.
fn run_all(
    context: &Context,
    protocol: Option<&str>,
    limits: &Limits,
    budget: Duration,
) -> Result<Vec<MutantReport>> {
    let mut reports = run_mutants(context, protocol, limits, budget)?;
    for row in chosen(protocol)? {
        for model in &row.models {
            let mut mutants = row.mutants.iter();
            let refutes = mutants.any(|mutant| mutant.model() == model.model());
            if refutes {
                let limits = limits.within(Some(budget));
                reports.push(run_one(context, row.name, model.as_ref(), &limits)?);
            }
        }
    }
    Ok(reports)
}

/// Runs the mutants of a protocol, or of all, without their controls. One that is not caught
/// within the budget has survived.
///
/// # Errors
/// If there is no such protocol, or a trace cannot be written.
pub fn run_mutants(
    context: &Context,
    protocol: Option<&str>,
    limits: &Limits,
    budget: Duration,
) -> Result<Vec<MutantReport>> {
    let mut reports = Vec::new();
    for row in chosen(protocol)? {
        for mutant in &row.mutants {
            let limits = limits.within(Some(budget));
            reports.push(run_one(context, row.name, mutant.as_ref(), &limits)?);
        }
    }
    Ok(reports)
}

fn chosen(protocol: Option<&str>) -> Result<Vec<ProtocolRow>> {
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

fn run_one(
    context: &Context,
    protocol: &'static str,
    subject: &dyn Subject,
    limits: &Limits,
) -> Result<MutantReport> {
    let progress = context.progress();
    let run = Run {
        progress: &progress,
        traces: &context.traces,
        reductions: true,
    };
    let report = subject.verify(Engine::Native, limits, &run)?;
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
