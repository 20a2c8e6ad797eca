//! What a run comes to: verdicts, and how they are shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::command::Ending;
use crate::engine::simulate::Simulated;
use crate::engine::{Fired, Kind, Stop};

/// What may be said of a model after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every state within the model's bounds was seen, and every property holds.
    Verified,
    /// A limit that was asked for was reached before every state was seen. No violation so far.
    Bounded,
    /// The run was cut short: by time, memory, the disk or the user. No violation so far.
    Incomplete,
    /// Every state was seen, and nothing is refuted; but there are not as many as the model's row
    /// says. Something has changed, and nobody has said that it was to.
    Changed,
    /// A property does not hold, or what must be shown is not.
    Violated,
}

impl Verdict {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Bounded => "bounded",
            Self::Incomplete => "incomplete",
            Self::Changed => "changed",
            Self::Violated => "violated",
        }
    }
}

/// The verdict on one property.
#[derive(Clone, Debug, Serialize)]
pub struct PropertyReport {
    /// Its name.
    pub name: &'static str,
    /// What kind of property it is.
    pub kind: Kind,
    /// Whether it holds: of all states seen, or, where something must be reachable, of one.
    /// `None` where this run has not decided it.
    pub holds: Option<bool>,
}

/// The result of one run over one model.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// The engine's name.
    pub engine: &'static str,
    /// How many threads it used.
    pub threads: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// Distinct states; of a simulation, about how many.
    pub unique: u64,
    /// States generated.
    pub generated: u64,
    /// How deep the search went: the greatest distance from the initial state in a
    /// breadth-first search, the longest path walked in any other.
    pub depth: usize,
    /// Wall-clock time.
    pub seconds: f64,
    /// The largest resident set, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// The reductions that were on.
    pub reductions: Vec<&'static str>,
    /// How often each kind of action and each arm of the step function was taken, where the
    /// engine counts.
    pub fired: Option<Fired>,
    /// How many of the steps were not taken, because they lead where others lead.
    pub left_out: Option<u64>,
    /// How many pairs of states are to be expected that the engine took for one, where it says.
    pub expected_collisions: Option<f64>,
    /// How many bits of a state's hash that rests on.
    pub fingerprint_bits: Option<u32>,
    /// What a simulation tells beside.
    pub simulated: Option<Simulated>,
    /// The verdict on each property.
    pub properties: Vec<PropertyReport>,
    /// Where the trace of the violation is, if there is one.
    pub trace_file: Option<String>,
    /// What may go wrong in the model.
    pub faults: &'static str,
    /// What makes it finite.
    pub bounds: &'static str,
    /// Why the run did not see every state, or did not decide liveness.
    pub stopped: Option<Stop>,
    /// What the model must show and the run has not shown.
    pub unseen: Vec<&'static str>,
    /// What became of the search, where it was to be kept.
    pub checkpoint: Option<String>,
    /// What is wrong, in words, where the verdict is `violated` or `changed`.
    pub violation: Option<String>,
    /// The steps to the violation, in words.
    pub steps: Vec<String>,
    /// The position of the step from which on the steps repeat for ever, where what is violated
    /// is a liveness property.
    pub loop_start: Option<usize>,
}

/// Stands before the steps of a loop.
pub const FOR_EVER: &str = "and from here on for ever:";

/// Stands after the last step of a run in which nothing more happens.
pub const NOTHING_MORE: &str = "and nothing more happens, for ever";

impl Report {
    /// How a command ends that has asked for this run. A run that was to end early must still have
    /// shown what its model must show: else that nothing was violated says nothing.
    pub fn ending(&self) -> Ending {
        match self.verdict {
            Verdict::Verified => Ending::Well,
            Verdict::Bounded if self.unseen.is_empty() => Ending::Well,
            Verdict::Bounded | Verdict::Incomplete => Ending::Incomplete,
            Verdict::Changed | Verdict::Violated => Ending::NotWell,
        }
    }

