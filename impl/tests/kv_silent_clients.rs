//! Real processes that may open few files, and more silent clients than there are files.
//!
//! Verifies that the leader goes on serving others and writing its journal, one new segment
//! after another, while silent clients do whatever they can. Does not verify what happens where
//! something else on the machine takes the files.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::kv::status::Report;
use lockstep::service::config::NodeConfig;
use tempfile::tempdir;

use crate::support::kv::PATIENCE;
use crate::support::loopback::http;
use crate::support::program::program_after;

const SILENT: usize = 300;
/// Enough for two new segments of 64 MiB each.
const WRITES: usize = 140;
const VALUE_BYTES: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_silent_clients_than_files_stop_neither_service_nor_journal() {
    let folder = tempdir().expect("a folder");
    let program = program_after(folder.path(), "ulimit -n 256");
    let mut nodes = Processes::start(&program, 3, Timing::default()).expect("starts");
    let leader = leader(&nodes).await;
    let data = nodes
        .config_file()
        .parent()
        .expect("a folder")
        .join(&leader.data_directory);
    let mut client = Client::new(vec![leader.client_address.clone()], PATIENCE).expect("a client");
    client.put(b"before", "x".into()).await.expect("served");
    let first = newest_segment(&data);

    let mut silent = Vec::new();
    for n in 0..WRITES {
        // They keep coming, and those that are turned away come again.
        for _ in 0..SILENT / 10 {
            silent.push(connect(&leader.client_address));
        }
        silent.drain(..silent.len().saturating_sub(SILENT));
        let value = vec![b'x'; VALUE_BYTES];
        let put = client.put(b"key", value.into()).await;
        put.unwrap_or_else(|error| panic!("write {n}: {error}\n{}", nodes.log_tails()));
    }
    assert_eq!(silent.len(), SILENT);
    let last = newest_segment(&data);
    assert!(
        last >= first + 2,
        "only segments {first} to {last} were begun: this shows nothing"
    );
    let log = nodes.log_tail(leader.id);
    assert!(
        log.contains("as many client connections as are allowed"),
        "{log}"
    );

    let ended = nodes.stop_all().expect("stops");
    assert_eq!(ended.len(), 3);
    assert!(
        ended.iter().all(|(_, status)| status.success()),
        "{ended:?}"
    );
}

/// A node that may open too few files says so, and what to do.
#[test]
fn a_node_without_files_for_clients_does_not_start() {
    let folder = tempdir().expect("a folder");
    let program = program_after(folder.path(), "ulimit -n 100");
    let error = Processes::start(&program, 1, Timing::default()).expect_err("does not start");
    let error = error.to_string();
    for part in ["may open 100 files", "ulimit -n", "nothing was started"] {
        assert!(error.contains(part), "{error}");
    }
}

/// The hard limit is what counts: the node raises the soft one itself.
#[test]
fn a_low_soft_limit_is_raised() {
    let folder = tempdir().expect("a folder");
    let program = program_after(folder.path(), "ulimit -S -n 100");
    let nodes = Processes::start(&program, 1, Timing::default()).expect("starts");
    let log = nodes.log_tail(nodes.config().nodes[0].id);
    assert!(log.contains("so many files may be open"), "{log}");
}

fn connect(address: &str) -> TcpStream {
    let address = address.parse().expect("an address");
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("connects")
}

async fn leader(nodes: &Processes) -> NodeConfig {
    let end = Instant::now() + PATIENCE;
    loop {
        for node in &nodes.config().nodes {
            let url = format!("http://{}/status", node.client_address);
            let answer = http().get(url).send().await.expect("an answer");
            let report = answer.text().await.expect("a report");
            let report: Report = serde_json::from_str(&report).expect("a report");
            if report.role == "leader" {
                return node.clone();
            }
        }
        assert!(Instant::now() < end, "no leader\n{}", nodes.log_tails());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The number of the newest segment: its file's name is that number.
fn newest_segment(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("a folder");
    let numbers = files.filter_map(|file| {
        let path = file.expect("a file").path();
        path.file_stem()?.to_str()?.parse().ok()
    });
    numbers.max().expect("a segment")
}
