//! `checks gate`: what a user puts in CI.
//!
//! The jobs know nothing of each other, so as many are done at a time as there are threads, each on
//! one: the longest first, so that none is left to the end, when the others have nothing to do. With
//! `--fail-fast` what fails fastest comes first. What is reported, and in which order, does not
//! depend on that.

mod jobs;
mod junit;
mod parts;
mod plan;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;

use self::jobs::Done;
use self::parts::{GateReport, Part};
use self::plan::{PartPlan, Plan};
use super::{Context, Ending, pool};
use crate::catalogue::{self, ProtocolRow};
use crate::cli::GateArgs;
use crate::engine::Limits;
use crate::fuzz::FuzzReport;
use crate::matrix::Matrix;
use crate::progress;

/// Verifies the small models, searches the large ones as far as there is time, runs the
/// mutants and a seeded fuzz: of every protocol, or of those named.
///
/// # Errors
/// If there is no such protocol, or a file cannot be written.
pub fn run(context: &Context, args: &GateArgs) -> Result<Ending> {
    let protocols = catalogue::protocols_named(&args.protocols)?;
    let plan = Plan::new(&protocols);
    let started = Instant::now();
    let mut gate = Gate {
        context,
        plan: &plan,
        done: plan.jobs.iter().map(|_| None).collect(),
        next: 0,
        parts: Vec::new(),
        bar: progress::counter("gate", plan.jobs.len()),
    };
    gate.run(args)?;
    let (is_whole, parts) = (gate.next == plan.parts.len(), gate.parts);
    let cut_short = (!is_whole).then_some(Ending::Incomplete);
    let ending = Ending::of_all(parts.iter().map(|part| part.ending).chain(cut_short));
    context.say(&format!(
        "{} in {:.0} s{}\n",
        match ending {
            Ending::Well => "PASS",
            Ending::Incomplete => "INCOMPLETE",
            Ending::NotWell => "FAIL",
        },
        started.elapsed().as_secs_f64(),
        match is_whole {
            true => "",
            false => ", and not all of it has run",
        }
    ));
    let report = GateReport {
        ok: ending == Ending::Well,
        ending,
        parts,
    };
    if let Some(path) = &args.junit {
        junit::write(&report, path)?;
    }
    context.print_json(&report)?;
    Ok(ending)
}

/// A gate at work.
struct Gate<'a> {
    context: &'a Context,
    plan: &'a Plan<'a>,
    /// What came of each job.
    done: Vec<Option<Done>>,
    /// The part that is to be reported next.
    next: usize,
    /// Those that have been reported.
    parts: Vec<Part>,
    bar: ProgressBar,
}

