//! Changes of membership that are asked for again, at nodes that lag, and that come to nothing; with
//! real processes.

use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use models::NodeId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::kv::PATIENCE;
use crate::support::loopback::http;
use crate::support::processes::{
    FOUR, ONE, THREE, TWO, address, client, leader, lockstep, page, refused, succeeded, three,
    wait_for,
};
use crate::support::program::{PROGRAM, send_signal};

/// Runs a fourth node, which belongs to no cluster yet.
fn launch_a_fourth(nodes: &mut Processes) {
    let mut new = Processes::new_node(FOUR).expect("free ports");
    new.member = false;
    nodes
        .alter(|config| config.nodes.push(new))
        .expect("written");
    nodes.launch(FOUR).expect("listens");
}

fn signal(nodes: &Processes, id: NodeId, signal: &str) {
    send_signal(nodes.pid(id).expect("runs"), signal);
}

/// Asks node `at` to add the fourth, which is said to be at these addresses.
async fn add_fourth(
    nodes: &Processes,
    at: NodeId,
    peer: &str,
    client: &str,
) -> (StatusCode, String) {
    let url = format!("http://{}/members", address(nodes, at));
    let http = http();
    let body = json!({ "id": 4, "peer_address": peer, "client_address": client });
    let asked = http
        .request(Method::POST, url)
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = asked.timeout(PATIENCE).send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

async fn add_as_listed(nodes: &Processes, at: NodeId) -> (StatusCode, String) {
    let new = nodes.config().node(FOUR).expect("listed");
    add_fourth(nodes, at, &new.peer_address, &new.client_address).await
}

/// The third node was down while the fourth was added, and cannot have heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_addition_that_is_asked_for_again_is_answered_by_the_log() {
    let mut nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    launch_a_fourth(&mut nodes);
    nodes.kill(THREE).expect("killed");
    succeeded(&lockstep(
        &nodes,
        &["members", "add", "4", "--timeout", "30"],
    ));
    wait_for(&nodes, FOUR, "/status", |shown| {
        shown["learners"] == json!([4])
    })
    .await;
    signal(&nodes, ONE, "-STOP");
    signal(&nodes, TWO, "-STOP");
    nodes.launch(THREE).expect("listens");
    let (status, text) = add_as_listed(&nodes, THREE).await;
    signal(&nodes, ONE, "-CONT");
    signal(&nodes, TWO, "-CONT");
    // It does not know, and says so: its own view is nobody's answer.
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    succeeded(&lockstep(
        &nodes,
        &["members", "add", "4", "--timeout", "30"],
    ));
    let (status, text) = add_as_listed(&nodes, THREE).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    // So it is of a voter.
    succeeded(&lockstep(
        &nodes,
        &["members", "promote", "4", "--timeout", "30"],
    ));
    succeeded(&lockstep(
        &nodes,
        &["members", "add", "4", "--timeout", "30"],
    ));

    let new = nodes.config().node(FOUR).expect("listed").clone();
    let elsewhere = "127.0.0.1:9";
    let (status, text) = add_fourth(&nodes, ONE, elsewhere, &new.client_address).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    for part in [
        "node 4 is a member already",
        new.peer_address.as_str(),
        "cluster file",
        "nothing was changed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The only node that has the addition loses it again: it was never committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_addition_that_comes_to_nothing_leaves_the_new_node_blank() {
    let timing = Timing {
        // The leader must lead on for a while when it is alone.
        election_min_ms: 2000,
        election_max_ms: 3000,
        request_timeout_ms: 6000,
        ..Timing::default()
    };
    let mut nodes = Processes::start(Path::new(PROGRAM), 3, timing).expect("starts");
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    launch_a_fourth(&mut nodes);
    let leads = leader(&nodes).await;
    let others: Vec<NodeId> = [ONE, TWO, THREE]
        .into_iter()
        .filter(|id| *id != leads)
        .collect();
    for &other in &others {
        nodes.kill(other).expect("killed");
    }
    // Not answered: nobody acknowledges the entry.
    let asked = tokio::time::timeout(Duration::from_secs(1), add_as_listed(&nodes, leads)).await;
    assert!(asked.is_err(), "{asked:?}");
    let seen = page(&nodes, leads, "/status").await;
    assert_eq!(seen["learners"], json!([4]), "{seen}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(page(&nodes, FOUR, "/status").await["role"], "blank");
    nodes.kill(leads).expect("killed");
    for &other in &others {
        nodes.launch(other).expect("listens");
    }
    client(&nodes).put(b"k", "y".into()).await.expect("of two");
    nodes.launch(leads).expect("listens");
    wait_for(&nodes, leads, "/status", |shown| {
        shown["learners"] == json!([]) && !shown["leader"].is_null()
    })
    .await;
    assert_eq!(page(&nodes, FOUR, "/status").await["role"], "blank");
    // And may still be added.
    succeeded(&lockstep(
        &nodes,
        &["members", "add", "4", "--timeout", "30"],
    ));
    wait_for(&nodes, FOUR, "/status", |shown| {
        shown["learners"] == json!([4])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_leaves_time_to_ask_the_others() {
    let nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    signal(&nodes, ONE, "-STOP");
    let start = Instant::now();
    let asked = lockstep(&nodes, &["members", "list", "--timeout", "8"]);
    let took = start.elapsed();
    signal(&nodes, ONE, "-CONT");
    assert!(succeeded(&asked).contains("voter"));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_too_long_is_refused() {
    let nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    let long = format!("{}a:7400", "a.".repeat(125));
    assert_eq!(long.len(), 256);
    let (status, text) = add_fourth(&nodes, ONE, &long, "127.0.0.1:9").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("write at most 255"), "{text}");
}

/// A node that has moved is where its file says, for that node; everybody can see which it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_members_page_shows_the_addresses_that_are_used() {
    let mut nodes = three();
    client(&nodes).put(b"k", "x".into()).await.expect("put");
    nodes.kill(ONE).expect("killed");
    let before = nodes.config().node(THREE).expect("listed").clone();
    let moved = before.client_address.replace("127.0.0.1", "localhost");
    nodes
        .alter(|config| config.nodes[2].client_address.clone_from(&moved))
        .expect("written");
    nodes.launch(ONE).expect("listens");
    let shown = page(&nodes, ONE, "/members").await;
    let third = &shown["members"][2];
    assert_eq!(third["client_address"], moved, "{shown}");
    assert_eq!(third["peer_address"], before.peer_address, "{shown}");
    assert_eq!(third["in_log"]["client"], before.client_address, "{shown}");
    assert_eq!(shown["members"][1]["in_log"], Value::Null, "{shown}");
    let status = page(&nodes, ONE, "/status").await;
    assert_eq!(status["addresses_from_file"], json!([3]), "{status}");
    // What is logged is written a little later.
    let end = Instant::now() + PATIENCE;
    while !nodes
        .log_tail(ONE)
        .contains("the file's addresses are used")
    {
        assert!(Instant::now() < end, "{}", nodes.log_tail(ONE));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shown = page(&nodes, TWO, "/members").await;
    assert_eq!(
        shown["members"][2]["client_address"], before.client_address,
        "{shown}"
    );
    // The table says so too.
    let table = succeeded(&lockstep(&nodes, &["members", "list"]));
    assert!(table.contains(&moved), "{table}");
    let error = refused(&lockstep(&nodes, &["members", "promote", "9"]));
    assert!(error.contains("is no member"), "{error}");
}
