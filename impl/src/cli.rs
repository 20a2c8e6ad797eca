//! The command line.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use lockstep::driver::Status;
use lockstep::kv::client::Client;
use lockstep::kv::node::Listeners;
use lockstep::kv::{Config, KvNode, demo};
use lockstep::{logging, open_files};
use models::NodeId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

const NOT_FOUND: u8 = 1;
const ERROR: u8 = 2;

/// Replicated services whose protocols are proved, fuzzed, run and timed as one code.
///
/// Logs go to standard error; RUST_LOG sets what is logged, such as RUST_LOG=debug.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one node of a key-value cluster, until Ctrl-C or SIGTERM
    ///
    /// Exit code: 0 after an orderly stop; 2 when the node cannot start, or has failed. A
    /// node whose disk fails answers nothing more and exits.
    Node(NodeArgs),
    /// Reads and writes the key-value store
    ///
    /// Tries every node, and retries until the timeout; a write is done once at most,
    /// however often it is retried.
    ///
    /// Exit code: 0 when it is done; 1 when the key is not there; 2 on any error.
    Kv(KvArgs),
    /// Shows a service at work on this machine, and checks what it shows
    #[command(subcommand)]
    Demo(Demo),
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// The cluster file, the same for all nodes
    ///
    /// For example:
    ///
    ///   cluster = "blue"
    ///
    ///   [timing]                     # all optional; these are the defaults
    ///   heartbeat_ms = 50
    ///   election_min_ms = 300
    ///   election_max_ms = 600
    ///   request_timeout_ms = 5000
    ///
    ///   [log]                        # all optional; these are the defaults
    ///   snapshot_after_bytes = 16777216
    ///   trailing_bytes = 4194304
    ///   chunk_bytes = 1048576
    ///   appends_in_flight = 16
    ///
    ///   [[nodes]]                    # one for each node
    ///   id = 1
    ///   peer_address = "10.0.0.1:7400"
    ///   client_address = "10.0.0.1:7500"
    ///   metrics_address = "10.0.0.1:7501"   # optional: client port + 1
    ///   data_directory = "data/1"    # relative to this file
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    config: PathBuf,
    /// Which of its nodes this is
    #[arg(long, value_name = "ID")]
    id: u16,
    /// Also stop when standard input ends: for a parent that must not leave nodes behind
    #[arg(long)]
    stop_with_stdin: bool,
}

#[derive(Debug, Args)]
struct KvArgs {
    /// A node's client address, host:port; may be repeated
    #[arg(long, value_name = "ADDRESS", global = true)]
    node: Vec<String>,
    /// A cluster file: all its nodes are tried
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(subcommand)]
    command: KvCommand,
}

#[derive(Debug, Subcommand)]
enum KvCommand {
    /// Sets KEY to VALUE
    Put {
        /// The key, at most 4 KiB
        key: String,
        /// The value, at most 1 MiB
        value: String,
    },
    /// Writes the value of KEY to standard output, byte for byte (with a line end after it
    /// on a terminal)
    Get {
        /// The key
        key: String,
    },
    /// Removes KEY
    Delete {
        /// The key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum Demo {
    /// Three nodes as processes: kills the leader, reads everything back from the next,
    /// restarts the dead node and lets it catch up
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Kv,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = matches!(cli.command, Command::Kv(_) | Command::Demo(_));
    let log = logging::start(if quiet { "error" } else { "info" });
    let (code, last_words) = match run(cli.command) {
        Ok(code) => (code, None),
        Err(error) => {
            let words = format!("error: {}", in_words(&error));
            (ExitCode::from(ERROR), Some(words))
        }
    };
    log.finish(last_words);
    code
}

/// The error with its causes, each said once: many of our errors quote theirs.
fn in_words(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime did not start")?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Node(args) => run_node(args).await,
            Command::Kv(args) => run_kv(args).await,
            Command::Demo(Demo::Kv) => {
                let executable = std::env::current_exe().context("where is this program?")?;
                demo::run(&executable, &mut std::io::stdout()).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    // A name that is being looked up cannot be cancelled, and must not delay the end.
    runtime.shutdown_background();
    outcome
}

async fn run_node(args: NodeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let id = NodeId(args.id);
    let file = args.config.display();
    let own = config.node(id).with_context(|| file.to_string())?;
    // Before anything is served: a signal that comes now must find somebody.
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let stdin = end_of_stdin(args.stop_with_stdin);
    match open_files::raise_limit() {
        Ok(limit) => tracing::info!(limit, "so many files may be open"),
        Err(error) => tracing::warn!(%error, "the limit on open files is not raised"),
    }
    let listeners = Listeners::bind(own).await?;
    let node = KvNode::start(&config, id, listeners)?;
    tokio::select! {
        biased;
        status = node.ended() => match status {
            Status::Failed(failure) => return Err(failure.into()),
            Status::Running | Status::Stopped => bail!("the node has stopped by itself"),
        },
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
        _ = terminate.recv() => tracing::info!("asked to terminate: stopping"),
        () = stdin => tracing::info!("standard input has ended: stopping"),
    }
    node.shutdown().await?;
    tracing::info!("stopped in order");
    Ok(ExitCode::SUCCESS)
}

/// Resolves when standard input ends, or never.
async fn end_of_stdin(watch: bool) {
    if watch {
        let (ended, wait) = oneshot::channel::<()>();
        // A thread of its own: a read cannot be cancelled, and must not delay the end.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock().by_ref(), &mut std::io::sink());
            drop(ended);
        });
        let _ = wait.await;
    } else {
        std::future::pending().await
    }
}

async fn run_kv(args: KvArgs) -> anyhow::Result<ExitCode> {
    let mut nodes = args.node;
    if let Some(file) = &args.config {
        let config = Config::load(file)?;
        nodes.extend(config.nodes.into_iter().map(|node| node.client_address));
    }
    let mut client = Client::new(nodes, Duration::from_secs(args.timeout))?;
    let found = match args.command {
        KvCommand::Put { key, value } => {
            client.put(key.as_bytes(), value.into()).await?;
            true
        }
        KvCommand::Delete { key } => client.delete(key.as_bytes()).await?,
        KvCommand::Get { key } => match client.get(key.as_bytes()).await? {
            Some(value) => {
                print(&value).context("the value cannot be written to standard output")?;
                true
            }
            None => false,
        },
    };
    if found {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("no such key");
    Ok(ExitCode::from(NOT_FOUND))
}

fn print(value: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(value)?;
    if out.is_terminal() {
        out.write_all(b"\n")?;
    }
    out.flush()
}
