//! What clients see while leaders come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockstep::kv::config::Timing;
use tokio::task::JoinSet;

use crate::support::kv::{KvCluster, PATIENCE, impatient};
use crate::support::loopback::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_at_the_next_leader_is_applied_once() {
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    let old = cluster.leader().await;
    let first = cluster.put_as(old, (7, 1), "k", "one").await;
    assert_eq!(first.status, 200);
    cluster.stop(old).await;
    let new = cluster.leader().await;
    let retry = cluster.put_as(new, (7, 1), "k", "one").await;
    assert_eq!((retry.status, retry.text), (first.status, first.text));
    assert_eq!(cluster.status(new).await.revision, 2);
    cluster.restart(old).await;
    cluster.leader().await;
    let retry = cluster.put_as(old, (7, 1), "k", "one").await;
    assert_eq!(retry.status, 200);
    assert_eq!(cluster.status(cluster.leader().await).await.revision, 2);
    cluster.stop_all().await;
}

/// Reads through every node, right after the failover, see the last acknowledged write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_after_a_failover_see_every_acknowledged_write() {
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    for round in 0..3 {
        let leader = cluster.leader().await;
        let value = format!("round {round}");
        assert_eq!(cluster.put(leader, "k", &value).await.status, 200);
        cluster.stop(leader).await;
        for id in cluster.up() {
            let got = until_answered(&cluster, id).await;
            assert_eq!(got, value, "through {id}");
        }
        cluster.restart(leader).await;
        // A node that has just started knows nothing, and must say nothing stale.
        assert_eq!(until_answered(&cluster, leader).await, value);
    }
    cluster.stop_all().await;
}

/// What `id` says of the key, once it says anything.
async fn until_answered(cluster: &KvCluster, id: u16) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let got = cluster.get(id, "/kv/k").await;
        if got.status == 200 {
            return got.text;
        }
        assert_eq!(got.status, 503, "{got:?}");
        assert!(Instant::now() < end, "{got:?}");
    }
}

/// A leader that has lost its followers takes a write and never learns what becomes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_a_quorum_has_an_unknown_outcome_and_a_read_none() {
    let mut cluster = KvCluster::start(3, impatient()).await;
    let leader = cluster.leader().await;
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let put = cluster.put_as(leader, (7, 1), "k", "v").await;
    assert_eq!(put.status, 504, "{put:?}");
    assert!(
        put.text
            .contains("same Lockstep-Client and Lockstep-Sequence"),
        "{}",
        put.text
    );
    let get = cluster.get(leader, "/kv/k").await;
    assert_eq!(
        (get.status.as_u16(), get.retry_after.as_deref()),
        (503, Some("1"))
    );
    // The quorum is back: the retry tells what became of it, and it was done once.
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.restart(id).await;
    }
    cluster.leader().await;
    let retry = cluster.put_as(leader, (7, 1), "k", "v").await;
    assert_eq!(retry.status, 200, "{retry:?}");
    assert_eq!(retry.json()["revision"], 2);
    assert_eq!(cluster.status(cluster.leader().await).await.revision, 2);
    cluster.stop_all().await;
}

/// Writers go on while the leader is stopped and started: every write is answered, and each
/// is applied exactly once, however often the nodes retried it among themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_survive_leader_changes_and_every_write_counts_once() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 30;
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    cluster.leader().await;
    let urls: Arc<Vec<String>> = Arc::new((1..=3).map(|id| cluster.url(id, "/kv")).collect());
    let mut writers = JoinSet::new();
    for writer in 1..=WRITERS {
        let urls = urls.clone();
        writers.spawn(async move { write_until_done(writer, WRITES, &urls).await });
    }
    for _ in 0..2 {
        let leader = cluster.leader().await;
        cluster.stop(leader).await;
        cluster.leader().await;
        cluster.restart(leader).await;
    }
    while let Some(done) = writers.join_next().await {
        done.expect("every write is answered");
    }
    let leader = cluster.leader().await;
    assert_eq!(cluster.status(leader).await.revision, 1 + WRITERS * WRITES);
    for writer in 1..=WRITERS {
        let got = cluster.get(leader, &format!("/kv/{writer}")).await;
        assert_eq!(got.text, WRITES.to_string());
    }
    cluster.stop_all().await;
}

/// Writes 1, 2, 3, … to the writer's key, each until it is acknowledged.
async fn write_until_done(writer: u64, writes: u64, urls: &[String]) {
    let client = http();
    let end = Instant::now() + 2 * PATIENCE;
    for number in 1..=writes {
        let mut tries = writer as usize;
        loop {
            let url = format!("{}/{writer}", urls[tries % urls.len()]);
            let put = client
                .put(url)
                .header("lockstep-client", writer)
                .header("lockstep-sequence", number)
                .body(number.to_string());
            match put.timeout(Duration::from_secs(3)).send().await {
                Ok(answer) if answer.status() == 200 => break,
                Ok(answer) => assert!(answer.status().is_server_error(), "{answer:?}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            assert!(
                Instant::now() < end,
                "write {number} of {writer} is never done"
            );
            tries += 1;
        }
    }
}
