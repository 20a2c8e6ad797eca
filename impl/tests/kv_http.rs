//! The HTTP API, over a cluster in this process.

use std::time::Duration;

use lockstep::kv::config::{Limits, Timing};
use lockstep::kv::headers::{CLIENT, SEQUENCE, SINCE};
use lockstep::kv::store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::kv::{Answer, KvCluster, impatient};
use crate::support::loopback::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_is_got_everywhere_until_it_is_deleted() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await.to_string();
    for id in 1..=3 {
        let key = format!("key-{id}");
        let put = cluster.put(id, &key, "value").await;
        assert_eq!(put.status, 200, "{put:?}");
        assert_eq!(
            put.json(),
            json!({ "revision": 1 + id, "previous_revision": null })
        );
        assert_eq!((put.node, put.leader), (id.to_string(), leader.clone()));
        for other in 1..=3 {
            let got = cluster.get(other, &format!("/kv/{key}")).await;
            assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "value"));
        }
    }
    let again = cluster.put(1, "key-1", "other").await;
    assert_eq!(
        again.json(),
        json!({ "revision": 5, "previous_revision": 2 })
    );
    let deleted = cluster.send(2, Method::DELETE, "/kv/key-1", "", &[]).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(
        deleted.json(),
        json!({ "revision": 6, "previous_revision": 5 })
    );
    let again = cluster.send(3, Method::DELETE, "/kv/key-1", "", &[]).await;
    assert_eq!(again.status, 404);
    assert_eq!(cluster.get(1, "/kv/key-1").await.status, 404);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_values_are_byte_strings() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    for key in ["a%2Fb", "a/b/c", "%FF%00", "%C3%A6", "with%20space"] {
        assert_eq!(cluster.put(1, key, key).await.status, 200, "{key}");
        assert_eq!(cluster.get(1, &format!("/kv/{key}")).await.text, key);
    }
    let page = cluster.get(1, "/kv?prefix=a").await.json();
    let keys: Vec<&Value> = page["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|e| &e["key"])
        .collect();
    assert_eq!(keys, [&json!("a/b"), &json!("a/b/c")]);
    assert_eq!(page["more"], json!(false));
    let page = cluster.get(1, "/kv?prefix=a&limit=1").await.json();
    assert_eq!(page["more"], json!(true));
    let page = cluster.get(1, "/kv?prefix=a&after=a/b").await.json();
    assert_eq!(page["entries"][0]["key"], json!("a/b/c"));
    let log = cluster.get(1, "/log?index=4&limit=1").await.json();
    assert_eq!(log["entries"][0]["key_base64"], json!("/wA="), "{log}");
    cluster.stop_all().await;
}

/// A page's last key, in whatever form it came, is where the next page begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_and_pages_are_byte_strings() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    for key in ["%FF%00", "%FF%01", "%FF%02", "%FE", "%FB%EF", "a"] {
        assert_eq!(cluster.put(1, key, "v").await.status, 200, "{key}");
    }
    for prefix in ["prefix=%FF", "prefix_base64=/w==", "prefix_base64=_w"] {
        let mut query = format!("/kv?limit=1&{prefix}");
        let mut keys = Vec::new();
        loop {
            let page = cluster.get(1, &query).await.json();
            let key = page["entries"][0]["key_base64"].as_str().expect("a key");
            keys.push(key.to_owned());
            if page["more"] == json!(false) {
                break;
            }
            query = format!("/kv?limit=1&{prefix}&after_base64={key}");
        }
        assert_eq!(keys, ["/wA=", "/wE=", "/wI="], "{prefix}");
    }
    // `++8=`, whose plus signs a form would write as %2B.
    let page = cluster.get(1, "/kv?prefix_base64=++8=").await.json();
    assert_eq!(page["entries"][0]["key_base64"], json!("++8="), "{page}");
    let page = cluster.get(1, "/kv?after=%FF%00").await.json();
    assert_eq!(page["entries"].as_array().expect("entries").len(), 2);
    cluster.stop_all().await;
}

