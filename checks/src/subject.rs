//! Something to check: a model, or a mutant in a model, whatever its protocol.

mod verdict;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use derive_where::derive_where;
use models::Specification;
use models::specification::{Apart, Model, Mutant, Size};
use models::world::{Action, Scenario};

use crate::arms;
use crate::diagram;
use crate::engine::liveness;
use crate::engine::native::checkpoint::{Identity, Keeper};
use crate::engine::{
    Engine, Findings, Kind, Limits, Reductions, Violation, native, simulate, stateright,
};
use crate::examine::{INERT_IS_INERT, NO_PANIC};
use crate::fuzz::{self, FuzzReport, Grounds, Plan};
use crate::guide::Guide;
use crate::lasso;
use crate::memory;
use crate::progress::{Display, Progress};
use crate::replay::{Replay, confirm, describe, explain, replay};
use crate::report::{Report, Verdict};
use crate::trace_file::TraceFile;

/// What the commands need of a model, with its protocol's types hidden.
pub trait Subject: Send + Sync {
    /// The model's name.
    fn model(&self) -> &'static str;
    /// The model's name, with the number of the world where that is drawn: `raft/drawn@7`.
    fn name(&self) -> String;
    /// The model's world of this number, if its worlds are drawn.
    fn numbered(&self, number: u64) -> Option<Box<dyn Subject>>;
    /// The model's row of the catalogue.
    fn row(&self) -> Row;
    /// The mutant that runs in the protocol's place, if one does.
    fn mutant(&self) -> Option<MutantRow>;
    /// The arms of the protocol's step function, by their names.
    fn arms(&self) -> Vec<String>;
    /// The model's properties.
    fn properties(&self) -> Vec<(&'static str, Kind)>;
    /// The protocol's features.
    fn features(&self) -> Vec<&'static str>;
    /// The pairs of features that never happen in one run.
    fn apart(&self) -> &'static [Apart];
    /// Walks the model's states and reports. A violation's trace is written to `traces`.
    ///
    /// # Errors
    /// If the trace cannot be written.
    fn verify(&self, engine: Engine, limits: &Limits, run: &Run<'_>) -> Result<Report>;
    /// Takes the steps of a trace again.
    ///
    /// # Errors
    /// If the actions are not this model's, or not possible where they stand.
    fn replay(&self, trace: &TraceFile) -> Result<Replay>;
    /// Draws the steps of a trace as SVG.
    ///
    /// # Errors
    /// If the actions are not this model's, or not possible where they stand.
    fn diagram(&self, trace: &TraceFile) -> Result<String>;
    /// Samples runs of the model and reports. A violation's trace is written to `traces`.
    ///
    /// # Errors
    /// If the trace cannot be written.
    fn fuzz(&self, plan: &Plan, run: &Run<'_>) -> Result<FuzzReport>;
    /// The place on the Explorer's page to which a trace leads.
    ///
    /// # Errors
    /// If the actions are not this model's, or not possible where they stand.
    fn place(&self, trace: &TraceFile) -> Result<String>;
    /// Serves Stateright's Explorer of the model at this address, with a trace to be followed, if
    /// there is one. Does not return otherwise.
    ///
    /// # Errors
    /// If the actions are not this model's, or not possible where they stand.
    fn serve(&self, address: SocketAddr, trace: Option<&TraceFile>) -> Result<()>;
}

/// A model's row of the catalogue.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Row {
    pub size: Size,
    pub nodes: usize,
    pub alike: usize,
    pub alike_clients: usize,
    pub purpose: &'static str,
    pub faults: &'static str,
    pub bounds: &'static str,
    pub states: Option<u64>,
    pub decides: &'static [&'static str],
}

/// A mutant's row of the catalogue.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct MutantRow {
    pub id: &'static str,
    pub defect: &'static str,
    pub source: &'static str,
}

/// What surrounds a run: where its progress is noted, where its trace goes.
pub struct Run<'a> {
    /// Where the progress is noted.
    pub progress: &'a Arc<Progress>,
    /// The folder for traces.
    pub traces: &'a Path,
    /// Whether to leave out what is proved to make no difference to any verdict. Without, there
    /// are more states than the model's row says.
    pub reductions: Reductions,
    /// What an engine that draws draws from: the same seed, the same walks.
    pub seed: u64,
    /// Where to keep the native engine's search, and to go on with it.
    pub checkpoint: Option<&'a Path>,
}

