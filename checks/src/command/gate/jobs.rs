//! What a gate has to do: jobs that know nothing of each other, and how long each may take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use models::specification::Size;

use crate::catalogue::ProtocolRow;
use crate::cli::EngineArgs;
use crate::command::mutants::{self, MutantReport};
use crate::command::{Context, Ending};
use crate::engine::{Engine, Limits, Reductions, Stop};
use crate::fuzz::{FuzzReport, FuzzVerdict, Plan};
use crate::matrix::WALKED_CASES;
use crate::progress::Progress;
use crate::report::{Report, Verdict};
use crate::subject::{Run, Subject};

/// About how many states are walked in the time that it takes to sample one model.
const COST_OF_SAMPLING: u64 = 500_000;

/// How long the gate gives each mutant to be caught. Most take less than a second; one that
/// only liveness refutes needs the finished graph, the slowest about a minute.
const MUTANT_BUDGET: Duration = Duration::from_secs(240);

/// One thing to do.
pub(super) struct Job<'a> {
    kind: Kind,
    /// The protocol's name.
    protocol: &'static str,
    subject: &'a dyn Subject,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A small model: whole.
    Verify,
    /// A large model: in part.
    Search,
    Mutant,
    /// A world that is too large to walk: sampled.
    Fuzz,
    /// A small model, sampled: which features meet in it.
    Sample,
}

/// What came of a job.
pub(super) enum Done {
    Model(Box<Report>),
    Mutant(MutantReport),
    Fuzz(FuzzReport),
    Sample(FuzzReport),
}

impl Done {
    /// Whether it is as it must be.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Model(report) => model_ending(report),
            Self::Mutant(report) => report.ending,
            // The gate's runs are of a fixed number.
            Self::Fuzz(report) => report.verdict.ending(),
            // That a few runs have not shown all that the model shows says nothing.
            Self::Sample(report) => Ending::of(report.verdict != FuzzVerdict::Violated),
        }
    }

    /// Whether it was broken off.
    pub(super) fn is_interrupted(&self) -> bool {
        let stopped = match self {
            Self::Model(report) => report.stopped,
            Self::Mutant(report) => report.stopped,
            Self::Fuzz(report) | Self::Sample(report) => report.stopped,
        };
        stopped == Some(Stop::Interrupted)
    }
}

/// A small model must be verified. Of a large one the gate sees as much as it has said: no less, and
/// whether that shows all that the model can show is not asked.
fn model_ending(report: &Report) -> Ending {
    match (report.verdict, report.stopped) {
        (Verdict::Violated | Verdict::Changed, _) => Ending::NotWell,
        (Verdict::Verified, _) => Ending::Well,
        (_, Some(Stop::States)) if report.unique >= Limits::STATES_OF_A_LARGE_MODEL => Ending::Well,
        _ => Ending::Incomplete,
    }
}

impl<'a> Job<'a> {
    /// A model, whole or in part.
    pub(super) fn model(row: &ProtocolRow, subject: &'a dyn Subject) -> Self {
        let kind = match subject.row().size {
            Size::Gate => Kind::Verify,
            Size::Large => Kind::Search,
        };
        Self::new(kind, row, subject)
    }

    /// A mutant, in the model that refutes it. Its control is one of the catalogue's models, and
    /// verified as one, or is too large for a gate.
    pub(super) fn mutant(row: &ProtocolRow, subject: &'a dyn Subject) -> Self {
        Self::new(Kind::Mutant, row, subject)
    }

    /// A world that is too large to walk: always the same runs.
    pub(super) fn fuzz(row: &ProtocolRow, subject: &'a dyn Subject) -> Self {
        Self::new(Kind::Fuzz, row, subject)
    }

    /// A small model: which features meet in its runs.
    pub(super) fn sample(row: &ProtocolRow, subject: &'a dyn Subject) -> Self {
        Self::new(Kind::Sample, row, subject)
    }

    fn new(kind: Kind, row: &ProtocolRow, subject: &'a dyn Subject) -> Self {
        let protocol = row.name;
        Self {
            kind,
            protocol,
            subject,
        }
    }

    /// About how long it takes, in states. Makes no difference but to the order.
    pub(super) fn cost(&self) -> u64 {
        let row = self.subject.row();
        let states = match row.size {
            Size::Gate => row.states.unwrap_or(COST_OF_SAMPLING),
            Size::Large => Limits::STATES_OF_A_LARGE_MODEL,
        };
        match self.kind {
            // The graph is built once more, and its edges are kept.
            Kind::Verify | Kind::Mutant if !row.decides.is_empty() => 4 * states,
            Kind::Verify | Kind::Search => states,
            // Most are caught early.
            Kind::Mutant => states / 8,
            Kind::Fuzz => COST_OF_SAMPLING,
            Kind::Sample => COST_OF_SAMPLING / 250,
        }
    }

    /// Orders of steps that commute are left out where they come back: to find out which do, steps
    /// are taken of which a search that soon ends needs no other, and that costs more than it saves.
    /// The states are the same.
    fn reductions(&self) -> Reductions {
        Reductions {
            commuting: self.kind == Kind::Verify,
            ..Reductions::STANDARD
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// If a trace cannot be written.
    pub(super) fn run(&self, context: &Context, limits: &Limits) -> Result<Done> {
        let progress = Arc::new(Progress::hidden(Arc::clone(&context.interrupted)));
        let run = Run {
            progress: &progress,
            traces: &context.traces,
            reductions: self.reductions(),
            seed: 0,
            checkpoint: None,
        };
        Ok(match self.kind {
            Kind::Verify => self.verify(limits, &run)?,
            Kind::Search => {
                // The same states each time, nearest first.
                let limits = Limits {
                    max_states: Some(Limits::STATES_OF_A_LARGE_MODEL),
                    ..*limits
                };
                self.verify(&limits, &run)?
            }
            Kind::Mutant => {
                let plan = mutants_plan(*limits);
                let report = mutants::run_one(self.protocol, self.subject, &plan, &run, 0)?;
                Done::Mutant(report)
            }
            Kind::Fuzz => Done::Fuzz(self.subject.fuzz(&Plan::for_gate(limits.threads), &run)?),
            Kind::Sample => {
                let plan = Plan {
                    cases: Some(WALKED_CASES),
                    ..Plan::for_gate(limits.threads)
                };
                Done::Sample(self.subject.fuzz(&plan, &run)?)
            }
        })
    }

    fn verify(&self, limits: &Limits, run: &Run<'_>) -> Result<Done> {
        let report = self.subject.verify(Engine::Native, limits, run)?;
        Ok(Done::Model(Box::new(report)))
    }
}

fn mutants_plan(limits: Limits) -> mutants::Plan {
    mutants::Plan {
        protocol: None,
        model: None,
        engine: EngineArgs {
            engine: Engine::Native,
            seed: None,
        },
        limits,
        budget: MUTANT_BUDGET,
    }
}
