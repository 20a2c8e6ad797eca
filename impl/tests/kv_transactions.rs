//! Transactions, ranges of earlier revisions, and compactions, over HTTP.

use std::time::Duration;

use lockstep::kv::config::{Limits, Timing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::kv::{Answer, KvCluster, PATIENCE};

async fn post(cluster: &KvCluster, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    cluster.send(1, Method::POST, path, &body, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_lists_is_done_whole_everywhere() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    cluster.put(1, "colour", "blue").await;
    cluster.put(1, "old/1", "x").await;
    cluster.put(1, "old/2", "x").await;
    let txn = json!({
        "compare": [{ "key": "colour", "is": "=", "value": "blue" }, { "key": "new", "version": 0 }],
        "success": [
            { "put": { "key": "colour", "value": "red", "previous": true } },
            { "delete": { "prefix": "old/", "previous": true } },
            { "range": { "prefix": "" } },
            { "txn": { "success": [{ "put": { "key": "new", "value_base64": "/w==" } }] } },
        ],
        "failure": [{ "range": { "key": "colour" } }],
    });
    let done = post(&cluster, "/txn", &txn).await;
    assert_eq!(done.status, 200, "{done:?}");
    let done = done.json();
    assert_eq!(
        (&done["succeeded"], &done["revision"]),
        (&json!(true), &json!(5))
    );
    let outcomes = &done["outcomes"];
    assert_eq!(outcomes[0]["put"]["previous"]["value"], "blue");
    assert_eq!(outcomes[1]["delete"]["deleted"], 2);
    assert_eq!(outcomes[1]["delete"]["previous"][1]["key"], "old/2");
    assert_eq!(outcomes[2]["range"]["entries"][0]["value"], "red");
    assert_eq!(outcomes[3]["txn"]["succeeded"], true);
    for id in 1..=3 {
        let page = cluster.get(id, "/kv?here=true").await.json();
        let keys: Vec<&Value> = { page["entries"].as_array().expect("entries").iter() }
            .map(|entry| &entry["key"])
            .collect();
        assert_eq!(keys, ["colour", "new"], "node {id}");
        assert_eq!(page["entries"][1]["revision"], 5);
    }
    let again = post(&cluster, "/txn", &txn).await.json();
    assert_eq!(
        (&again["succeeded"], &again["revision"]),
        (&json!(false), &json!(5))
    );
    assert_eq!(again["outcomes"][0]["range"]["entries"][0]["version"], 2);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_transactions_name_the_place_and_change_nothing() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    let put = |key: &str| json!({ "put": { "key": key, "value": "x" } });
    let bad = [
        ("[]".into(), 400, "the body is no JSON object"),
        ("{".into(), 400, "the body: EOF"),
        (
            json!({ "sucess": [] }),
            400,
            "no field `sucess`: did you mean `success`?",
        ),
        (
            json!({ "success": [{ "putt": {} }] }),
            400,
            "success[0] has no field `putt`",
        ),
        (
            json!({ "success": [{}] }),
            400,
            "success[0]: an operation is one of put",
        ),
        (
            json!({ "failure": [{ "put": { "key": "a", "valu": "x" } }] }),
            400,
            "failure[0].put",
        ),
        (
            json!({ "success": [{ "put": { "key": "a", "key_base64": "YQ" } }] }),
            400,
            "success[0].put.key: it is there again",
        ),
        (json!({ "success": [put("")] }), 400, "the key is empty"),
        (
            json!({ "compare": [{ "key": "a", "is": "<=", "version": 1 }] }),
            400,
            "compare[0].is: `<=` is none of",
        ),
        (
            json!({ "compare": [{ "key": "a" }] }),
            400,
            "compare one of value",
        ),
        (
            json!({ "compare": [{ "version": 1 }] }),
            400,
            "name the keys",
        ),
        (
            json!({ "success": [put("a"), put("a")] }),
            400,
            "set a key twice",
        ),
        (
            json!({ "success": vec![put("a"); 129] }),
            400,
            "more than the 128 operations",
        ),
        (
            json!({ "success": [{ "put": { "key": "a", "keep_value": true } }] }),
            412,
            "is not there",
        ),
        (
            json!({ "success": [{ "put": { "key": "a", "value": "x", "lease": 9 } }] }),
            404,
            "no such lease",
        ),
    ];
    for (txn, status, words) in bad {
        let body = match txn {
            Value::String(text) => text,
            txn => txn.to_string(),
        };
        let answer = cluster.send(1, Method::POST, "/txn", &body, &[]).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.text.contains(words), "{body}: {}", answer.text);
        assert!(
            answer.text.contains("nothing was changed"),
            "{}",
            answer.text
        );
    }
    assert_eq!(cluster.status(1).await.revision, 1);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_have_a_revision_an_order_and_a_count() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    for (key, value) in [("b", "1"), ("a", "2"), ("c", "3"), ("a", "4")] {
        assert_eq!(cluster.put(1, key, value).await.status, 200);
    }
    cluster.send(1, Method::DELETE, "/kv/c", "", &[]).await;
    let keys = async |query: &str| {
        let page = cluster.get(1, &format!("/kv?{query}")).await.json();
        let entries = page["entries"].as_array().expect("entries");
        let text = |entry: &Value| format!("{}={}", entry["key"], entry["value"]).replace('"', "");
        (entries.iter().map(text).collect::<Vec<_>>().join(" "), page)
    };
    assert_eq!(keys("").await.0, "a=4 b=1");
    assert_eq!(keys("revision=4").await.0, "a=2 b=1 c=3");
    assert_eq!(keys("revision=1").await.0, "");
    assert_eq!(keys("sort=revision").await.0, "b=1 a=4");
    assert_eq!(keys("sort=value&descending=true&limit=1").await.0, "a=4");
    assert_eq!(keys("start=b").await.0, "b=1");
    assert_eq!(keys("start=a&end=b").await.0, "a=4");
    assert_eq!(keys("key=b&keys_only=true").await.0, "b=null");
    let (none, page) = keys("count_only=true").await;
    assert_eq!((none.as_str(), &page["count"]), ("", &json!(2)));
    let old = cluster.get(1, "/kv/a?revision=3").await;
    assert_eq!((old.status.as_u16(), old.text.as_str()), (200, "2"));
    assert_eq!(cluster.get(1, "/kv/a?revision=99").await.status, 400);

    let compacted = post(&cluster, "/compact", &json!({ "revision": 4 })).await;
    assert_eq!(compacted.status, 200, "{compacted:?}");
    assert_eq!(keys("revision=4").await.0, "a=2 b=1 c=3");
    let gone = cluster.get(1, "/kv?revision=3").await;
    assert_eq!(gone.status, 410, "{gone:?}");
    assert!(
        gone.text.contains("the oldest that can be read is 4"),
        "{gone:?}"
    );
    let again = post(&cluster, "/compact", &json!({ "revision": 4 })).await;
    assert_eq!(again.status, 410);
    assert_eq!(post(&cluster, "/compact", &json!({})).await.status, 400);

    let deleted = cluster
        .send(1, Method::DELETE, "/kv?prefix=", "", &[])
        .await;
    assert_eq!(deleted.json()["deleted"], 2);
    let unnamed = cluster.send(1, Method::DELETE, "/kv", "", &[]).await;
    assert_eq!(unnamed.status, 400, "all keys must be named: {unnamed:?}");
    cluster.stop_all().await;
}

/// The history keeps about as much as the file says, by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_compacted_by_the_leader() {
    let limits = Limits {
        history_revisions: 10,
        ..Limits::default()
    };
    let cluster = KvCluster::start_within(3, Timing::default(), limits).await;
    for number in 0..50 {
        cluster.put(1, "k", &number.to_string()).await;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for id in 1..=3 {
        while cluster.status(id).await.compacted < 41 {
            assert!(tokio::time::Instant::now() < deadline, "node {id} compacts");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = cluster.status(id).await;
        assert_eq!((status.revision, status.compacted), (51, 41), "node {id}");
        assert_eq!(status.changes, 11, "node {id}");
    }
    cluster.stop_all().await;
}
