//! `lockstep demo`: a service at work.

use std::io::Stdout;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use lockstep::heartbeat::local as heartbeat;
use lockstep::kv::local as kv;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::duration;

/// Ended by SIGINT, as shells say it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// The signal that has ended the nodes comes to the demo within this time, if it comes at all.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(200);
/// How long messages of a slow demo may take.
const DELAYS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Demo {
    /// All of them, one after the other; those that measure take fewer runs and sizes than by themselves
    ///
    /// Exit code: 0 when each says PASS; else that of the first that does not.
    All,
    /// Three nodes as processes: kills the leader, reads everything back from the next,
    /// restarts the dead node and lets it catch up
    ///
    /// Exit code: 0 and PASS when everything is as it should be; 130 when it was interrupted
    /// (Ctrl-C), and then nothing is left of it; else 2.
    Kv {
        /// Each message takes so long, and is shown when it is sent, to watch the protocol live: 10ms to 1s
        #[arg(long, value_name = "DELAY", value_parser = delay)]
        slow: Option<Duration>,
    },
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
    /// Three nodes of the counter as processes: counts at each, kills one and starts it again, retries a
    /// numbered request, splits the nodes and lets them come together, empties a disk, has a node join and
    /// one leave
    ///
    /// Exit code: 0 and PASS when everything is as it should be; 130 when it was interrupted
    /// (Ctrl-C), and then nothing is left of it; else 2.
    Counter,
    /// Members as processes: they find each other by broadcast, join and leave, die and come back; the
    /// leader is killed, then a majority of the voters, which nobody takes for a cluster of its own
    ///
    /// Exit code: 0 and PASS when everything is as it should be; 130 when it was interrupted
    /// (Ctrl-C), and then nothing is left of it; else 2.
    Heartbeat,
    /// Jobs over TCP, given to the least loaded member, beside the same jobs given at random; a worker dies
    /// in the midst of it
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    LoadBalance {
        /// So many jobs each time
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(40..=100_000))]
        jobs: u32,
        /// Draws how long jobs take, and the members drawn at random: any, if nothing is said
        #[arg(long)]
        seed: Option<u64>,
    },
    /// How many packets a heartbeat takes, and how large they are, for 3 to 100 members
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    Scaling {
        /// How many members there are, one cluster after the other, with commas between
        #[arg(long, value_delimiter = ',', value_name = "MEMBERS", default_values_t = [3, 10, 39, 40, 100],
              value_parser = clap::value_parser!(u16).range(3..=500))]
        sizes: Vec<u16>,
        /// Draws the loads that members report: any, if nothing is said
        #[arg(long)]
        seed: Option<u64>,
    },
    /// How long a cluster is without a leader when its leader has died, for the election time-outs of a
    /// bachelor's thesis on heartbeats (2015), beside its figures and those of Raft's paper
    ///
    /// Exit code: 0 and PASS when everything is as it should be, else 2.
    ElectionLatency {
        /// So many runs with each time-out
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        runs: u32,
        /// So many clusters at a time
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        at_a_time: u16,
        /// Draws time-outs and the moments of death: any, if nothing is said
        #[arg(long)]
        seed: Option<u64>,
    },
}

/// How long messages may take: each step of the demo takes many of them.
fn delay(text: &str) -> Result<Duration, String> {
    let delay = duration::parse(text)?;
    if DELAYS.contains(&delay) {
        Ok(delay)
    } else {
        Err("choose from 10ms to 1s".to_owned())
    }
}

/// Runs the demo.
pub(super) async fn run(demo: Demo) -> anyhow::Result<ExitCode> {
    let executable = std::env::current_exe().context("where is this program?")?;
    let mut interrupts = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut interrupted = pin!(interrupts.recv());
    let mut out = std::io::stdout();
    let showing = async {
        let demos = match demo {
            Demo::All => all(),
            one => vec![one],
        };
        for demo in demos {
            show(demo, &executable, &mut out).await?;
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

/// Each demo, none of which takes long.
fn all() -> Vec<Demo> {
    vec![
        Demo::Kv { slow: None },
        Demo::Files,
        Demo::Locks,
        Demo::Counter,
        Demo::Heartbeat,
        Demo::LoadBalance {
            jobs: 200,
            seed: None,
        },
        Demo::Scaling {
            sizes: vec![3, 40, 100],
            seed: None,
        },
        Demo::ElectionLatency {
            runs: 5,
            at_a_time: 20,
            seed: None,
        },
    ]
}

async fn show(demo: Demo, executable: &Path, out: &mut Stdout) -> anyhow::Result<()> {
    match demo {
        Demo::All => {}
        Demo::Kv { slow: None } => kv::demo::run(executable, out).await?,
        Demo::Kv { slow: Some(delay) } => kv::demo::run_slowly(executable, delay, out).await?,
        Demo::Files => lockstep::files::local::demo::run(executable, out).await?,
        Demo::Locks => lockstep::locks::local::demo::run(executable, out).await?,
        Demo::Counter => lockstep::counter::local::demo::run(executable, out).await?,
        Demo::Heartbeat => heartbeat::demo::run(executable, out).await?,
        Demo::LoadBalance { jobs, seed } => {
            let options = heartbeat::load_balance::Options {
                jobs: jobs as usize,
                seed: drawn(seed),
            };
            heartbeat::load_balance::run(options, out).await?;
        }
        Demo::Scaling { sizes, seed } => {
            let options = heartbeat::scaling::Options {
                sizes: sizes.into_iter().map(usize::from).collect(),
                seed: drawn(seed),
            };
            heartbeat::scaling::run(options, out).await?;
        }
        Demo::ElectionLatency {
            runs,
            at_a_time,
            seed,
        } => {
            let options = heartbeat::election_latency::Options {
                runs,
                at_a_time: at_a_time.into(),
                seed: drawn(seed),
            };
            heartbeat::election_latency::run(options, out).await?;
        }
    }
    Ok(())
}

fn drawn(seed: Option<u64>) -> u64 {
    seed.unwrap_or_else(|| fastrand::u64(..))
}
