//! What `gate` asks of the results: that they are of the functions as they are, say something of
//! each mutant, give a reason for each that survives, and that few do.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::Serialize;

use super::find::Function;
use super::record::{Line, Record};
use super::verdict::{Kind, Verdict};

/// How many percent must be refuted of those that could be.
const REFUTED: usize = 95;

/// How many complaints are shown.
const SHOWN: usize = 5;

/// How many mutants came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Tally {
    pub generated: usize,
    pub unviable: usize,
    pub property: usize,
    pub witness: usize,
    /// Ended by the system, or not ending.
    pub broken: usize,
    pub count_only: usize,
    pub timed_out: usize,
    pub unreached: usize,
    pub survives: usize,
    pub equivalent: usize,
    pub label: usize,
    pub host_only: usize,
    pub open: usize,
}

impl Tally {
    /// Of a record's lines.
    pub fn of(record: &Record) -> Self {
        let mut tally = Self::default();
        for (_, line) in record.lines() {
            tally.add(line);
        }
        tally
    }

    fn add(&mut self, line: &Line) {
        self.generated += 1;
        let Some(verdict) = &line.verdict else {
            return;
        };
        let count = match verdict {
            Verdict::Property(_) => &mut self.property,
            Verdict::Witness(_) => &mut self.witness,
            Verdict::Aborts(_) | Verdict::Hangs(_) => &mut self.broken,
            Verdict::Unviable => &mut self.unviable,
            Verdict::CountOnly(_) => &mut self.count_only,
            Verdict::TimedOut(_) => &mut self.timed_out,
            Verdict::Unreached => &mut self.unreached,
            Verdict::Survives => &mut self.survives,
        };
        *count += 1;
        if verdict.is_survivor() {
            let count = match line.reason.as_ref().map(|reason| reason.kind) {
                Some(Kind::Equivalent) => &mut self.equivalent,
                Some(Kind::Label) => &mut self.label,
                Some(Kind::HostOnly) => &mut self.host_only,
                Some(Kind::Open) | None => &mut self.open,
            };
            *count += 1;
        }
    }

    /// In a few words.
    pub fn in_short(&self) -> String {
        format!(
            "{} of {} refuted, {} survive with a reason, {} of them open",
            self.refuted(),
            self.generated - self.unviable,
            self.count_only + self.timed_out + self.unreached + self.survives,
            self.open
        )
    }

    fn refuted(&self) -> usize {
        self.property + self.witness + self.broken
    }

    /// Of how many of those that are programs and not the right protocol after all a model could
    /// tell.
    fn refutable(&self) -> usize {
        self.refuted() + self.open
    }

    /// How many percent are refuted of those that could be.
    pub fn share(&self) -> f64 {
        match self.refutable() {
            0 => 0.0,
            all => 100.0 * self.refuted() as f64 / all as f64,
        }
    }

    fn is_enough(&self) -> bool {
        self.refutable() > 0 && 100 * self.refuted() >= REFUTED * self.refutable()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} generated, {} unviable; refuted: {} by properties, {} by witnesses, {} broken off; \
             not refuted: {} with other states, {} timed out, {} unreached, {} others: of these {} equivalent, {} \
             labels, {} of hosts only, {} open; {:.1} % of those that could be are refuted",
            self.generated,
            self.unviable,
            self.property,
            self.witness,
            self.broken,
            self.count_only,
            self.timed_out,
            self.unreached,
            self.survives,
            self.equivalent,
            self.label,
            self.host_only,
            self.open,
            self.share(),
        )
    }
}

