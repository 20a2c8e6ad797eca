//! `checks engines`: the engines beside each other.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Context, Ending};
use crate::engine::Engine;

/// A model that is walked by each engine, and what all of them leave out. Ours then walks it once
/// more with all its reductions.
const MODELS: [(&str, &str); 6] = [
    ("raft/replication", "inert"),
    ("raft/connected", "inert"),
    ("raft/catch-up", "none"),
    ("zab/two-epochs", "inert"),
    ("maekawa/five", "inert"),
    ("bully/crashes-4", "none"),
];

/// How long one run may take. Runs that take longer compare nothing.
const BUDGET: &str = "60s";

/// One run, as `verify --json` reports it.
#[derive(Debug, Deserialize, Serialize)]
struct Row {
    model: String,
    engine: String,
    threads: usize,
    reductions: Vec<String>,
    unique: u64,
    generated: u64,
    seconds: f64,
    peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing)]
    verdict: String,
}

/// Lets each engine walk the same models on one thread and on two, each run in a process of its
/// own, and prints the table. Ends well if all verify them with the same number of states.
///
/// # Errors
/// If this program cannot be started again, or does not say what it measured.
pub fn run(context: &Context) -> Result<Ending> {
    let mut rows = Vec::new();
    context.say(&format!(
        "{:<18} {:<14} {:>7} {:>15} {:>9} {:>10} {:>7} {:>9} {:>6} {:>7} {:>7}\n",
        "model",
        "engine",
        "threads",
        "reductions",
        "unique",
        "generated",
        "s",
        "unique/s",
        "MiB",
        "B/state",
        "ratio",
    ));
    for (model, common) in MODELS {
        let first = rows.len();
        for threads in [1, 2] {
            let runs = [
                (Engine::StaterightBfs, common),
                (Engine::StaterightDfs, common),
                (Engine::Native, common),
                (Engine::Native, "all"),
            ];
            for (engine, reductions) in runs {
                if context.is_interrupted() {
                    return Ok(Ending::NotWell);
                }
                let row = measure(model, reductions, engine, threads)?;
                // The ratio is to the engine named first, on as many threads.
                let peer = rows[first..]
                    .iter()
                    .find(|peer: &&Row| peer.threads == threads);
                let peer = peer.unwrap_or(&row);
                context.say(&row.to_text(peer.seconds / row.seconds));
                rows.push(row);
            }
        }
    }
    let agree = rows.iter().all(|row| {
        let mut same = rows
            .iter()
            .filter(|other| other.model == row.model && other.merges() == row.merges());
        row.verdict == "verified" && same.all(|other| other.unique == row.unique)
    });
    context.say(match agree {
        true => "all agree\n",
        false => "THEY DO NOT AGREE, or not all of them have seen every state\n",
    });
    context.print_json(&rows)?;
    Ok(Ending::of(agree))
}

/// One run in a process of its own: what one engine has freed is not yet the system's again when
/// the next one starts.
fn measure(model: &str, reductions: &str, engine: Engine, threads: usize) -> Result<Row> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(["verify", model, "--json", "--budget", BUDGET]);
    command.args(["--engine", engine.name(), "--threads", &threads.to_string()]);
    command.args(["--reductions", reductions]);
    let output = command
        .output()
        .context("cannot start this program again")?;
    let rows: Result<Vec<Row>, _> = serde_json::from_slice(&output.stdout);
    match rows {
        Ok(mut rows) if rows.len() == 1 => Ok(rows.remove(0)),
        _ => bail!(
            "{model} on {}: no report, but: {}",
            engine.name(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

impl Row {
    /// Those of its reductions that merge states. Who has the same ones has as many states.
    fn merges(&self) -> Vec<&str> {
        let names = self.reductions.iter().map(String::as_str);
        names.filter(|name| *name != "commuting").collect()
    }

    fn to_text(&self, ratio: f64) -> String {
        let bytes = self.peak_rss_bytes.unwrap_or_default();
        format!(
            "{:<18} {:<14} {:>7} {:>15} {:>9} {:>10} {:>7.2} {:>9.0} {:>6} {:>7.0} {:>7.2}\n",
            self.model,
            self.engine,
            self.threads,
            match self.reductions.as_slice() {
                [] => "none".to_owned(),
                names => names.join("+"),
            },
            self.unique,
            self.generated,
            self.seconds,
            self.unique as f64 / self.seconds,
            bytes >> 20,
            bytes as f64 / self.unique as f64,
            ratio,
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue;

    #[test]
    fn the_models_are_in_the_catalogue() {
        for (name, _) in super::MODELS {
            let model = catalogue::named(name).expect("a model of the catalogue");
            assert!(
                model.row().states.is_some(),
                "{name} is not walked to its end"
            );
        }
    }
}
