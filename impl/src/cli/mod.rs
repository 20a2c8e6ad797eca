//! The command line: a file for each command.

mod demo;
mod init;
mod keys;
mod kv;
mod members;
mod node;
mod recover;
mod target;
mod values;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

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
    Init(init::InitArgs),
    Members(members::MembersArgs),
    Recover(recover::RecoverArgs),
    Kv(kv::KvArgs),
    /// Shows a service at work on this machine, and checks what it shows
    #[command(subcommand)]
    Demo(demo::Demo),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = !matches!(cli.command, Command::Node(_));
    start_logging(if quiet { "error" } else { "info" });
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", in_words(&error));
            ExitCode::from(ERROR)
        }
    }
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

fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime did not start")?;
    let code = runtime.block_on(async {
        match command {
            Command::Node(args) => node::run(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Members(args) => members::run(args).await,
            Command::Recover(args) => recover::run(args),
            Command::Kv(args) => kv::run(args).await,
            Command::Demo(demo) => demo::run(demo).await,
        }
    });
    // A call that hangs in the operating system must not keep the process from ending.
    runtime.shutdown_background();
    code
}
