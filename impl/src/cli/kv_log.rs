//! `lockstep kv log`: the committed log of one node.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use lockstep::kv::client::Client;
use lockstep::kv::config::Config;
use serde_json::Value;

use super::kv::client_of;
use super::target::TargetArgs;

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// From this entry on
    #[arg(long, value_name = "INDEX", default_value_t = 1)]
    from: u64,
    /// At most so many entries
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Prints the log of the first node that answers.
pub(super) async fn run(target: &TargetArgs, args: &LogArgs) -> anyhow::Result<ExitCode> {
    let client = client_of(target)?;
    let mut problems = Vec::new();
    for node in target.nodes_of::<Config>()? {
        match page(&client, &node, args.from).await {
            Ok(first) => {
                let mut out = BufWriter::new(io::stdout());
                print(&client, &node, first, args, &mut out).await?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(problem) => problems.push(format!("{node}: {problem}")),
        }
    }
    bail!("no node shows its log; {}", problems.join("; "))
}

async fn page(client: &Client, node: &str, from: u64) -> Result<Value, String> {
    let text = client.page(node, &format!("/log?index={from}")).await?;
    serde_json::from_str(&text).map_err(|error| format!("its answer is no JSON: {error}"))
}

/// The pages from the first on, an entry a line.
async fn print(
    client: &Client,
    node: &str,
    first: Value,
    args: &LogArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if let Some(kept) = first["first_index"]
        .as_u64()
        .filter(|kept| *kept > args.from)
    {
        eprintln!("{node} begins with {kept}: a snapshot has replaced what was before");
    }
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut shown = first;
    loop {
        for entry in shown["entries"].as_array().into_iter().flatten() {
            if left == 0 {
                break;
            }
            left -= 1;
            writeln!(out, "{entry}").context("standard output cannot be written")?;
        }
        out.flush().context("standard output cannot be written")?;
        let Some(next) = shown["next"].as_u64().filter(|_| left > 0) else {
            return Ok(());
        };
        let page = page(client, node, next).await;
        shown = page.map_err(|problem| anyhow::anyhow!("{node}, from {next} on: {problem}"))?;
    }
}