/// A model, or a mutant in a model.
#[derive_where(Clone, Copy)]
pub struct Case<P: Specification> {
    /// The model.
    pub model: &'static Model<P>,
    /// The liveness properties that are decided in it.
    pub decides: &'static [&'static str],
    /// The mutant, if any.
    pub mutant: Option<&'static Mutant<P>>,
    /// Where the model's worlds come from, if they are drawn.
    pub drawn: Option<Drawing<P>>,
}

/// Worlds that are drawn, or one of them.
#[derive_where(Clone, Copy)]
pub struct Drawing<P: Specification> {
    /// The world of a number.
    pub scenario: fn(u64) -> Scenario<P>,
    /// The number, where it is one world.
    pub number: Option<u64>,
}

impl<P: Specification> Case<P> {
    /// The world, with the mutant's defect in it.
    pub fn scenario(&self) -> Scenario<P> {
        match self.drawn {
            Some(drawn) => self.with_defect((drawn.scenario)(drawn.number.unwrap_or(0))),
            None => self.with_defect((self.model.scenario)()),
        }
    }

    fn with_defect(&self, mut scenario: Scenario<P>) -> Scenario<P> {
        if let Some(mutant) = self.mutant {
            (mutant.inject)(&mut scenario);
        }
        scenario
    }

    /// The world, as an engine sees it.
    fn reduced(&self, run: &Run<'_>) -> Scenario<P> {
        let mut scenario = self.scenario();
        scenario.drop_inert &= run.reductions.inert;
        scenario
    }

    /// Simulates the world, or, where the model's are drawn, as many as there is time for, and says
    /// in which of them a property is violated.
    fn simulate(
        &self,
        scenario: &Scenario<P>,
        limits: &Limits,
        run: &Run<'_>,
    ) -> (Findings<P>, Option<u64>) {
        match self.drawn {
            Some(Drawing { number: None, .. }) => {
                let draw = |number| self.at(Some(number)).reduced(run);
                simulate::search_drawn(&draw, run.seed, limits, run.progress)
            }
            _ => {
                let findings = simulate::search(scenario, run.seed, limits, run.progress);
                (findings, None)
            }
        }
    }

    /// The case in the world of this number, if there is one.
    fn at(&self, number: Option<u64>) -> Self {
        let drawn = self.drawn.map(|drawn| Drawing { number, ..drawn });
        Self { drawn, ..*self }
    }

    /// Writes a trace of this case and returns its path and its steps in words.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_trace(
        &self,
        scenario: &Scenario<P>,
        violation: &Violation<P>,
        seed: Option<u64>,
        folder: &Path,
    ) -> Result<(String, Vec<String>)> {
        let actions = serde_json::to_value(&violation.actions)?;
        let mutant = self.mutant.map(|mutant| mutant.id);
        let mut file = TraceFile::new(&self.name(), mutant, actions);
        file.property = Some(violation.property.to_owned());
        file.seed = seed;
        file.loop_start = violation.loop_start;
        file.steps = describe(scenario, &violation.actions);
        let path = file.write(folder)?;
        Ok((path.display().to_string(), file.steps))
    }
}

