//! The results, as they are kept: a file for each protocol, a line for each mutant under the
//! heading of its function. The program writes it; the reasons are written by hand and kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::find::{Function, Mutant};
use super::verdict::{self, Kind, Reason, Verdict};

/// Stands between a change and what came of it: nowhere in Rust.
const ARROW: &str = " → ";

/// Stands before the reason.
const BECAUSE: &str = "; ";

/// What came of a protocol's mutants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    functions: BTreeMap<Name, Judged>,
}

/// A function's file and name.
pub(super) type Name = (String, String);

/// What came of a function's mutants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// The checksum of the function that was judged.
    pub(super) hash: u32,
    pub(super) lines: Vec<Line>,
}

/// What came of one mutant, and why it may survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mutant: Mutant,
    /// Nothing where that is not known yet.
    pub(super) verdict: Option<Verdict>,
    pub(super) reason: Option<Reason>,
}

impl Record {
    /// Reads a file; an empty record where there is none.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not as they are written.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let mut record = Self::default();
        let mut name = None;
        for (number, line) in (1..).zip(text.lines()) {
            let at = || format!("{}, line {number}", path.display());
            match line.strip_prefix("    ") {
                Some(line) => {
                    let line = read_line(line).with_context(at)?;
                    let Some(name) = &name else {
                        bail!("{}: a change of no function", at());
                    };
                    let judged = record.functions.entry(Name::clone(name));
                    judged.or_default().lines.push(line);
                }
                None if line.is_empty() || line.starts_with('#') => {}
                None => {
                    let (heading, hash) = read_heading(line).with_context(at)?;
                    let lines = Vec::new();
                    if record
                        .functions
                        .insert(heading.clone(), Judged { hash, lines })
                        .is_some()
                    {
                        bail!("{}: the function was there already", at());
                    }
                    name = Some(heading);
                }
            }
        }
        Ok(record)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path, protocol: &str) -> Result<()> {
        let unfinished = path.with_extension("unfinished");
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&unfinished, self.to_text(protocol)))
            .and_then(|()| fs::rename(&unfinished, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn to_text(&self, protocol: &str) -> String {
        let mut text = format!(
            "# The generated mutants of {protocol}, and what came of each. Written by\n\
             #     cargo run -p checks -- mutants --generated {protocol}\n\
             # but for the reasons why some survive, which are written by hand, behind a semicolon:\n\
             # `equivalent`, `label`, `host only` or `open`, a colon, and the argument. `gate` fails\n\
             # where this is not complete.\n"
        );
        for ((file, name), judged) in &self.functions {
            let _ = writeln!(text, "\n{file} {name} {:08x}", judged.hash);
            for Line {
                mutant,
                verdict,
                reason,
            } in &judged.lines
            {
                let _ = write!(text, "    {}", mutant.change);
                if mutant.occurrence > 1 {
                    let _ = write!(text, " #{}", mutant.occurrence);
                }
                text.push_str(ARROW);
                match verdict {
                    Some(verdict) => text.push_str(&verdict.to_string()),
                    None => text.push('?'),
                }
                if let Some(reason) = reason {
                    let _ = write!(text, "{BECAUSE}{reason}");
                }
                text.push('\n');
            }
        }
        text
    }

    /// Takes over the functions as they are now: what is gone is left out, and of what has changed
    /// only the reasons are kept, for whoever reads them again.
    pub fn renewed(&self, functions: &[Function]) -> Self {
        let renewed = functions.iter().map(|function| {
            let name = (function.file.clone(), function.name.clone());
            let old = self.functions.get(&name);
            let is_as_it_was = old.is_some_and(|old| old.hash == function.hash);
            let lines = function.mutants.iter().map(|mutant| {
                let old = old.and_then(|old| old.line(mutant));
                Line {
                    mutant: mutant.clone(),
                    verdict: old
                        .filter(|_| is_as_it_was)
                        .and_then(|old| old.verdict.clone()),
                    reason: old.and_then(|old| old.reason.clone()),
                }
            });
            let lines = lines.collect();
            let hash = function.hash;
            (name, Judged { hash, lines })
        });
        Self {
            functions: renewed.collect(),
        }
    }

    /// Notes what came of a mutant. A reason to survive goes where it is refuted.
    pub fn note(&mut self, function: &Function, mutant: &Mutant, verdict: Verdict) {
        let name = (function.file.clone(), function.name.clone());
        let judged = self.functions.get_mut(&name);
        let line = judged.and_then(|judged| {
            let mut lines = judged.lines.iter_mut();
            lines.find(|line| line.mutant == *mutant)
        });
        if let Some(line) = line {
            if !verdict.is_survivor() {
                line.reason = None;
            } else if line.reason.is_none() && is_label(&function.name) {
                line.reason = Some(Reason {
                    kind: Kind::Label,
                    text: "what people read".to_owned(),
                });
            }
            line.verdict = Some(verdict);
        }
    }

    /// What came of a mutant, if that is known.
    pub fn verdict(&self, function: &Function, mutant: &Mutant) -> Option<&Verdict> {
        self.of(function)?.line(mutant)?.verdict.as_ref()
    }

    /// Whether it is known what came of a mutant, and why it may survive if it does. What is open is
    /// asked again.
    pub fn is_settled(&self, function: &Function, mutant: &Mutant) -> bool {
        let line = self.of(function).and_then(|judged| judged.line(mutant));
        line.is_some_and(|line| match &line.verdict {
            Some(verdict) if verdict.is_survivor() => {
                let reason = line.reason.as_ref();
                reason.is_some_and(|reason| reason.kind != Kind::Open)
            }
            verdict => verdict.is_some(),
        })
    }

    /// What is known of a function.
    pub(super) fn of(&self, function: &Function) -> Option<&Judged> {
        self.functions
            .get(&(function.file.clone(), function.name.clone()))
    }

    /// The functions that are judged.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.functions.keys()
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (&Name, &Line)> {
        let functions = self.functions.iter();
        functions.flat_map(|(name, judged)| judged.lines.iter().map(move |line| (name, line)))
    }
}

impl Judged {
    pub(super) fn line(&self, mutant: &Mutant) -> Option<&Line> {
        self.lines.iter().find(|line| line.mutant == *mutant)
    }
}

/// Whether all that a function does is to write something for people.
fn is_label(function: &str) -> bool {
    function.ends_with(" as Display>::fmt") || function.ends_with(" as Debug>::fmt")
}

fn read_heading(line: &str) -> Result<(Name, u32)> {
    let parts = line
        .split_once(' ')
        .and_then(|(file, rest)| Some((file, rest.rsplit_once(' ')?)));
    let Some((file, (name, hash))) = parts else {
        bail!("no function: a file, a name and a checksum");
    };
    let hash = u32::from_str_radix(hash, 16).context("no checksum")?;
    Ok(((file.to_owned(), name.to_owned()), hash))
}

fn read_line(line: &str) -> Result<Line> {
    let Some((change, outcome)) = line.split_once(ARROW) else {
        bail!("no verdict");
    };
    let numbered = change.rsplit_once(" #");
    let numbered = numbered.and_then(|(change, number)| Some((change, number.parse().ok()?)));
    let (change, occurrence) = numbered.unwrap_or((change, 1));
    // A property's name may have a semicolon in it; no reason is given for what is refuted.
    let kinds = Kind::ALL.map(|kind| format!("{BECAUSE}{}: ", kind.name()));
    let ends = kinds.iter().filter_map(|kind| outcome.find(kind.as_str()));
    let (outcome, reason) = match ends.min() {
        Some(end) => (&outcome[..end], Some(&outcome[end + BECAUSE.len()..])),
        None => match outcome.split_once(BECAUSE) {
            Some((outcome, reason)) if !outcome.contains('"') => (outcome, Some(reason)),
            _ => (outcome, None),
        },
    };
    Ok(Line {
        mutant: Mutant {
            change: change.to_owned(),
            occurrence,
        },
        verdict: match outcome {
            "?" => None,
            outcome => Some(verdict::verdict(outcome)?),
        },
        reason: reason.map(verdict::reason).transpose()?,
    })
}

#[cfg(test)]
impl Record {
    /// Gives a reason for a change, as somebody writes it into the file.
    pub(super) fn explain(&mut self, change: &str, reason: Reason) {
        let functions = self.functions.values_mut();
        let lines = functions.flat_map(|judged| &mut judged.lines);
        for line in lines.filter(|line| line.mutant.change == change) {
            line.reason = Some(reason.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::functions;
    use crate::generated::verdict::Refuted;

    #[test]
    fn what_is_written_is_read_and_reasons_are_kept() {
        let source = "impl A<u8> for B { fn f(a: bool) { g(!a, !a); } }
            impl Display for B { fn fmt(&self) -> fmt::Result { g(self) } }";
        let functions = functions("a.rs", source).expect("Rust");
        let mut record = Record::default().renewed(&functions);
        let refuted = Verdict::Property(Refuted {
            by: "One; two → three; equivalent".to_owned(),
            model: "a/b".to_owned(),
        });
        record.note(&functions[0], &functions[0].mutants[0], refuted);
        record.note(&functions[0], &functions[0].mutants[2], Verdict::Survives);
        record.note(&functions[1], &functions[1].mutants[0], Verdict::Survives);
        record.explain(
            "delete `!` from `!a`",
            Reason {
                kind: Kind::HostOnly,
                text: "nobody asks; not here".to_owned(),
            },
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mutants/a.txt");
        assert_eq!(Record::read(&path).expect("none"), Record::default());
        record.write(&path, "a").expect("a writable folder");
        assert_eq!(Record::read(&path).expect("a record"), record);
        let text = fs::read_to_string(&path).expect("a file");
        let lines = "    delete `!` from `!a` #2 → survives; host only: nobody asks; not here\n";
        assert!(text.contains(lines), "{text}");
        assert!(
            text.contains("→ survives; label: what people read\n"),
            "{text}"
        );
        // What is refuted needs no reason.
        record.note(&functions[0], &functions[0].mutants[2], Verdict::Unviable);
        record.write(&path, "a").expect("a writable folder");
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains("#2 → unviable\n"), "{text}");
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.txt");
        for (text, says) in [
            ("a.rs f", "line 1"),
            (
                "    delete `!` → survives",
                "line 1: a change of no function",
            ),
            ("a.rs f 12\n    delete `!`", "line 2: no verdict"),
            (
                "a.rs f 12\n    delete `!` → gone",
                "line 2: \"gone\" is no verdict",
            ),
            (
                "a.rs f 12\n    delete `!` → survives; odd: it is",
                "line 2: \"odd\" is no reason",
            ),
            (
                "a.rs f 12\na.rs f 12",
                "line 2: the function was there already",
            ),
        ] {
            fs::write(&path, text).expect("a writable folder");
            let error = format!("{:#}", Record::read(&path).expect_err(text));
            assert!(error.contains(says), "{error}");
        }
    }
}
