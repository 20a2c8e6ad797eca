//! The paths of small programs that know one: `/`, `/request` and `/log`.

use lockstep::kv::config::Timing;
use reqwest::Method;
use serde_json::json;

use crate::support::kv::KvCluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_put_as_json_and_got_by_a_parameter() {
    let cluster = KvCluster::start(3, Timing::default()).await;
    cluster.leader().await;
    let body = r#"{"key": "colour", "value": "blue"}"#;
    let put = cluster.send(1, Method::PUT, "/", body, &[]).await;
    assert_eq!(
        (put.status.as_u16(), put.json()["revision"].clone()),
        (200, json!(2))
    );
    for id in 1..=3 {
        let got = cluster.get(id, "/?key=colour").await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "blue"));
        assert_eq!(cluster.get(id, "/kv/colour").await.text, "blue");
    }
    assert_eq!(cluster.get(1, "/?key=size").await.status, 404);
    // Without a parameter it is the page for people.
    assert!(cluster.get(1, "/").await.text.contains("<html"));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_in_the_log_once_it_is_answered() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    let first = cluster.get(1, "/log").await.json()["commit_index"].clone();
    for message in ["one", "two"] {
        let sent = cluster
            .send(1, Method::POST, "/request", message, &[])
            .await;
        assert_eq!(sent.status, 200, "{sent:?}");
    }
    let after = first.as_u64().expect("a number") + 1;
    let log = cluster.get(1, &format!("/log?index={after}")).await.json();
    let entries = log["entries"].as_array().expect("entries");
    let values: Vec<_> = entries
        .iter()
        .map(|entry| entry["value"].as_str())
        .collect();
    assert_eq!(values, [Some("one"), Some("two")], "{log}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_changes_nothing() {
    let cluster = KvCluster::start(1, Timing::default()).await;
    cluster.leader().await;
    for (body, says) in [
        ("", "the body: "),
        ("[]", "is no JSON object"),
        (r#"{"key": "a"}"#, "which `value`"),
        (r#"{"key": "a", "valeu": "b"}"#, "which `value`"),
        (
            r#"{"key": "a", "value": "b", "valu": "c"}"#,
            "did you mean `value`?",
        ),
        (r#"{"key": "", "value": "b"}"#, "key"),
    ] {
        let put = cluster.send(1, Method::PUT, "/", body, &[]).await;
        assert_eq!(put.status, 400, "{body}: {put:?}");
        assert!(
            put.text.contains(says) || put.text.contains("did you mean"),
            "{body}: {put:?}"
        );
        assert!(put.text.contains("nothing was changed"), "{body}: {put:?}");
    }
    for (path, says) in [
        ("/?kye=a", "there are key, key_base64, here"),
        ("/?here=true", "say which `key`"),
        ("/?key=a&key=b", "say it once"),
    ] {
        let got = cluster.get(1, path).await;
        assert_eq!(got.status, 400, "{path}: {got:?}");
        assert!(got.text.contains(says), "{path}: {got:?}");
    }
    assert_eq!(
        cluster.get(1, "/status").await.json()["commit_index"],
        json!(1)
    );
    cluster.stop_all().await;
}
