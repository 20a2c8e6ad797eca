//! A cluster of three over HTTP: every request, every answer, every error.

use std::time::Duration;

use lockstep::files::client::{Client, ClientError};
use lockstep::files::headers::{CLIENT, CREATED, SEQUENCE, VERSION};
use lockstep::files::store::Operation;
use lockstep::files::store::command::MAX_CONTENT_BYTES;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::files::{FilesCluster, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_written_at_any_node_and_read_at_any() {
    let cluster = FilesCluster::start(3).await;
    cluster.leader().await;
    let created = cluster.put(1, "/files/notes/a%20b", "one\n").await;
    created.says(201, "\"size\":4");
    let version = created.version();
    let appended = cluster.post(2, "/files/notes/a%20b", "two\n").await;
    appended.says(200, "\"size\":8");
    assert!(appended.version() > version);
    for id in 1..=3 {
        let read = cluster.get(id, "/files/notes/a%20b?sync=true").await;
        read.says(200, "one\ntwo\n");
        assert_eq!(read.version(), appended.version());
        assert_eq!(read.field(CREATED), version.to_string());
        assert_eq!(read.field("etag"), format!("\"{}\"", appended.version()));
    }
    // Whoever asked sees its own write, without a sync.
    cluster.get(2, "/files/notes/a%20b").await.says(200, "two");
    let stat = cluster.get(3, "/stat/notes/a%20b?sync=true").await.json();
    assert_eq!(stat["path"], "notes/a b");
    assert_eq!(stat["size"], 8);
    assert!(stat["modified_ms"].as_u64() >= stat["created_ms"].as_u64());
    let head = cluster
        .send(1, Method::HEAD, "/files/notes/a%20b?sync=true", "", &[])
        .await;
    head.says(200, "");
    assert_eq!(head.field("content-length"), "8");

    let stale = format!("/files/notes/a%20b?if_version={version}");
    cluster
        .post(3, &stale, "no")
        .await
        .says(412, "nothing was changed");
    cluster
        .put(3, &stale, "no")
        .await
        .says(412, "somebody has changed it");
    let fresh = format!("/files/notes/a%20b?if_version={}", appended.version());
    let replaced = cluster.put(3, &fresh, "new").await;
    replaced.says(200, "\"size\":3");
    cluster
        .send(1, Method::DELETE, &fresh, "", &[])
        .await
        .says(412, "nothing was changed");
    let fresh = format!("/files/notes/a%20b?if_version={}", replaced.version());
    cluster
        .send(1, Method::DELETE, &fresh, "", &[])
        .await
        .says(200, "null");
    cluster
        .get(1, "/files/notes/a%20b")
        .await
        .says(404, "there is no such file");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_file_is_asked_for_in_two_ways() {
    let cluster = FilesCluster::start(1).await;
    cluster.leader().await;
    cluster.put(1, "/files/f", "0123456789").await.says(201, "");
    for (query, range, status, content, field) in [
        ("", "bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("", "bytes=7-", 206, "789", "bytes 7-9/10"),
        ("", "bytes=-3", 206, "789", "bytes 7-9/10"),
        ("", "bytes=-30", 206, "0123456789", "bytes 0-9/10"),
        ("", "lines=1-2", 200, "0123456789", ""),
        ("", "bytes=10-", 416, "nothing of it", "bytes */10"),
        ("?offset=8", "", 206, "89", "bytes 8-9/10"),
        ("?offset=0&length=4", "", 206, "0123", "bytes 0-3/10"),
        ("?offset=10", "", 200, "", ""),
        ("?offset=11", "", 416, "nothing of it", "bytes */10"),
    ] {
        let path = format!("/files/f{query}");
        let fields = [("range", range)];
        let fields = if range.is_empty() {
            &[][..]
        } else {
            &fields[..]
        };
        let answer = cluster.send(1, Method::GET, &path, "", fields).await;
        answer.says(status, content);
        assert_eq!(answer.field("content-range"), field, "{query} {range}");
        if status != 416 {
            assert_eq!(answer.text, content, "{query} {range}");
        }
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_nothing_is_changed() {
    let cluster = FilesCluster::start(1).await;
    cluster.leader().await;
    let before = cluster.get(1, "/status").await.json()["position"].clone();
    let unchanged = "nothing was changed";
    for path in [
        "/files/a//b",
        "/files/a%2f..%2fb",
        "/files/%00",
        "/files/%ff",
    ] {
        cluster.put(1, path, "").await.says(400, unchanged);
    }
    cluster
        .put(1, &format!("/files/{}", "a".repeat(1025)), "")
        .await
        .says(400, "1025 bytes");
    cluster
        .put(1, "/files/a?if_version=x", "")
        .await
        .says(400, unchanged);
    cluster
        .put(1, "/files/a?version=1", "")
        .await
        .says(400, unchanged);
    let large = "x".repeat(MAX_CONTENT_BYTES + 1);
    cluster
        .put(1, "/files/a", &large)
        .await
        .says(413, unchanged);
    cluster.get(1, "/nowhere").await.says(404, "there are PUT");
    cluster.post(1, "/status", "").await.says(405, unchanged);
    cluster
        .get(1, "/files?limit=0")
        .await
        .says(400, "at least 1");
    cluster.get(1, "/watch?from=x").await.says(400, unchanged);
    for body in [
        "",
        "{}",
        "{\"operations\":[]}",
        "{\"operations\":[{\"op\":\"move\"}]}",
    ] {
        cluster.post(1, "/batch", body).await.says(400, unchanged);
    }
    for (fields, said) in [
        (&[(CLIENT, "1")][..], "go together"),
        (&[(CLIENT, "x"), (SEQUENCE, "1")][..], "one whole number"),
        (
            &[(CLIENT, "9223372036854775808"), (SEQUENCE, "1")][..],
            "below 2^63",
        ),
    ] {
        let answer = cluster.send(1, Method::PUT, "/files/a", "", fields).await;
        answer.says(400, said);
    }
    cluster
        .post(1, "/init", "nonsense")
        .await
        .says(400, unchanged);
    cluster
        .post(1, "/init", "{\"cluster\":\"red\",\"nodes\":{}}")
        .await
        .says(409, "`blue`");
    cluster
        .post(1, "/init", "")
        .await
        .says(200, "\"already\":true");
    assert_eq!(cluster.get(1, "/status").await.json()["position"], before);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_in_a_session_is_done_once_at_any_node() {
    let cluster = FilesCluster::start(3).await;
    cluster.leader().await;
    cluster.put(1, "/files/f", "").await.says(201, "");
    let as_client = |sequence: &'static str| [(CLIENT, "7"), (SEQUENCE, sequence)];
    let first = cluster
        .send(1, Method::POST, "/files/f", "x", &as_client("1"))
        .await;
    first.says(200, "");
    for id in 1..=3 {
        let again = cluster
            .send(id, Method::POST, "/files/f", "x", &as_client("1"))
            .await;
        again.says(200, "");
        assert_eq!(again.version(), first.version());
    }
    cluster
        .send(2, Method::POST, "/files/f", "y", &as_client("2"))
        .await
        .says(200, "");
    let old = cluster
        .send(3, Method::POST, "/files/f", "x", &as_client("1"))
        .await;
    old.says(409, "will not be done any more");
    cluster.get(3, "/files/f?sync=true").await.says(200, "xy");
    // A failure is an answer too.
    let failed = cluster
        .send(1, Method::PUT, "/files/f", "", &as_client("3"))
        .await;
    failed.says(409, "there already");
    cluster
        .send(1, Method::DELETE, "/files/f", "", &[])
        .await
        .says(200, "");
    let again = cluster
        .send(2, Method::PUT, "/files/f", "", &as_client("3"))
        .await;
    again.says(409, "there already");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_atomic_and_names_what_failed() {
    let cluster = FilesCluster::start(3).await;
    cluster.leader().await;
    let good = json!({"operations": [
        {"op": "create", "path": "a", "content": "x"},
        {"op": "create", "path": "b", "content_base64": "AAE="},
    ]});
    let done = cluster.post(1, "/batch", &good.to_string()).await;
    done.says(200, "\"sizes\":[1,2]");
    let bad = json!({"operations": [
        {"op": "check", "path": "a", "version": done.version()},
        {"op": "delete", "path": "a"},
        {"op": "append", "path": "b", "content": "x", "if_version": 0},
    ]});
    let failed = cluster.post(2, "/batch", &bad.to_string()).await;
    failed.says(412, "operation 2 failed");
    failed.says(412, "nothing was changed");
    assert_eq!(failed.json()["failed"], 2);
    cluster.get(2, "/files/a?sync=true").await.says(200, "x");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_where_a_page_has_ended() {
    let cluster = FilesCluster::start(1).await;
    cluster.leader().await;
    let mut client = Client::new(vec![cluster.address(1)], PATIENCE).expect("a client");
    for number in 0..25 {
        client
            .create(&format!("many/{number:02}"), "x".into())
            .await
            .expect("created");
    }
    client.create("other", "".into()).await.expect("created");
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = client
            .list("many/", after.as_deref(), Some(10), false)
            .await
            .expect("a page");
        seen.extend(page.entries.iter().map(|entry| entry.path.clone()));
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    let all: Vec<String> = (0..25).map(|number| format!("many/{number:02}")).collect();
    assert_eq!(seen, all);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_watched_and_a_watch_goes_on_at_another_node() {
    let mut cluster = FilesCluster::start(3).await;
    let leader = cluster.leader().await;
    let addresses = (1..=3).map(|id| cluster.address(id)).collect::<Vec<_>>();
    let mut writer = Client::new(addresses.clone(), PATIENCE).expect("a client");
    writer.create("a/0", "".into()).await.expect("created");
    let follower = (1..=3).find(|id| *id != leader).expect("one");
    let others = (1..=3)
        .filter(|id| *id != follower)
        .map(|id| cluster.address(id));
    let nodes: Vec<String> = [cluster.address(follower)]
        .into_iter()
        .chain(others)
        .collect();
    let watcher = Client::new(nodes, PATIENCE).expect("a client");
    let mut watch = watcher.watch("a/", Some(0));
    writer.create("b/0", "".into()).await.expect("created");
    writer
        .append("a/0", "x".into(), None)
        .await
        .expect("appended");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let next = timeout(PATIENCE, watch.next()).await.expect("in time");
        seen.push(next.expect("a change"));
    }
    assert!(seen[0].position < seen[1].position);
    assert!(seen.iter().all(|change| change.files[0].path == "a/0"));
    // Its node goes; nothing is missed, and nothing comes twice.
    cluster.stop(follower).await;
    for number in 1..=5 {
        writer
            .create(&format!("a/{number}"), "".into())
            .await
            .expect("created");
    }
    for number in 1..=5 {
        let next = timeout(PATIENCE, watch.next()).await.expect("in time");
        assert_eq!(next.expect("a change").files[0].path, format!("a/{number}"));
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_is_forgotten_is_gone() {
    let cluster = FilesCluster::start(1).await;
    cluster.leader().await;
    let mut client = Client::new(vec![cluster.address(1)], PATIENCE).expect("a client");
    let files = |round: usize| {
        let paths = (0..128).map(move |number| format!("{round}/{number}"));
        paths
            .map(|path| Operation::Create {
                path,
                content: "".into(),
            })
            .collect::<Vec<_>>()
    };
    for round in 0..34 {
        client.batch(files(round)).await.expect("done");
    }
    cluster
        .get(1, "/watch?from=0")
        .await
        .says(410, "not remembered any more");
    let mut watch = client.watch("", Some(0));
    let gone = watch.next().await;
    assert!(matches!(gone, Err(ClientError::Gone(_))), "{gone:?}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_watcher_is_dropped_and_told_so() {
    let cluster = FilesCluster::start(1).await;
    cluster.leader().await;
    let url = format!("http://{}/watch?from=0", cluster.address(1));
    let mut slow = crate::support::loopback::http()
        .get(url)
        .send()
        .await
        .expect("an answer");
    // Long paths, so that a connection's buffers are soon full.
    let name = "x".repeat(900);
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let mut client = Client::new(vec![cluster.address(1)], PATIENCE).expect("a client");
        let name = name.clone();
        writers.spawn(async move {
            for round in 0..500 {
                let operations = (0..8).map(|number| Operation::Create {
                    path: format!("{writer}/{round}/{number}/{name}"),
                    content: "".into(),
                });
                client.batch(operations.collect()).await.expect("done");
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("written");
    }
    let mut all = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = slow.chunk().await {
            all.extend_from_slice(&chunk);
        }
    };
    timeout(PATIENCE, read)
        .await
        .expect("the connection is closed");
    let tail = String::from_utf8_lossy(&all[all.len().saturating_sub(600)..]).into_owned();
    assert!(tail.contains("event: dropped"), "{tail}");
    assert!(tail.contains("you do not read fast enough"), "{tail}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_serves_nothing_and_says_so() {
    let mut cluster = FilesCluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.put(leader, "/files/f", "x").await.says(201, "");
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let ready = cluster.get(leader, "/readyz").await;
        if ready.status == 503 {
            assert_eq!(ready.field("retry-after"), "1");
            break;
        }
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = cluster.put(leader, "/files/g", "x").await;
    refused.says(503, "nothing was changed");
    assert_eq!(refused.field("retry-after"), "1");
    assert_eq!(refused.field("lockstep-leader"), "unknown");
    cluster.get(leader, "/files/f").await.says(503, "no leader");
    cluster.get(leader, "/healthz").await.says(200, "");
    let status = cluster.get(leader, "/status").await.json();
    assert_eq!(status["role"], "looking");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_and_the_metrics_say_how_a_node_fares() {
    let cluster = FilesCluster::start(3).await;
    let leader = cluster.leader().await;
    let version = cluster.put(leader, "/files/f", "xyz").await.version();
    let status = cluster.get(leader, "/status").await.json();
    assert_eq!(status["role"], "leader");
    assert_eq!(status["phase"], "broadcast");
    assert_eq!(status["leader"], leader);
    assert_eq!(status["position"], version);
    assert_eq!(status["members"], json!([1, 2, 3]));
    assert_eq!(status["last_zxid"], status["delivered_zxid"]);
    assert!(status["election"].as_u64() > Some(0));
    let follower = (1..=3).find(|id| *id != leader).expect("one");
    let status: Value = cluster.get(follower, "/status").await.json();
    assert_eq!(status["caught_up"]["last"], "DIFF");
    assert_eq!(status["caught_up"]["by"], leader);
    let metrics = cluster.metrics(follower).await;
    for line in [
        "lockstep_zab_is_follower 1",
        "lockstep_zab_synchronizations_total{method=\"snap\"} 0",
        "lockstep_files_files 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(cluster.get(1, "/readyz").await.status, 200);
    assert_eq!(
        cluster.get(1, "/files/f?sync=true").await.field(VERSION),
        version.to_string()
    );
    cluster.stop_all().await;
}