impl<P: Specification> Subject for Case<P> {
    fn model(&self) -> &'static str {
        self.model.name
    }

    fn name(&self) -> String {
        let name = self.model.name;
        match self.drawn.and_then(|drawn| drawn.number) {
            Some(number) => format!("{name}@{number}"),
            None => name.to_owned(),
        }
    }

    fn numbered(&self, number: u64) -> Option<Box<dyn Subject>> {
        self.drawn?;
        Some(Box::new(self.at(Some(number))))
    }

    fn row(&self) -> Row {
        let scenario = self.scenario();
        Row {
            size: self.model.size,
            nodes: scenario.nodes.len(),
            alike: scenario.alike.len(),
            alike_clients: scenario.alike_clients.clients.len(),
            purpose: self.model.purpose,
            faults: self.model.faults,
            bounds: self.model.bounds,
            states: self.model.states,
            decides: self.decides,
        }
    }

    fn mutant(&self) -> Option<MutantRow> {
        self.mutant.map(|mutant| MutantRow {
            id: mutant.id,
            defect: mutant.defect,
            source: mutant.source,
        })
    }

    fn arms(&self) -> Vec<String> {
        arms::all::<P>()
    }

    fn properties(&self) -> Vec<(&'static str, Kind)> {
        let invariants = P::INVARIANTS.iter().map(|row| (row.name, Kind::Invariant));
        let laws = P::LAWS.iter().map(|row| (row.name, Kind::Law));
        let reachable = P::REACHABLE.iter().map(|row| (row.name, Kind::Reachable));
        let liveness = P::LIVENESS.iter().map(|row| (row.name, Kind::Liveness));
        [(NO_PANIC, Kind::Invariant), (INERT_IS_INERT, Kind::Law)]
            .into_iter()
            .chain(invariants)
            .chain(laws)
            .chain(reachable)
            .chain(liveness)
            .collect()
    }

    fn features(&self) -> Vec<&'static str> {
        P::FEATURES.iter().map(|row| row.name).collect()
    }

    fn apart(&self) -> &'static [Apart] {
        P::APART
    }

    fn verify(&self, engine: Engine, limits: &Limits, run: &Run<'_>) -> Result<Report> {
        let mut case = *self;
        let mut scenario = self.reduced(run);
        memory::reset_peak();
        let started = Instant::now();
        let display = Display::show(self.model.name, run.progress);
        let mut kept = None;
        let mut findings = match engine {
            Engine::Native => self.search(&scenario, limits, run, &mut kept)?,
            Engine::StaterightBfs | Engine::StaterightDfs => {
                stateright::search(&scenario, engine, limits, run.progress)
            }
            Engine::Simulate => {
                let (findings, number) = self.simulate(&scenario, limits, run);
                if number.is_some() {
                    case = self.at(number);
                    scenario = case.reduced(run);
                }
                findings
            }
        };
        let complete = findings.stopped.is_none() && findings.violation.is_none();
        let mut live = None;
        if complete && engine == Engine::Native && !self.decides.is_empty() {
            let mut decided = liveness::check(&scenario, self.decides, limits, run.progress);
            findings.stopped = decided.stopped;
            findings.violation = decided.violation.take();
            live = Some(decided);
        }
        drop(display);
        let seconds = started.elapsed().as_secs_f64();
        let peak_rss_bytes = memory::peak();
        let properties = self.properties_after(&findings, live.as_ref(), complete);
        let (mut trace_file, mut steps, mut loop_start) = (None, Vec::new(), None);
        let (mut violation, mut changed) = (None, None);
        if let Some(found) = findings.violation.take() {
            confirm(&scenario, &found)?;
            let seed = findings.simulated.as_ref().map(|simulated| simulated.seed);
            let (file, words) = case.write_trace(&scenario, &found, seed, run.traces)?;
            (trace_file, steps, loop_start) = (Some(file), words, found.loop_start);
            violation = Some(explain::<P>(&found));
        } else if findings.stopped.is_none() && self.mutant.is_none() {
            // Of a mutant nothing is expected but that a property refutes it.
            let reductions = applied(&scenario, engine, run.reductions);
            violation = self.vacuity(&findings, live.as_ref(), reductions);
            changed = self.changed(&findings, reductions);
        }
        let verdict = match (violation.is_some(), changed.is_some()) {
            (false, true) => Verdict::Changed,
            (is_violated, _) => verdict::verdict(is_violated, findings.stopped, engine, &findings),
        };
        let unseen = self.unseen(&findings);
        Ok(Report {
            model: case.name(),
            engine: engine.name(),
            threads: limits.threads.get(),
            verdict,
            unique: findings.unique,
            generated: findings.generated,
            depth: findings.depth,
            seconds,
            peak_rss_bytes,
            reductions: applied(&scenario, engine, run.reductions).names(),
            fired: findings.fired,
            left_out: findings.left_out,
            expected_collisions: findings.expected_collisions,
            fingerprint_bits: findings
                .expected_collisions
                .map(|_| limits.fingerprints.number()),
            simulated: findings.simulated,
            properties,
            trace_file,
            faults: self.model.faults,
            bounds: self.model.bounds,
            stopped: findings.stopped,
            unseen,
            checkpoint: kept,
            violation: violation.or(changed),
            steps,
            loop_start,
        })
    }

    fn replay(&self, trace: &TraceFile) -> Result<Replay> {
        let (scenario, actions) = (self.scenario(), self.read_actions(&trace.actions)?);
        let mut replayed = replay(&scenario, &actions)?;
        if let (Some(start), Some(property)) = (trace.loop_start, &trace.property) {
            replayed.loop_start = Some(start);
            if replayed.violated.is_none() {
                replayed.violated = lasso::violated(&scenario, property, &actions, start)?;
            }
        }
        Ok(replayed)
    }

    fn diagram(&self, trace: &TraceFile) -> Result<String> {
        let actions = self.read_actions(&trace.actions)?;
        let turns = self.guide(trace)?.turns(&actions);
        Ok(diagram::with_notes(&self.scenario(), &actions, &turns))
    }

    fn fuzz(&self, plan: &Plan, run: &Run<'_>) -> Result<FuzzReport> {
        let started = Instant::now();
        let display = Display::show(self.model.name, run.progress);
        let draw = |number| self.at(Some(number)).scenario();
        let grounds = match self.drawn {
            Some(Drawing { number: None, .. }) => Grounds::Drawn(&draw),
            _ => Grounds::One(Box::new(self.scenario())),
        };
        let campaign = fuzz::run(self.model.name, grounds, plan, run.progress);
        drop(display);
        let mut report = FuzzReport::new(self, plan, &campaign);
        report.seconds = started.elapsed().as_secs_f64();
        if let Some(found) = &campaign.found {
            confirm(&found.scenario, &found.violation)?;
            let seed = Some(plan.seed);
            let world = self.drawn.and_then(|drawn| found.number.or(drawn.number));
            let case = self.at(world);
            let written = case.write_trace(&found.scenario, &found.violation, seed, run.traces)?;
            (report.trace_file, report.trace) = (Some(written.0), written.1);
        }
        Ok(report)
    }

    fn place(&self, trace: &TraceFile) -> Result<String> {
        Ok(stateright::place(&self.guide(trace)?))
    }

    fn serve(&self, address: SocketAddr, trace: Option<&TraceFile>) -> Result<()> {
        let guide = trace.map(|trace| self.guide(trace)).transpose()?;
        stateright::serve(self.scenario(), guide, address);
        Ok(())
    }
}

