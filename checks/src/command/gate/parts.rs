//! What a gate reports.

use anyhow::Result;
use models::specification::Size;
use serde::Serialize;

use crate::catalogue::ProtocolRow;
use crate::command::Ending;
use crate::command::generated::complaint_of;
use crate::command::mutants::MutantReport;
use crate::fuzz::FuzzReport;
use crate::generated::complete::Tally;
use crate::generated::record::Record;
use crate::generated::{self, Function, Subject};
use crate::matrix::Matrix;
use crate::report::{Report, Verdict};

/// The gate's result.
#[derive(Debug, Serialize)]
pub(super) struct GateReport {
    pub(super) ok: bool,
    pub(super) ending: Ending,
    pub(super) parts: Vec<Part>,
}

/// One thing that the gate has checked.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) ok: bool,
    pub(super) ending: Ending,
    pub(super) seconds: f64,
    pub(super) detail: String,
}

impl Part {
    pub(super) fn new(name: &str, ending: Ending, seconds: f64, detail: &str) -> Self {
        Self {
            name: name.to_owned(),
            ok: ending == Ending::Well,
            ending,
            seconds,
            detail: detail.to_owned(),
        }
    }
}

/// The mutants of a protocol: all caught.
pub(super) fn mutants(row: &ProtocolRow, reports: &[&MutantReport]) -> Part {
    let ids = |ending: Ending| {
        let rows = reports.iter().filter(|report| report.ending == ending);
        rows.map(|report| report.id.as_str()).collect::<Vec<_>>()
    };
    let (survived, cut_short) = (ids(Ending::NotWell), ids(Ending::Incomplete));
    let left = row.mutants.len() - reports.len();
    let mut details = Vec::new();
    if !survived.is_empty() {
        details.push(format!("survived: {}", survived.join(", ")));
    }
    if !cut_short.is_empty() {
        details.push(format!("timed out: {}", cut_short.join(", ")));
    }
    if left > 0 {
        details.push(format!("{left} not run"));
    }
    if details.is_empty() {
        details.push(format!("all {} caught", reports.len()));
    }
    let endings = reports.iter().map(|report| report.ending);
    let none = reports.is_empty().then_some(Ending::NotWell);
    let ending = Ending::of_all(endings.chain(none));
    let seconds = reports.iter().map(|report| report.seconds).sum();
    let name = format!("mutants {}", row.name);
    Part::new(&name, ending, seconds, &details.join("; "))
}

pub(super) fn model(report: &Report, size: Size, ending: Ending) -> Part {
    let detail = match (&report.violation, report.stopped) {
        (None, Some(stop)) if ending == Ending::Incomplete => {
            let verdict = Verdict::Incomplete.name();
            format!("{verdict}, {} states: {}", report.unique, stop.reason())
        }
        (None, _) => format!("{}, {} states", report.verdict.name(), report.unique),
        (Some(change), _) if report.verdict == Verdict::Changed => change.clone(),
        (Some(violation), _) => format!(
            "{violation}, {} steps{}",
            report.steps.len(),
            report
                .trace_file
                .as_ref()
                .map_or_else(String::new, |file| format!(", see {file}"))
        ),
    };
    let what = match size {
        Size::Gate => "verify",
        Size::Large => "search",
    };
    Part::new(
        &format!("{what} {}", report.model),
        ending,
        report.seconds,
        &detail,
    )
}

/// The generated mutants of a protocol: each judged, each that survives with a reason, and few.
pub(super) fn generated(subject: &Subject, rows: &[ProtocolRow]) -> Part {
    let name = format!("generated {}", subject.protocol);
    let workspace = generated::workspace();
    let results = || -> Result<(Vec<Function>, Record)> {
        let functions = subject.functions(&workspace)?;
        let record = Record::read(&subject.results(&workspace))?;
        Ok((functions, record))
    };
    let (functions, record) = match results() {
        Ok(results) => results,
        Err(error) => return Part::new(&name, Ending::NotWell, 0.0, &format!("{error:#}")),
    };
    let functions: Vec<&Function> = functions.iter().collect();
    match complaint_of(subject, &functions, &record, rows) {
        Some(complaint) => Part::new(&name, Ending::NotWell, 0.0, &complaint),
        None => Part::new(&name, Ending::Well, 0.0, &Tally::of(&record).in_short()),
    }
}

pub(super) fn fuzz(report: &FuzzReport) -> Part {
    let found = report
        .violation
        .as_ref()
        .map_or_else(String::new, |violation| {
            format!(
                ": {violation}, {} steps, see {}",
                report.trace.len(),
                report.trace_file.as_deref().unwrap_or("no file")
            )
        });
    let detail = format!(
        "{}, {} cases, {} steps, seed {}{found}",
        report.verdict.name(),
        report.cases,
        report.steps,
        report.seed
    );
    let name = format!("fuzz {}", report.model);
    Part::new(&name, report.verdict.ending(), report.seconds, &detail)
}

/// The pairs of features of a protocol: all that can meet have met.
pub(super) fn pairs(protocol: &str, matrix: &Matrix, seconds: f64) -> Part {
    let (missing, refuted) = (matrix.missing(), matrix.refuted());
    let mut details = vec![matrix.summary()];
    if !missing.is_empty() {
        details.push(format!("never met: {}", missing.join(", ")));
    }
    if !refuted.is_empty() {
        details.push(format!("said to be apart: {}", refuted.join(", ")));
    }
    let ending = Ending::of(missing.is_empty() && refuted.is_empty());
    Part::new(
        &format!("pairs {protocol}"),
        ending,
        seconds,
        &details.join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::engine::Stop;

    fn report(id: &str, ending: Ending) -> MutantReport {
        let (verdict, stopped) = match ending {
            Ending::Well => (Verdict::Violated, None),
            Ending::Incomplete => (Verdict::Incomplete, Some(Stop::Time)),
            Ending::NotWell => (Verdict::Verified, None),
        };
        MutantReport {
            id: id.to_owned(),
            protocol: "counter",
            control: false,
            caught: ending == Ending::Well,
            property: None,
            trace_len: 0,
            trace_file: None,
            model: String::new(),
            defect: "",
            seconds: 1.0,
            verdict,
            stopped,
            ending,
        }
    }

    /// Whose time is up has not survived, and is no success; one that has survived outweighs it.
    #[test]
    fn a_mutant_whose_time_is_up_is_told_from_one_that_survives() {
        let rows = catalogue::protocols();
        let row = rows
            .iter()
            .find(|row| row.name == "counter")
            .expect("a protocol");
        let all = || row.mutants.iter().filter_map(|mutant| mutant.mutant());
        let of = |slow: &str, bad: &str| {
            let ending = |id: &str| match id {
                _ if id == slow => Ending::Incomplete,
                _ if id == bad => Ending::NotWell,
                _ => Ending::Well,
            };
            let reports: Vec<_> = all().map(|row| report(row.id, ending(row.id))).collect();
            mutants(row, &reports.iter().collect::<Vec<_>>())
        };
        let ids: Vec<&str> = all().map(|row| row.id).collect();
        let part = of(ids[0], "");
        assert_eq!(part.ending, Ending::Incomplete);
        assert_eq!(part.detail, format!("timed out: {}", ids[0]));
        let part = of(ids[0], ids[1]);
        assert_eq!(part.ending, Ending::NotWell);
        assert_eq!(
            part.detail,
            format!("survived: {}; timed out: {}", ids[1], ids[0])
        );
        assert_eq!(of("", "").ending, Ending::Well);
    }
}
