//! Generated mutants: the step files changed in all the ways that `cargo mutants` would, each
//! judged by what the catalogue's models say of it.
//!
//! The mutants of the catalogue show that each check refutes something; these show what no check
//! refutes. All of a protocol's are in one program, a copy of this one with a switch at each place
//! that can be changed ([`copy`]), so that they take one build. Judged by ([`judge`]): properties,
//! and what must be shown. That a model has another number of states refutes nothing, and is told
//! apart. What came of them is kept in `checks/mutants/` ([`record`]), and `gate` asks that it be
//! complete ([`complete`]).
//!
//! Not judged: the specifications themselves, and what runs on top of the step functions.

pub mod complete;
pub mod copy;
mod find;
pub mod judge;
mod operators;
pub mod record;
mod rewrite;
mod site;
mod values;
pub mod verdict;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use self::find::{Function, Mutant, functions};
pub use self::rewrite::Number;

/// Step files whose mutants are judged together.
pub struct Subject {
    /// The protocol's name.
    pub protocol: &'static str,
    /// Its files and folders, in `models/src`.
    sources: &'static [&'static str],
    /// The rows of the catalogue whose models judge.
    pub rows: &'static [&'static str],
}

/// All of which mutants are generated.
pub const SUBJECTS: [Subject; 5] = [
    Subject {
        protocol: "bully",
        sources: &["bully"],
        rows: &["bully", "zab-bully"],
    },
    Subject {
        protocol: "counter",
        sources: &["counter"],
        rows: &["counter"],
    },
    Subject {
        protocol: "maekawa",
        sources: &["maekawa"],
        rows: &["maekawa"],
    },
    Subject {
        protocol: "raft",
        sources: &["raft", "session.rs"],
        rows: &["raft"],
    },
    Subject {
        protocol: "zab",
        sources: &["zab"],
        rows: &["zab", "zab-bully"],
    },
];

/// Where the workspace was when this was built.
pub fn workspace() -> PathBuf {
    let checks = Path::new(env!("CARGO_MANIFEST_DIR"));
    checks.parent().unwrap_or(checks).to_owned()
}

impl Subject {
    /// The functions of its step files.
    ///
    /// # Errors
    /// If a file cannot be read, or is no Rust.
    pub fn functions(&self, workspace: &Path) -> Result<Vec<Function>> {
        let root = workspace.join("models/src");
        let mut found = Vec::new();
        for source in self.sources {
            for file in step_files(&root, source)? {
                let text = read(&root.join(&file))?;
                found.extend(functions(&file, &text)?);
            }
        }
        Ok(found)
    }

    /// The file of its results.
    pub fn results(&self, workspace: &Path) -> PathBuf {
        let folder = workspace.join("checks/mutants");
        folder.join(format!("{}.txt", self.protocol))
    }
}

/// The files of a folder, or this one; but for specifications.
fn step_files(root: &Path, source: &str) -> Result<Vec<String>> {
    let path = root.join(source);
    if path.is_file() {
        return Ok(vec![source.to_owned()]);
    }
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "spec" {
            names.push(format!("{source}/{name}"));
        }
    }
    names.sort_unstable();
    let mut files = Vec::new();
    for name in names {
        match name.ends_with(".rs") {
            true => files.push(name),
            false => files.extend(step_files(root, &name)?),
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
