//! `lockstep status`: how all nodes of a cluster fare, as a table.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use lockstep::service::cluster_status::{NodeStatus, agree, ask_all, at_issue, lag};

use super::target::TargetArgs;

/// One node has this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows how all nodes of a cluster fare: who leads, how far each is, who hears whom
///
/// LAG is by how many entries a node is behind the one that is furthest. HEARS are the nodes whose
/// connections it reads. Asks each node itself: nothing is passed on. A counter's nodes have no leader:
/// COMMITTED is what each has counted itself, APPLIED the value that it knows, and LAG by how much it
/// lags behind.
///
/// Exit code: 0 when all nodes answer and agree on a leader, or on the value; 1 when not; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Show it as JSON: a line with an array
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// The pause between two looks, with --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

/// Asks, and shows.
pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let nodes = args.target.nodes()?;
    if nodes.is_empty() {
        bail!("no node to ask: name one with --node, or a cluster file with --config");
    }
    let access = args.target.access()?;
    let patience = PATIENCE.min(args.target.timeout());
    loop {
        let statuses = ask_all(&access, &nodes, patience).await?;
        if args.json {
            println!("{}", serde_json::to_string(&statuses)?);
        } else {
            show(&statuses, args.watch)?;
        }
        if !args.watch {
            let well = agree(&statuses);
            return Ok(ExitCode::from(u8::from(!well)));
        }
        tokio::time::sleep(Duration::from_secs(args.every)).await;
    }
}

/// The table; again at the top of the terminal's window when it is shown again and again.
fn show(statuses: &[NodeStatus], again: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if again && out.is_terminal() {
        out.write_all(b"\x1b[2J\x1b[H")?;
    }
    writeln!(
        out,
        "{:>5}  {:9}  {:>6}  {:>6}  {:>10}  {:>10}  {:>10}  {:>6}  {:5}  {:>9}  {:12}  ADDRESS",
        "NODE",
        "ROLE",
        "TERM",
        "LEADER",
        "COMMITTED",
        "APPLIED",
        "LAST",
        "LAG",
        "DISK",
        "UPTIME",
        "HEARS"
    )?;
    for status in statuses {
        writeln!(out, "{}", row(status, statuses))?;
    }
    if !agree(statuses) {
        let issue = at_issue(statuses);
        writeln!(out, "the nodes do not all agree on {issue}")?;
    }
    out.flush()
}

fn row(status: &NodeStatus, all: &[NodeStatus]) -> String {
    let id = status.id.map_or("?".to_owned(), |id| id.0.to_string());
    if let Some(error) = &status.error {
        return format!("{id:>5}  {}: {error}", status.address);
    }
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let hears: Vec<String> = status.hears.iter().map(|id| id.0.to_string()).collect();
    format!(
        "{id:>5}  {:9}  {:>6}  {:>6}  {:>10}  {:>10}  {:>10}  {:>6}  {:5}  {:>9}  {:12}  {}",
        status.role.as_deref().unwrap_or("-"),
        number(status.term),
        status.leader.map_or("-".to_owned(), |id| id.0.to_string()),
        number(status.committed),
        number(status.applied),
        number(status.last),
        number(lag(status, all)),
        if status.slow_disk { "slow" } else { "ok" },
        status.uptime_ms.map_or("-".to_owned(), uptime),
        hears.join(","),
        status.address,
    )
}

/// In the two largest units.
fn uptime(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_has_two_units() {
        let words = [5_000, 65_000, 3_660_000, 90_000_000].map(uptime);
        assert_eq!(words, ["5s", "1m05s", "1h01m", "1d01h"]);
    }
}
