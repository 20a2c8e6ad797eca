//! Key-value clusters in this process, and talking to them.

use std::time::{Duration, Instant};

use lockstep::kv::config::{Config, Limits, LogLimits, Timing};
use lockstep::kv::status::Report;
use lockstep::kv::{KvNode, headers};
use lockstep::service::config::{ServiceConfig, ServiceKind};
use lockstep::service::founding::bootstrap::found_all;
use lockstep::service::security::SecurityConfig;
use lockstep::service::start::Listeners;
use models::NodeId;
use models::raft::configuration::Configuration;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use super::disks::{Trouble, TroubledJournal};
use super::loopback;

/// Long enough for anything that is going to happen on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A cluster of nodes on free ports, each of which may be down.
pub(crate) struct KvCluster {
    pub(crate) config: Config,
    nodes: Vec<Option<KvNode>>,
    /// What is wrong with each node's disk.
    troubles: Vec<Trouble>,
    http: reqwest::Client,
    _folder: TempDir,
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) node: String,
    pub(crate) leader: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

/// Gives up soon, so that tests of giving up are quick.
pub(crate) fn impatient() -> Timing {
    Timing {
        request_timeout_ms: 1500,
        ..Timing::default()
    }
}

impl KvCluster {
    pub(crate) async fn start(count: u16, timing: Timing) -> Self {
        Self::start_within(count, timing, Limits::default()).await
    }

    pub(crate) async fn start_within(count: u16, timing: Timing, limits: Limits) -> Self {
        Self::build(count, timing, limits, LogLimits::default()).await
    }

    pub(crate) async fn start_with(count: u16, timing: Timing, log: LogLimits) -> Self {
        Self::build(count, timing, Limits::default(), log).await
    }

    async fn build(count: u16, timing: Timing, limits: Limits, log: LogLimits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (nodes, listeners): (Vec<_>, Vec<_>) = { loopback::nodes(count, folder.path()).await }
            .into_iter()
            .unzip();
        let config = Config {
            service: ServiceKind::Kv,
            security: SecurityConfig::plaintext(),
            cluster: "blue".into(),
            init_on_first_start: false,
            timing,
            limits,
            log,
            nodes,
        };
        config.check().expect("a good configuration");
        found_all::<Configuration>(&config.cluster_config()).expect("the folders are empty");
        let ids = (1..=count).map(NodeId);
        let troubles: Vec<Trouble> = ids.clone().map(|_| Trouble::default()).collect();
        let start = |((id, listeners), trouble)| Some(launch(&config, id, listeners, trouble));
        let nodes = ids.zip(listeners).zip(&troubles).map(start).collect();
        Self {
            nodes,
            troubles,
            config,
            http: loopback::http(),
            _folder: folder,
        }
    }

    pub(crate) fn node(&self, id: u16) -> &KvNode {
        self.nodes[usize::from(id) - 1].as_ref().expect("up")
    }

    /// What is wrong with a node's disk.
    pub(crate) fn trouble(&self, id: u16) -> &Trouble {
        &self.troubles[usize::from(id) - 1]
    }

    /// Takes a node out of the cluster, still running.
    pub(crate) fn take(&mut self, id: u16) -> KvNode {
        self.nodes[usize::from(id) - 1].take().expect("up")
    }

    pub(crate) async fn metrics(&self, id: u16) -> String {
        let address = self.node(id).metrics_address();
        loopback::metrics(&self.http, address.expect("metrics are shown")).await
    }

    pub(crate) async fn stop(&mut self, id: u16) {
        if let Some(node) = self.nodes[usize::from(id) - 1].take() {
            node.shutdown().await.expect("stops in order");
        }
    }

    pub(crate) async fn restart(&mut self, id: u16) {
        let config = self.config.node(NodeId(id)).expect("a member");
        let listeners = loopback::listeners_of(config).await;
        let node = launch(&self.config, NodeId(id), listeners, self.trouble(id));
        self.nodes[usize::from(id) - 1] = Some(node);
    }

    pub(crate) async fn stop_all(mut self) {
        for id in 1..=self.nodes.len() as u16 {
            self.stop(id).await;
        }
    }

    pub(crate) async fn status(&self, id: u16) -> Report {
        let answer = self.get(id, "/status").await;
        serde_json::from_str(&answer.text).expect("a report")
    }

    /// Waits until all nodes that are up agree on a leader among them, and returns it.
    pub(crate) async fn leader(&self) -> u16 {
        let end = Instant::now() + PATIENCE;
        loop {
            // What the status shows may not be on disk yet; what signs it, is.
            let (mut reports, mut signed) = (Vec::<Report>::new(), Vec::new());
            for id in self.up() {
                let answer = self.get(id, "/status").await;
                reports.push(serde_json::from_str(&answer.text).expect("a report"));
                signed.push(answer.leader);
            }
            let leader = reports.iter().find(|report| report.role == "leader");
            if let Some(leader) = leader
                && reports
                    .iter()
                    .all(|report| report.leader == Some(leader.id))
                && signed.iter().all(|name| *name == leader.id.0.to_string())
            {
                return leader.id.0;
            }
            assert!(Instant::now() < end, "no leader: {reports:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) fn up(&self) -> Vec<u16> {
        let ids = 1..=self.nodes.len() as u16;
        ids.filter(|id| self.nodes[usize::from(*id) - 1].is_some())
            .collect()
    }

    /// A node that is up and does not lead.
    pub(crate) async fn follower(&self) -> u16 {
        let leader = self.leader().await;
        self.up()
            .into_iter()
            .find(|id| *id != leader)
            .expect("a follower")
    }

    pub(crate) fn url(&self, id: u16, path: &str) -> String {
        let node = self.config.node(NodeId(id)).expect("a member");
        format!("http://{}{path}", node.client_address)
    }

    pub(crate) async fn get(&self, id: u16, path: &str) -> Answer {
        self.send(id, Method::GET, path, "", &[]).await
    }

    pub(crate) async fn put(&self, id: u16, key: &str, value: &str) -> Answer {
        let path = format!("/kv/{key}");
        self.send(id, Method::PUT, &path, value, &[]).await
    }

    /// A write in a session of the client's.
    pub(crate) async fn put_as(
        &self,
        id: u16,
        (client, sequence): (u64, u64),
        key: &str,
        value: &str,
    ) -> Answer {
        let (client, sequence) = (client.to_string(), sequence.to_string());
        let fields = [
            (headers::CLIENT, client.as_str()),
            (headers::SEQUENCE, sequence.as_str()),
        ];
        let path = format!("/kv/{key}");
        self.send(id, Method::PUT, &path, value, &fields).await
    }

    pub(crate) async fn send(
        &self,
        id: u16,
        method: Method,
        path: &str,
        body: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, self.url(id, path));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = request.body(body.to_owned()).send().await;
        read(response.expect("an answer")).await
    }
}

pub(crate) async fn read(response: Response) -> Answer {
    let field = |name: &str| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().expect("text").to_owned())
    };
    Answer {
        status: response.status(),
        node: field(headers::NODE).unwrap_or_default(),
        leader: field(headers::LEADER).unwrap_or_default(),
        retry_after: field("retry-after"),
        since: field(headers::SINCE),
        text: response.text().await.expect("a body"),
    }
}

fn launch(config: &Config, id: NodeId, listeners: Listeners, trouble: &Trouble) -> KvNode {
    let (identity, journal) = KvNode::open_journal(config, id).expect("opens");
    let journal = TroubledJournal::new(journal, trouble.clone());
    KvNode::start_on(config, listeners, identity, journal).expect("starts")
}