impl<P: Specification> Case<P> {
    /// Lets the native engine walk the scenario, and keeps the search if that is asked for.
    fn search(
        &self,
        scenario: &Scenario<P>,
        limits: &Limits,
        run: &Run<'_>,
        kept: &mut Option<String>,
    ) -> Result<Findings<P>> {
        let Some(file) = run.checkpoint else {
            return Ok(native::search(
                scenario,
                run.reductions,
                limits,
                run.progress,
            ));
        };
        let mutant = self.mutant.map(|mutant| mutant.id);
        let identity = Identity::new(&self.name(), mutant, run.reductions, limits.fingerprints)?;
        let mut keeper = Keeper::new(file, identity)?;
        let findings =
            native::search_kept(scenario, run.reductions, limits, run.progress, &mut keeper);
        let findings = findings.with_context(|| format!("cannot go on from {}", file.display()))?;
        if findings.stopped.is_some() {
            *kept = Some(keeper.outcome());
        }
        Ok(findings)
    }

    fn read_actions(&self, actions: &serde_json::Value) -> Result<Vec<Action<P>>> {
        serde_json::from_value(actions.clone())
            .with_context(|| format!("the actions are not of model {}", self.name()))
    }

    fn guide(&self, trace: &TraceFile) -> Result<Guide<P>> {
        let (scenario, actions) = (self.scenario(), self.read_actions(&trace.actions)?);
        let violated = match (trace.loop_start, &trace.property) {
            (Some(start), Some(property)) => lasso::violated(&scenario, property, &actions, start)?,
            _ => None,
        };
        Guide::new(&scenario, actions, trace.loop_start, violated)
    }
}

/// The reductions that are applied, of those that are on.
fn applied<P: Specification>(scenario: &Scenario<P>, engine: Engine, on: Reductions) -> Reductions {
    let merges = on.symmetry && engine == Engine::Native && scenario.has_symmetry();
    Reductions {
        inert: scenario.drop_inert,
        commuting: on.commuting && engine == Engine::Native && !merges,
        symmetry: merges,
    }
}
