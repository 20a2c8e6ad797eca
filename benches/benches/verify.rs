//! How fast `verify` walks a model's states, and in how much memory: our engine beside
//! Stateright's two, on the same model, on one thread and on two.
//!
//! Every run must see every state of the model and verify it: engines that differ in what
//! they check are not compared. Two parts: a table, each row from a process of its own, with
//! the memory that a state takes; and criterion's samples, on a smaller model.
//!
//! "per CPU s" is the figure to look at when the machine was busy.
//!
//! All check the same properties of the same states. Stateright's take each step and ask each
//! property anew; ours remembers steps between parts of worlds. No state is drawn at random.
//!
//! A third part is a grid of tiny states: what the engines themselves take.

use std::time::{Duration, Instant};

use benches::grid::Grid;
use benches::mode::Mode;
use benches::noise::{Usage, Watch, watched};
use benches::probe::{self, Measured, Setting, settings};
use benches::table::{Table, grouped};
use checks::engine::{Engine, Limits};
use criterion::{Criterion, SamplingMode, Throughput};

/// As in the `checks` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if probe::answer() {
        return;
    }
    let mode = Mode::of_process();
    let mut criterion = Criterion::default().configure_from_args();
    sample(&mut criterion, mode.pick("raft/connected", "raft/catch-up"));
    if mode != Mode::List {
        compare(mode.pick("raft/replication", "raft/clients"));
        walk_grid(mode.pick(Grid { side: 2000 }, Grid { side: 100 }));
    }
    criterion.final_summary();
}

fn sample(criterion: &mut Criterion, model: &str) {
    let mut group = criterion.benchmark_group(format!("verify/{model}"));
    // One iteration is one whole verification, and takes seconds.
    group.sampling_mode(SamplingMode::Flat);
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(probe::states(model)));
    for setting in settings() {
        watched(&format!("verify/{model}/{}", setting.name()), || {
            group.bench_function(setting.name(), |bencher| {
                bencher.iter_custom(|iterations| {
                    let started = Instant::now();
                    for _ in 0..iterations {
                        setting.verify(model);
                    }
                    started.elapsed()
                });
            });
        });
    }
    group.finish();
}

fn compare(model: &str) {
    let title = format!(
        "verify {model}: each row in a process of its own; the ratio is to stateright-dfs on as \
         many threads"
    );
    let headings = [
        "engine",
        "threads",
        "unique",
        "generated",
        "s",
        "unique/s",
        "per CPU s",
        "ratio",
        "MiB",
        "B/state",
        "foreign cores",
    ];
    let mut table = Table::new(title, headings);
    let rows: Vec<Row> = settings()
        .into_iter()
        .map(|it| Row::of(it, model))
        .collect();
    for row in &rows {
        table.row(row.cells(&rows));
    }
    println!("{table}");
}

/// What the engines themselves take: hardly anything is computed here, and nothing checked.
fn walk_grid(grid: Grid) {
    let title = format!(
        "{} states of 16 bytes; the ratio is to stateright-bfs on as many threads",
        grouped(grid.states() as f64)
    );
    let headings = ["engine", "threads", "s", "unique/s", "ratio"];
    let mut table = Table::new(title, headings);
    let timed = settings().into_iter().map(|setting| {
        let limits = Limits::on(Some(setting.threads));
        let started = Instant::now();
        match setting.engine {
            Engine::Native => grid.walk(&limits),
            Engine::StaterightBfs => grid.walk_with_stateright(&limits, false),
            Engine::StaterightDfs => grid.walk_with_stateright(&limits, true),
            Engine::Simulate => unreachable!("what never comes to an end is in no setting"),
        }
        (setting, started.elapsed().as_secs_f64())
    });
    let timed: Vec<(Setting, f64)> = timed.collect();
    for (setting, seconds) in &timed {
        let is_peer = |row: &&(Setting, f64)| {
            row.0.engine == Engine::StaterightBfs && row.0.threads == setting.threads
        };
        let peer = timed.iter().find(is_peer).map_or(f64::NAN, |row| row.1);
        table.row([
            setting.engine.name().to_owned(),
            setting.threads.to_string(),
            format!("{seconds:.2}"),
            grouped(grid.states() as f64 / seconds),
            format!("{:.2}", peer / seconds),
        ]);
    }
    println!("{table}");
}

struct Row {
    setting: Setting,
    measured: Measured,
    usage: Usage,
}

impl Row {
    fn of(setting: Setting, model: &str) -> Self {
        let watch = Watch::start();
        let measured = setting.probe(model);
        let usage = watch.usage();
        usage.report(&format!("verify {model} {}", setting.name()));
        Self {
            setting,
            measured,
            usage,
        }
    }

    fn rate(&self) -> f64 {
        self.measured.unique as f64 / self.measured.seconds.max(1e-9)
    }

    /// Per second of CPU time, all threads and the start of the process included. The system
    /// counts in ticks of 10 ms, so that a short run says nothing.
    fn rate_on_core(&self) -> String {
        const TELLS: Duration = Duration::from_millis(500);
        let own = self.usage.own.filter(|&own| own >= TELLS);
        own.map_or_else(
            || "unknown".to_owned(),
            |own| grouped(self.measured.unique as f64 / own.as_secs_f64()),
        )
    }

    fn cells(&self, rows: &[Self]) -> [String; 11] {
        let (setting, measured) = (&self.setting, &self.measured);
        let is_peer = |row: &&Self| {
            row.setting.engine == Engine::StaterightDfs && row.setting.threads == setting.threads
        };
        let peer = rows.iter().find(is_peer).map_or(f64::NAN, Self::rate);
        let unknown = || "unknown".to_owned();
        let bytes_each = |bytes: u64| format!("{:.0}", bytes as f64 / measured.unique as f64);
        [
            setting.engine.name().to_owned(),
            setting.threads.to_string(),
            grouped(measured.unique as f64),
            grouped(measured.generated as f64),
            format!("{:.2}", measured.seconds),
            grouped(self.rate()),
            self.rate_on_core(),
            format!("{:.2}", self.rate() / peer),
            measured
                .bytes
                .map_or_else(unknown, |b| format!("{:.1}", b as f64 / 1048576.0)),
            measured.bytes.map_or_else(unknown, bytes_each),
            self.usage.foreign(),
        ]
    }
}
