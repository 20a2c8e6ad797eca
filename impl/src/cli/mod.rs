//! The command line: a file for each command.

mod certs;
mod cluster_file;
mod completions;
mod config;
mod counter;
mod demo;
mod duration;
mod files;
mod files_shell;
mod files_shell_batch;
mod files_shell_watch;
mod heartbeat;
mod heartbeat_run;
mod init;
mod keys;
mod kv;
mod kv_lease;
mod kv_log;
mod kv_snapshot;
mod kv_watch;
mod lock;
mod lock_run;
mod locks;
mod log_level;
mod members;
mod node;
mod recover;
mod status;
mod target;
mod values;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use lockstep::service::logging::{self, LogFormat, Logging};

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
    Node(node::NodeArgs),
    Orchestrator(node::OrchestratorArgs),
    Config(config::ConfigArgs),
    Certs(certs::CertsArgs),
    Status(status::StatusArgs),
    LogLevel(log_level::LogLevelArgs),
    Init(init::InitArgs),
    Members(members::MembersArgs),
    Recover(recover::RecoverArgs),
    Kv(kv::KvArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
    Files(files::FilesArgs),
    Lock(lock::LockArgs),
    Locks(locks::LocksArgs),
    Counter(counter::CounterArgs),
    Heartbeat(Box<heartbeat::HeartbeatArgs>),
    /// Shows a service at work on this machine, and checks what it shows
    #[command(subcommand)]
    Demo(demo::Demo),
}

/// The program's commands and options.
fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let started = match &cli.command {
        Command::Node(args) => start_log(args.process()),
        Command::Orchestrator(args) => start_log(args.process()),
        Command::Counter(counter::CounterArgs {
            command: counter::CounterCommand::Serve(args),
            ..
        }) => start_log(args.process()),
        Command::Heartbeat(args) => match &args.command {
            heartbeat::HeartbeatCommand::Run(args) => start_log(args.process()),
            _ => logging::start(None, "error", LogFormat::Text),
        },
        _ => logging::start(None, "error", LogFormat::Text),
    };
    let log = match started {
        Ok(log) => log,
        Err(words) => {
            eprintln!("error: --log-level: {words}; nothing was started");
            return ExitCode::from(ERROR);
        }
    };
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

/// The log of a node.
fn start_log(args: &node::ProcessArgs) -> Result<Logging, String> {
    logging::start(args.log_level(), "info", args.log_format())
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
    let code = runtime.block_on(async {
        match command {
            Command::Node(args) => node::run(args).await,
            Command::Orchestrator(args) => node::run_orchestrator(args).await,
            Command::Config(args) => config::run(args),
            Command::Certs(args) => certs::run(args),
            Command::Status(args) => status::run(args).await,
            Command::LogLevel(args) => log_level::run(args).await,
            Command::Completions(args) => completions::run_completions(args),
            Command::Man(args) => completions::run_man(args),
            Command::Init(args) => init::run(args).await,
            Command::Members(args) => members::run(args).await,
            Command::Recover(args) => recover::run(args).await,
            Command::Kv(args) => kv::run(args).await,
            Command::Files(args) => files::run(args).await,
            Command::Lock(args) => lock::run(args).await,
            Command::Locks(args) => locks::run(args).await,
            Command::Counter(args) => counter::run(args).await,
            Command::Heartbeat(args) => heartbeat::run(*args).await,
            Command::Demo(demo) => demo::run(demo).await,
        }
    });
    // A call that hangs in the operating system, or a name that is being looked up, cannot be
    // cancelled, and must not delay the end.
    runtime.shutdown_background();
    code
}
