//! Writes per second, and how long one takes, of a cluster of three nodes on loopback with
//! the file journal: 256-byte values, a closed loop of 1, 16 and 64 clients.
//!
//! `direct` clients ask the leader's inbox, as the HTTP API does behind its door; `http`
//! clients go through that door. Everything runs in this process, the clients too, so that
//! CPU per write is that of all three nodes and of the clients.
//!
//! The floor is measured in the same run, on the same disk: appends of 256 bytes, each
//! followed by `fdatasync`. With one client a write waits for two syncs, one after the
//! other: the leader's, and that of the faster follower. More clients share them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use benches::cluster::Cluster;
use benches::floor::{self, Space};
use benches::http::HttpCluster;
use benches::latency::{Latencies, millis};
use benches::mode::Mode;
use benches::noise::{Usage, Watch};
use benches::table::{Table, grouped};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// On the disk that the build is on: a folder for temporary files may be in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const VALUE_BYTES: usize = 256;
/// Seeds the nodes' timers.
const SEED: u64 = 0x10C5;

fn main() {
    let mode = Mode::of_process();
    let mut criterion = Criterion::default().configure_from_args();
    println!("cluster: seed {SEED}; journals are in {FOLDER}");
    let runtime = Runtime::new().expect("tokio starts");
    let mut results = Results::default();
    sync(&mut criterion, &mut results);
    write(&mut criterion, &runtime, Way::Direct, &mut results);
    write(&mut criterion, &runtime, Way::Http, &mut results);
    if mode != Mode::List {
        results.print();
    }
    criterion.final_summary();
}

/// How a client reaches the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Direct,
    Http,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Http => "http",
        }
    }
}

/// A running cluster.
enum Subject {
    Direct(Arc<Cluster>),
    Http(HttpCluster),
}

impl Subject {
    async fn start(way: Way, folder: &Path) -> Self {
        match way {
            Way::Direct => Self::Direct(Arc::new(Cluster::start(folder, SEED).await)),
            Way::Http => Self::Http(HttpCluster::start(folder).await),
        }
    }

    async fn write(&self, writes: u64, clients: u64, value: &Bytes) -> (Duration, Latencies) {
        match self {
            Self::Direct(cluster) => cluster.write(writes, clients, value).await,
            Self::Http(cluster) => cluster.write(writes, clients, value).await,
        }
    }

    async fn stop(self) {
        match self {
            Self::Direct(cluster) => {
                let cluster = Arc::into_inner(cluster).expect("no client runs any more");
                cluster.stop().await;
            }
            Self::Http(cluster) => cluster.stop().await,
        }
    }
}

fn sync(criterion: &mut Criterion, results: &mut Results) {
    let mut group = criterion.benchmark_group("floor");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(3));
    group.warm_up_time(Duration::from_millis(500));
    for space in [Space::Growing, Space::Preallocated] {
        let (mut total, mut appends) = (Duration::ZERO, 0);
        let watch = Watch::start();
        group.bench_function(BenchmarkId::new("fdatasync", space.name()), |bencher| {
            bencher.iter_custom(|iterations| {
                let folder = temporary_folder();
                let took = floor::append_and_sync(folder.path(), space, iterations, VALUE_BYTES)
                    .expect("the disk takes it");
                total += took;
                appends += iterations;
                took
            });
        });
        let usage = watch.usage();
        usage.report(&format!("floor/fdatasync/{}", space.name()));
        if appends > 0 {
            let rate = appends as f64 / total.as_secs_f64();
            results.floors.push((space, rate, usage));
        }
    }
    group.finish();
}

