//! The HTTP API of the lock service, on real processes: what is asked rightly, and what is not.

use std::time::{Duration, Instant};

use lockstep::locks::local::cluster::Processes;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::metrics_format;
use crate::support::locks::{
    Answer, address, cluster, get, post, send, until_members, until_waiting,
};

async fn open(nodes: &Processes, id: u16, body: &str) -> String {
    let page = post(nodes, id, "/sessions", body).await;
    page.says(201, "session");
    let session = &page.json()["session"];
    session.as_str().expect("a name").to_owned()
}

async fn acquire(nodes: &Processes, id: u16, lock: &str, body: Value) -> Answer {
    post(
        nodes,
        id,
        &format!("/locks/{lock}/acquire"),
        &body.to_string(),
    )
    .await
}

async fn release(nodes: &Processes, id: u16, lock: &str, session: &str) -> String {
    let body = json!({ "session": session }).to_string();
    let page = post(nodes, id, &format!("/locks/{lock}/release"), &body).await;
    page.json()["was"].as_str().expect("a word").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_acquires_and_releases_locks_each_once() {
    let nodes = cluster(2).await;
    let session = open(&nodes, 1, "").await;
    let wait = json!({ "session": session, "wait_ms": 20_000 });
    let first = acquire(&nodes, 1, "a", wait.clone()).await.json();
    assert_eq!(first["ttl_ms"], 10_000);
    let valid = first["valid_ms"].as_u64().expect("a number");
    assert!(valid <= 2500, "no longer than the lease: {valid}");
    let order = first["token"]["order"].as_str().expect("text");
    assert_eq!(order.len(), 32);
    // Asked again it is the same grant, and another lock is another.
    let again = acquire(&nodes, 1, "a", wait.clone()).await.json();
    assert_eq!(again["token"], first["token"]);
    let other = acquire(&nodes, 1, "b%2Fc", wait).await.json();
    assert_eq!(other["lock"], "b/c");
    assert!(other["token"]["order"].as_str() > Some(order));
    let page = get(&nodes, 1, &format!("/sessions/{session}")).await.json();
    let locks: Vec<&str> = { page["locks"].as_array().expect("a list").iter() }
        .map(|lock| lock["lock"].as_str().expect("a name"))
        .collect();
    assert_eq!(locks, ["a", "b/c"]);
    assert_eq!(page["locks"][0]["state"], "held");

    // All nodes of the quorum know of it, the others' clients do not get it.
    let known = get(&nodes, 1, "/locks/a").await.json();
    assert_eq!(known["held"], first["token"]);
    assert_eq!(known["locked_for"], 1);
    let taken = acquire(&nodes, 2, "a", json!({})).await;
    taken.says(409, "the claim is given up, and nothing is held");
    let listed = get(&nodes, 1, "/locks").await.json();
    assert_eq!(
        listed["locks"].as_array().map(Vec::len),
        Some(2),
        "{listed}"
    );
    let page = get(&nodes, 1, "/locks?limit=1").await.json();
    assert_eq!(
        (&page["locks"][0]["lock"], &page["more"]),
        (&json!("a"), &json!(true))
    );
    let page = get(&nodes, 1, "/locks?after=a").await.json();
    assert_eq!(
        (&page["locks"][0]["lock"], &page["more"]),
        (&json!("b/c"), &json!(false))
    );

    assert_eq!(release(&nodes, 1, "a", &session).await, "held");
    assert_eq!(release(&nodes, 1, "a", &session).await, "nothing");
    let next = acquire(&nodes, 2, "a", json!({ "ttl_ms": 5000, "wait_ms": 20_000 }))
        .await
        .json();
    assert!(next["token"]["order"].as_str() > Some(order));
    let path = format!("/sessions/{session}");
    let ended = send(&nodes, 1, Method::DELETE, &path, "").await.json();
    assert_eq!(ended["released"], json!(["b/c"]));
    let ended = send(&nodes, 1, Method::DELETE, &path, "").await;
    ended.says(410, "it has run out or was ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_waits_from_request_to_request_and_a_renewal_tells_what_becomes_of_it() {
    let nodes = cluster(2).await;
    let held = acquire(&nodes, 1, "a", json!({ "wait_ms": 20_000 }))
        .await
        .json();
    let session = open(&nodes, 2, r#"{"ttl_ms": 20000}"#).await;
    let poll = json!({ "session": session, "wait_ms": 60_000, "poll_ms": 50 });
    let waits = acquire(&nodes, 2, "a", poll.clone()).await;
    waits.says(202, "waiting");
    until_waiting(&nodes, 2, 1).await;
    let page = get(&nodes, 2, &format!("/sessions/{session}")).await.json();
    assert_eq!(page["locks"][0]["state"], "waiting");
    // It is told as soon as it is so, and not before.
    let path = format!("/sessions/{session}/renew");
    let renewal = post(&nodes, 2, &path, r#"{"wait_ms": 60000}"#);
    let mut renewal = std::pin::pin!(renewal);
    let early = timeout(Duration::from_millis(200), &mut renewal).await;
    assert!(early.is_err(), "{early:?}");
    let holder = held["session"].as_str().expect("a name");
    assert_eq!(release(&nodes, 1, "a", holder).await, "held");
    let page = renewal.await.json();
    assert_eq!(page["locks"][0]["state"], "held", "{page}");
    let granted = acquire(&nodes, 2, "a", poll).await.json();
    assert_eq!(granted["token"], page["locks"][0]["token"]);
    // A claim that waits is given up by a release.
    let other = open(&nodes, 1, "").await;
    let poll = json!({ "session": other, "wait_ms": 60_000, "poll_ms": 50 });
    acquire(&nodes, 1, "a", poll).await.says(202, "waiting");
    assert_eq!(release(&nodes, 1, "a", &other).await, "waiting");
    until_waiting(&nodes, 1, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_in_time() {
    let nodes = cluster(2).await;
    acquire(&nodes, 1, "a", json!({ "wait_ms": 20_000 }))
        .await
        .json();
    let begun = Instant::now();
    let late = acquire(&nodes, 2, "a", json!({ "wait_ms": 700 })).await;
    late.says(409, "not granted within 700 ms");
    assert!(begun.elapsed() >= Duration::from_millis(700));
    // One behind a claim of its own node knows at once.
    let begun = Instant::now();
    let taken = acquire(&nodes, 1, "a", json!({})).await;
    taken.says(409, "not granted within 0 ms");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_wrongly_is_answered_with_what_would_be_right() {
    let nodes = cluster(2).await;
    let session = open(&nodes, 1, "").await;
    let long = "x".repeat(513);
    for (path, body, status, said) in [
        (
            "/sessions",
            r#"{"ttl_ms": 1}"#,
            400,
            "ttl_ms is from 500 to 86400000, and is 1; nothing was changed",
        ),
        (
            "/sessions",
            r#"{"tll_ms": 1000}"#,
            400,
            "unknown field `tll_ms`",
        ),
        ("/sessions", "nonsense", 400, "the body is not understood"),
        (
            "/sessions/nonsense/renew",
            "",
            400,
            "`nonsense` names no session",
        ),
        (
            "/sessions/1-5-0000000000000000/renew",
            "",
            410,
            "restarted since",
        ),
        (
            "/sessions/2-5-0000000000000000/renew",
            "",
            421,
            "opened at node 2",
        ),
        (
            "/locks/a/acquire",
            r#"{"wait_ms": 99999999999}"#,
            400,
            "a request waits for 3600000 ms at most",
        ),
        (
            "/locks/a/acquire",
            r#"{"poll_ms": 5}"#,
            400,
            "poll_ms is for claims in a session",
        ),
        (
            "/locks/a/acquire",
            r#"{"session": "x"}"#,
            400,
            "`x` names no session",
        ),
        ("/locks/a/release", "", 400, "missing field `session`"),
        ("/locks/%FF/acquire", "", 400, "nothing was changed"),
        (
            "/nodes",
            r#"{"id": 9, "peer_address": "a:1", "client_address": "a:2"}"#,
            421,
            "node 0 is the orchestrator",
        ),
        (
            "/nonsense",
            "",
            404,
            "nothing is at /nonsense; there are POST /sessions",
        ),
        (
            "/locks//acquire",
            "",
            400,
            "from 1 to 512 bytes, and this one has 0",
        ),
        ("/status", "", 405, "this path has no POST"),
    ] {
        let answer = post(&nodes, 1, path, body).await;
        answer.says(status, said);
        assert!(
            answer.text.contains("nothing was changed"),
            "{path}: {answer:?}"
        );
    }
    let answer = acquire(&nodes, 1, &long, json!({ "session": session })).await;
    answer.says(400, "from 1 to 512 bytes, and this one has 513");
    let both = json!({ "session": session, "ttl_ms": 5000 });
    acquire(&nodes, 1, "a", both)
        .await
        .says(400, "say session or ttl_ms");
    get(&nodes, 1, "/locks?limit=0")
        .await
        .says(400, "at least 1");
    // The orchestrator has no locks, and adds no node that it cannot reach, or that has an id already.
    for path in ["/sessions", "/locks/a/acquire"] {
        let answer = post(&nodes, 0, path, "").await;
        answer.says(421, "ask another node: ");
        assert!(answer.text.contains(&address(&nodes, 1)), "{answer:?}");
    }
    post(&nodes, 0, "/register", "")
        .await
        .says(400, "never a member");
    for (body, status, said) in [
        (
            json!({ "id": 9, "peer_address": "a", "client_address": "a:2" }),
            400,
            "has no port",
        ),
        (
            json!({ "id": 9, "peer_address": "127.0.0.1:1", "client_address": "a:2" }),
            503,
            "cannot be reached",
        ),
        (
            json!({ "id": 1, "peer_address": "a:1", "client_address": "a:2" }),
            409,
            "an id that no node has had",
        ),
    ] {
        let answer = post(&nodes, 0, "/nodes", &body.to_string()).await;
        answer.says(status, said);
        assert!(answer.text.contains("nothing was changed"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_shows_how_it_fares() {
    let mut nodes = cluster(3).await;
    // At an address that is known, for the metrics.
    let metrics = Processes::new_node(models::NodeId(9))
        .expect("free ports")
        .peer_address;
    nodes.kill_all().expect("killed");
    let at = metrics.clone();
    nodes
        .alter(|config| config.nodes[1].metrics_address = Some(at))
        .expect("written");
    nodes.launch_all().expect("restarts");
    let epoch = until_members(&nodes, &[1, 2, 3]).await;
    let held = acquire(&nodes, 1, "a", json!({ "wait_ms": 20_000 }))
        .await
        .json();

    let vars = get(&nodes, 1, "/debug/vars").await.json();
    let (maekawa, member) = (&vars["maekawa"], &vars["member"]);
    assert!(member["clock"].as_u64() > Some(0), "{vars}");
    let quorum = member["quorum"].as_array().expect("a list");
    assert!(quorum.len() >= 2 && quorum.contains(&json!(1)), "{vars}");
    assert_eq!(
        (&member["held"], &maekawa["entries"]),
        (&json!(1), &json!(1))
    );
    assert!(vars["orchestrator"].is_null(), "{vars}");
    let vars = get(&nodes, 0, "/debug/vars").await.json();
    assert_eq!(vars["orchestrator"]["healthy_nodes"], 3, "{vars}");
    assert_eq!(vars["maekawa"]["epoch"], epoch);
    assert!(vars["member"].is_null(), "{vars}");

    let page = crate::support::locks::http().get(format!("http://{metrics}/metrics"));
    let page = page
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    for line in [
        format!("lockstep_locks_epoch {epoch}"),
        "lockstep_locks_held 1".to_owned(),
        "lockstep_locks_waiters 0".to_owned(),
        "lockstep_locks_entries_total 1".to_owned(),
        "lockstep_locks_revocations_total 0".to_owned(),
        "lockstep_locks_members 3".to_owned(),
        "lockstep_locks_messages_sent_total{kind=\"request\"} ".to_owned(),
        "lockstep_journal_flush_seconds_count ".to_owned(),
    ] {
        assert!(page.contains(&line), "no `{line}` in\n{page}");
    }
    metrics_format::check(&page, &metrics_format::COMMON);
    get(&nodes, 1, "/healthz")
        .await
        .says(200, "the node answers");
    get(&nodes, 1, "/readyz").await.says(200, "the node serves");
    get(&nodes, 0, "/readyz").await.says(200, "the node serves");
    get(&nodes, 1, "/")
        .await
        .says(200, "<title>Lockstep: a cluster</title>");
    let cluster = get(&nodes, 2, "/cluster").await.json();
    let shown: Vec<&Value> = { cluster["nodes"].as_array().expect("a list").iter() }
        .map(|node| &node["leader"])
        .collect();
    assert_eq!(shown, vec![&json!(0); 4], "{cluster}");
    let report = get(&nodes, 1, "/status").await.json();
    assert_eq!(report["member"]["held"], 1);
    assert_eq!(report["role"], "member");
    let session = held["session"].as_str().expect("a name");
    assert_eq!(release(&nodes, 1, "a", session).await, "held");
}
