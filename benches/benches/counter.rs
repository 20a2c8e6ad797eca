//! What a counter costs: increments a second at one node, against what its disk can do; and how long its
//! nodes take to agree, and in how many bytes.
//!
//! Increments are counted at a node in this process, over HTTP, by clients of this process that do as
//! little as they can. The floor is measured in the same run, on the same disk: appends of 64 bytes, one
//! after the other, each followed by `fdatasync`: what a node would do that put each increment on disk by
//! itself.
//!
//! Agreement is measured in the simulation, with messages that take 10 to 40 ms: from an increment while
//! nobody else counts until all nodes know it; and in bytes of the frames that carry messages, for each
//! increment, while so many are counted in a second. The distributions are drawn, a picture for each way
//! of exchange, in the folder of the build.

use std::path::Path;
use std::time::Duration;

use benches::counting::CountingNode;
use benches::exchange::{LATENCY, Nodes, Setting};
use benches::floor::{Space, append_and_sync};
use benches::latency::millis;
use benches::mode::Mode;
use benches::noise::Watch;
use benches::plot::{self, Distribution};
use benches::table::{Table, grouped};
use lockstep::counter::config::{Exchange, Timing};

/// On the disk that the build is on: a folder for temporary files may be in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const SEED: u64 = 0xC0;
/// What the journal takes for an increment, about.
const BYTES: usize = 64;
const SIZES: [u16; 3] = [3, 10, 50];
/// Increments in a second, by all nodes together.
const RATES: [u32; 2] = [10, 1000];

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("counter: benchmark");
        return;
    }
    println!("counter: seed {SEED}; journals are in {FOLDER}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(increments(mode));
    agreement(mode);
    bytes(mode);
}

async fn increments(mode: Mode) {
    let mut table = Table::new(
        "increments a second at one node, over HTTP",
        ["clients", "a second", "times the floor", "foreign cores"],
    );
    let folder = tempfile::tempdir_in(FOLDER).expect("a folder");
    let span = mode.pick(Duration::from_secs(5), Duration::from_millis(300));
    let appends = mode.pick(2000, 20);
    let watch = Watch::start();
    let took = append_and_sync(folder.path(), Space::Preallocated, appends, BYTES);
    let floor = appends as f64 / took.expect("the disk writes").as_secs_f64();
    table.row([
        "fdatasync after each".to_owned(),
        grouped(floor),
        "1.0".to_owned(),
        watch.usage().foreign(),
    ]);
    let node = CountingNode::start(&folder.path().join("1")).await;
    for clients in [1, 16, 256] {
        let watch = Watch::start();
        let rate = node.count(clients, span).await;
        let usage = watch.usage();
        usage.report(&format!("counter/increments/{clients}"));
        table.row([
            clients.to_string(),
            grouped(rate),
            format!("{:.1}", rate / floor),
            usage.foreign(),
        ]);
    }
    node.stop().await;
    println!("{table}");
}

fn name(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Deltas => "deltas",
        _ => "push-pull",
    }
}

fn agreement(mode: Mode) {
    let title = format!("until all nodes know an increment, in ms; messages take {LATENCY:?}");
    let mut table = Table::new(title, ["exchange, nodes", "rounds", "min", "median", "max"]);
    for exchange in [Exchange::Deltas, Exchange::PushPull] {
        let mut lines = Vec::new();
        for count in mode.pick(&SIZES[..], &SIZES[..1]) {
            let mut nodes = Nodes::start(Setting {
                nodes: *count,
                exchange,
                window: false,
                push_pull: Timing::default().push_pull(),
                seed: SEED,
            });
            let rounds = mode.pick(100, 2);
            let mut samples: Vec<Duration> = (0..rounds).map(|_| nodes.time_to_agree()).collect();
            samples.sort_unstable();
            table.row([
                format!("{}, {count}", name(exchange)),
                rounds.to_string(),
                millis(samples[0]),
                millis(samples[samples.len() / 2]),
                millis(samples[samples.len() - 1]),
            ]);
            let name = format!("{count} nodes");
            lines.push(Distribution { name, samples });
        }
        let kind = mode.pick("", "-smoke");
        let file = format!("counter-{}{kind}.svg", name(exchange));
        let file = Path::new(FOLDER).with_file_name(file);
        let title = format!(
            "From an increment until all nodes know it: {}",
            name(exchange)
        );
        plot::draw(&file, &title, &lines).expect("the picture can be written");
        println!("the distributions are drawn in {}", file.display());
    }
    println!("{table}");
}

fn bytes(mode: Mode) {
    let mut table = Table::new(
        "bytes for each increment, sent by all nodes together",
        [
            "exchange, nodes",
            "10/s",
            "1000/s",
            "10/s, window",
            "1000/s, window",
        ],
    );
    for exchange in [Exchange::Deltas, Exchange::PushPull] {
        for count in mode.pick(&SIZES[..], &SIZES[..1]) {
            let mut cells = vec![format!("{}, {count}", name(exchange))];
            for window in [false, true] {
                for rate in RATES {
                    let mut nodes = Nodes::start(Setting {
                        nodes: *count,
                        exchange,
                        window,
                        push_pull: Timing::default().push_pull(),
                        seed: SEED,
                    });
                    let seconds = mode.pick(20, 1);
                    let bytes = nodes.bytes_per_increment(u64::from(rate * seconds), rate);
                    assert!(bytes > 0.0, "nothing was sent");
                    cells.push(grouped(bytes));
                }
            }
            let cells: [String; 5] = cells.try_into().expect("five");
            table.row(cells);
        }
    }
    println!("{table}");
}
