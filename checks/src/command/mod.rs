//! The commands, one file each.

pub mod engines;
pub mod explore;
pub mod fuzz;
pub mod gate;
pub mod generated;
pub mod list;
pub mod mutants;
pub mod pairs;
mod pool;
pub mod replay;
pub mod verify;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use crate::catalogue;
use crate::cli::EngineArgs;
use crate::engine::{Bits, Engine, Limits};
use crate::nearest::unknown;
use crate::progress::Progress;
use crate::subject::Subject;
use crate::trace_file::TraceFile;

/// How a command, or a part of one, ended: the later one of two outweighs the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// All that was asked was done, and all is well: exit code 0.
    #[serde(rename = "ok")]
    Well,
    /// Nothing is known to be wrong, but a run was cut short, or has shown too little to mean
    /// anything: exit code 3.
    Incomplete,
    /// Something is wrong: exit code 1.
    #[serde(rename = "failed")]
    NotWell,
}

impl Ending {
    /// Well, if `well`.
    pub fn of(well: bool) -> Self {
        if well { Self::Well } else { Self::NotWell }
    }

    /// Of several parts: as the worst of them.
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max().unwrap_or(Self::Well)
    }
}

/// What all commands share.
pub struct Context {
    /// Whether to print JSON on standard output, and nothing else there.
    pub json: bool,
    /// The folder for traces.
    pub traces: PathBuf,
    /// The user's wish to stop.
    pub interrupted: Arc<AtomicBool>,
}

impl Context {
    /// Counters for a new piece of work.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::new(Progress::new(Arc::clone(&self.interrupted)))
    }

    /// Whether the user wants the work to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Prints a line for people: nothing when JSON is asked for.
    pub fn say(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// Prints `rows` as JSON, if JSON is asked for.
    ///
    /// # Errors
    /// If they cannot be written as JSON.
    pub fn print_json(&self, rows: &impl serde::Serialize) -> Result<()> {
        if self.json {
            print(&(serde_json::to_string_pretty(rows)? + "\n"));
        }
        Ok(())
    }
}

/// Prints, and does not mind that nobody reads: `checks list | head` is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// The trace in a file, and what it is of.
///
/// # Errors
/// If the file is no trace, or its model or mutant is unknown.
fn traced(path: &Path) -> Result<(TraceFile, Box<dyn Subject>)> {
    let trace = TraceFile::read(path)?;
    let mutant = trace.mutant.as_deref();
    let subject = catalogue::find(&trace.model, mutant).ok_or_else(|| {
        let mutant = mutant.map_or_else(String::new, |id| format!(" with mutant {id}"));
        anyhow!(
            "{} is a trace of model {}{mutant}, which is not in the catalogue: \
             see `checks list` and `checks mutants`",
            path.display(),
            trace.model
        )
    })?;
    Ok((trace, subject))
}

/// A seed that nobody has chosen. It is printed, so the run can be had again.
fn any_seed() -> u64 {
    // Short enough to be read out to somebody.
    RandomState::new().build_hasher().finish() >> 32
}

impl EngineArgs {
    /// The seed: the one given, or one that nobody has chosen. It is said, where it matters.
    ///
    /// # Errors
    /// If something is asked of the engine that it does not do.
    fn seed(&self, context: &Context, limits: &Limits) -> Result<u64> {
        let engine = self.engine.name();
        if limits.memory.is_some() && self.engine != Engine::Native {
            bail!("--memory is for --engine native: {engine} does not heed it");
        }
        if limits.fingerprints != Bits::default() && self.engine != Engine::Native {
            bail!("--fingerprints is for --engine native: {engine} does not heed it");
        }
        let is_stateright = matches!(self.engine, Engine::StaterightBfs | Engine::StaterightDfs);
        if limits.max_depth.is_some() && is_stateright {
            bail!("--max-depth is for --engine native and simulate: {engine} does not heed it");
        }
        if self.engine != Engine::Simulate {
            return match self.seed {
                Some(_) => bail!("--seed is for --engine simulate: {engine} draws nothing"),
                None => Ok(0),
            };
        }
        let seed = self.seed.unwrap_or_else(any_seed);
        context.say(&format!("seed {seed}\n"));
        Ok(seed)
    }
}

/// The models of these names, or all of them where no name is given: all that can be walked,
/// and for a simulation those too large for that as well. A protocol's name stands for all its
/// models.
///
/// # Errors
/// If a name is of no model, with the names that would have been right.
pub fn models_named(names: &[String], engine: Engine) -> Result<Vec<Box<dyn Subject>>> {
    let mut all = catalogue::models();
    if engine == Engine::Simulate {
        all.extend(catalogue::fuzzed(&[])?);
    }
    for name in names {
        if !all.iter().any(|subject| is_named(subject.as_ref(), name)) {
            if catalogue::find(name, None).is_some() {
                bail!("{name} is too large to walk: `--engine simulate`, or `checks fuzz`");
            }
            let names: Vec<&str> = all.iter().map(|subject| subject.model()).collect();
            return Err(unknown("model", name, &names));
        }
    }
    let chosen = all.into_iter().filter(|subject| {
        names.is_empty() || names.iter().any(|name| is_named(subject.as_ref(), name))
    });
    Ok(chosen.collect())
}

fn is_named(subject: &dyn Subject, name: &str) -> bool {
    let model = subject.model();
    model == name || model.split('/').next() == Some(name)
}
