//! `lockstep completions` and `lockstep man`: what shells and man(1) know of this program.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

/// Writes a shell's completions to standard output
///
/// For example, for bash: lockstep completions bash > /etc/bash_completion.d/lockstep
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes a manual page for each command into a directory
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The directory; it is made if it is not there
    #[arg(value_name = "DIRECTORY")]
    dir: PathBuf,
}

/// Writes the completions.
pub(super) fn run_completions(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut command = super::command_line();
    // Into memory: clap panics where a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "lockstep", &mut script);
    let written = io::stdout().write_all(&script);
    written.context("the completions were not written")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages.
pub(super) fn run_man(args: ManArgs) -> anyhow::Result<ExitCode> {
    let directory = || format!("{}: the pages were not written", args.dir.display());
    fs::create_dir_all(&args.dir).with_context(directory)?;
    clap_mangen::generate_to(super::command_line(), &args.dir).with_context(directory)?;
    println!("man -l {}", args.dir.join("lockstep.1").display());
    Ok(ExitCode::SUCCESS)
}
