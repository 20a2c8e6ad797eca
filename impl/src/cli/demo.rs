//! `lockstep demo`: a service at work.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Demo {
    /// Three nodes as processes: kills the leader, reads everything back from the next,
    /// restarts the dead node and lets it catch up
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Kv,
}

/// Runs the demo.
pub(super) async fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    let executable = std::env::current_exe().context("where is this program?")?;
    match demo {
        Demo::Kv => lockstep::kv::local::demo::run(&executable, &mut std::io::stdout()).await?,
    }
    Ok(ExitCode::SUCCESS)
}
