//! Clusters of real processes, and what they show.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use lockstep::kv::client::Client;
use lockstep::kv::config::Timing;
use lockstep::kv::local::cluster::Processes;
use lockstep::service::config::ServiceConfig;
use lockstep::service::processes;
use models::NodeId;
use serde::Serialize;
use serde_json::Value;

use super::kv::PATIENCE;
use super::loopback::http;
use super::program::PROGRAM;
pub(crate) use super::program::{refused, succeeded};

pub(crate) const ONE: NodeId = NodeId(1);
pub(crate) const TWO: NodeId = NodeId(2);
pub(crate) const THREE: NodeId = NodeId(3);
pub(crate) const FOUR: NodeId = NodeId(4);

pub(crate) fn three() -> Processes {
    Processes::start(Path::new(PROGRAM), 3, Timing::default()).expect("starts")
}

pub(crate) fn client(nodes: &Processes) -> Client {
    Client::new(nodes.client_addresses(), PATIENCE).expect("a client")
}

pub(crate) fn address(nodes: &Processes, id: NodeId) -> String {
    let config = nodes.config().node(id).expect("listed");
    config.client_address.clone()
}

/// What the node shows at `path`, whatever its status.
pub(crate) async fn page(nodes: &Processes, id: NodeId, path: &str) -> Value {
    let url = format!("http://{}{path}", address(nodes, id));
    let Ok(answer) = http().get(url).send().await else {
        return Value::Null;
    };
    let text = answer.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Waits until the page at `path` is as wanted.
pub(crate) async fn wait_for(
    nodes: &Processes,
    id: NodeId,
    path: &str,
    wanted: impl Fn(&Value) -> bool,
) {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = page(nodes, id, path).await;
        if wanted(&shown) {
            return;
        }
        assert!(
            Instant::now() < end,
            "{id} shows {shown}\n{}",
            nodes.log_tails()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn leader(nodes: &Processes) -> NodeId {
    let end = Instant::now() + PATIENCE;
    loop {
        for id in nodes.config().nodes.iter().map(|node| node.id) {
            if page(nodes, id, "/status").await["role"] == "leader" {
                return id;
            }
        }
        assert!(Instant::now() < end, "no leader\n{}", nodes.log_tails());
    }
}

/// Kills a node and empties its data directory.
pub(crate) fn empty<C: ServiceConfig + Serialize + Clone>(
    nodes: &mut processes::Processes<C>,
    id: NodeId,
) {
    nodes.kill(id).expect("killed");
    fs::remove_dir_all(nodes.data_directory(id)).expect("emptied");
}

/// Runs `lockstep` with the cluster's file.
pub(crate) fn lockstep<C: ServiceConfig + Serialize + Clone>(
    nodes: &processes::Processes<C>,
    args: &[&str],
) -> Output {
    let ran = Command::new(PROGRAM)
        .args(args)
        .arg("--config")
        .arg(nodes.config_file())
        .output();
    ran.expect("runs")
}
