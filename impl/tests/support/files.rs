//! Clusters of file nodes: in this process and as real ones, and talking to them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::files::client::Client;
use lockstep::files::config::{Config, LogLimits, Timing};
use lockstep::files::local::cluster::Processes;
use lockstep::files::members::Ensemble;
use lockstep::files::status::Report;
use lockstep::files::{FilesNode, headers};
use lockstep::service::config::ServiceConfig;
use lockstep::service::founding::bootstrap::found_all;
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
pub(crate) struct FilesCluster {
    pub(crate) config: Config,
    nodes: Vec<Option<FilesNode>>,
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

    pub(crate) fn field(&self, name: &str) -> String {
        let value = self.fields.get(name);
        value.map_or(String::new(), |value| {
            value.to_str().expect("text").to_owned()
        })
    }

    pub(crate) fn version(&self) -> u64 {
        self.field(headers::VERSION).parse().expect("a version")
    }

    /// Asserts the status, and that the words say `said`.
    pub(crate) fn says(&self, status: u16, said: &str) {
        let holds = self.status.as_u16() == status && self.text.contains(said);
        assert!(holds, "expected {status} and `{said}`: {self:?}");
    }
}

impl FilesCluster {
    pub(crate) async fn start(count: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (nodes, listeners): (Vec<_>, Vec<_>) = { loopback::nodes(count, folder.path()).await }
            .into_iter()
            .unzip();
        let config = Config::of("blue", nodes);
        config.check().expect("a good configuration");
        found_all::<Ensemble>(&config.cluster_config()).expect("the folders are empty");
        let ids = (1..=count).map(NodeId);
        let start =
            |(id, listeners)| Some(FilesNode::start(&config, id, listeners).expect("starts"));
        let nodes = ids.zip(listeners).map(start).collect();
        Self {
            nodes,
            config,
            http: http(),
            _folder: folder,
        }
    }

    pub(crate) async fn stop(&mut self, id: u16) {
        if let Some(node) = self.nodes[usize::from(id) - 1].take() {
            node.shutdown().await.expect("stops in order");
        }
    }

    pub(crate) async fn stop_all(mut self) {
        for id in 1..=self.nodes.len() as u16 {
            self.stop(id).await;
        }
    }

    pub(crate) fn metrics_address(&self, id: u16) -> SocketAddr {
        let node = self.nodes[usize::from(id) - 1].as_ref().expect("up");
        node.metrics_address().expect("metrics are shown")
    }

    pub(crate) async fn metrics(&self, id: u16) -> String {
        loopback::metrics(&self.http, self.metrics_address(id)).await
    }

    /// Waits until all nodes that are up agree on a leader among them, and returns it.
    pub(crate) async fn leader(&self) -> u16 {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut reports = Vec::new();
            for (node, config) in self.nodes.iter().zip(&self.config.nodes) {
                if node.is_some() {
                    reports.extend(report(&self.http, &config.client_address).await);
                }
            }
            if let Some(leader) = agreed(&reports) {
                return leader.id.0;
            }
            assert!(Instant::now() < end, "no leader: {reports:?}");
            sleep(POLL).await;
        }
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
        body: impl Into<reqwest::Body>,
        fields: &[(&str, &str)],
    ) -> Answer {
        let url = format!("http://{}{path}", self.address(id));
        let mut request = self.http.request(method, url);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.expect("an answer");
        Answer {
            status: answer.status(),
            fields: answer.headers().clone(),
            text: answer.text().await.expect("text"),
        }
    }

    pub(crate) async fn get(&self, id: u16, path: &str) -> Answer {
        self.send(id, Method::GET, path, "", &[]).await
    }

    pub(crate) async fn put(&self, id: u16, path: &str, content: &str) -> Answer {
        self.send(id, Method::PUT, path, content.to_owned(), &[])
            .await
    }

    pub(crate) async fn post(&self, id: u16, path: &str, content: &str) -> Answer {
        self.send(id, Method::POST, path, content.to_owned(), &[])
            .await
    }
}

/// What the node at `address` says of itself, if it says anything within a second.
pub(crate) async fn report(http: &reqwest::Client, address: &str) -> Option<Report> {
    let asked = http.get(format!("http://{address}/status"));
    let answer = asked.timeout(Duration::from_secs(1)).send().await.ok()?;
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

/// The leader on which all agree.
fn agreed(reports: &[Report]) -> Option<&Report> {
    let leader = reports.iter().find(|report| report.role == "leader")?;
    let same = { reports.iter() }
        .all(|report| (report.leader, report.epoch) == (Some(leader.id), leader.epoch));
    same.then_some(leader)
}

/// A real cluster.
pub(crate) fn processes(count: u16, log: LogLimits) -> Processes {
    Processes::start(Path::new(PROGRAM), count, Timing::default(), log).expect("starts")
}

pub(crate) fn client(nodes: &Processes) -> Client {
    Client::new(nodes.client_addresses(), PATIENCE).expect("a client")
}

/// A client of one node.
pub(crate) fn client_of(nodes: &Processes, id: NodeId) -> Client {
    let node = nodes.config().node(id).expect("listed");
    Client::new(vec![node.client_address.clone()], PATIENCE).expect("a client")
}

/// What the nodes that run say of themselves.
pub(crate) async fn reports(nodes: &Processes) -> Vec<Report> {
    let http = http();
    let mut reports = Vec::new();
    for node in &nodes.config().nodes {
        if nodes.pid(node.id).is_some() {
            reports.extend(report(&http, &node.client_address).await);
        }
    }
    reports
}

/// Waits until so many nodes answer, as wanted, and returns what they say.
pub(crate) async fn until(
    nodes: &Processes,
    count: usize,
    wanted: impl Fn(&[Report]) -> bool,
) -> Vec<Report> {
    let end = Instant::now() + PATIENCE;
    loop {
        let reports = reports(nodes).await;
        if reports.len() == count && wanted(&reports) {
            return reports;
        }
        assert!(Instant::now() < end, "{reports:#?}\n{}", nodes.log_tails());
        sleep(POLL).await;
    }
}

/// Waits until so many nodes agree on a leader.
pub(crate) async fn leader(nodes: &Processes, count: usize) -> Report {
    let reports = until(nodes, count, |reports| agreed(reports).is_some()).await;
    agreed(&reports).expect("they agree").clone()
}

/// Waits until so many nodes agree on a leader and have the same files.
pub(crate) async fn equal(nodes: &Processes, count: usize) -> Vec<Report> {
    until(nodes, count, |reports| {
        let first = (&reports[0].checksum, reports[0].position);
        let mut all = reports.iter();
        agreed(reports).is_some() && all.all(|one| (&one.checksum, one.position) == first)
    })
    .await
}
