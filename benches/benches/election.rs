//! Fail-over: how long it takes from the leader's end to the first write that is
//! acknowledged through its successor.
//!
//! Three processes of the `lockstep` program. Once they agree on a leader and on their logs,
//! the leader is asked to end (SIGTERM), killed (SIGKILL), or stopped (SIGSTOP): one that is asked
//! hands its leadership over first; a process that is killed closes its connections, which gives
//! it away, and one that is stopped does not. Both survivors are
//! asked for a write at once; the first acknowledgement ends the clock. The write is read
//! back, the fallen leader started anew.
//!
//! `-- --rounds N` sets how often; by default 10. The picture goes to `election.svg` in the
//! target folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::failover::{self, Fault, Timeouts};
use benches::latency::millis;
use benches::mode::Mode;
use benches::noise::Watch;
use benches::plot::{self, Distribution};
use benches::program::program;
use benches::table::Table;

/// Seeds the moments of the faults. The nodes draw their timeouts from seeds of their own,
/// which they log.
const SEED: u64 = 0xE1EC;
const ROUNDS: u32 = 10;

const SETTINGS: [Timeouts; 3] = [
    Timeouts {
        heartbeat: 10,
        shortest: 100,
        longest: 200,
    },
    Timeouts {
        heartbeat: 50,
        shortest: 300,
        longest: 600,
    },
    Timeouts {
        heartbeat: 100,
        shortest: 1000,
        longest: 2000,
    },
];

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("election: benchmark");
        return;
    }
    let rounds = mode.pick(rounds(), 1);
    let settings = mode.pick(&SETTINGS[..], &SETTINGS[..1]);
    let program = program();
    println!(
        "election: seed {SEED}, {rounds} rounds each, {}",
        program.display()
    );
    let lines = study(&program, settings, rounds);
    let file = target().join(mode.pick("election.svg", "election-smoke.svg"));
    let title = "From the loss of the leader to the next acknowledged write";
    plot::draw(&file, title, &lines).expect("the picture can be written");
    println!("the distributions are drawn in {}", file.display());
}

fn study(program: &Path, settings: &[Timeouts], rounds: u32) -> Vec<Distribution> {
    let mut table = Table::new(
        "from the fault to the first acknowledged write, in ms; heartbeat/election timeout in ms",
        [
            "fault, timeouts",
            "rounds",
            "min",
            "median",
            "max",
            "foreign cores",
        ],
    );
    let mut lines = Vec::new();
    for fault in [Fault::Terminate, Fault::Kill, Fault::Stop] {
        for &timeouts in settings {
            let name = format!("{} {timeouts}", fault.name());
            let watch = Watch::start();
            // The processes have ended when this returns, and count as this one's.
            let mut samples = failover::study(program, timeouts, fault, rounds, SEED);
            let usage = watch.usage();
            usage.report(&format!("election/{name}"));
            assert_eq!(samples.len(), rounds as usize);
            samples.sort_unstable();
            table.row([
                name.clone(),
                samples.len().to_string(),
                millis(samples[0]),
                millis(median(&samples)),
                millis(samples[samples.len() - 1]),
                usage.foreign(),
            ]);
            lines.push(Distribution { name, samples });
        }
    }
    println!("{table}");
    lines
}

/// Of sorted samples.
fn median(samples: &[Duration]) -> Duration {
    let (low, high) = ((samples.len() - 1) / 2, samples.len() / 2);
    (samples[low] + samples[high]) / 2
}

/// What `--rounds` says.
fn rounds() -> u32 {
    let Some(text) = Mode::option("--rounds") else {
        return ROUNDS;
    };
    let number = text.parse().ok().filter(|&rounds| rounds > 0);
    number.expect("--rounds wants a number from 1 on")
}

fn target() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).to_owned()
}
