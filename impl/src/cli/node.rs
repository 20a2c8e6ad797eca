//! `lockstep node`: one node of a cluster.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use lockstep::counter::CounterNode;
use lockstep::files::FilesNode;
use lockstep::kv::KvNode;
use lockstep::locks::{self, LocksNode};
use lockstep::runtime::driver::Status;
use lockstep::service::config::{ServiceConfig, ServiceKind, service_of};
use lockstep::service::logging::LogFormat;
use lockstep::service::open_files;
use lockstep::service::running::ServiceNode;
use lockstep::service::start::Listeners;
use models::NodeId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Runs one node of a cluster, of the service that its file names, until Ctrl-C or SIGTERM
///
/// The file says of which service: a key-value store, files (service = "files"), locks (service =
/// "locks"; its orchestrator is one of the nodes), or a counter (service = "counter").
///
/// A node that is told to stop hands its leadership over first if it leads a key-value cluster, and
/// finishes the
/// requests that run: that takes a second or two at most. Killed, it loses nothing
/// either, but the others need an election time-out to notice.
///
/// Exit code: 0 after an orderly stop; 2 when the node cannot start, has failed, or was
/// told to stop and its disk hung for three seconds: what was not on disk then may be
/// lost, and nobody was told of it. A node whose disk fails answers nothing more and exits.
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Which of its nodes this is
    #[arg(long, value_name = "ID")]
    id: u16,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the orchestrator of a cluster of locks, until Ctrl-C or SIGTERM
///
/// The same as `lockstep node` with the number that the file names as locks.orchestrator. It says who
/// the members are, and has no locks itself. While it is down locks are taken and given as before, until
/// the members' leases run out.
///
/// Exit code: as that of `lockstep node`.
#[derive(Debug, Args)]
pub(super) struct OrchestratorArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// How a node runs.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The cluster file, the same for all nodes
    ///
    /// `lockstep config init kv`, or `files`, `locks` or `counter`, writes one that works as it stands and says what each of
    /// its values means; `lockstep config check` says what is wrong with one. For the file service it
    /// may also be a list of nodes, a line for each: its id, its address, the port for the other
    /// nodes, the port for clients, such as `1 10.0.0.1 7400 7500`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    process: ProcessArgs,
}

/// How the process of a node behaves.
#[derive(Debug, Args)]
pub(super) struct ProcessArgs {
    /// What is logged: error, warn, info, debug, trace or off, or a list such as
    /// warn,lockstep::runtime=debug. RUST_LOG, if nothing is said, or else info. It can be changed while
    /// the node runs: see `lockstep log-level`
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// In what form lines are written
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
    /// Also stop when standard input ends: for a parent that must not leave nodes behind
    #[arg(long)]
    stop_with_stdin: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: an object of JSON a line
    Json,
}

impl NodeArgs {
    pub(super) fn process(&self) -> &ProcessArgs {
        &self.run.process
    }
}

impl OrchestratorArgs {
    pub(super) fn process(&self) -> &ProcessArgs {
        &self.run.process
    }
}

impl ProcessArgs {
    pub(super) fn log_level(&self) -> Option<&str> {
        self.log_level.as_deref()
    }

    pub(super) fn stop_with_stdin(&self) -> bool {
        self.stop_with_stdin
    }

    pub(super) fn log_format(&self) -> LogFormat {
        match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        }
    }
}

/// Runs the node until it is told to stop.
pub(super) async fn run(args: NodeArgs) -> anyhow::Result<ExitCode> {
    match service_of(&args.run.config)? {
        ServiceKind::Kv => run_service::<KvNode>(args).await,
        ServiceKind::Files => run_service::<FilesNode>(args).await,
        ServiceKind::Locks => run_service::<LocksNode>(args).await,
        ServiceKind::Counter => run_service::<CounterNode>(args).await,
        ServiceKind::Heartbeat => bail!(
            "{}: it is of members, not of nodes; nothing was started. Use `lockstep heartbeat run --config \
             FILE --id {}`",
            args.run.config.display(),
            args.id
        ),
    }
}

/// Runs the orchestrator until it is told to stop.
pub(super) async fn run_orchestrator(args: OrchestratorArgs) -> anyhow::Result<ExitCode> {
    let config = locks::Config::load(&args.run.config)?;
    run_service::<LocksNode>(NodeArgs {
        id: config.locks.orchestrator.0,
        run: args.run,
    })
    .await
}

async fn run_service<N: ServiceNode>(args: NodeArgs) -> anyhow::Result<ExitCode> {
    let config = N::Config::load(&args.run.config)?;
    let file = args.run.config.display();
    let id = NodeId(args.id);
    let listed = config.cluster_config();
    listed.node(id).with_context(|| file.to_string())?;
    run_node::<N>(&config, id, &args.run.process).await
}

/// Runs node `id` of `config` until it is told to stop, or has done what it was there for.
pub(super) async fn run_node<N: ServiceNode>(
    config: &N::Config,
    id: NodeId,
    process: &ProcessArgs,
) -> anyhow::Result<ExitCode> {
    let cluster = config.cluster_config();
    let own = cluster.node(id)?;
    // Before anything is served: a signal that comes now must find somebody.
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let stdin = end_of_stdin(process.stop_with_stdin);
    match open_files::raise_limit() {
        Ok(limit) => tracing::info!(limit, "so many files may be open"),
        Err(error) => tracing::warn!(%error, "the limit on open files is not raised"),
    }
    let listeners = Listeners::bind(own).await?;
    let mut stdin = std::pin::pin!(stdin);
    let waiting = N::until_member(config, id, listeners);
    let listeners = tokio::select! {
        biased;
        listeners = waiting => listeners?,
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        () = &mut stdin => return Ok(ExitCode::SUCCESS),
    };
    let node = N::start(config, id, listeners)?;
    tokio::select! {
        biased;
        status = node.ended() => match status {
            Status::Failed(failure) => return Err(failure.into()),
            Status::Running | Status::Stopped => bail!("the node has stopped by itself"),
        },
        reason = node.done() => tracing::info!(reason, "stopping"),
        _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
        _ = terminate.recv() => tracing::info!("asked to terminate: stopping"),
        () = &mut stdin => tracing::info!("standard input has ended: stopping"),
    }
    node.shutdown().await?;
    tracing::info!("stopped in order");
    Ok(ExitCode::SUCCESS)
}

/// Resolves when standard input ends, or never.
pub(super) async fn end_of_stdin(watch: bool) {
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
