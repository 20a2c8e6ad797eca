//! `checks mutants --generated`: changes the step files in every way that can be generated, and
//! notes what refutes each change.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::{Context, Ending, pool};
use crate::catalogue::{self, ProtocolRow};
use crate::engine::Kind;
use crate::generated::complete::{Tally, complaint};
use crate::generated::copy::{self, Copy};
use crate::generated::judge::Judge;
use crate::generated::record::Record;
use crate::generated::verdict::Verdict;
use crate::generated::{Function, Number, SUBJECTS, Subject, workspace};
use crate::nearest::unknown;
use crate::progress;

/// After how many verdicts the results are written.
const KEPT_AFTER: usize = 20;

/// Which mutants to judge, and how.
pub struct Plan {
    /// Only those of this protocol.
    pub protocol: Option<String>,
    /// All, also those of which it is known what refutes them.
    pub again: bool,
    /// How long each may take.
    pub budget: Duration,
    /// How many are judged at a time.
    pub threads: NonZero<usize>,
}

/// What came of one protocol's mutants.
#[derive(Debug, Serialize)]
struct Report {
    protocol: &'static str,
    ending: Ending,
    tally: Tally,
    refuted_percent: f64,
    results: PathBuf,
    complaint: Option<String>,
    seconds: f64,
}

/// Judges the plan's mutants, and writes what came of them.
///
/// # Errors
/// If there is no such protocol, the mutants do not build, the right protocol does not hold, or a
/// file cannot be read or written.
pub fn run(context: &Context, plan: &Plan) -> Result<Ending> {
    let names: Vec<&str> = SUBJECTS.iter().map(|subject| subject.protocol).collect();
    if let Some(name) = &plan.protocol
        && !names.contains(&name.as_str())
    {
        return Err(unknown("protocol", name, &names));
    }
    let workspace = workspace();
    let mutants = Mutants::of_all(&workspace)?;
    let copy = mutants.build(context, &workspace)?;
    let mut reports = Vec::new();
    for (subject, numbered) in SUBJECTS.iter().zip(&mutants.subjects) {
        if plan
            .protocol
            .as_deref()
            .is_none_or(|name| name == subject.protocol)
        {
            let judging = Judging {
                context,
                plan,
                subject,
                numbered,
                copy: &copy,
                results: subject.results(&workspace),
            };
            reports.push(judging.run()?);
        }
        if context.is_interrupted() {
            break;
        }
    }
    context.print_json(&reports)?;
    let cut_short = context.is_interrupted().then_some(Ending::Incomplete);
    let endings = reports.iter().map(|report| report.ending);
    Ok(Ending::of_all(endings.chain(cut_short)))
}

/// All mutants of all protocols, for they are in one program.
struct Mutants {
    subjects: Vec<Numbered>,
    /// Those that are known to be no programs.
    unviable: BTreeSet<Number>,
}

/// A protocol's functions, each with the number of its first mutant, and what is known of them.
struct Numbered {
    functions: Vec<(Number, Function)>,
    record: Record,
}

impl Mutants {
    fn of_all(workspace: &Path) -> Result<Self> {
        let (mut next, mut unviable) = (1, BTreeSet::new());
        let mut subjects = Vec::new();
        for subject in &SUBJECTS {
            let functions = subject.functions(workspace)?;
            let record = Record::read(&subject.results(workspace))?.renewed(&functions);
            let numbered = functions.into_iter().map(|function| {
                let first = next;
                next += function.mutants.len();
                for (number, mutant) in (first..).zip(&function.mutants) {
                    if record.verdict(&function, mutant) == Some(&Verdict::Unviable) {
                        unviable.insert(number);
                    }
                }
                (first, function)
            });
            let functions = numbered.collect();
            subjects.push(Numbered { functions, record });
        }
        Ok(Self { subjects, unviable })
    }

    /// Builds the program of all mutants, beside the program that runs.
    fn build(&self, context: &Context, workspace: &Path) -> Result<Copy> {
        let program = std::env::current_exe().context("where is this program?")?;
        let Some(target) = program.ancestors().nth(2) else {
            bail!("{} is in no target folder", program.display());
        };
        let functions = self.subjects.iter().flat_map(|subject| &subject.functions);
        let functions: Vec<&Function> = functions.map(|(_, function)| function).collect();
        let count: usize = functions
            .iter()
            .map(|function| function.mutants.len())
            .sum();
        context.say(&format!(
            "{count} mutants of {} functions, in one program\n",
            functions.len()
        ));
        copy::build(
            workspace,
            target,
            &functions,
            self.unviable.clone(),
            &|text| context.say(text),
        )
    }
}

