//! Clusters of counter nodes: in this process and as real ones, and talking to them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::counter::client::Client;
use lockstep::counter::config::{Config, Timing};
use lockstep::counter::local::cluster::Processes;
use lockstep::counter::server::VerbosePage;
use lockstep::counter::server::replica::set_up;
use lockstep::counter::status::Report;
use lockstep::counter::{CounterNode, headers};
use lockstep::service::config::ServiceConfig;
use lockstep::service::running::ServiceNode;
use models::NodeId;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use super::loopback::{self, http};
use super::program::PROGRAM;

/// Long enough for anything that is going to happen on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A cluster of nodes in this process.
pub(crate) struct CounterCluster {
    pub(crate) config: Config,
    nodes: Vec<Option<CounterNode>>,
    http: reqwest::Client,
    _folder: TempDir,
}

/// An answer, read.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// Asserts the status, and that the words say `said`.
    pub(crate) fn says(&self, status: u16, said: &str) {
        let holds = self.status.as_u16() == status && self.text.contains(said);
        assert!(holds, "expected {status} and `{said}`: {self:?}");
    }

    /// The number that a good answer is.
    pub(crate) fn number(&self) -> u128 {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.text.ends_with('\n'), "{self:?}");
        self.text.trim_end().parse().expect("a number")
    }
}

/// Quick enough for tests: a dead node is given up within two seconds.
pub(crate) fn quick() -> Timing {
    Timing {
        push_pull_ms: 500,
        probe_ms: 200,
        suspect_ms: 600,
        ..Timing::default()
    }
}

impl CounterCluster {
    pub(crate) async fn start(count: u16) -> Self {
        Self::start_with(count, |_| {}).await
    }

    pub(crate) async fn start_with(count: u16, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (nodes, listeners): (Vec<_>, Vec<_>) = { loopback::nodes(count, folder.path()).await }
            .into_iter()
            .unzip();
        let mut config = Config {
            timing: quick(),
            ..Config::of("blue", nodes)
        };
        change(&mut config);
        config.check().expect("a good configuration");
        let mut nodes = Vec::new();
        for (id, listeners) in (1..=count).map(NodeId).zip(listeners) {
            set_up(&config, id).expect("an empty directory");
            nodes.push(Some(
                CounterNode::start(&config, id, listeners).expect("starts"),
            ));
        }
        Self {
            nodes,
            config,
            http: http(),
            _folder: folder,
        }
    }

    pub(crate) fn node(&self, id: u16) -> &CounterNode {
        self.nodes[usize::from(id) - 1].as_ref().expect("up")
    }

    pub(crate) async fn stop(&mut self, id: u16) {
        if let Some(node) = self.nodes[usize::from(id) - 1].take() {
            node.shutdown().await.expect("stops in order");
        }
    }

    pub(crate) async fn restart(&mut self, id: u16) {
        let listed = self.config.node(NodeId(id)).expect("listed");
        let listeners = loopback::listeners_of(listed).await;
        set_up(&self.config, NodeId(id)).expect("set up");
        let node = CounterNode::start(&self.config, NodeId(id), listeners).expect("starts");
        self.nodes[usize::from(id) - 1] = Some(node);
    }

    pub(crate) async fn stop_all(mut self) {
        for id in 1..=self.nodes.len() as u16 {
            self.stop(id).await;
        }
    }

    pub(crate) fn metrics_address(&self, id: u16) -> SocketAddr {
        let address = self.node(id).metrics_address();
        address.expect("metrics are shown")
    }

    pub(crate) async fn metrics(&self, id: u16) -> String {
        loopback::metrics(&self.http, self.metrics_address(id)).await
    }

    pub(crate) fn address(&self, id: u16) -> String {
        let node = self.config.node(NodeId(id)).expect("a member");
        node.client_address.clone()
    }

