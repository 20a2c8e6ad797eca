//! What a lock costs: messages for each entry, against what Maekawa's paper says, and acquisitions a
//! second.
//!
//! Messages are counted in the simulation, for members from 3 to 57: alone, 3(K − 1) with K the size of
//! a quorum; contended, up to 5(K − 1). Acquisitions are counted on an orchestrator and three members in
//! this process, over TCP. Each is four HTTP requests: a session, a grant, its confirmation, the end.

use std::time::{Duration, Instant};

use benches::lock_cluster::LockCluster;
use benches::messages::{Load, count};
use benches::mode::Mode;
use benches::noise::Watch;
use benches::table::{Table, grouped};

const SEED: u64 = 0x10C4;
const MEMBERS: [u16; 8] = [3, 4, 7, 13, 21, 31, 40, 57];

fn main() {
    let mode = Mode::of_process();
    if mode == Mode::List {
        println!("locks: benchmark");
        return;
    }
    messages(mode);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(acquisitions(mode));
}

fn messages(mode: Mode) {
    println!("locks: seed {SEED}");
    let mut table = Table::new(
        "messages for each entry, in the simulation",
        ["members", "K", "3(K-1)", "alone", "contended", "5(K-1)"],
    );
    let rounds = mode.pick(10, 1);
    for members in mode.pick(&MEMBERS[..], &MEMBERS[..3]) {
        let alone = count(*members, Load::Alone, 1, SEED);
        let all = count(*members, Load::All, rounds, SEED);
        table.row([
            members.to_string(),
            format!("{:.2}", alone.quorum),
            format!("{:.2}", alone.least()),
            format!("{:.2}", alone.messages),
            format!("{:.2}", all.messages),
            format!("{:.2}", all.most()),
        ]);
    }
    println!("{table}");
}

async fn acquisitions(mode: Mode) {
    let mut table = Table::new(
        "acquisitions a second, by clients at three members in turn",
        ["clients", "a second", "foreign cores"],
    );
    let span = mode.pick(Duration::from_secs(5), Duration::from_millis(300));
    let cluster = LockCluster::start().await;
    for (name, clients, is_shared) in [
        ("1", 1, true),
        ("6, a lock each", 6, false),
        ("6, one lock", 6, true),
        ("24, a lock each", 24, false),
    ] {
        let lock = |number: usize| match is_shared {
            true => "shared".to_owned(),
            false => format!("lock-{number}"),
        };
        let watch = Watch::start();
        let begun = Instant::now();
        let times = cluster.run(clients, lock, begun + span).await;
        let seconds = begun.elapsed().as_secs_f64();
        let usage = watch.usage();
        usage.report(&format!("locks/{name}"));
        assert!(times > 0, "nothing was acquired");
        table.row([
            name.to_owned(),
            grouped(times as f64 / seconds),
            usage.foreign(),
        ]);
    }
    cluster.stop().await;
    println!("{table}");
}
