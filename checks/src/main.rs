//! `checks`: everything that tries to break the models.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use checks::cli::{Cli, Command};
use checks::command::{self, Context, Ending, generated, mutants, verify};
use clap::Parser;

/// Exploring is allocating: worlds come and go by the million, on all threads. Measured
/// against the system's allocator on `raft/replication`, this one is faster by a third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for wrong arguments and unreadable files; clap's as well.
const WRONG_USAGE: u8 = 2;

/// The exit code where nothing is known to be wrong, and not all has been seen.
const INCOMPLETE: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    let wish = Arc::clone(&interrupted);
    let handler = ctrlc::set_handler(move || {
        // The second time the user means it.
        if wish.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(error) = handler {
        eprintln!("Ctrl-C will end the program at once: {error}");
    }
    let context = Context {
        json: cli.json,
        traces: cli.traces,
        interrupted,
    };
    match run(&context, cli.command) {
        Ok(Ending::Well) => ExitCode::SUCCESS,
        Ok(Ending::NotWell) => ExitCode::FAILURE,
        Ok(Ending::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

fn run(context: &Context, command: Command) -> Result<Ending> {
    match command {
        Command::List => command::list::run(context),
        Command::Verify(args) => {
            let plan = verify::Plan {
                models: args.models,
                all: args.all,
                size: args.size.map(Into::into),
                mutant: args.mutant,
                engine: args.engine,
                reductions: args.reductions,
                checkpoint: args.checkpoint,
                limits: args.limits.limits(),
                budget: Some(args.limits.budget),
            };
            command::verify::run(context, &plan)
        }
        Command::Engines(args) => command::engines::run(context, &args),
        Command::Explore(args) => command::explore::run(context, &args),
        Command::Fuzz(args) => command::fuzz::run(context, &args),
        Command::Pairs(args) => command::pairs::run(context, &args),
        Command::Mutants(args) if args.generated => {
            let plan = generated::Plan {
                protocol: args.protocol,
                again: args.again,
                budget: args.budget,
                threads: checks::engine::Limits::on(args.threads).threads,
            };
            command::generated::run(context, &plan)
        }
        Command::Mutants(args) => {
            let plan = mutants::Plan {
                limits: checks::engine::Limits::on(args.threads),
                protocol: args.protocol,
                model: args.model,
                engine: args.engine,
                budget: args.budget,
            };
            command::mutants::run(context, &plan)
        }
        Command::Replay { file, svg } => command::replay::run(context, &file, svg.as_deref()),
        Command::Gate(args) => command::gate::run(context, &args),
    }
}
