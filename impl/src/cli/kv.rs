//! `lockstep kv`: a client of the store.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use lockstep::kv::Config;
use lockstep::kv::client::Client;
use lockstep::kv::client::entry::{Entry, Keys, Listing};
use lockstep::kv::encoding::escape;

use super::NOT_FOUND;
use super::keys::{KeyArgs, PrefixArgs};
use super::kv_lease::{self, LeaseCommand};
use super::kv_log::{self, LogArgs};
use super::kv_snapshot::{self, SnapshotCommand};
use super::kv_watch::{self, WatchArgs};
use super::target::TargetArgs;
use super::values::{OutputArgs, ValueArgs};

/// Reads and writes the key-value store
///
/// Tries every node, and retries until the timeout; a write is done once at most,
/// however often it is retried.
///
/// Each change makes a new revision of the store. Earlier ones can be read and watched until they are
/// compacted.
///
/// Exit code: 0 when it is done; 1 when the key is not there, or the conditions of a transaction do not
/// hold; 2 on any error.
#[derive(Debug, Args)]
pub(super) struct KvArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(subcommand)]
    command: KvCommand,
}

#[derive(Debug, Subcommand)]
enum KvCommand {
    #[command(flatten)]
    Store(StoreCommand),
    /// Snapshots: the whole store as a file
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Prints the committed log of one node, the first that answers: an entry a line, as JSON
    ///
    /// What a snapshot has replaced is not in it any more; where it begins later than was asked, standard
    /// error says so.
    Log(LogArgs),
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
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
        /// The lease that is to hold the key: it goes when that ends
        #[arg(long, value_name = "ID")]
        lease: Option<u64>,
    },
    /// Writes the value of KEY to standard output, byte for byte (with a line end after it
    /// on a terminal), or to a file
    Get {
        #[command(flatten)]
        key: KeyArgs,
        #[command(flatten)]
        output: OutputArgs,
        /// As it was at this revision
        #[arg(long, value_name = "REVISION")]
        revision: Option<u64>,
    },
    /// Removes KEY, or with --prefix all keys that begin with it, in one revision
    Delete {
        #[command(flatten)]
        key: KeyArgs,
        /// All keys that begin with KEY
        #[arg(long)]
        prefix: bool,
    },
    /// Lists the keys that begin with PREFIX, in order, with their values
    ///
    /// One line each: the key, a tab, and the value. What would not show or would break the line
    /// is written as \n, \t, \\, \u{1b}, and a byte that is no UTF-8 as \xff; --json loses nothing.
    ///
    /// The list is read in pages, all as they were at the revision of the first: what is written between
    /// two of them is not in the list.
    #[command(visible_alias = "range")]
    List(ListArgs),
    /// Does a transaction: compares, and does one of two lists of operations, all of it or nothing
    ///
    /// FILE, or standard input where it is -, holds JSON, such as
    ///
    ///   {"compare": [{"key": "colour", "is": "=", "value": "blue"}],
    ///    "success": [{"put": {"key": "colour", "value": "red"}}, {"delete": {"prefix": "old/"}}],
    ///    "failure": [{"range": {"key": "colour"}}]}
    ///
    /// A comparison is of the value, version, revision, create_revision or lease of key (or of all keys of a
    /// prefix, or from start to end), and `is` one of =, !=, <, >. The answer is JSON too.
    #[command(verbatim_doc_comment)]
    Txn {
        /// Where the transaction stands
        file: PathBuf,
    },
    /// Shows what changes, as it happens, until Ctrl-C
    Watch(WatchArgs),
    /// Leases: keys that go together when nobody says any more that whoever had them lives
    #[command(subcommand)]
    Lease(LeaseCommand),
    /// Forgets what was changed before REVISION. What was there at it can still be read
    ///
    /// The cluster does that by itself, as limits.history_revisions and history_bytes in its file say.
    Compact {
        /// The revision
        revision: u64,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    prefix: PrefixArgs,
    /// Only the keys
    #[arg(long)]
    keys_only: bool,
    /// One JSON object a line: key, value, revision, create_revision, version and lease; what is no
    /// UTF-8 is in base64, as key_base64 and value_base64
    #[arg(long)]
    json: bool,
    /// At most so many keys
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// As they were at this revision
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,
}

