//! An orchestrator and three members of the lock service in this process, over TCP and journals.

use std::path::Path;
use std::time::{Duration, Instant};

use lockstep::locks::client::Client;
use lockstep::locks::registry::Registry;
use lockstep::locks::{Config, LocksNode};
use lockstep::service::config::{NodeConfig, ServiceConfig};
use lockstep::service::founding::bootstrap::found_all;
use lockstep::service::running::ServiceNode;
use lockstep::service::start::Listeners;
use models::NodeId;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

const MEMBERS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// A session's TTL.
const TTL: Duration = Duration::from_secs(10);

/// The nodes, running.
pub struct LockCluster {
    config: Config,
    nodes: Vec<LocksNode>,
    _folder: TempDir,
}

impl LockCluster {
    /// Starts them, and waits until all three are members.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut listeners = Vec::new();
        let mut nodes = Vec::new();
        for id in 0..=MEMBERS {
            let three = Listeners {
                peer: listener().await,
                client: listener().await,
                metrics: listener().await,
            };
            nodes.push(node(id, &three, folder.path()));
            listeners.push(three);
        }
        let config = Config::of("bench", NodeId(0), nodes);
        config.check().expect("a good configuration");
        found_all::<Registry>(&config.cluster_config()).expect("the folders are empty");
        let ids = (0..=MEMBERS).map(NodeId).zip(listeners);
        let nodes = ids
            .map(|(id, listeners)| LocksNode::start(&config, id, listeners).expect("starts"))
            .collect();
        let cluster = Self {
            config,
            nodes,
            _folder: folder,
        };
        cluster.until_all_are_members().await;
        cluster
    }

    async fn until_all_are_members(&self) {
        let end = Instant::now() + PATIENCE;
        let client = self.client(0);
        for node in &self.config.nodes {
            loop {
                let report = client.status(&node.client_address).await;
                let members = report.as_ref().map(|report| report.members.len());
                if members == Ok(usize::from(MEMBERS)) {
                    break;
                }
                assert!(Instant::now() < end, "{report:?}");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// A client of one node, the members taking turns.
    pub fn client(&self, number: usize) -> Client {
        let node = &self.config.nodes[1 + number % usize::from(MEMBERS)];
        Client::new(vec![node.client_address.clone()], PATIENCE).expect("a client")
    }

    /// Has so many clients acquire and release, each the lock that `lock` names for it, until `end`.
    /// Returns how often they did.
    pub async fn run(&self, clients: usize, lock: impl Fn(usize) -> String, end: Instant) -> u64 {
        let mut running = Vec::new();
        for number in 0..clients {
            let (mut client, lock) = (self.client(number), lock(number));
            running.push(tokio::spawn(async move {
                let mut times = 0;
                while Instant::now() < end {
                    let acquired = client.acquire(&lock, PATIENCE, TTL).await;
                    let grant = acquired.expect("an answer").expect("granted");
                    client.end(grant.session).await.expect("released");
                    times += 1;
                }
                times
            }));
        }
        let mut all = 0;
        for client in running {
            all += client.await.expect("a client");
        }
        all
    }

    /// Stops the nodes.
    pub async fn stop(self) {
        for node in self.nodes {
            node.shutdown().await.expect("stops in order");
        }
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("bound")
}

fn node(id: u16, listeners: &Listeners, folder: &Path) -> NodeConfig {
    let address = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
    let [peer, client, metrics] =
        [&listeners.peer, &listeners.client, &listeners.metrics].map(address);
    NodeConfig::new(NodeId(id), peer, client, folder.join(id.to_string())).with_metrics(metrics)
}