/// Most HTTP clients take `/kv/..` for `/`, percent-encoded or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_be_given_in_base64() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    for (key, value) in [("Lg", "one dot"), ("Li4=", "two dots"), ("_w", "a byte")] {
        let named = format!("{key}?key_encoding=base64");
        let put = cluster.put(1, &named, value);
        assert_eq!(put.await.status, 200, "{key}");
        let path = format!("/kv/{key}?key_encoding=base64&here=true");
        assert_eq!(cluster.get(1, &path).await.text, value);
    }
    assert_eq!(cluster.get(1, "/kv/%FF").await.text, "a byte");
    let page = cluster.get(1, "/kv?prefix=.").await.json();
    assert_eq!(page["entries"][0]["key"], json!("."));
    assert_eq!(page["entries"][1]["key"], json!(".."));
    let path = "/kv/Lg?key_encoding=base64";
    let deleted = cluster.send(1, Method::DELETE, path, "", &[]).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(cluster.get(1, path).await.status, 404);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_value_passes_and_a_larger_one_is_refused() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let follower = cluster.follower().await;
    let largest = "x".repeat(MAX_VALUE_BYTES);
    assert_eq!(cluster.put(follower, "large", &largest).await.status, 200);
    assert_eq!(cluster.get(follower, "/kv/large").await.text, largest);
    let refused = cluster.put(follower, "large", &(largest + "x")).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text.contains("1048576 bytes"), "{}", refused.text);
    cluster.stop_all().await;
}

/// For each bad request: its method, path and headers, and the answer.
type Bad<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_refused_in_words_and_change_nothing() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    let long = format!("/kv/{}", "k".repeat(MAX_KEY_BYTES + 1));
    let reserved = (1u64 << 63).to_string();
    let bad: &[Bad<'_>] = &[
        (
            "GET",
            "/nowhere",
            &[],
            404,
            "nothing is at /nowhere; there are",
        ),
        ("GET", "/kvs/a", &[], 404, "nothing is at /kvs/a"),
        ("POST", "/kv/a", &[], 405, "no such method"),
        ("PUT", "/kv/", &[], 400, "the key is empty"),
        ("GET", "/kv/", &[], 400, "the key is empty"),
        ("PUT", &long, &[], 414, "the key has 4097 bytes"),
        ("PUT", "/kv/a", &[(CLIENT, "1")], 400, "go together"),
        ("PUT", "/kv/a", &[(SEQUENCE, "1")], 400, "go together"),
        (
            "PUT",
            "/kv/a",
            &[(CLIENT, "x"), (SEQUENCE, "1")],
            400,
            "lockstep-client must be one",
        ),
        (
            "DELETE",
            "/kv/a",
            &[(CLIENT, "1"), (SEQUENCE, "-1")],
            400,
            "lockstep-sequence must",
        ),
        (
            "PUT",
            "/kv/a",
            &[(CLIENT, &reserved), (SEQUENCE, "1")],
            400,
            "below 2^63",
        ),
        (
            "PUT",
            "/kv/a",
            &[(CLIENT, "1"), (CLIENT, "2"), (SEQUENCE, "1")],
            400,
            "must be one",
        ),
        ("GET", "/log?index=x", &[], 400, "index"),
        ("GET", "/log?indx=1", &[], 400, "indx"),
        ("GET", "/kv?limit=-1", &[], 400, "limit"),
        ("GET", "/kv?limit=0", &[], 400, "at least 1"),
        ("GET", "/kv?prefix_base64=%ff", &[], 400, "prefix_base64"),
        (
            "GET",
            "/kv?prefix=a&prefix_base64=YQ",
            &[],
            400,
            "said already",
        ),
        ("GET", "/kv?after=a&after=b", &[], 400, "said already"),
        (
            "GET",
            "/kv?prefx=a",
            &[],
            400,
            "no parameter `prefx`; did you mean `prefix`?",
        ),
        ("GET", "/kv?here=maybe", &[], 400, "here: `maybe`"),
        ("GET", "/kv/a?key_encoding=rot13", &[], 400, "rot13"),
        ("PUT", "/kv/a?key_encoding=base64", &[], 400, "is no base64"),
        ("PUT", "/kv/a?here=true", &[], 400, "is for reads"),
        ("POST", "/members", &[], 400, "nothing was changed"),
        ("DELETE", "/members/x", &[], 400, "a node id is a whole"),
        ("POST", "/members/7/promote", &[], 409, "add it first"),
        ("DELETE", "/members/1", &[], 409, "nobody would vote"),
        ("POST", "/leader/9", &[], 409, "is no voter"),
        (
            "POST",
            "/internal/v2/forward",
            &[],
            400,
            "is not understood",
        ),
    ];
    for (method, path, fields, status, words) in bad {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = cluster.send(1, method, path, "", fields).await;
        assert_eq!(answer.status, *status, "{path}: {answer:?}");
        assert!(answer.text.contains(words), "{path}: {}", answer.text);
        assert_eq!((answer.node.as_str(), answer.leader.as_str()), ("1", "1"));
    }
    for (body, status, words) in [
        ("{}", 400, "is not understood"),
        (
            r#"{"cluster":"red","nodes":{}}"#,
            409,
            "the cluster `blue`, and not `red`",
        ),
        (
            r#"{"cluster":"blue","nodes":{}}"#,
            409,
            "the nodes 1, and not none",
        ),
        ("", 200, "\"already\":true"),
    ] {
        let answer = cluster.send(1, Method::POST, "/init", body, &[]).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.text.contains(words), "{body}: {}", answer.text);
    }
    assert_eq!(cluster.status(1).await.revision, 1);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_applied_once_and_gets_the_first_answer() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let first = cluster.put_as(1, (7, 1), "k", "one").await;
    for id in [1, 2, 3] {
        let retry = cluster.put_as(id, (7, 1), "k", "one").await;
        assert_eq!((retry.status, &retry.text), (first.status, &first.text));
    }
    assert_eq!(
        cluster.put_as(2, (7, 2), "k", "two").await.json()["previous_revision"],
        2
    );
    let late = cluster.put_as(3, (7, 1), "k", "one").await;
    assert_eq!(late.status, 409, "{late:?}");
    assert_eq!(cluster.get(1, "/kv/k").await.text, "two");
    let fields = [(CLIENT, "7"), (SEQUENCE, "2")];
    let other = cluster.send(1, Method::DELETE, "/kv/k", "", &fields).await;
    assert_eq!(other.status, 400, "the pair was a put: {other:?}");
    assert_eq!(cluster.get(1, "/kv/k").await.text, "two");
    cluster.stop_all().await;
}

