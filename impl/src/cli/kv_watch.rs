//! `lockstep kv watch`: what changes, as it happens.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use lockstep::kv::client::Client;
use lockstep::kv::client::entry::Keys;
use lockstep::kv::client::watch::{Change, Revision};
use lockstep::kv::encoding::escape;
use serde_json::{Value, json};

use super::keys::PrefixArgs;

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    prefix: PrefixArgs,
    /// From this revision on; else what changes from now on
    #[arg(long, value_name = "REVISION")]
    from: Option<u64>,
    /// End after so many revisions
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// A JSON object a line: a revision, with all that it changed
    #[arg(long)]
    json: bool,
}

/// Watches until as much was seen as is asked for.
pub(super) async fn run(client: &Client, args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let keys = Keys::Prefix(args.prefix.bytes()?);
    let mut watch = client.watch(&keys, args.from)?;
    let mut seen = 0;
    while args.limit.is_none_or(|limit| seen < limit) {
        let revision = watch.next().await?;
        print(&revision, args.json).context("the changes cannot be written to standard output")?;
        seen += 1;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each change: the revision, what was done, the key, and the value.
fn print(revision: &Revision, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        let changes: Vec<Value> = revision.changes.iter().map(change).collect();
        writeln!(
            out,
            "{}",
            json!({ "revision": revision.revision, "events": changes })
        )?;
        return out.flush();
    }
    for change in &revision.changes {
        let number = revision.revision;
        match change {
            Change::Put(entry) => {
                let (key, value) = (escape(&entry.key), escape(&entry.value));
                writeln!(out, "{number}\tput\t{key}\t{value}")?;
            }
            Change::Deleted(key) => writeln!(out, "{number}\tdelete\t{}", escape(key))?,
        }
    }
    out.flush()
}

fn change(change: &Change) -> Value {
    match change {
        Change::Put(entry) => json!({ "put": parsed(&entry.to_json(false)) }),
        Change::Deleted(key) => json!({ "delete": escape(key) }),
    }
}

/// What was written as JSON a moment ago.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
