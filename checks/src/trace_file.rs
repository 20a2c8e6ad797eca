//! Traces on disk: which model, which mutant, what happened, step by step.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The version of the format that this program writes and reads.
const FORMAT: u32 = 1;

/// A trace as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceFile {
    /// The version of the format.
    pub format: u32,
    /// The model's name.
    pub model: String,
    /// The mutant's id, if a mutant ran in the protocol's place.
    pub mutant: Option<String>,
    /// The property that the trace violates, if any.
    pub property: Option<String>,
    /// The seed that the trace was found with, if it was sampled.
    pub seed: Option<u64>,
    /// The position of the action from which on the actions repeat for ever, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_start: Option<usize>,
    /// The actions, as the model's protocol writes them.
    pub actions: serde_json::Value,
    /// The same in words, for people.
    pub steps: Vec<String>,
}

impl TraceFile {
    /// A trace of the model.
    pub fn new(model: &str, mutant: Option<&str>, actions: serde_json::Value) -> Self {
        Self {
            format: FORMAT,
            model: model.to_owned(),
            mutant: mutant.map(str::to_owned),
            property: None,
            seed: None,
            loop_start: None,
            actions,
            steps: Vec::new(),
        }
    }

    /// Writes the trace into `folder`, under a name that says what it is of, and returns the
    /// file's path. An older trace of the same is replaced.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the folder {}", folder.display()))?;
        let mut name = self.model.replace('/', "-");
        for part in [&self.mutant, &self.property].into_iter().flatten() {
            name.push('.');
            // The arrow tells a law from the invariant of the same name.
            let part = part.replace('→', "law");
            name.extend(part.chars().filter_map(file_name_char));
        }
        let path = folder.join(name.to_lowercase() + ".json");
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&path, text + "\n")
            .with_context(|| format!("cannot write the trace {}", path.display()))?;
        Ok(path)
    }

    /// Reads a trace.
    ///
    /// # Errors
    /// If the file cannot be read, is no trace, or is of another version.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the trace {}", path.display()))?;
        let trace: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is no trace: `checks verify`, `mutants` and `fuzz` write them",
                path.display()
            )
        })?;
        if trace.format != FORMAT {
            bail!(
                "{} has format {}, this program reads format {FORMAT}: write the trace anew",
                path.display(),
                trace.format
            );
        }
        Ok(trace)
    }
}

fn file_name_char(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        c if c.is_ascii_alphanumeric() || c == '-' => Some(c),
        _ => None,
    }
}
