//! The step function: append and commit on three in-process Raft nodes, on one thread.
//!
//! Closed loop: each of the clients in flight asks its next command when it is answered.
//! Every command has a payload of 256 bytes, allocated for it. After 65,536 entries the
//! three nodes are thrown away and built anew, their election included in the time. What is
//! not included is a disk, a network and an encoding: see the cluster bench for those.
//!
//! A table at the end sets commits per second beside commits per second of CPU time: where
//! the two differ, other processes had the core.

use std::time::{Duration, Instant};

use benches::cpu;
use benches::mode::Mode;
use benches::noise::{Usage, Watch};
use benches::table::{Table, grouped};
use benches::trio::{self, LOG_LIMIT};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

const PAYLOAD: [u8; 256] = [0xA5; 256];
/// So many commits are one iteration: as many as one trio's log takes, so that every
/// iteration sees logs of every length.
const COMMITS: u64 = LOG_LIMIT;

fn main() {
    let mode = Mode::of_process();
    let mut criterion = Criterion::default().configure_from_args();
    println!("step: nothing is random; a trio lives for {LOG_LIMIT} commits");
    let rows = step(&mut criterion);
    if mode != Mode::List {
        print(&rows);
    }
    criterion.final_summary();
}

/// All samples of one number of commands in flight, warm-up included.
struct Row {
    in_flight: u64,
    commits: u64,
    took: Duration,
    /// `None` where the system does not tell.
    on_core: Option<Duration>,
    usage: Usage,
}

fn step(criterion: &mut Criterion) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut group = criterion.benchmark_group("step");
    group.throughput(Throughput::Elements(COMMITS));
    group.sampling_mode(SamplingMode::Flat);
    group.sample_size(20);
    for in_flight in [1, 64, 256, 1024] {
        let (mut commits, mut took, mut on_core) = (0, Duration::ZERO, Some(Duration::ZERO));
        let watch = Watch::start();
        group.bench_function(BenchmarkId::new("commit", in_flight), |bencher| {
            bencher.iter_custom(|iterations| {
                let cpu_before = cpu::of_thread();
                let started = Instant::now();
                trio::commit(iterations * COMMITS, in_flight, &PAYLOAD);
                let elapsed = started.elapsed();
                let cpu = cpu::of_thread().zip(cpu_before);
                let cpu = cpu.map(|(after, before)| after.saturating_sub(before));
                on_core = on_core.zip(cpu).map(|(sum, cpu)| sum + cpu);
                commits += iterations * COMMITS;
                took += elapsed;
                elapsed
            });
        });
        // Criterion may have been told to skip it.
        if commits > 0 {
            let usage = watch.usage();
            usage.report(&format!("step/commit/{in_flight}"));
            rows.push(Row {
                in_flight,
                commits,
                took,
                on_core,
                usage,
            });
        }
    }
    group.finish();
    rows
}

fn print(rows: &[Row]) {
    let mut table = Table::new(
        "append and commit on 3 nodes, 1 thread, 256 bytes",
        [
            "in flight",
            "commits",
            "per s",
            "per CPU s",
            "foreign cores",
        ],
    );
    for row in rows {
        let rate = |time: Duration| grouped(row.commits as f64 / time.as_secs_f64());
        let unknown = || "unknown".to_owned();
        table.row([
            row.in_flight.to_string(),
            grouped(row.commits as f64),
            rate(row.took),
            row.on_core.map_or_else(unknown, rate),
            row.usage.foreign(),
        ]);
    }
    println!("{table}");
}
