//! Compacted logs: nodes that were away, clusters that start again, `/log` and what is gone.

use std::time::{Duration, Instant};

use lockstep::kv::config::{LogLimits, Timing};
use lockstep::kv::status::Report;
use serde_json::json;

use crate::support::kv::{KvCluster, PATIENCE};

/// Some twenty entries to a snapshot, a few of which stay, and many chunks to a snapshot.
fn small() -> LogLimits {
    LogLimits {
        snapshot_after_bytes: 2000,
        trailing_bytes: 300,
        chunk_bytes: 200,
        appends_in_flight: 4,
    }
}

/// Writes so many keys, each through its own session.
async fn write(cluster: &KvCluster, keys: std::ops::Range<u64>) {
    let leader = cluster.leader().await;
    for key in keys {
        let put = cluster
            .put_as(leader, (1000 + key, 1), &format!("key-{key}"), "value")
            .await;
        assert_eq!(put.status, 200, "{put:?}");
    }
}

/// Waits until the node has applied all that the leader has, and returns how it fares then.
async fn until_caught_up(cluster: &KvCluster, id: u16) -> Report {
    let end = Instant::now() + PATIENCE;
    loop {
        let leader = cluster.status(cluster.leader().await).await;
        let report = cluster.status(id).await;
        let all_is_committed = leader.commit_index == leader.last_index;
        if all_is_committed && report.last_applied == leader.commit_index {
            return report;
        }
        assert!(Instant::now() < end, "{report:?} behind {leader:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_too_long_is_sent_a_snapshot() {
    let mut cluster = KvCluster::start_with(3, Timing::default(), small()).await;
    write(&cluster, 0..5).await;
    let away = cluster.follower().await;
    let before = until_caught_up(&cluster, away).await;
    cluster.stop(away).await;
    write(&cluster, 5..80).await;
    let leader = cluster.status(cluster.leader().await).await;
    assert!(
        leader.first_index > before.last_index + 1,
        "what it lacks is in no log: {leader:?}, {before:?}"
    );
    cluster.restart(away).await;
    let after = until_caught_up(&cluster, away).await;
    assert!(after.snapshot_index > before.last_index, "{after:?}");
    assert_eq!((after.keys, after.revision), (80, 81));
    let got = cluster.get(away, "/kv/key-3").await;
    assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "value"));
    cluster.stop_all().await;
}

/// With the sessions: a retry of what a snapshot has replaced is answered as at first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_starts_again_from_its_snapshots() {
    let mut cluster = KvCluster::start_with(3, Timing::default(), small()).await;
    let leader = cluster.leader().await;
    let first = cluster.put_as(leader, (7, 1), "k", "one").await;
    write(&cluster, 0..60).await;
    for id in 1..=3 {
        let report = until_caught_up(&cluster, id).await;
        assert!(report.snapshot_index > 2, "{report:?}");
        assert!(report.first_index > 2, "{report:?}");
    }
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in 1..=3 {
        cluster.restart(id).await;
    }
    let leader = cluster.leader().await;
    let retry = cluster.put_as(leader, (7, 1), "k", "one").await;
    assert_eq!((retry.status, retry.text), (first.status, first.text));
    for id in 1..=3 {
        let report = until_caught_up(&cluster, id).await;
        assert_eq!((report.keys, report.revision), (61, 62), "{report:?}");
        assert_eq!(cluster.get(id, "/kv/key-0").await.text, "value");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_begins_where_it_is_kept() {
    let cluster = KvCluster::start_with(1, Timing::default(), small()).await;
    write(&cluster, 0..60).await;
    let first = cluster.status(1).await.first_index;
    assert!(first > 1);
    for index in [0, 1, first] {
        let page = cluster.get(1, &format!("/log?index={index}&limit=1")).await;
        let page = page.json();
        assert_eq!(page["first_index"], json!(first));
        assert_eq!(page["entries"][0]["index"], json!(first));
        assert_eq!(page["next"], json!(first + 1));
    }
    let page = cluster.get(1, &format!("/log?index={}", first + 2)).await;
    assert_eq!(page.json()["entries"][0]["index"], json!(first + 2));
    cluster.stop_all().await;
}
