//! Real processes that are written more than they keep: a checkpoint of tens of megabytes is taken
//! beside them, and neither a write nor a heartbeat waits for it.
//!
//! Verifies that no election comes of it. Does not verify how long the longest pause is: the
//! benchmark `checkpoint` measures that.

use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::status::Report;

use crate::support::kv::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
/// Together more than a journal holds before a checkpoint is due.
const WRITES: usize = 75;
const MEGABYTE: usize = 1 << 20;
/// A machine that stalls for an election time-out by itself is given another chance.
const TRIES: usize = 3;

/// The terms of the three nodes before and after the writes, in the middle of which a checkpoint
/// falls due.
async fn write_a_lot() -> (Vec<u64>, Vec<u64>) {
    let nodes = Processes::start(Path::new(PROGRAM), 3, Timing::default()).expect("starts");
    let mut client = Client::new(nodes.client_addresses(), PATIENCE).expect("a client");
    client.put(b"first", "x".into()).await.expect("a leader");
    let before = terms(&client, &nodes).await;
    for number in 0..WRITES {
        let key = format!("key-{number}");
        let value = vec![b'x'; MEGABYTE];
        let put = client.put(key.as_bytes(), value.into()).await;
        put.unwrap_or_else(|error| panic!("{error}\n{}", nodes.log_tails()));
    }
    let after = terms(&client, &nodes).await;
    let end = Instant::now() + PATIENCE;
    while !nodes.log_tails().contains("a checkpoint is taken") {
        assert!(Instant::now() < end, "no checkpoint: this shows nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (before, after)
}

async fn terms(client: &Client, nodes: &Processes) -> Vec<u64> {
    let mut terms = Vec::new();
    for address in nodes.client_addresses() {
        let Report { term, .. } = client.status(&address).await.expect("a status");
        terms.push(term);
    }
    terms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_costs_no_election() {
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let (before, after) = write_a_lot().await;
        if before == after {
            return;
        }
        seen.push((before, after));
    }
    panic!("elections in each of {TRIES} runs: {seen:?}");
}
