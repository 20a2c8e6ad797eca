//! The commands, one file each.

pub mod engines;
pub mod explore;
pub mod fuzz;
pub mod gate;
pub mod list;
pub mod mutants;
pub mod replay;
pub mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};

use crate::catalogue;
use crate::progress::Progress;
use crate::subject::Subject;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All is well: exit code 0.
    Well,
    /// Something is not: exit code 1.
    NotWell,
}

impl Ending {
    /// Well, if `well`.
    pub fn of(well: bool) -> Self {
        if well { Self::Well } else { Self::NotWell }
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

/// The models of these names, or all of them where no name is given. A protocol's name
/// stands for all its models.
///
/// # Errors
/// If a name is of no model, with the names that would have been right.
pub fn models_named(names: &[String]) -> Result<Vec<Box<dyn Subject>>> {
    let all = catalogue::models();
    for name in names {
        if !all.iter().any(|subject| is_named(subject.as_ref(), name)) {
            let names: Vec<&str> = all.iter().map(|subject| subject.model()).collect();
            bail!(
                "there is no model \"{name}\"; there are: {}",
                names.join(", ")
            );
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
