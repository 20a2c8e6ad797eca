//! `lockstep demo`: a service at work.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Demo {
    /// Three nodes as processes: kills the leader, reads everything back from the next,
    /// restarts the dead node and lets it catch up
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Kv,
    /// Three nodes of the file service as processes: kills the leader while files are written, reads
    /// everything back, brings dead nodes up to date by DIFF and by SNAP, and refuses one that has
    /// lost its disk
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Files,
    /// An orchestrator and four nodes of the lock service as processes: clients count under a lock, a
    /// holder dies, its node is killed, another is stopped for longer than its lease, the orchestrator
    /// is restarted, a node leaves and joins
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Locks,
}

/// Runs the demo.
pub(super) async fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    let executable = std::env::current_exe().context("where is this program?")?;
    let mut out = std::io::stdout();
    let showing = async {
        match demo {
            Demo::Kv => lockstep::kv::local::demo::run(&executable, &mut out).await?,
            Demo::Files => lockstep::files::local::demo::run(&executable, &mut out).await?,
            Demo::Locks => lockstep::locks::local::demo::run(&executable, &mut out).await?,
        }
        anyhow::Ok(ExitCode::SUCCESS)
    };
    tokio::select! {
        biased;
        // What the demo has started ends with it, and its folder goes.
        _ = tokio::signal::ctrl_c() => bail!("interrupted: nothing is left running"),
        shown = showing => shown,
    }
}