/// Asks the cluster.
pub(super) async fn run(args: KvArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KvCommand::Snapshot(command) => kv_snapshot::run(&args.target, command).await,
        KvCommand::Log(log) => kv_log::run(&args.target, &log).await,
        KvCommand::Store(command) => ask(client_of(&args.target)?, command).await,
    }
}

/// A client of the nodes that are named.
pub(super) fn client_of(target: &TargetArgs) -> anyhow::Result<Client> {
    let nodes = target.nodes_of::<Config>()?;
    Ok(Client::with_access(
        target.access()?,
        nodes,
        target.timeout(),
    )?)
}

async fn ask(mut client: Client, command: StoreCommand) -> anyhow::Result<ExitCode> {
    let found = match command {
        StoreCommand::Put { key, value, lease } => {
            let key = key.bytes()?;
            client.put_with(&key, value.read()?.into(), lease).await?;
            true
        }
        StoreCommand::Delete { key, prefix: false } => client.delete(&key.bytes()?).await?,
        StoreCommand::Delete { key, prefix: true } => {
            let deleted = client.delete_range(&Keys::Prefix(key.bytes()?)).await?;
            println!("{deleted}");
            deleted > 0
        }
        StoreCommand::Get {
            key,
            output,
            revision,
        } => match client.get_at(&key.bytes()?, revision).await? {
            Some(value) => {
                output.write(&value)?;
                true
            }
            None => false,
        },
        StoreCommand::List(args) => {
            list(&mut client, &args).await?;
            true
        }
        StoreCommand::Txn { file } => return transact(&mut client, &file).await,
        StoreCommand::Watch(args) => return kv_watch::run(&client, &args).await,
        StoreCommand::Lease(command) => return kv_lease::run(&mut client, command).await,
        StoreCommand::Compact { revision } => {
            client.compact(revision).await?;
            true
        }
    };
    if found {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("no such key");
    Ok(ExitCode::from(NOT_FOUND))
}

async fn transact(client: &mut Client, file: &Path) -> anyhow::Result<ExitCode> {
    let txn = match file {
        file if file == Path::new("-") => {
            let mut text = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut text);
            read.context("standard input cannot be read, and nothing was sent")?;
            text
        }
        file => fs::read(file)
            .with_context(|| format!("{} cannot be read, and nothing was sent", file.display()))?,
    };
    let answer = client.transact(txn.into()).await?;
    println!("{answer:#}");
    match answer["succeeded"].as_bool() {
        Some(true) => Ok(ExitCode::SUCCESS),
        Some(false) => Ok(ExitCode::from(NOT_FOUND)),
        None => bail!("the answer does not say which list was done"),
    }
}

async fn list(client: &mut Client, args: &ListArgs) -> anyhow::Result<()> {
    let mut listing = Listing {
        limit: args
            .limit
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        revision: args.revision,
        keys_only: args.keys_only,
        ..Listing::of(Keys::Prefix(args.prefix.bytes()?))
    };
    let mut out = BufWriter::new(io::stdout());
    loop {
        let page = client.range(&listing).await?;
        print_entries(&mut out, &page.entries, args)
            .context("the list cannot be written to standard output")?;
        // The pages after the first are of its revision.
        listing.revision.get_or_insert(page.revision);
        listing.limit = listing
            .limit
            .map(|left| left.saturating_sub(page.entries.len()));
        listing.after = page.entries.last().map(|entry| entry.key.to_vec());
        if !page.more || listing.limit == Some(0) || listing.after.is_none() {
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
