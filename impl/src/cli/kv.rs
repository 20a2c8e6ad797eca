//! `lockstep kv`: a client of the store.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use lockstep::kv::Config;
use lockstep::kv::client::{Client, Entry};
use lockstep::kv::encoding::escape;

use super::NOT_FOUND;
use super::keys::{KeyArgs, PrefixArgs};
use super::target::TargetArgs;
use super::values::{OutputArgs, ValueArgs};

/// Reads and writes the key-value store
///
/// Tries every node, and retries until the timeout; a write is done once at most,
/// however often it is retried.
///
/// Exit code: 0 when it is done; 1 when the key is not there; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct KvArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    command: KvCommand,
}

#[derive(Debug, Subcommand)]
enum KvCommand {
    /// Sets KEY to a value: VALUE, or what a file or standard input holds, byte for byte
    ///
    /// For example:
    ///
    ///   lockstep kv put colour blue
    ///   lockstep kv put picture --file picture.png
    ///   tar c folder | lockstep kv put archive -
    ///   lockstep kv put --key-hex 00ff -- -5
    #[command(verbatim_doc_comment)]
    Put {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        value: ValueArgs,
    },
    /// Writes the value of KEY to standard output, byte for byte (with a line end after it
    /// on a terminal), or to a file
    Get {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Removes KEY
    Delete {
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Lists the keys that begin with PREFIX, in order, with their values
    ///
    /// One line each: the key, a tab, and the value. What would not show or would break the line
    /// is written as \n, \t, \\, \u{1b}, and a byte that is no UTF-8 as \xff; --json loses nothing.
    ///
    /// The list is read in pages. Each is linearizable, but what is written between two of them
    /// may be in the list or not.
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    prefix: PrefixArgs,
    /// Only the keys
    #[arg(long)]
    keys_only: bool,
    /// One JSON object a line: key, value and revision; what is no UTF-8 is in base64, as
    /// key_base64 and value_base64
    #[arg(long)]
    json: bool,
    /// At most so many keys
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Asks the cluster.
pub(super) async fn run(args: KvArgs) -> anyhow::Result<ExitCode> {
    let mut client = Client::with_access(
        args.target.access()?,
        args.target.nodes_of::<Config>()?,
        args.target.timeout(),
    )?;
    let found = match args.command {
        KvCommand::Put { key, value } => {
            let key = key.bytes()?;
            client.put(&key, value.read()?.into()).await?;
            true
        }
        KvCommand::Delete { key } => client.delete(&key.bytes()?).await?,
        KvCommand::Get { key, output } => match client.get(&key.bytes()?).await? {
            Some(value) => {
                output.write(&value)?;
                true
            }
            None => false,
        },
        KvCommand::List(args) => {
            list(&mut client, &args).await?;
            true
        }
    };
    if found {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("no such key");
    Ok(ExitCode::from(NOT_FOUND))
}

async fn list(client: &mut Client, args: &ListArgs) -> anyhow::Result<()> {
    let prefix = args.prefix.bytes()?;
    let mut left = args
        .limit
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut after: Option<Vec<u8>> = None;
    let mut out = BufWriter::new(io::stdout());
    loop {
        let page = client.list(&prefix, after.as_deref(), left).await?;
        print_entries(&mut out, &page.entries, args)
            .context("the list cannot be written to standard output")?;
        left = left.map(|left| left.saturating_sub(page.entries.len()));
        after = page.entries.last().map(|entry| entry.key.to_vec());
        if !page.more || left == Some(0) || after.is_none() {
            return Ok(());
        }
    }
}

fn print_entries(out: &mut impl Write, entries: &[Entry], args: &ListArgs) -> io::Result<()> {
    for entry in entries {
        if args.json {
            writeln!(out, "{}", entry.to_json(args.keys_only))?;
        } else if args.keys_only {
            writeln!(out, "{}", escape(&entry.key))?;
        } else {
            writeln!(out, "{}\t{}", escape(&entry.key), escape(&entry.value))?;
        }
    }
    out.flush()
}