/// One protocol's mutants at their judge.
struct Judging<'a> {
    context: &'a Context,
    plan: &'a Plan,
    subject: &'a Subject,
    numbered: &'a Numbered,
    copy: &'a Copy,
    results: PathBuf,
}

impl Judging<'_> {
    fn run(&self) -> Result<Report> {
        let started = Instant::now();
        let protocol = self.subject.protocol;
        let mut record = self.numbered.record.clone();
        let waiting = self.waiting(&mut record);
        record.write(&self.results, protocol)?;
        if !waiting.is_empty() {
            self.judge(&mut record, &waiting)?;
        }
        let rows = catalogue::protocols();
        let complaint = self.complaint(&record, &rows);
        let tally = Tally::of(&record);
        self.context.say(&format!(
            "{protocol}: {tally}; {:.0} s\n{}",
            started.elapsed().as_secs_f64(),
            match &complaint {
                Some(complaint) => format!("INCOMPLETE: {complaint}\n"),
                None => String::new(),
            }
        ));
        Ok(Report {
            protocol,
            ending: Ending::of(complaint.is_none()),
            tally,
            refuted_percent: tally.share(),
            results: self.results.clone(),
            complaint,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The mutants to be judged, by number; of those that are no programs that is noted.
    fn waiting(&self, record: &mut Record) -> Vec<(Number, &Function, usize)> {
        let mut waiting = Vec::new();
        for (first, function) in &self.numbered.functions {
            for (position, mutant) in function.mutants.iter().enumerate() {
                let number = first + position;
                if self.copy.unviable.contains(&number) {
                    record.note(function, mutant, Verdict::Unviable);
                } else if self.plan.again || !record.is_settled(function, mutant) {
                    waiting.push((number, function, position));
                }
            }
        }
        waiting
    }

    fn judge(&self, record: &mut Record, waiting: &[(Number, &Function, usize)]) -> Result<()> {
        let (context, plan) = (self.context, self.plan);
        let protocol = self.subject.protocol;
        context.say(&format!("{protocol}: {} to be judged\n", waiting.len()));
        let all = catalogue::protocols();
        let rows = self.subject.rows.iter();
        let rows: Vec<&ProtocolRow> = rows
            .filter_map(|name| all.iter().find(|row| row.name == *name))
            .collect();
        let judge = Judge::new(
            self.copy.program.clone(),
            &rows,
            Arc::clone(&context.interrupted),
            &|text| context.say(text),
        )?;
        let bar = progress::counter(protocol, waiting.len());
        let (mut failure, mut unwritten) = (None, 0);
        pool::run(
            (0..waiting.len()).collect(),
            plan.threads,
            |job| {
                let (number, function, _) = waiting[job];
                judge.judge(function, number, plan.budget)
            },
            |job, verdict| {
                bar.inc(1);
                let (_, function, position) = waiting[job];
                let mutant = &function.mutants[position];
                let kept = verdict.and_then(|verdict| {
                    let Some(verdict) = verdict else {
                        return Ok(());
                    };
                    let line = format!(
                        "{} {}: {}: {verdict}\n",
                        function.file, function.name, mutant.change
                    );
                    bar.suspend(|| context.say(&line));
                    record.note(function, mutant, verdict);
                    unwritten += 1;
                    if unwritten % KEPT_AFTER == 0 {
                        record.write(&self.results, protocol)?;
                    }
                    Ok(())
                });
                let goes_on = kept.is_ok() && !context.is_interrupted();
                failure = kept.err();
                goes_on
            },
            || !context.is_interrupted(),
        );
        bar.finish_and_clear();
        record.write(&self.results, protocol)?;
        failure.map_or(Ok(()), Err)
    }

    fn complaint(&self, record: &Record, rows: &[ProtocolRow]) -> Option<String> {
        let functions = self.numbered.functions.iter();
        let functions: Vec<&Function> = functions.map(|(_, function)| function).collect();
        complaint_of(self.subject, &functions, record, rows)
    }
}

/// What is wrong with a subject's results, held against the catalogue.
pub(super) fn complaint_of(
    subject: &Subject,
    functions: &[&Function],
    record: &Record,
    rows: &[ProtocolRow],
) -> Option<String> {
    let mut models = BTreeSet::new();
    let mut properties = BTreeSet::new();
    for row in rows.iter().filter(|row| subject.rows.contains(&row.name)) {
        for model in row.models.iter().chain(&row.fuzzed) {
            models.insert(model.model());
            let names = model.properties().into_iter();
            let must_hold = names.filter(|(_, kind)| *kind != Kind::Reachable);
            properties.extend(must_hold.map(|(name, _)| name));
        }
    }
    complaint(subject.protocol, functions, record, &models, &properties)
}