fn write(criterion: &mut Criterion, runtime: &Runtime, way: Way, results: &mut Results) {
    let value = Bytes::from(vec![0xA5; VALUE_BYTES]);
    let mut group = criterion.benchmark_group(format!("write-{}", way.name()));
    group.sampling_mode(SamplingMode::Flat);
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(4));
    group.warm_up_time(Duration::from_secs(1));
    for clients in [1, 16, 64] {
        // One iteration is one write by each client, on average.
        group.throughput(Throughput::Elements(clients));
        let mut written = Written::default();
        let watch = Watch::start();
        let mut running: Option<(Subject, TempDir)> = None;
        group.bench_function(BenchmarkId::from_parameter(clients), |bencher| {
            // A new cluster for each number of clients: its log is not compacted. Started
            // here, because criterion may have been told to skip this one; and not in the
            // iterations, or criterion would take its election for slow writes.
            let (subject, _) = running.get_or_insert_with(|| {
                let folder = temporary_folder();
                let subject = runtime.block_on(Subject::start(way, folder.path()));
                (subject, folder)
            });
            bencher.iter_custom(|iterations| {
                let during = Watch::start();
                let (took, latencies) =
                    runtime.block_on(subject.write(iterations * clients, clients, &value));
                written.add(took, &latencies, &during.usage());
                took
            });
        });
        if let Some((subject, folder)) = running {
            runtime.block_on(subject.stop());
            drop(folder);
            let usage = watch.usage();
            usage.report(&format!("write-{}/{clients}", way.name()));
            results.writes.insert((way, clients), (written, usage));
        }
    }
    group.finish();
}

fn temporary_folder() -> TempDir {
    tempfile::tempdir_in(FOLDER).expect("a temporary folder beside the build")
}

/// All samples of one number of clients, warm-up included.
#[derive(Default)]
struct Written {
    took: Duration,
    latencies: Latencies,
    cpu: Option<Duration>,
}

impl Written {
    fn add(&mut self, took: Duration, latencies: &Latencies, usage: &Usage) {
        self.took += took;
        self.latencies.add(latencies);
        if let Some(own) = usage.own {
            self.cpu = Some(self.cpu.unwrap_or_default() + own);
        }
    }

    fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }

    /// CPU time for each write, in microseconds. The system counts in ticks of 10 ms, so that
    /// a short run says nothing.
    fn cpu_each(&self) -> String {
        const TELLS: Duration = Duration::from_secs(1);
        let cpu = self.cpu.filter(|_| self.took >= TELLS);
        cpu.map_or_else(
            || "unknown".to_owned(),
            |cpu| {
                format!(
                    "{:.0}",
                    cpu.as_secs_f64() * 1e6 / self.latencies.count() as f64
                )
            },
        )
    }
}

#[derive(Default)]
struct Results {
    floors: Vec<(Space, f64, Usage)>,
    writes: BTreeMap<(Way, u64), (Written, Usage)>,
}

impl Results {
    fn print(&self) {
        let mut floors = Table::new(
            "fdatasync after an append of 256 bytes, one after the other",
            ["file", "per s", "foreign cores"],
        );
        for (space, rate, usage) in &self.floors {
            floors.row([space.name().to_owned(), grouped(*rate), usage.foreign()]);
        }
        println!("{floors}");
        let mut writes = Table::new(
            "writes of 256 bytes, 3 nodes, file journal; the ratio is to preallocated fdatasyncs",
            [
                "clients",
                "writes",
                "per s",
                "p50 ms",
                "p99 ms",
                "CPU µs",
                "ratio",
                "foreign cores",
            ],
        );
        for ((way, clients), (written, usage)) in &self.writes {
            let count = written.latencies.count();
            writes.row([
                format!("{} {clients}", way.name()),
                grouped(count as f64),
                grouped(written.rate()),
                millis(written.latencies.quantile(0.5)),
                millis(written.latencies.quantile(0.99)),
                written.cpu_each(),
                self.ratio(written.rate()),
                usage.foreign(),
            ]);
        }
        println!("{writes}");
    }

    fn ratio(&self, rate: f64) -> String {
        let preallocated = |row: &&(Space, f64, Usage)| row.0 == Space::Preallocated;
        let floor = self.floors.iter().find(preallocated);
        floor.map_or_else(
            || "-".to_owned(),
            |(_, floor, _)| format!("{:.2}", rate / floor),
        )
    }
}
