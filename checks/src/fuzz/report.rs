//! What sampling a model comes to, for people and for programs.

use std::fmt::Write as _;

use models::Specification;
use serde::Serialize;

use super::pairs::Pairs;
use super::{Campaign, Plan};
use crate::command::Ending;
use crate::engine::Stop;
use crate::replay::explain;
use crate::subject::{Case, Subject as _};

/// What may be said of a model after sampling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FuzzVerdict {
    /// No run violated anything, and all was seen that the runs must show.
    Held,
    /// A property does not hold.
    Violated,
    /// Something that the runs must show never happened: that nothing was violated says
    /// little.
    Vacuous,
    /// It was cut short, or ended before it had shown what the runs must show.
    Incomplete,
}

impl FuzzVerdict {
    /// How a command ends that has asked for this.
    pub fn ending(self) -> Ending {
        match self {
            Self::Held => Ending::Well,
            Self::Incomplete => Ending::Incomplete,
            Self::Violated | Self::Vacuous => Ending::NotWell,
        }
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Vacuous => "vacuous",
            Self::Incomplete => "incomplete",
        }
    }
}

/// In how many runs something was seen.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessReport {
    /// What it is.
    pub name: &'static str,
    /// Whether it must be seen.
    pub required: bool,
    /// In how many runs it was.
    pub cases: u64,
}

/// The result of sampling one model.
#[derive(Clone, Debug, Serialize)]
pub struct FuzzReport {
    /// The model's name.
    pub model: String,
    /// The mutant that ran in the protocol's place, if one did.
    pub mutant: Option<&'static str>,
    /// What all randomness came from.
    pub seed: u64,
    /// The verdict.
    pub verdict: FuzzVerdict,
    /// How many runs.
    pub cases: u64,
    /// Their steps.
    pub steps: u64,
    /// About how many different worlds they went through.
    pub distinct: u64,
    /// Wall-clock time, shrinking included.
    pub seconds: f64,
    /// What was seen in how many runs.
    pub witnesses: Vec<WitnessReport>,
    /// Which features have met, in how many runs.
    #[serde(skip)]
    pub pairs: Pairs,
    /// What may go wrong in the model.
    pub faults: &'static str,
    /// What bounds it.
    pub bounds: &'static str,
    /// Why the sampling ended before all cases were played.
    pub stopped: Option<Stop>,
    /// What is wrong, in words.
    pub violation: Option<String>,
    /// The number of the run that violated it.
    pub found_in_case: Option<u64>,
    /// How many steps that run had taken, before it was shrunk.
    pub found_in_steps: Option<usize>,
    /// Where the shrunk trace is.
    pub trace_file: Option<String>,
    /// Its steps, in words.
    pub trace: Vec<String>,
}

impl FuzzReport {
    /// What the campaign over this case comes to. The time and the trace are not known yet.
    pub(crate) fn new<P: Specification>(
        case: &Case<P>,
        plan: &Plan,
        campaign: &Campaign<P>,
    ) -> Self {
        let witnesses = witnesses(case, campaign);
        let missing = missing(&witnesses);
        let found = campaign.found.as_ref();
        let (verdict, violation) = match found {
            Some(found) => (FuzzVerdict::Violated, Some(explain::<P>(&found.violation))),
            None if is_incomplete(plan, campaign, &missing) => (FuzzVerdict::Incomplete, None),
            None if missing.is_empty() => (FuzzVerdict::Held, None),
            None => {
                let missing = format!("never seen: {}", missing.join("; "));
                (FuzzVerdict::Vacuous, Some(missing))
            }
        };
        Self {
            model: case.name(),
            mutant: case.mutant.map(|mutant| mutant.id),
            seed: plan.seed,
            verdict,
            cases: campaign.cases,
            steps: campaign.steps,
            distinct: campaign.distinct,
            seconds: 0.0,
            witnesses,
            pairs: campaign.pairs.clone(),
            faults: case.model.faults,
            bounds: case.model.bounds,
            stopped: campaign.stopped,
            violation,
            found_in_case: found.map(|found| found.case),
            found_in_steps: found.map(|found| found.steps),
            trace_file: None,
            trace: Vec::new(),
        }
    }

    /// The report as a few lines of text; the counterexample, if there is one, step by step.
    pub fn to_text(&self) -> String {
        let name = match self.mutant {
            Some(mutant) => format!("{} {mutant}", self.model),
            None => self.model.clone(),
        };
        let rate = self.steps as f64 / self.seconds.max(0.001);
        let mut text = format!(
            "{name:<20} {:<10} {:>7} runs {:>9} steps ({rate:.0}/s) {:>9} distinct  {:>6.1} s  \
             seed {}\n  faults: {}; bounds: {}\n",
            self.verdict.name(),
            self.cases,
            self.steps,
            self.distinct,
            self.seconds,
            self.seed,
            self.faults,
            self.bounds,
        );
        if let Some(stop) = self.stopped {
            let _ = writeln!(text, "  ended: {}", stop.reason());
        }
        for witness in &self.witnesses {
            let never = match (witness.cases, witness.required) {
                (0, true) => "  NEVER SEEN",
                (0, false) => "  never seen",
                _ => "",
            };
            let _ = writeln!(text, "  {:>7} × {}{never}", witness.cases, witness.name);
        }
        if let Some(violation) = &self.violation {
            let what = self.verdict.name().to_uppercase();
            let _ = writeln!(text, "  {what}: {violation}");
        }
        if let (Some(case), Some(steps)) = (self.found_in_case, self.found_in_steps) {
            let shrunk = self.trace.len();
            let _ = writeln!(text, "  in run {case}, {steps} steps, shrunk to {shrunk}:");
        }
        for (number, step) in (1..).zip(&self.trace) {
            let _ = writeln!(text, "  {number:>3}. {step}");
        }
        if let Some(file) = &self.trace_file {
            let _ = writeln!(text, "  replay it: cargo run -p checks -- replay {file}");
        }
        text
    }
}

/// Whether the runs are too few for a verdict. As many as there is time for are enough where no
/// number was asked for, if they have shown what they must.
fn is_incomplete<P: Specification>(plan: &Plan, campaign: &Campaign<P>, missing: &[&str]) -> bool {
    match campaign.stopped {
        _ if campaign.cases == 0 => true,
        None => false,
        Some(Stop::Time) => plan.cases.is_some() || !missing.is_empty(),
        Some(_) => true,
    }
}

/// Each reachability property of the protocol, with the number of runs that showed it.
fn witnesses<P: Specification>(case: &Case<P>, campaign: &Campaign<P>) -> Vec<WitnessReport> {
    let rows = P::REACHABLE.iter().map(|row| WitnessReport {
        name: row.name,
        required: case.model.reaches.contains(&row.name),
        cases: campaign.witnesses.get(row.name).copied().unwrap_or(0),
    });
    rows.collect()
}

/// What should have been seen and was not.
fn missing(witnesses: &[WitnessReport]) -> Vec<&'static str> {
    let unseen = |row: &&WitnessReport| row.required && row.cases == 0;
    witnesses
        .iter()
        .filter(unseen)
        .map(|row| row.name)
        .collect()
}