impl Gate<'_> {
    /// Runs all jobs; breaks off at a failure if that is wanted, and when the user has had enough.
    fn run(&mut self, args: &GateArgs) -> Result<()> {
        let (context, plan, jobs) = (self.context, self.plan, &self.plan.jobs);
        let all = Limits::on(args.threads).threads;
        // Where there are fewer jobs than threads, each may use several.
        let each = NonZero::new(all.get() / plan.jobs.len().max(1));
        let limits = Limits::on(Some(each.unwrap_or(NonZero::<usize>::MIN)));
        // What the jobs themselves would print stays unsaid. They end early when the user wants
        // that, and at the first failure if that is wanted.
        let quiet = Context {
            json: true,
            traces: context.traces.clone(),
            interrupted: Arc::new(AtomicBool::new(false)),
        };
        let enough = Arc::clone(&quiet.interrupted);
        let goes_on = || {
            if context.is_interrupted() {
                enough.store(true, Ordering::Relaxed);
            }
            !enough.load(Ordering::Relaxed)
        };
        let mut error = None;
        pool::run(
            plan.order(args.fail_fast),
            all,
            |job| jobs[job].run(&quiet, &limits),
            |job, result| {
                self.bar.inc(1);
                match result {
                    Ok(done) => {
                        let fails = done.ending() != Ending::Well;
                        if args.fail_fast && fails && !done.is_interrupted() {
                            enough.store(true, Ordering::Relaxed);
                        }
                        self.done[job] = Some(done);
                        self.report();
                    }
                    Err(failure) => {
                        enough.store(true, Ordering::Relaxed);
                        error = Some(failure);
                    }
                }
                goes_on()
            },
            goes_on,
        );
        self.report_the_rest();
        self.bar.finish_and_clear();
        error.map_or(Ok(()), Err)
    }

    /// What came of a job, if it was done and not broken off.
    fn done(&self, job: usize) -> Option<&Done> {
        let done = self.done[job].as_ref();
        done.filter(|done| !done.is_interrupted())
    }

    /// Reports the parts whose turn it is and whose jobs are done.
    fn report(&mut self) {
        while let Some(part) = self.plan.parts.get(self.next)
            && part.jobs().all(|job| self.done(job).is_some())
        {
            self.add(part);
            self.next += 1;
        }
    }

    /// Where it was broken off: reports, of the parts that are left, those that are done, and those
    /// that have failed already.
    fn report_the_rest(&mut self) {
        for part in self.plan.parts.iter().skip(self.next) {
            let is_bad = |job| {
                self.done(job)
                    .is_some_and(|done| done.ending() != Ending::Well)
            };
            let is_done = part.jobs().all(|job| self.done(job).is_some());
            if (is_done && !part.jobs().is_empty()) || part.jobs().any(is_bad) {
                self.add(part);
            }
        }
    }

    fn add(&mut self, part: &PartPlan<'_>) {
        let Some(part) = self.part(part) else {
            return;
        };
        let line = format!(
            "{:<4} {:<28} {:>6.1} s  {}\n",
            match part.ending {
                Ending::Well => "ok",
                Ending::Incomplete => "CUT",
                Ending::NotWell => "FAIL",
            },
            part.name,
            part.seconds,
            part.detail
        );
        self.bar.suspend(|| self.context.say(&line));
        self.parts.push(part);
    }

    /// What is to be said of a part, by what came of its jobs; nothing where they are not done.
    fn part(&self, part: &PartPlan<'_>) -> Option<Part> {
        match part {
            PartPlan::Model(_, size, job) => match self.done(*job)? {
                done @ Done::Model(report) => Some(parts::model(report, *size, done.ending())),
                Done::Mutant(_) | Done::Fuzz(_) | Done::Sample(_) => None,
            },
            PartPlan::Arms(row) => Some(self.arms(row)),
            PartPlan::Mutants(row, jobs) => {
                let done = jobs.clone().filter_map(|job| self.done(job));
                let reports = done.filter_map(|done| match done {
                    Done::Mutant(report) => Some(report),
                    Done::Model(_) | Done::Fuzz(_) | Done::Sample(_) => None,
                });
                Some(parts::mutants(row, &reports.collect::<Vec<_>>()))
            }
            PartPlan::Generated(subject) => {
                Some(parts::generated(subject, &catalogue::protocols()))
            }
            PartPlan::Fuzz(job) => match self.done(*job)? {
                Done::Fuzz(report) => Some(parts::fuzz(report)),
                Done::Model(_) | Done::Mutant(_) | Done::Sample(_) => None,
            },
            PartPlan::Pairs(row, jobs) => Some(self.pairs(row, jobs.clone())),
        }
    }

    /// Whether any two features of a protocol have met somewhere.
    fn pairs(&self, row: &ProtocolRow, jobs: Range<usize>) -> Part {
        let Some(model) = row.models.first() else {
            return Part::new("pairs", Ending::NotWell, 0.0, "no models");
        };
        let mut matrix = Matrix::new(model.as_ref());
        let mut seconds = 0.0;
        for done in jobs.filter_map(|job| self.done(job)) {
            if let Done::Sample(report) = done {
                matrix.add(true, &report.pairs);
                seconds += report.seconds;
            }
        }
        let prefix = row.family();
        let fuzzed = self.done.iter().flatten().filter_map(|done| match done {
            Done::Fuzz(report) => Some(report),
            Done::Model(_) | Done::Mutant(_) | Done::Sample(_) => None,
        });
        let is_of_family = |report: &&FuzzReport| {
            let protocol = report.model.split(['/', '-']).next();
            protocol == Some(prefix)
        };
        for report in fuzzed.filter(is_of_family) {
            matrix.add(false, &report.pairs);
        }
        parts::pairs(prefix, &matrix, seconds)
    }

    /// Whether the models of a protocol have taken every arm of its step function: one that was
    /// never taken has never been checked.
    fn arms(&self, row: &ProtocolRow) -> Part {
        let family = row.family();
        let all = row.models.first().map(|model| model.arms());
        let all = all.unwrap_or_default();
        let taken = self.taken(family);
        let never = all.iter().filter(|arm| !taken.contains(arm.as_str()));
        let never: Vec<&str> = never.map(String::as_str).collect();
        let detail = match never.is_empty() {
            true => format!("all {} taken", all.len()),
            false => format!("never taken: {}", never.join(", ")),
        };
        let ending = Ending::of(never.is_empty() && !all.is_empty());
        Part::new(&format!("arms {family}"), ending, 0.0, &detail)
    }

    /// The arms that the models of a family have taken.
    fn taken(&self, family: &str) -> BTreeSet<&str> {
        let parts = self.plan.parts.iter();
        let jobs = parts.filter_map(|part| match part {
            PartPlan::Model(row, _, job) if row.family() == family => Some(*job),
            _ => None,
        });
        let reports = jobs.filter_map(|job| match self.done(job) {
            Some(Done::Model(report)) => report.fired.as_ref(),
            _ => None,
        });
        reports
            .flat_map(|fired| fired.arms.keys().map(String::as_str))
            .collect()
    }
}
