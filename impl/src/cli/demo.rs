//! `lockstep demo`: a service at work.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// Ended by SIGINT, as shells say it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// The signal that has ended the nodes comes to the demo within this time, if it comes at all.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(super) enum Demo {
    /// Three nodes as processes: kills the leader, reads everything back from the next,
    /// restarts the dead node and lets it catch up
    ///
    /// Exit code: 0 and PASS when everything is as it should be; 130 when it was interrupted
    /// (Ctrl-C), and then nothing is left of it; else 2.
    Kv,
    /// Three nodes of the file service as processes: kills the leader while files are written, reads
    /// everything back, brings dead nodes up to date by DIFF and by SNAP, and refuses one that has
    /// lost its disk
    ///
    /// Exit code: 0 and PASS when everything is as it should be; 130 when it was interrupted
    /// (Ctrl-C), and then nothing is left of it; else 2.
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
    let mut interrupts = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut interrupted = pin!(interrupts.recv());
    let mut out = std::io::stdout();
    let showing = async {
        match demo {
            Demo::Kv => lockstep::kv::local::demo::run(&executable, &mut out).await?,
            Demo::Files => lockstep::files::local::demo::run(&executable, &mut out).await?,
            Demo::Locks => lockstep::locks::local::demo::run(&executable, &mut out).await?,
        }
        anyhow::Ok(())
    };
    let failure = tokio::select! {
        biased;
        _ = &mut interrupted => None,
        shown = showing => match shown {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(failure) => Some(failure),
        },
    };
    // What the demo has started ended with it, and its folder is gone.
    if let Some(failure) = failure {
        // A terminal interrupts the nodes too. That they ended is amiss only if it was not that.
        if timeout(SIGNAL_PATIENCE, interrupted).await.is_err() {
            return Err(failure);
        }
    }
    eprintln!("interrupted: nothing is left running");
    Ok(ExitCode::from(INTERRUPTED))
}
