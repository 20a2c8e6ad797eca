//! Real processes, all killed at once in the middle of writing, again and again.
//!
//! Verifies that every acknowledged write is there after the restart, and that no key has a
//! value that was never written. Does not verify what a loss of power does to a disk: a
//! killed process leaves its writes in the page cache. The simulated storm does that.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use tokio::task::JoinSet;

const ROUNDS: u64 = 4;
const WRITERS: u64 = 6;

/// What a writer knows of its key: each write has a larger number than the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    acknowledged: u64,
    tried: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_every_node_loses_no_acknowledged_write() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let executable = Path::new(env!("CARGO_BIN_EXE_lockstep"));
    let mut nodes = Processes::start(executable, 3, Timing::default()).expect("starts");
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let start = known.get(&writer).copied().unwrap_or_default();
            writers.spawn(write_until_killed(writer, start, nodes.client_addresses()));
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(600..1500))).await;
        nodes.kill_all().expect("killed");
        while let Some(done) = writers.join_next().await {
            let (writer, now) = done.expect("a writer");
            known.insert(writer, now);
        }
        nodes.launch_all().expect("restarts");
        acknowledged = check(round, &known, &nodes).await;
    }
    assert!(
        acknowledged > 0,
        "nothing was ever acknowledged: this shows nothing"
    );
    let ended = nodes.stop_all().expect("stops");
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

/// Writes larger and larger numbers, until nobody answers any more.
async fn write_until_killed(writer: u64, mut known: Known, nodes: Vec<String>) -> (u64, Known) {
    let mut client = Client::new(nodes, Duration::from_secs(3)).expect("a client");
    loop {
        known.tried += 1;
        let value = known.tried.to_string();
        match client.put(&key(writer), value.into()).await {
            Ok(_) => known.acknowledged = known.tried,
            Err(_) => return (writer, known),
        }
    }
}

/// Each key has a number that was tried and is not older than the last acknowledged one.
async fn check(round: u64, known: &BTreeMap<u64, Known>, nodes: &Processes) -> u64 {
    let mut client =
        Client::new(nodes.client_addresses(), Duration::from_secs(30)).expect("a client");
    for (writer, known) in known {
        let found = client.get(&key(*writer)).await.expect("an answer");
        let found: u64 = found.map_or(0, |bytes| {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            text.parse().expect("a number")
        });
        assert!(
            (known.acknowledged..=known.tried).contains(&found),
            "round {round}, writer {writer}: found {found}, but {known:?}\n{}",
            nodes.log_tails()
        );
    }
    known.values().map(|known| known.acknowledged).sum()
}

fn key(writer: u64) -> Vec<u8> {
    format!("writer-{writer}").into_bytes()
}
