//! How clusters of real processes begin: once, however often it is asked for, and whoever calls a
//! node that waits without saying anything.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;

use crate::support::kv::PATIENCE;
use crate::support::loopback::http;
use crate::support::processes::{
    ONE, TWO, address, client, empty, lockstep, page, refused, succeeded, wait_for,
};
use crate::support::program::PROGRAM;

fn blank() -> Processes {
    Processes::start_blank(Path::new(PROGRAM), 3, Timing::default()).expect("listens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_founded_once_by_word() {
    let mut nodes =
        Processes::start_blank(Path::new(PROGRAM), 3, Timing::default()).expect("listens");
    let mut early = Client::new(nodes.client_addresses(), Duration::from_secs(1)).expect("one");
    assert!(early.put(b"k", "x".into()).await.is_err());
    nodes.kill(TWO).expect("killed");
    let error = refused(&lockstep(&nodes, &["init", "--timeout", "6"]));
    assert!(error.contains("it cannot be reached"), "{error}");
    nodes.launch(TWO).expect("listens");
    let founded = succeeded(&lockstep(&nodes, &["init"]));
    assert!(founded.contains("is founded"), "{founded}");
    let mut writer = client(&nodes);
    writer.put(b"k", "x".into()).await.expect("put");
    // Its founder on an empty disk founds no second one.
    empty(&mut nodes, ONE);
    nodes
        .alter(|config| config.init_on_first_start = true)
        .expect("written");
    nodes.launch(ONE).expect("listens");
    wait_for(&nodes, ONE, "/status", |shown| {
        shown["role"] == "blank" && !shown["denied_by"].is_null()
    })
    .await;
    assert_eq!(writer.get(b"k").await.expect("read"), Some("x".into()));
}

/// The answer to the first try may have been lost: who asks again is told the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn founding_may_be_asked_for_again_with_the_same_file() {
    let mut nodes = blank();
    let founded = succeeded(&lockstep(&nodes, &["init"]));
    let again = succeeded(&lockstep(&nodes, &["init"]));
    assert!(again.contains("is founded already"), "{again}");
    let id = |said: &str| said.trim_end().rsplit(' ').next().map(str::to_owned);
    assert_eq!(id(&founded), id(&again));
    // Another list of nodes is another cluster, which there is not.
    nodes
        .alter(|config| config.nodes[2].member = false)
        .expect("written");
    let error = refused(&lockstep(&nodes, &["init"]));
    assert!(error.contains("founded with the nodes 1, 2, 3"), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    let moved = "127.0.0.1:1".to_owned();
    nodes
        .alter(|config| {
            config.nodes[2].member = true;
            config.nodes[1].peer_address = moved;
        })
        .expect("written");
    let error = refused(&lockstep(&nodes, &["init"]));
    assert!(error.contains("node 2 at 127.0.0.1:1"), "{error}");
}

/// The file of the node that is asked counts too: a cluster is what all have been told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_node_founds_nothing_else_than_its_own_file_says() {
    let mut nodes = blank();
    nodes
        .alter(|config| config.nodes[2].member = false)
        .expect("written");
    let error = refused(&lockstep(&nodes, &["init", "--timeout", "5"]));
    assert!(error.contains("the nodes 1, 2, 3"), "{error}");
    assert_eq!(page(&nodes, ONE, "/status").await["role"], "blank");
}

/// Each caller that says nothing took two seconds, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_callers_keep_a_blank_node_from_nothing() {
    let nodes = blank();
    let peer = nodes.config().node(TWO).expect("listed");
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(&peer.peer_address).expect("connects"))
        .collect();
    let start = Instant::now();
    succeeded(&lockstep(&nodes, &["init", "--timeout", "30"]));
    wait_for(&nodes, TWO, "/status", |shown| shown["role"] != "blank").await;
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_of_a_blank_node_make_room_for_others() {
    let mut nodes = blank();
    nodes.kill(ONE).expect("killed");
    nodes
        .alter(|config| config.limits.max_client_connections = Some(8))
        .expect("written");
    nodes.launch(ONE).expect("listens");
    let client = address(&nodes, ONE);
    let mut idle: Vec<TcpStream> = (0..32)
        .map(|_| TcpStream::connect(&client).expect("connects"))
        .collect();
    assert_eq!(page(&nodes, ONE, "/status").await["role"], "blank");
    let first = &mut idle[0];
    let patience = Some(Duration::from_secs(2));
    first.set_read_timeout(patience).expect("set");
    match first.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("it is still open: {other:?}"),
    }
}

/// Whoever collects metrics asks all nodes, and should not have to wait for one that waits itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_node_says_at_once_that_it_has_no_metrics() {
    let mut nodes = blank();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a port").to_string();
    nodes.kill(ONE).expect("killed");
    nodes
        .alter(|config| config.nodes[0].metrics_address = Some(address.clone()))
        .expect("written");
    nodes.launch(ONE).expect("listens");
    let url = format!("http://{address}/metrics");
    let answer = http()
        .get(url)
        .timeout(PATIENCE)
        .send()
        .await
        .expect("answers");
    assert_eq!(answer.status(), 503);
    let words = answer.text().await.expect("text");
    assert!(words.contains("belongs to no cluster yet"), "{words}");
}
