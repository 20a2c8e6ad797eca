//! `checks engines`: the engines beside each other.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Context, Ending};
use crate::cli::EnginesArgs;
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
    verdict: String,
    stopped: Option<String>,
}

/// Lets each engine walk the same models on one thread and on two, each run in a process of its
/// own, and prints the table. Ends well if all verify them with the same number of states; not
/// well if two differ, or one violates something; incomplete if all that is known is that some did
/// not come to their end.
///
/// # Errors
/// If this program cannot be started again, or does not say what it measured.
pub fn run(context: &Context, args: &EnginesArgs) -> Result<Ending> {
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
                    context.say("interrupted: not all have run\n");
                    return Ok(Ending::Incomplete);
                }
                let row = measure(model, reductions, engine, threads, args.budget)?;
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
    let (ending, words) = comparison(&rows, args.budget);
    context.say(&words);
    context.print_json(&rows)?;
    Ok(ending)
}

/// What the rows say together, and in words. Who has not seen every state says nothing.
fn comparison(rows: &[Row], budget: Duration) -> (Ending, String) {
    let violated = rows.iter().filter(|row| row.verdict == "violated");
    let mut wrong: Vec<String> = violated
        .map(|row| format!("{} IS VIOLATED, says {}", row.model, row.who()))
        .collect();
    let whole = || rows.iter().filter(|row| row.verdict == "verified");
    let mut compared: Vec<&Row> = Vec::new();
    for row in whole() {
        let is_alike = |other: &&&Row| other.model == row.model && other.merges() == row.merges();
        match compared.iter().find(is_alike) {
            Some(first) if first.unique != row.unique => wrong.push(format!(
                "THEY DO NOT AGREE on {}: {} states, says {}; {}, says {}",
                row.model,
                first.unique,
                first.who(),
                row.unique,
                row.who()
            )),
            Some(_) => {}
            None => compared.push(row),
        }
    }
    let cut_short = rows.iter().filter(|row| row.verdict == "incomplete");
    let cut_short: Vec<String> = cut_short
        .map(|row| {
            let why = row
                .stopped
                .as_deref()
                .unwrap_or("it did not come to its end");
            format!(
                "{}, {}: not compared, {why} after {} of {} s",
                row.model,
                row.who(),
                row.seconds.round(),
                budget.as_secs()
            )
        })
        .collect();
    let (ending, last) = match (wrong.is_empty(), cut_short.is_empty()) {
        (true, true) => (Ending::Well, "all agree"),
        (true, false) => (
            Ending::Incomplete,
            "INCOMPLETE: those that came to their end agree",
        ),
        (false, _) => (Ending::NotWell, "NOT ALL IS WELL"),
    };
    let lines = wrong.into_iter().chain(cut_short);
    let lines = lines.chain([last.to_owned()]);
    (ending, lines.map(|line| line + "\n").collect())
}

/// One run in a process of its own: what one engine has freed is not yet the system's again when
/// the next one starts.
fn measure(
    model: &str,
    reductions: &str,
    engine: Engine,
    threads: usize,
    budget: Duration,
) -> Result<Row> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    let budget = format!("{}s", budget.as_secs());
    command.args(["verify", model, "--json", "--budget", &budget]);
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
    /// Who has measured it.
    fn who(&self) -> String {
        let threads = match self.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        let reductions = self.reductions_text();
        format!("{} on {threads}, reductions {reductions}", self.engine)
    }

    fn reductions_text(&self) -> String {
        match self.reductions.as_slice() {
            [] => "none".to_owned(),
            names => names.join("+"),
        }
    }

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
            self.reductions_text(),
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
    use std::time::Duration;

    use super::{Row, comparison};
    use crate::catalogue;
    use crate::command::Ending;

    fn row(engine: &str, unique: u64, verdict: &str) -> Row {
        Row {
            model: "raft/replication".to_owned(),
            engine: engine.to_owned(),
            threads: 1,
            reductions: vec!["inert".to_owned()],
            unique,
            generated: 3 * unique,
            seconds: 60.0,
            peak_rss_bytes: None,
            verdict: verdict.to_owned(),
            stopped: (verdict == "incomplete").then(|| "the time was up".to_owned()),
        }
    }

    /// What `comparison` says of the rows.
    fn compared(rows: &[Row]) -> (Ending, String) {
        comparison(rows, Duration::from_secs(60))
    }

    #[test]
    fn who_runs_out_of_time_disagrees_with_nobody_and_is_named() {
        let rows = [
            row("native", 100, "verified"),
            row("stateright-bfs", 40, "incomplete"),
            row("stateright-dfs", 100, "verified"),
        ];
        let (ending, words) = compared(&rows);
        assert_eq!(ending, Ending::Incomplete);
        assert!(!words.contains("DO NOT AGREE"), "{words}");
        let named = "raft/replication, stateright-bfs on 1 thread";
        assert!(
            words.contains(named) && words.contains("the time was up"),
            "{words}"
        );
    }

    #[test]
    fn who_has_seen_every_state_and_another_number_of_them_disagrees() {
        let rows = [
            row("native", 100, "verified"),
            row("stateright-bfs", 40, "incomplete"),
            row("stateright-dfs", 101, "verified"),
        ];
        let (ending, words) = compared(&rows);
        assert_eq!(ending, Ending::NotWell);
        assert!(
            words.contains("THEY DO NOT AGREE on raft/replication"),
            "{words}"
        );
        let (ending, words) = compared(&[
            row("native", 100, "verified"),
            row("stateright-dfs", 7, "violated"),
        ]);
        assert_eq!(ending, Ending::NotWell);
        assert!(
            words.contains("IS VIOLATED, says stateright-dfs"),
            "{words}"
        );
        assert_eq!(compared(&rows[..1]).0, Ending::Well);
    }

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