    pub(crate) async fn send(
        &self,
        id: u16,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let url = format!("http://{}{path}", self.address(id));
        let mut request = self.http.request(method, url);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        Answer {
            status: answer.status(),
            fields: answer.headers().clone(),
            text: answer.text().await.expect("text"),
        }
    }

    pub(crate) async fn get(&self, id: u16, path: &str) -> Answer {
        self.send(id, Method::GET, path, &[]).await
    }

    /// Counts as a numbered request.
    pub(crate) async fn count_as(
        &self,
        id: u16,
        client: &str,
        sequence: &str,
        amount: u64,
    ) -> Answer {
        let fields = [(headers::CLIENT, client), (headers::SEQUENCE, sequence)];
        let path = format!("/inc?amount={amount}");
        self.send(id, Method::POST, &path, &fields).await
    }

    pub(crate) async fn value(&self, id: u16) -> u128 {
        self.get(id, "/").await.number()
    }

    pub(crate) async fn status(&self, id: u16) -> Report {
        let answer = self.get(id, "/status").await;
        serde_json::from_str(&answer.text).expect("a report")
    }

    /// Waits until a node says this of itself.
    pub(crate) async fn until(&self, id: u16, wanted: impl Fn(&Report) -> bool) -> Report {
        let end = Instant::now() + PATIENCE;
        loop {
            let report = self.status(id).await;
            if wanted(&report) {
                return report;
            }
            assert!(Instant::now() < end, "{report:#?}");
            sleep(POLL).await;
        }
    }

    /// Waits until each of these nodes exchanges with so many others.
    pub(crate) async fn joined(&self, ids: impl IntoIterator<Item = u16>, others: usize) {
        for id in ids {
            self.until(id, |report| report.members.len() == others)
                .await;
        }
    }

    /// Waits until a node comes to a value.
    pub(crate) async fn comes_to(&self, id: u16, value: u128) {
        self.until(id, |report| report.value == value).await;
    }
}

/// A real cluster.
pub(crate) fn processes(count: u16) -> Processes {
    Processes::start(Path::new(PROGRAM), count, quick()).expect("starts")
}

/// A client of one node.
pub(crate) fn client_of(nodes: &Processes, id: NodeId) -> Client {
    let node = nodes.config().node(id).expect("listed");
    Client::new(vec![node.client_address.clone()], PATIENCE).expect("a client")
}

/// Waits until a real node says that the value is this.
pub(crate) async fn comes_to(nodes: &Processes, id: NodeId, value: u128) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = client_of(nodes, id).value().await;
        if found.as_ref().is_ok_and(|found| *found == value) {
            return;
        }
        assert!(
            Instant::now() < end,
            "{id} says {found:?}, and should come to {value}\n{}",
            nodes.log_tails()
        );
        sleep(POLL).await;
    }
}

pub(crate) async fn all_come_to(nodes: &Processes, ids: &[NodeId], value: u128) {
    for &id in ids {
        comes_to(nodes, id, value).await;
    }
}

pub(crate) async fn verbose(nodes: &Processes, id: NodeId) -> VerbosePage {
    client_of(nodes, id).verbose().await.expect("it says all")
}

/// Waits until a real node exchanges with these others and no more.
pub(crate) async fn exchanges_with(nodes: &Processes, id: NodeId, others: &[NodeId]) {
    let config = nodes.config().node(id).expect("listed");
    let url = format!("http://{}/status", config.client_address);
    let end = Instant::now() + PATIENCE;
    loop {
        let mut found = Vec::new();
        if let Ok(answer) = http().get(&url).send().await {
            let text = answer.text().await.unwrap_or_default();
            if let Ok(report) = serde_json::from_str::<Report>(&text) {
                found = report.members;
            }
        }
        if found == others {
            return;
        }
        assert!(
            Instant::now() < end,
            "{id} exchanges with {found:?}\n{}",
            nodes.log_tails()
        );
        sleep(POLL).await;
    }
}