/// Every node answers reads itself when asked to, and none with an old value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_answers_reads_with_what_was_written_before() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    let leader = cluster.leader().await;
    for round in 0..20 {
        let value = round.to_string();
        assert_eq!(cluster.put(leader, "k", &value).await.status, 200);
        for id in [1, 2, 3] {
            let found = cluster.get(id, "/kv/k?here=true").await;
            assert_eq!(
                (found.status.as_u16(), &found.text),
                (200, &value),
                "{found:?}"
            );
            assert_eq!(found.node, id.to_string());
        }
        let page = cluster.get(1, "/kv?prefix=k&here=true").await;
        assert_eq!(page.json()["entries"][0]["value"], value);
    }
    let bad = cluster.get(1, "/kv/k?there=true").await;
    assert_eq!(bad.status, 400, "{bad:?}");
    cluster.stop_all().await;
}

/// A client that comes back after more sessions than the cluster keeps is told so, and its old
/// request is not done again. A request without a session never hears of any of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_expires_is_answered_410_and_another_may_begin() {
    let limits = Limits {
        max_sessions: 2,
        ..Limits::default()
    };
    let cluster = KvCluster::start_within(3, Timing::default(), limits).await;
    let first = cluster.put_as(1, (7, 1), "k", "one").await;
    assert_eq!(first.status, 200, "{first:?}");
    // A slot of the nodes, unused while others come and go.
    assert_eq!(cluster.put(2, "slot", "a").await.status, 200);
    let mut since = String::from("0");
    for client in 8..12 {
        let client = client.to_string();
        let mut answer = put_since(&cluster, &client, &since).await;
        if answer.status == 410 {
            since = answer.since.expect("where to begin");
            answer = put_since(&cluster, &client, &since).await;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let late = cluster.put_as(3, (7, 1), "k", "one").await;
    assert_eq!(late.status, 410, "{late:?}");
    assert!(late.text.contains("has expired"), "{late:?}");
    assert!(late.text.contains("has changed nothing"), "{late:?}");
    assert_eq!(cluster.get(1, "/kv/k").await.text, "11");
    let anew = put_since(&cluster, "7", &late.since.expect("where to begin")).await;
    assert_eq!(anew.status, 200, "{anew:?}");
    assert_eq!(cluster.put(2, "slot", "b").await.status, 200);
    assert_eq!(cluster.get(1, "/kv/slot").await.text, "b");
    cluster.stop_all().await;
}

/// The first request of a session that begins at `since`.
async fn put_since(cluster: &KvCluster, client: &str, since: &str) -> Answer {
    let fields = [(CLIENT, client), (SEQUENCE, "1"), (SINCE, since)];
    let put = cluster.send(2, Method::PUT, "/kv/k", client, &fields);
    put.await
}

/// RAFT-6, over HTTP: many at once, each gets its own answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_get_their_own_answers() {
    let cluster = std::sync::Arc::new(KvCluster::start(3, Timing::default()).await);
    cluster.leader().await;
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..48u16 {
        let cluster = cluster.clone();
        tasks.spawn(async move {
            for round in 0..5 {
                let (id, key) = (1 + client % 3, format!("key-{client}"));
                let value = format!("{client} {round}");
                assert_eq!(cluster.put(id, &key, &value).await.status, 200);
                let other = 1 + (client + round) % 3;
                assert_eq!(cluster.get(other, &format!("/kv/{key}")).await.text, value);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no client is wrong");
    }
    assert_eq!(
        cluster.status(cluster.leader().await).await.revision,
        1 + 48 * 5
    );
    std::sync::Arc::into_inner(cluster)
        .expect("all clients are done")
        .stop_all()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_shown_page_by_page() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    for number in 0..5 {
        cluster
            .put_as(1, (9, number + 1), "k", &number.to_string())
            .await;
    }
    cluster.send(1, Method::DELETE, "/kv/k", "", &[]).await;
    let page = cluster.get(1, "/log?limit=3").await.json();
    assert_eq!(
        (&page["commit_index"], &page["next"]),
        (&json!(7), &json!(4))
    );
    assert_eq!(
        page["entries"][0],
        json!({ "index": 1, "term": 1, "kind": "noop" })
    );
    let put = json!({
        "index": 2, "term": 1, "kind": "put", "client": 9, "since": 0, "sequence": 1, "key": "k",
        "value": "0",
    });
    assert_eq!(page["entries"][1], put);
    let page = cluster.get(1, "/log?index=7").await.json();
    assert_eq!(page["entries"][0]["kind"], json!("delete"));
    assert_eq!(page["next"], Value::Null);
    let past = cluster.get(1, "/log?index=99").await.json();
    assert_eq!(
        (&past["entries"], &past["next"]),
        (&json!([]), &Value::Null)
    );
    for extreme in ["0", "18446744073709551615"] {
        assert_eq!(
            cluster
                .get(1, &format!("/log?index={extreme}"))
                .await
                .status,
            200
        );
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_on_a_port_of_their_own() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    cluster.put(1, "k", "v").await;
    let address = cluster.node(1).metrics_address();
    let url = format!("http://{}/metrics", address.expect("metrics are shown"));
    let answer = http().get(url).send().await.expect("an answer");
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let page = answer.text().await.expect("text");
    for line in [
        "# TYPE lockstep_records_total counter",
        "# TYPE lockstep_client_connections gauge",
        "# TYPE lockstep_client_connections_refused_total counter",
        "# TYPE lockstep_client_connections_timed_out_total counter",
        "# TYPE lockstep_log_lines_dropped_total counter",
        "lockstep_raft_is_leader 1",
        "lockstep_raft_commit_index 2",
        "lockstep_raft_keys 1",
    ] {
        assert!(
            page.lines().any(|shown| shown == line),
            "{line} is not in\n{page}"
        );
    }
    cluster.stop_all().await;
}

/// One of three cannot elect anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_nothing_is_done_and_clients_are_told_when_to_retry() {
    let mut cluster = KvCluster::start(3, impatient()).await;
    cluster.leader().await;
    let alone = cluster.follower().await;
    for id in (1..=3).filter(|id| *id != alone) {
        cluster.stop(id).await;
    }
    // The lone node must first stop believing in its leader.
    while cluster.status(alone).await.role != "candidate" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let answer = cluster.send(alone, method, "/kv/k", "", &[]).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.retry_after.as_deref(), Some("1"));
        assert_eq!(answer.leader, "unknown");
        assert!(
            answer.text.contains("nothing was changed"),
            "{}",
            answer.text
        );
    }
    assert_eq!(cluster.get(alone, "/status").await.status, 200);
    cluster.stop_all().await;
}