    /// The report as a few lines of text; the counterexample, if there is one, step by step.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{:<20} {:<10} {:>9} unique {:>11} generated  depth {:>3}  {:>7.1} s  {:>6}  {}\n",
            self.model,
            self.verdict.name(),
            self.unique,
            self.generated,
            self.depth,
            self.seconds,
            self.peak_rss_bytes
                .map_or_else(|| "-".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
            self.engine,
        );
        let _ = writeln!(text, "  faults: {}; bounds: {}", self.faults, self.bounds);
        if let Some(stop) = self.stopped {
            let what = match self.invariants_hold() {
                true => "every state was seen, but liveness is not decided",
                false => "not every state was seen",
            };
            let _ = writeln!(text, "  {what}: {}", stop.reason());
            if !self.unseen.is_empty() {
                let unseen = self.unseen.join("; ");
                let _ = writeln!(text, "  must be seen, and was not yet: {unseen}");
            }
        }
        if let Some(outcome) = &self.checkpoint {
            let _ = writeln!(text, "  {outcome}");
        }
        self.write_simulated(&mut text);
        self.write_properties(&mut text);
        self.write_fired(&mut text);
        if let Some(violation) = &self.violation {
            let what = self.verdict.name().to_uppercase();
            let _ = writeln!(text, "  {what}: {violation}");
        }
        for (position, step) in self.steps.iter().enumerate() {
            if self.loop_start == Some(position) {
                let _ = writeln!(text, "  {FOR_EVER}");
            }
            let _ = writeln!(text, "  {:>3}. {step}", position + 1);
        }
        if self.loop_start == Some(self.steps.len()) {
            let _ = writeln!(text, "  {NOTHING_MORE}");
        }
        if let Some(file) = &self.trace_file {
            let _ = writeln!(text, "  replay it: cargo run -p checks -- replay {file}");
            let _ = writeln!(
                text,
                "  look at it: cargo run -p checks -- explore --trace {file}"
            );
        }
        text
    }

    /// Whether the invariants were decided: only where every state was seen.
    fn invariants_hold(&self) -> bool {
        let holds = |row: &PropertyReport| row.kind == Kind::Invariant && row.holds == Some(true);
        self.properties.iter().any(holds)
    }

    /// How a simulation went, and where it was before what it found was shrunk.
    fn write_simulated(&self, text: &mut String) {
        let Some(simulated) = &self.simulated else {
            return;
        };
        let _ = writeln!(
            text,
            "  seed {}: {} walks, {} steps, from {} worlds kept on the way; about so many unique",
            simulated.seed, simulated.walks, self.generated, simulated.kept,
        );
        if let Some(steps) = simulated.found_in_steps {
            let shrunk = self.steps.len();
            let _ = writeln!(
                text,
                "  found {steps} steps from the start, shrunk to {shrunk}"
            );
        }
    }

    /// What was done how often, and how sure the number of states is.
    fn write_fired(&self, text: &mut String) {
        if let Some(fired) = &self.fired {
            let line = |counts: &BTreeMap<String, u64>| {
                let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
                counts.collect::<Vec<_>>().join(", ")
            };
            let _ = writeln!(text, "  actions: {}", line(&fired.actions));
            let _ = writeln!(text, "  arms of step: {}", line(&fired.arms));
        }
        if let Some(left_out) = self.left_out.filter(|&steps| steps > 0) {
            let _ = writeln!(
                text,
                "  steps not taken, as they commute with the one before: {left_out}"
            );
        }
        if let (Some(collisions), Some(bits)) = (self.expected_collisions, self.fingerprint_bits) {
            let _ = writeln!(
                text,
                "  states taken for others by their {bits}-bit fingerprints: {collisions:.1e} \
                 expected"
            );
        }
    }

    /// Each property under its verdict.
    fn write_properties(&self, text: &mut String) {
        let groups: [(&str, &[Kind], Option<bool>); 5] = [
            (
                "hold",
                &[Kind::Invariant, Kind::Law, Kind::Liveness],
                Some(true),
            ),
            (
                "do not hold",
                &[Kind::Invariant, Kind::Law, Kind::Liveness],
                Some(false),
            ),
            ("seen", &[Kind::Reachable], Some(true)),
            ("never seen", &[Kind::Reachable], Some(false)),
            (
                "not decided",
                &[Kind::Invariant, Kind::Law, Kind::Liveness],
                None,
            ),
        ];
        for (title, kinds, holds) in groups {
            let rows = self.properties.iter();
            let rows = rows.filter(|row| kinds.contains(&row.kind) && row.holds == holds);
            let names: Vec<&str> = rows.map(|row| row.name).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "  {title}: {}", names.join("; "));
            }
        }
    }
}
