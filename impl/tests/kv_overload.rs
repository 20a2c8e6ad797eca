//! Ten times the load that a node serves: it answers all, refuses what it cannot bear, at once and in
//! words, and its memory stays bounded.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::service::http_client::Access;
use tokio::task::JoinSet;

use crate::support::processes::{ONE, address, leader};
use crate::support::program::PROGRAM;

/// So many clients, each with a value of a mebibyte under way: ten times what the node takes.
const CLIENTS: usize = 2560;
const VALUE_BYTES: usize = 1 << 20;
/// What the node may take for all of them: the bodies that it bears together (256 MiB), twice that for
/// what it makes of them on the way to the disk, and what it has anyway.
const BOUND_BYTES: u64 = 1000 << 20;
const LASTS: Duration = Duration::from_secs(4);

fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("a size") * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_bounded_under_ten_times_the_load_and_all_are_answered() {
    let nodes = Processes::start(PROGRAM.as_ref(), 1, Timing::default()).expect("starts");
    leader(&nodes).await;
    let pid = nodes.pid(ONE).expect("runs");
    let http = Access::plaintext()
        .client(Duration::from_secs(5))
        .expect("a client");
    let http = http
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client");
    let counter = || Arc::new(AtomicUsize::new(0));
    let (done, uncertain, refused) = (counter(), counter(), counter());
    let end = Instant::now() + LASTS;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let url = format!("http://{}/kv/{}", address(&nodes, ONE), client % 8);
        let (http, done, refused) = (http.clone(), done.clone(), refused.clone());
        let uncertain = uncertain.clone();
        clients.spawn(async move {
            while Instant::now() < end {
                let body = bytes::Bytes::from_static(&[7; VALUE_BYTES]);
                let answer = http.put(&url).body(body).send().await;
                // A connection more than the process's files allow is closed.
                let Ok(answer) = answer else { continue };
                match answer.status().as_u16() {
                    200 => done.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert!(answer.headers().contains_key("retry-after"));
                        let text = answer.text().await.expect("words");
                        assert!(text.contains("nothing was changed"), "{text}");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    // Taken, and its outcome is not known in time.
                    504 => uncertain.fetch_add(1, Ordering::Relaxed),
                    other => panic!("{other}: {}", answer.text().await.unwrap_or_default()),
                };
            }
        });
    }
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(resident_bytes(pid));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client panics");
        most = most.max(resident_bytes(pid));
    }
    let (done, refused) = (
        done.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
    );
    println!("{done} done, {refused} refused, at most {} MiB", most >> 20);
    assert!(done > 0, "nothing was done");
    assert!(refused > 0, "that was no overload");
    // The store keeps what keys have held: thousands of revisions.
    let kept = (done + uncertain.load(Ordering::Relaxed)) * VALUE_BYTES;
    assert!(most < BOUND_BYTES + kept as u64, "{} MiB", most >> 20);
}
