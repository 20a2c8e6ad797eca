//! Nodes on the loopback interface, whichever service they are of.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::service::config::NodeConfig;
use lockstep::service::http_client::Access;
use lockstep::service::start::Listeners;
use models::NodeId;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Any port that is free.
const ANY: &str = "127.0.0.1:0";

/// What nodes are asked with, in the clear.
pub(crate) fn http() -> reqwest::Client {
    let client = Access::plaintext().client(Duration::from_secs(2));
    client.expect("a client").build().expect("a client")
}

/// What stands at a metrics port.
pub(crate) async fn metrics(http: &reqwest::Client, address: SocketAddr) -> String {
    let url = format!("http://{address}/metrics");
    let page = http.get(url).send().await.expect("an answer");
    page.text().await.expect("a page")
}

/// So many nodes with their listeners, and their data in `folder`.
pub(crate) async fn nodes(count: u16, folder: &Path) -> Vec<(NodeConfig, Listeners)> {
    let mut nodes = Vec::new();
    for id in 1..=count {
        let listeners = Listeners {
            peer: listener(ANY).await,
            client: listener(ANY).await,
            metrics: Some(listener(ANY).await),
        };
        nodes.push((member(id, &listeners, folder), listeners));
    }
    nodes
}

/// Listeners for a node that starts again.
pub(crate) async fn listeners_of(node: &NodeConfig) -> Listeners {
    Listeners {
        peer: listener(&node.peer_address).await,
        client: listener(&node.client_address).await,
        metrics: Some(listener(ANY).await),
    }
}

/// Waits while a port of a node that has just stopped is still held.
async fn listener(address: &str) -> TcpListener {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn member(id: u16, listeners: &Listeners, folder: &Path) -> NodeConfig {
    let address = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
    let [peer, client] = [&listeners.peer, &listeners.client].map(address);
    let metrics = listeners.metrics.as_ref().map(address);
    NodeConfig::new(NodeId(id), peer, client, folder.join(id.to_string()))
        .with_metrics(metrics.expect("metrics are shown"))
}
