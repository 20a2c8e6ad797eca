//! The command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use models::specification::Size;

use crate::engine::{Bits, Engine, Limits, Reductions};
use crate::fuzz::Plan;

/// Everything that tries to break the models.
///
/// Exit code 0 only when all that was asked was done, and all is well; 1 when something is violated
/// or survives; 2 when the arguments or a file are wrong; 3 when nothing is known to be wrong, but
/// a run was cut short, by time, memory, a full disk or Ctrl-C, or has shown too little to mean
/// anything. A run that ends at a limit of states or steps that was asked for is well if it has
/// shown what its model must show; so is a simulation whose time is up.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,

    /// Print JSON on standard output, and nothing else there.
    #[arg(long, global = true)]
    pub json: bool,

    /// The folder for traces of violations.
    #[arg(long, global = true, default_value = "traces", value_name = "FOLDER")]
    pub traces: PathBuf,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the catalogue: every model with its bounds, faults and properties.
    List,
    /// Walk every state of models, or as many as there is time for, and check every property.
    Verify(VerifyArgs),
    /// Measure the engines beside each other: states a second and memory, on the same models.
    Engines(EnginesArgs),
    /// Browse a model's states, or a trace, on a web page.
    Explore(ExploreArgs),
    /// Sample runs of worlds that are too large to walk.
    Fuzz(FuzzArgs),
    /// Sample runs of every model, and show which features of a protocol have met in one.
    Pairs(PairsArgs),
    /// Run every mutant: each must be caught, and each control hold. Or those that can be generated.
    Mutants(MutantsArgs),
    /// Take the steps of a trace again.
    Replay {
        /// The trace, as `verify`, `mutants` and `fuzz` write them.
        file: PathBuf,

        /// Draw it as a sequence diagram into this file, too.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// What a user puts in CI: the small models whole, the large ones in part, the mutants, a
    /// seeded fuzz.
    Gate(GateArgs),
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Models, or protocols for all their models. See `checks list`.
    #[arg(value_name = "MODEL")]
    pub models: Vec<String>,

    /// Verify every model.
    #[arg(long, conflicts_with = "models")]
    pub all: bool,

    /// Only models of this size.
    #[arg(long)]
    pub size: Option<SizeArg>,

    /// A mutant to run in the protocol's place.
    #[arg(long, value_name = "ID")]
    pub mutant: Option<String>,

    /// How, and with which engine.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// What to leave out because it is proved to make no difference to the verdict: names with
    /// commas between them, all, or none. `inert`: messages that would change nothing (fewer
    /// states). `commuting`: of two steps that commute, one of the two orders (fewer steps).
    /// `symmetry`: where nodes or clients are alike, worlds that differ in names alone (fewer
    /// states than the model's row says). The last two are the native engine's alone.
    #[arg(long, value_name = "NAMES", default_value = "inert,commuting")]
    pub reductions: Reductions,

    /// Keep the search of one model in this file: every ten minutes, and when a limit or Ctrl-C
    /// ends it. If it is there already, go on from it. The native engine's alone.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Limits of the runs.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Which engine, and what it draws from, if it draws.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The engine. `simulate` takes weighted random walks, also through the models that are
    /// there to be fuzzed, until the budget is used up: it ends as `bounded` or finds something.
    #[arg(long, default_value = "native")]
    pub engine: Engine,

    /// What all randomness comes from: the same seed, the same walks. By default another one
    /// each time, which is printed. For `--engine simulate`.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// The sizes of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SizeArg {
    /// Seconds each.
    Gate,
    /// Minutes to hours each.
    Large,
}

impl From<SizeArg> for Size {
    fn from(size: SizeArg) -> Self {
        match size {
            SizeArg::Gate => Self::Gate,
            SizeArg::Large => Self::Large,
        }
    }
}

/// Limits of a run. One that ends at a number of states or steps that was asked for is `bounded`,
/// one that time or memory cuts short `incomplete`.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// How many threads to use; by default one for each core.
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZero<usize>>,

    /// How long each model's run may take: 90s, 10m, 2h.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub budget: Duration,

    /// After how many unique states each run stops; a simulation, after how many steps.
    #[arg(long, value_name = "N")]
    pub max_states: Option<u64>,

    /// How many steps from the start a run goes no further: the native engine ends there, a
    /// simulation begins another walk (by default after 400).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_depth: Option<u32>,

    /// How much memory the states of each run may take: 500M, 16G. States that wait go to a
    /// temporary file where memory is short; where even those visited do not fit, the run
    /// stops. Some tens of megabytes come on top. The native engine's alone.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,

    /// How many bits of its hash a visited state is remembered by: 128 take twice the memory of
    /// 64, and hardly any state is ever taken for another. The native engine's alone.
    #[arg(long, value_name = "BITS", default_value = "64")]
    pub fingerprints: Bits,
}

impl LimitArgs {
    /// As the engines take them, but for the time.
    pub fn limits(&self) -> Limits {
        Limits {
            max_states: self.max_states,
            max_depth: self.max_depth.map(|depth| depth as usize),
            memory: self.memory,
            fingerprints: self.fingerprints,
            ..Limits::on(self.threads)
        }
    }
}

