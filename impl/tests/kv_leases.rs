//! Leases of the key-value service: keys that go when nobody says any more that whoever had them lives.

use std::time::Duration;

use lockstep::kv::config::Timing;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::kv::{Answer, KvCluster, PATIENCE};

async fn grant(cluster: &KvCluster, ttl_s: u64, id: Option<u64>) -> Answer {
    let body = json!({ "ttl_s": ttl_s, "id": id }).to_string();
    cluster.send(1, Method::POST, "/leases", &body, &[]).await
}

async fn keep_alive(cluster: &KvCluster, node: u16, lease: u64) -> Answer {
    let path = format!("/leases/{lease}/keepalive");
    cluster.send(node, Method::POST, &path, "", &[]).await
}

/// Waits until the key is gone, and says for how long that took.
async fn gone(cluster: &KvCluster, node: u16, key: &str) -> Duration {
    let begun = Instant::now();
    while cluster.get(node, &format!("/kv/{key}")).await.status != 404 {
        assert!(begun.elapsed() < PATIENCE, "{key} goes");
        sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_together_when_their_lease_runs_out() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let granted = grant(&cluster, 2, Some(7)).await;
    assert_eq!(granted.status, 200, "{granted:?}");
    assert_eq!(
        (&granted.json()["id"], &granted.json()["ttl_s"]),
        (&json!(7), &json!(2))
    );
    for key in ["a?lease=7", "b?lease=7", "c"] {
        assert_eq!(cluster.put(1, key, "x").await.status, 200);
    }
    let shown = cluster.get(2, "/leases/7").await.json();
    assert_eq!(shown["keys"], json!([{ "key": "a" }, { "key": "b" }]));
    assert_eq!(
        cluster.get(3, "/leases").await.json(),
        json!({ "leases": [7] })
    );
    // Signs of life, for longer than it lives without them.
    for round in 0..6 {
        sleep(Duration::from_millis(500)).await;
        let alive = keep_alive(&cluster, 1 + round % 3, 7).await;
        assert_eq!(alive.status, 200, "{alive:?}");
    }
    assert_eq!(cluster.get(1, "/kv/a").await.status, 200);
    let took = gone(&cluster, 1, "a").await;
    assert!(took > Duration::from_millis(1500), "after {took:?}");
    let page = cluster.get(2, "/kv").await.json();
    assert_eq!(page["entries"].as_array().expect("entries").len(), 1);
    assert_eq!(page["revision"], 5, "both keys went in one revision");
    let late = keep_alive(&cluster, 1, 7).await;
    assert_eq!(late.status, 404, "{late:?}");
    assert!(late.text.contains("no such lease"), "{late:?}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_outlives_its_leader_and_is_counted_anew() {
    let mut cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await;
    grant(&cluster, 3, Some(1)).await;
    cluster.put(leader, "a?lease=1", "x").await;
    sleep(Duration::from_secs(2)).await;
    cluster.stop(leader).await;
    let other = if leader == 1 { 2 } else { 1 };
    let begun = Instant::now();
    let took = gone(&cluster, other, "a").await;
    // The new leader gives it its whole time: nobody could renew it while there was none.
    assert!(
        begun.elapsed() > Duration::from_millis(2500),
        "after {took:?}"
    );
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_revoked_and_bad_ones_are_refused() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    let drawn = grant(&cluster, 60, None).await.json();
    let id = drawn["id"].as_u64().expect("a number");
    cluster.put(1, &format!("a?lease={id}"), "x").await;
    let taken = grant(&cluster, 60, Some(id)).await;
    assert_eq!(taken.status, 409, "{taken:?}");
    cluster.put(1, "a?keep_lease=true", "y").await;
    let path = format!("/leases/{id}");
    let revoked = cluster.send(1, Method::DELETE, &path, "", &[]).await;
    assert_eq!(revoked.json()["deleted"], 1);
    assert_eq!(cluster.get(1, "/kv/a").await.status, 404);
    let bad: [(Method, &str, Value, u16, &str); 7] = [
        (Method::POST, "/leases", json!({}), 400, "say for how long"),
        (
            Method::POST,
            "/leases",
            json!({ "ttl_s": 0 }),
            400,
            "1 to 9000000000 seconds",
        ),
        (
            Method::POST,
            "/leases",
            json!({ "ttl_s": -1 }),
            400,
            "ttl_s: invalid value",
        ),
        (
            Method::POST,
            "/leases",
            json!({ "ttl": 5 }),
            400,
            "did you mean `ttl_s`?",
        ),
        (
            Method::POST,
            "/leases",
            json!({ "ttl_s": 5, "id": 0 }),
            400,
            "the number 0",
        ),
        (Method::DELETE, &path, json!({}), 404, "no such lease"),
        (
            Method::DELETE,
            "/leases/x",
            json!({}),
            400,
            "nothing was changed",
        ),
    ];
    for (method, path, body, status, words) in bad {
        let answer = cluster.send(1, method, path, &body.to_string(), &[]).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert!(
            answer.text.contains(words),
            "{path} {body}: {}",
            answer.text
        );
    }
    let unknown = cluster.put(1, "a?lease=99", "x").await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    cluster.stop_all().await;
}
