//! Watches of the key-value service: each change once and in order, at any node, whatever becomes of nodes.

use std::time::Duration;

use lockstep::kv::client::entry::Keys;
use lockstep::kv::client::watch::{Change, Revision, Watch};
use lockstep::kv::client::{Client, ClientError};
use lockstep::kv::config::Timing;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::support::kv::{KvCluster, PATIENCE};

fn client(cluster: &KvCluster) -> Client {
    let nodes = cluster.config.nodes.iter();
    let nodes = nodes.map(|node| node.client_address.to_string()).collect();
    Client::new(nodes, PATIENCE).expect("a client")
}

fn all() -> Keys {
    Keys::Prefix(Vec::new())
}

async fn next(watch: &mut Watch) -> Revision {
    let next = timeout(PATIENCE, watch.next()).await;
    next.expect("in time").expect("the watch goes on")
}

/// `key=value`, or `-key`.
fn told(revision: &Revision) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let changes = revision.changes.iter();
    changes
        .map(|change| match change {
            Change::Put(entry) => format!("{}={}", text(&entry.key), text(&entry.value)),
            Change::Deleted(key) => format!("-{}", text(key)),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_and_what_comes_is_told_a_revision_at_a_time() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    cluster.put(1, "a", "1").await;
    cluster.put(1, "b", "1").await;
    let client = client(&cluster);
    let mut watch = client.watch(&all(), Some(2)).expect("a watch");
    let mut of_a = client
        .watch(&Keys::Prefix(b"a".to_vec()), Some(2))
        .expect("a watch");
    assert_eq!(told(&next(&mut watch).await), ["a=1"]);
    assert_eq!(told(&next(&mut watch).await), ["b=1"]);
    assert_eq!(told(&next(&mut of_a).await), ["a=1"]);
    let txn = json!({ "success": [
        { "put": { "key": "b", "value": "2" } }, { "put": { "key": "a", "value": "2" } },
    ] });
    cluster
        .send(2, Method::POST, "/txn", &txn.to_string(), &[])
        .await;
    let both = next(&mut watch).await;
    assert_eq!(
        (told(&both), both.revision),
        (vec!["b=2".into(), "a=2".into()], 4)
    );
    assert_eq!(told(&next(&mut of_a).await), ["a=2"]);
    cluster
        .send(3, Method::DELETE, "/kv?prefix=", "", &[])
        .await;
    assert_eq!(told(&next(&mut watch).await), ["-a", "-b"]);
    assert_eq!(told(&next(&mut of_a).await), ["-a"]);
    cluster.stop_all().await;
}

/// The nodes go, one after the other, while a client writes and another watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_at_another_node_and_misses_nothing() {
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    cluster.leader().await;
    let mut writer = client(&cluster);
    let mut watch = writer.watch(&all(), Some(2)).expect("a watch");
    let mut written = 0;
    for id in [1, 2, 3] {
        cluster.stop(id).await;
        for _ in 0..20 {
            let value = format!("{written}").into();
            writer
                .put(b"k", value)
                .await
                .expect("two of three are enough");
            written += 1;
        }
        cluster.restart(id).await;
    }
    for number in 0..written {
        let seen = next(&mut watch).await;
        assert_eq!(
            (told(&seen), seen.revision),
            (vec![format!("k={number}")], 2 + number)
        );
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_what_is_compacted_is_told_so() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    for number in 0..5 {
        cluster.put(1, "k", &number.to_string()).await;
    }
    let compact = json!({ "revision": 5 }).to_string();
    cluster
        .send(1, Method::POST, "/compact", &compact, &[])
        .await;
    let client = client(&cluster);
    let mut late = client.watch(&all(), Some(2)).expect("a watch");
    let refused = timeout(PATIENCE, late.next()).await.expect("in time");
    assert!(
        matches!(&refused, Err(ClientError::Gone(text)) if text.contains("oldest that can be read is 5")),
        "{refused:?}"
    );
    let mut watch = client.watch(&all(), Some(5)).expect("a watch");
    assert_eq!(told(&next(&mut watch).await), ["k=3"]);
    assert_eq!(told(&next(&mut watch).await), ["k=4"]);
    let bad = cluster.get(1, "/watch?form=5").await;
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("did you mean `from`?"), "{bad:?}");
    cluster.stop_all().await;
}

/// A node that is to stop does not wait for those who watch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_although_somebody_watches() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.put(1, "k", "1").await;
    let client = client(&cluster);
    let mut watch = client.watch(&all(), Some(2)).expect("a watch");
    assert_eq!(told(&next(&mut watch).await), ["k=1"]);
    let stopped = timeout(Duration::from_secs(10), cluster.stop_all()).await;
    stopped.expect("the node stops");
}