/// What is wrong with a record of these functions' mutants, and what puts it right; nothing where it
/// is complete. `models` are those that there are, `names` the properties.
pub fn complaint(
    protocol: &str,
    functions: &[&Function],
    record: &Record,
    models: &BTreeSet<&str>,
    names: &BTreeSet<&str>,
) -> Option<String> {
    let mut complaints: Vec<String> = Vec::new();
    for function in functions {
        let here = format!("{} {}", function.file, function.name);
        match record.of(function) {
            None => complaints.push(format!("not judged: {here}")),
            Some(judged) if judged.hash != function.hash => {
                complaints.push(format!("has changed since it was judged: {here}"));
            }
            Some(judged) => {
                let mutants = function.mutants.iter();
                let missing = mutants.filter(|mutant| {
                    let line = judged.line(mutant);
                    line.is_none_or(|line| line.verdict.is_none())
                });
                let missing =
                    missing.map(|mutant| format!("not judged: {here}: {}", mutant.change));
                complaints.extend(missing);
                let known: BTreeSet<_> = function.mutants.iter().collect();
                let gone = judged.lines.iter();
                let gone = gone.filter(|line| !known.contains(&line.mutant));
                complaints
                    .extend(gone.map(|line| format!("is none: {here}: {}", line.mutant.change)));
            }
        }
    }
    let there: BTreeSet<_> = functions
        .iter()
        .map(|function| (function.file.as_str(), function.name.as_str()))
        .collect();
    for (file, name) in record.names() {
        if !there.contains(&(file.as_str(), name.as_str())) {
            complaints.push(format!("there is no such function: {file} {name}"));
        }
    }
    for ((file, name), line) in record.lines() {
        let here = || format!("{file} {name}: {}", line.mutant.change);
        let Some(verdict) = &line.verdict else {
            continue;
        };
        if verdict.is_survivor() && line.reason.is_none() {
            complaints.push(format!("survives without a reason: {}", here()));
        }
        if verdict.model().is_some_and(|model| !models.contains(model)) {
            complaints.push(format!("in a model that is not there: {}", here()));
        }
        if let Verdict::Property(refuted) = verdict
            && !names.contains(refuted.by.as_str())
        {
            complaints.push(format!("by a property that is not there: {}", here()));
        }
    }
    let tally = Tally::of(record);
    if complaints.is_empty() && !tally.is_enough() {
        complaints.push(format!(
            "{:.1} % refuted of those that could be, where {REFUTED} are asked for",
            tally.share()
        ));
    }
    if complaints.is_empty() {
        return None;
    }
    let left = complaints.len().saturating_sub(SHOWN);
    complaints.truncate(SHOWN);
    let more = match left {
        0 => String::new(),
        left => format!("; and {left} more"),
    };
    Some(format!(
        "{}{more}: `cargo run -p checks -- mutants --generated {protocol}`",
        complaints.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::functions;
    use crate::generated::verdict::{Reason, Refuted};

    const SOURCE: &str = "fn f(a: bool) -> bool { !a }";

    /// The function with three mutants, and a record of them: two are refuted, and one survives.
    fn judged() -> (Vec<Function>, Record) {
        let functions = functions("bully/a.rs", SOURCE).expect("Rust");
        let mut record = Record::default().renewed(&functions);
        let refuted = Verdict::Property(Refuted {
            by: "Agreement".to_owned(),
            model: "bully/crashes".to_owned(),
        });
        let verdicts = [refuted.clone(), refuted, Verdict::Survives];
        for (mutant, verdict) in functions[0].mutants.iter().zip(verdicts) {
            record.note(&functions[0], mutant, verdict);
        }
        record.explain(
            "delete `!` from `!a`",
            Reason {
                kind: Kind::Equivalent,
                text: "it is".to_owned(),
            },
        );
        (functions, record)
    }

    fn complains(functions: &[Function], record: &Record) -> Option<String> {
        let functions: Vec<&Function> = functions.iter().collect();
        let models = BTreeSet::from(["bully/crashes"]);
        complaint(
            "bully",
            &functions,
            record,
            &models,
            &BTreeSet::from(["Agreement"]),
        )
    }

    #[track_caller]
    fn assert_complains(functions: &[Function], record: &Record, of: &str) {
        let complaint = complains(functions, record).expect("a complaint");
        assert!(complaint.starts_with(of), "{complaint}");
        assert!(complaint.ends_with("`cargo run -p checks -- mutants --generated bully`"));
    }

    #[test]
    fn a_complete_record_is_well() {
        let (functions, record) = judged();
        assert_eq!(complains(&functions, &record), None);
        let tally = Tally::of(&record);
        assert_eq!(
            (tally.generated, tally.property, tally.equivalent),
            (3, 2, 1)
        );
        assert_eq!(tally.share(), 100.0);
    }

    #[test]
    fn what_is_missing_is_told() {
        let (functions, record) = judged();
        assert_complains(&functions, &Record::default(), "not judged: bully/a.rs f:");
        let unjudged = Record::default().renewed(&functions);
        assert_complains(
            &functions,
            &unjudged,
            "not judged: bully/a.rs f: replace body with `true`",
        );
        assert_complains(&[], &record, "there is no such function: bully/a.rs f:");
    }

    #[test]
    fn a_function_that_has_changed_is_told() {
        let (_, record) = judged();
        let changed = functions("bully/a.rs", "fn f(a: bool) -> bool { g(); !a }").expect("Rust");
        assert_complains(
            &changed,
            &record,
            "has changed since it was judged: bully/a.rs f:",
        );
        // The reason is kept for whoever judges it again.
        let renewed = record.renewed(&changed);
        assert_complains(
            &changed,
            &renewed,
            "not judged: bully/a.rs f: replace body with `true`",
        );
        let reasons = renewed.lines().filter(|(_, line)| line.reason.is_some());
        assert_eq!(reasons.count(), 1);
    }

    #[test]
    fn a_survivor_without_a_reason_is_told() {
        let (functions, mut record) = judged();
        let mutant = &functions[0].mutants[0];
        for verdict in [
            Verdict::Survives,
            Verdict::Unreached,
            Verdict::CountOnly("bully/crashes".to_owned()),
            Verdict::TimedOut("bully/crashes".to_owned()),
        ] {
            record.note(&functions[0], mutant, verdict);
            assert_complains(
                &functions,
                &record,
                "survives without a reason: bully/a.rs f:",
            );
        }
        record.note(&functions[0], mutant, Verdict::Unviable);
        assert_eq!(complains(&functions, &record), None);
    }

    #[test]
    fn few_may_be_open() {
        let (functions, mut record) = judged();
        record.explain(
            "delete `!` from `!a`",
            Reason {
                kind: Kind::Open,
                text: "nobody asks".to_owned(),
            },
        );
        assert_complains(&functions, &record, "66.7 % refuted");
    }

    #[test]
    fn what_refutes_must_be_there() {
        let (functions, mut record) = judged();
        let mutant = &functions[0].mutants[0];
        let refuted = |by: &str, model: &str| {
            Verdict::Property(Refuted {
                by: by.to_owned(),
                model: model.to_owned(),
            })
        };
        record.note(&functions[0], mutant, refuted("Agreement", "bully/gone"));
        assert_complains(&functions, &record, "in a model that is not there: ");
        record.note(&functions[0], mutant, refuted("Gone", "bully/crashes"));
        assert_complains(&functions, &record, "by a property that is not there: ");
    }
}
