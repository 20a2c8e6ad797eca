//! The whole service in this process: three nodes with their HTTP APIs, and clients that
//! talk to the leader over connections of their own.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lockstep::kv::client::Client;
use lockstep::kv::config::{Config, Limits, LogLimits, Timing};
use lockstep::kv::server::node::KvNode;
use lockstep::service::config::NodeConfig;

use lockstep::service::config::{ServiceConfig, ServiceKind};
use lockstep::service::founding::bootstrap::found_all;
use lockstep::service::security::SecurityConfig;
use lockstep::service::start::Listeners;
use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::state::Role;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::take_one;
use crate::latency::Latencies;

const NODES: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// Three running nodes that serve HTTP.
pub struct HttpCluster {
    nodes: Vec<KvNode>,
    /// The nodes' client addresses, the leader's first.
    addresses: Vec<String>,
    /// Clients that are idle. They are used again, and so are their connections.
    clients: Mutex<Vec<NumberedClient>>,
}

/// A client and the number that its key bears.
type NumberedClient = (usize, Client);

impl HttpCluster {
    /// Starts the nodes, with their journals in `folder`, and waits for a leader. Must be
    /// called within a multi-threaded tokio runtime.
    ///
    /// # Panics
    /// If a node does not start, or none comes to lead.
    pub async fn start(folder: &Path) -> Self {
        let mut config = Config {
            service: ServiceKind::Kv,
            security: SecurityConfig::plaintext(),
            cluster: "bench".to_owned(),
            init_on_first_start: false,
            timing: timing(),
            limits: Limits::default(),
            log: LogLimits::default(),
            nodes: Vec::new(),
        };
        let mut listeners = Vec::new();
        for id in 1..=NODES {
            let (peer, peer_address) = listen().await;
            let (client, client_address) = listen().await;
            let (metrics, metrics_address) = listen().await;
            listeners.push(Listeners {
                peer,
                client,
                metrics: Some(metrics),
            });
            let folder = folder.join(id.to_string());
            let node = NodeConfig::new(NodeId(id), peer_address, client_address, folder);
            config.nodes.push(node.with_metrics(metrics_address));
        }
        found_all::<Configuration>(&config.cluster_config()).expect("the folders are empty");
        let ids = config.nodes.iter().map(|node| node.id);
        let nodes: Vec<KvNode> = ids
            .zip(listeners)
            .map(|(id, listeners)| {
                KvNode::start(&config, id, listeners)
                    .unwrap_or_else(|error| panic!("{id}: {error}"))
            })
            .collect();
        let leader = leader(&nodes).await;
        let mut addresses: Vec<String> = nodes
            .iter()
            .map(|node| node.client_address().to_string())
            .collect();
        addresses.rotate_left(leader);
        Self {
            nodes,
            addresses,
            clients: Mutex::default(),
        }
    }

    /// Makes `writes` writes of `value`, by so many `clients` at once, each of which makes
    /// its next when its last is acknowledged.
    ///
    /// # Panics
    /// If a write is not acknowledged.
    pub async fn write(&self, writes: u64, clients: u64, value: &Bytes) -> (Duration, Latencies) {
        let left = Arc::new(AtomicU64::new(writes));
        let mut tasks = JoinSet::new();
        let clients = self.take_clients(clients);
        let started = Instant::now();
        for client in clients {
            tasks.spawn(run_client(client, left.clone(), value.clone()));
        }
        let (mut latencies, mut idle) = (Latencies::new(), Vec::new());
        while let Some(ended) = tasks.join_next().await {
            let (client, its) = ended.expect("a client does not fail");
            latencies.add(&its);
            idle.push(client);
        }
        let elapsed = started.elapsed();
        self.idle_clients().append(&mut idle);
        assert_eq!(
            latencies.count(),
            writes,
            "not every write was acknowledged"
        );
        (elapsed, latencies)
    }

    /// So many clients: those that are idle, and new ones where they are not enough.
    fn take_clients(&self, count: u64) -> Vec<NumberedClient> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut idle = self.idle_clients();
        let kept = idle.len().min(count);
        let mut clients: Vec<NumberedClient> = idle.drain(..kept).collect();
        for number in kept..count {
            let client = Client::new(self.addresses.clone(), PATIENCE);
            clients.push((number, client.expect("the HTTP client starts")));
        }
        clients
    }

    fn idle_clients(&self) -> MutexGuard<'_, Vec<NumberedClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops every node.
    ///
    /// # Panics
    /// If one does not stop in order.
    pub async fn stop(self) {
        for node in self.nodes {
            node.shutdown().await.expect("the node stops in order");
        }
    }
}

async fn run_client(
    (number, mut client): NumberedClient,
    left: Arc<AtomicU64>,
    value: Bytes,
) -> (NumberedClient, Latencies) {
    let key = format!("key-{number}");
    let mut latencies = Latencies::new();
    while take_one(&left) {
        let started = Instant::now();
        let written = client.put(key.as_bytes(), value.clone()).await;
        latencies.record(started.elapsed());
        let revision = written.unwrap_or_else(|error| panic!("a write was not done: {error}"));
        assert!(revision.is_some(), "an acknowledgement names its revision");
    }
    ((number, client), latencies)
}

/// Which of `nodes` leads, once one does and all of its log is committed.
async fn leader(nodes: &[KvNode]) -> usize {
    let end = Instant::now() + PATIENCE;
    let leads = |node: &models::Node<lockstep::kv::KvRaft>| {
        matches!(node.volatile.role, Role::Leader(_))
            && node.volatile.commit_index == node.durable().log.last_index()
    };
    loop {
        for (position, node) in nodes.iter().enumerate() {
            let inbox = node.raft().inbox();
            if inbox.inspect(leads).await.expect("the node runs") {
                return position;
            }
        }
        assert!(Instant::now() < end, "no node comes to lead");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Patient, so that a busy machine brings no elections into the measurement.
fn timing() -> Timing {
    Timing {
        heartbeat_ms: 50,
        election_min_ms: 1_000,
        election_max_ms: 2_000,
        ..Timing::default()
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port of the loopback interface");
    let address = listener.local_addr().expect("the listener has an address");
    (listener, address.to_string())
}