/// Arguments of `engines`.
#[derive(Debug, Args)]
pub struct EnginesArgs {
    /// How long each run may take. What takes longer compares nothing.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub budget: Duration,
}

/// Arguments of `explore`.
#[derive(Debug, Args)]
pub struct ExploreArgs {
    /// The model to browse.
    #[arg(default_value = "raft/election")]
    pub model: String,

    /// A mutant to browse in the model that refutes it, instead.
    #[arg(long, value_name = "ID", conflicts_with = "model")]
    pub mutant: Option<String>,

    /// A trace to follow, instead: the page opens at its end, names its steps among the choices,
    /// and, where it has a loop, says where that begins and lets one go round.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "mutant"])]
    pub trace: Option<PathBuf>,

    /// The port on localhost; 0 for any that is free.
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
}

/// Arguments of `fuzz`.
#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// Models, or protocols for all of theirs that are there to be fuzzed; by default all.
    #[arg(value_name = "MODEL")]
    pub models: Vec<String>,

    /// A mutant to run in the protocol's place.
    #[arg(long, value_name = "ID")]
    pub mutant: Option<String>,

    /// What all randomness comes from: the same seed, the same runs. By default another one
    /// each time, which is printed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// How many runs of each model; by default 2000, or as many as the budget allows.
    #[arg(long, value_name = "N")]
    pub cases: Option<u64>,

    /// How long all may take together: 90s, 10m, 2h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub budget: Option<Duration>,

    /// The longest run.
    #[arg(long, value_name = "N", default_value_t = Plan::STEPS,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub steps: u32,

    /// How many threads to use; by default one for each core. Makes no difference to what
    /// is found.
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZero<usize>>,
}

/// Arguments of `mutants`.
#[derive(Debug, Args)]
pub struct MutantsArgs {
    /// Only this protocol's.
    pub protocol: Option<String>,

    /// Run all mutants of its protocol in this model, instead of each in the one that refutes
    /// it.
    #[arg(long, value_name = "MODEL", conflicts_with = "protocol")]
    pub model: Option<String>,

    /// Instead of the catalogue's mutants, change the step files in every way that `cargo mutants`
    /// would, and note in `checks/mutants/` what refutes each change: of those of which that is not
    /// known yet. Needs the sources, and builds a program of all mutants in the target folder.
    #[arg(long, conflicts_with_all = ["model", "engine", "seed"])]
    pub generated: bool,

    /// Judge all generated mutants again, also those of which it is known what refutes them.
    #[arg(long, requires = "generated")]
    pub again: bool,

    /// How, and with which engine.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// How long each run may take; with --generated, how much of the processor all runs of a mutant
    /// may use. Of a mutant that is not caught by then nothing is known: it has timed out, and not
    /// survived. A control that is cut short holds if it was walked as far as its mutants' traces
    /// go.
    #[arg(long, value_name = "DURATION", default_value = "4m", value_parser = parse_duration)]
    pub budget: Duration,

    /// How many threads to use; by default one for each core.
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZero<usize>>,
}

/// Arguments of `pairs`.
#[derive(Debug, Args)]
pub struct PairsArgs {
    /// Only these protocols; by default all.
    #[arg(value_name = "PROTOCOL")]
    pub protocols: Vec<String>,

    /// How many threads to use; by default one for each core.
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZero<usize>>,
}

/// Arguments of `gate`.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// Only these protocols; by default all.
    #[arg(value_name = "PROTOCOL")]
    pub protocols: Vec<String>,

    /// Stop at the first failure.
    #[arg(long)]
    pub fail_fast: bool,

    /// Write the result as JUnit XML to this file, too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// How many threads to use; by default one for each core.
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZero<usize>>,
}

/// Reads a number of threads.
fn parse_threads(text: &str) -> Result<NonZero<usize>, String> {
    let most = Limits::MOST_THREADS;
    let threads: NonZero<usize> = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no number of threads: write one from 1 to {most}"))?;
    if threads.get() > most {
        return Err(format!(
            "{threads} threads are too many: the most is {most}, as there are so many pieces of work \
             at a time; by default there is one for each core"
        ));
    }
    Ok(threads)
}

/// The least memory that a run can be given: what small ones take.
const LEAST_MEMORY: u64 = 16 << 20;

/// Reads an amount of memory: a whole number and M or G, of 1024² or 1024³ bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no amount of memory: write 500M or 16G");
    let (number, shift) = match text.strip_suffix('M') {
        Some(number) => (number, 20),
        None => (text.strip_suffix('G').ok_or_else(wrong)?, 30),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    if bytes < LEAST_MEMORY {
        return Err(format!(
            "{text} is too little: the least is {}M",
            LEAST_MEMORY >> 20
        ));
    }
    Ok(bytes)
}

/// The longest duration: what the clock can surely add to now.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads a duration: a whole number and s, m or h.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no duration: write 90s, 10m or 2h");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).ok_or_else(wrong)?;
    match Duration::from_secs(seconds) {
        duration if duration <= LONGEST => Ok(duration),
        _ => Err(format!(
            "\"{text}\" is longer than a year: that is no limit"
        )),
    }
}
