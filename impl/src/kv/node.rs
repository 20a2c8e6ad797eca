//! One node of the store, put together: Raft over TCP and a journal, the HTTP API in front.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use models::raft::message::Message;
use models::raft::progress::Window;
use models::raft::state::Role;
use models::raft::{Compaction, Event, Timer};
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::config::{Config, Fault, NodeConfig, Timing};
use super::forward::Forwarder;
use super::machine::{Command, MAX_APPEND_WEIGHT};
use super::server::{self, ServerLimits};
use super::service::Service;
use super::sessions::Sessions;
use super::waiters::Waiters;
use super::{Kv, KvRaft, PROTOCOL, VERSION, http};
use crate::Identity;
use crate::driver::{self, Failure, NodeBuilder, NodeOptions, RunningNode, Status, mailbox};
use crate::journal::{FileJournal, FileJournalOptions, JournalError};
use crate::metrics::Metrics;
use crate::open_files::{self, METRICS_CONNECTIONS, OpenFilesError};
use crate::timers::TimerSpan;
use crate::transport::tcp::{Tcp, TcpConfig};

/// So many messages and commands wait for the node; more are refused.
const INBOX: usize = 4096;
/// So many writes without a session of their own run at a time; more are refused.
const SESSIONS: usize = 1024;
/// So many messages wait for a peer. Few, for a message may carry 2 MiB of entries, and what
/// a peer missed while it was away is sent again anyway.
pub(super) const PEER_QUEUE: usize = 64;
/// Entries of so many bytes may be under way to a peer.
const MAX_WEIGHT_IN_FLIGHT: usize = 8 << 20;
/// Bounds on how often a node shows an idle peer that it lives.
const FASTEST_KEEP_ALIVE: Duration = Duration::from_millis(250);
const SLOWEST_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Requests that run when the node is told to stop have this long to end.
const GRACE: Duration = Duration::from_secs(1);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] Fault),
    /// An address cannot be had.
    #[error(
        "cannot listen on {address} ({what}): {source}; nothing was started. Choose a free \
         address of this machine"
    )]
    Listen {
        /// The field of the configuration.
        what: &'static str,
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The process may open too few files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The node refused to start.
    #[error(transparent)]
    Node(#[from] driver::StartError),
    /// The HTTP client cannot be had.
    #[error("the HTTP client did not start: {0}; nothing was started")]
    Http(#[from] reqwest::Error),
    /// A listener is of no use.
    #[error("a listener failed: {0}; nothing was started")]
    Io(#[from] io::Error),
}

/// A node's three listeners.
#[derive(Debug)]
pub struct Listeners {
    /// For the other nodes.
    pub peer: TcpListener,
    /// For clients.
    pub client: TcpListener,
    /// For metrics.
    pub metrics: TcpListener,
}

/// How a node fares: what `/status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub id: NodeId,
    /// `leader`, `candidate` or `follower`.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// The leader, if the node knows it.
    pub leader: Option<NodeId>,
    /// The last index that the node knows to be committed.
    pub commit_index: u64,
    /// The last index applied to its store.
    pub last_applied: u64,
    /// The last index of its log.
    pub last_index: u64,
    /// The first index that is still in its log: what comes before it is discarded.
    pub first_index: u64,
    /// The last index that its snapshot includes; 0 while it has none.
    pub snapshot_index: u64,
    /// How many keys its store has.
    pub keys: u64,
    /// How many changes its store has seen.
    pub revision: u64,
}

/// A running node.
pub struct KvNode {
    raft: RunningNode<KvRaft>,
    tcp: Tcp<Message<Command>>,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    client_address: SocketAddr,
    metrics_address: SocketAddr,
}

impl Listeners {
    /// Listens where `config` says.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub async fn bind(config: &NodeConfig) -> Result<Self, StartError> {
        Ok(Self {
            peer: listen("peer_address", &config.peer_address).await?,
            client: listen("client_address", &config.client_address).await?,
            metrics: listen("metrics_address", &config.metrics_address()).await?,
        })
    }
}

async fn listen(what: &'static str, address: &str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen {
        what,
        address: address.to_owned(),
        source,
    })
}

impl KvNode {
    /// Starts node `id` of `config` on `listeners`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        let identity = identity(config, id);
        let directory = &config.node(id)?.data_directory;
        let others = config.nodes.len() - 1;
        let clients = open_files::client_connections(others, config.limits.max_client_connections)?;
        let journal =
            FileJournal::open(directory, identity.clone(), FileJournalOptions::default())?;
        let client_address = listeners.client.local_addr()?;
        let metrics_address = listeners.metrics.local_addr()?;

        let seed = fastrand::u64(..);
        tracing::info!(node = %id, seed, "timers and session ids are drawn from this seed");
        let (inbox, mailbox) = mailbox(INBOX);
        let waiters = Arc::new(Waiters::new(id));
        let service = Arc::new(Service {
            id,
            inbox: inbox.clone(),
            waiters: waiters.clone(),
            sessions: Sessions::new(seed, SESSIONS),
            forwarder: Forwarder::new(client_addresses(config))?,
            timing: config.timing.clone(),
        });
        let peers = peer_config(config, identity);
        let metrics = inbox.metrics().clone();
        let (tcp, transport) = Tcp::start(listeners.peer, peers, inbox.clone(), metrics.clone())?;
        let options = NodeOptions {
            seed,
            ..NodeOptions::default()
        };
        let sink = move |event| {
            log_event(id, &event);
            waiters.take(event);
        };
        let raft = NodeBuilder::new(raft(config, id), spans(&config.timing), sink)
            .options(options)
            .spawn((inbox, mailbox), journal, transport)?;

        let stop = watch::Sender::new(false);
        let serve = |listener, router: Router, connections: usize, metrics: &Arc<Metrics>| {
            let limits = ServerLimits::new(connections);
            let stop = stop.subscribe();
            tokio::spawn(server::serve(
                listener,
                router,
                limits,
                metrics.clone(),
                stop,
            ))
        };
        let api = http::api(service.clone());
        let api = serve(listeners.client, api, clients, &metrics);
        let page = http::metrics(service);
        let page = serve(listeners.metrics, page, METRICS_CONNECTIONS, &metrics);
        tracing::info!(
            node = %id, clients = %client_address, metrics = %metrics_address,
            max_client_connections = clients, "serving"
        );
        Ok(Self {
            raft,
            tcp,
            servers: vec![api, page],
            stop,
            client_address,
            metrics_address,
        })
    }

    /// Where clients are served.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where metrics are served.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// The Raft node.
    pub fn raft(&self) -> &RunningNode<KvRaft> {
        &self.raft
    }

    /// Waits until the node has stopped or failed. End the process when it has failed.
    pub async fn ended(&self) -> Status {
        self.raft.ended().await
    }

    /// Takes no more requests, gives those that run a short while, puts everything on disk
    /// and closes all connections.
    ///
    /// # Errors
    /// When the node had failed before, or fails on the way.
    pub async fn shutdown(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + GRACE;
        for server in self.servers {
            let abort = server.abort_handle();
            if tokio::time::timeout_at(deadline, server).await.is_err() {
                abort.abort();
            }
        }
        let raft = self.raft;
        let stopped = tokio::task::spawn_blocking(move || raft.shutdown()).await;
        self.tcp.shutdown().await;
        stopped.unwrap_or(Err(Failure::Panicked("shutdown")))
    }
}

/// How node `id` fares.
pub(super) fn report(id: NodeId, node: &Node<KvRaft>) -> Report {
    let (durable, volatile) = (node.durable(), &node.volatile);
    let applied = &volatile.applied;
    let (role, leader) = match &volatile.role {
        Role::Leader(_) => ("leader", Some(id)),
        // One that asks whether it would win is on its way to stand.
        Role::PreCandidate { .. } | Role::Candidate { .. } => ("candidate", None),
        Role::Follower { leader } => ("follower", *leader),
    };
    Report {
        id,
        role: role.to_owned(),
        term: durable.current_term.0,
        leader,
        commit_index: volatile.commit_index.0,
        last_applied: applied.last_applied.0,
        last_index: durable.log.last_index().0,
        first_index: durable.log.base_index().next().0,
        snapshot_index: durable.snapshot.last_included_index().0,
        keys: applied.machine.len() as u64,
        revision: applied.machine.revision(),
    }
}

fn identity(config: &Config, node: NodeId) -> Identity {
    Identity {
        cluster: config.cluster.clone(),
        protocol: PROTOCOL.to_owned(),
        version: VERSION,
        node,
    }
}

fn raft(config: &Config, id: NodeId) -> KvRaft {
    let mut raft = KvRaft::new(id, config.nodes.iter().map(|node| node.id));
    raft.max_append_weight = MAX_APPEND_WEIGHT;
    raft.max_sessions = config.limits.max_sessions;
    raft.max_pending_reads = config.limits.max_pending_reads;
    raft.pre_vote = true;
    raft.check_quorum = true;
    raft.window = Window {
        appends: config.log.appends_in_flight,
        weight: MAX_WEIGHT_IN_FLIGHT,
    };
    raft.compaction = Compaction {
        snapshot_after: match config.log.snapshot_after_bytes {
            0 => usize::MAX,
            bytes => bytes,
        },
        trailing: config.log.trailing_bytes,
    };
    raft.max_chunk_bytes = config.log.chunk_bytes;
    raft
}

fn client_addresses(config: &Config) -> BTreeMap<NodeId, String> {
    let nodes = config.nodes.iter();
    nodes
        .map(|node| (node.id, node.client_address.clone()))
        .collect()
}

/// How a node talks to its peers. A peer that gives no sign of life for four elections is taken
/// for gone: long enough for a busy machine, and short enough that a node which is back at
/// another address is found in seconds.
fn peer_config(config: &Config, identity: Identity) -> TcpConfig {
    let election = Duration::from_millis(config.timing.election_max_ms);
    let keep_alive = election.clamp(FASTEST_KEEP_ALIVE, SLOWEST_KEEP_ALIVE);
    let peers = peer_addresses(config, identity.node);
    TcpConfig {
        queue_messages: PEER_QUEUE,
        keep_alive,
        dead_after: 4 * keep_alive,
        ..TcpConfig::new(identity, peers)
    }
}

fn peer_addresses(config: &Config, id: NodeId) -> BTreeMap<NodeId, String> {
    let peers = config.nodes.iter().filter(|node| node.id != id);
    peers
        .map(|node| (node.id, node.peer_address.clone()))
        .collect()
}

/// How long Raft's timers last.
pub fn spans(timing: &Timing) -> impl Fn(&Timer) -> TimerSpan + Send + Sync + 'static {
    let heartbeat = Duration::from_millis(timing.heartbeat_ms);
    let lease = Duration::from_millis(timing.election_min_ms);
    let election = lease..=Duration::from_millis(timing.election_max_ms);
    move |timer| match timer {
        Timer::Election => TimerSpan::Between(election.clone()),
        Timer::Heartbeat => TimerSpan::Exactly(heartbeat),
        Timer::Lease => TimerSpan::Exactly(lease),
        Timer::Transfer => TimerSpan::Exactly(*election.end()),
        // Due with the batch that armed it, behind all its inputs.
        Timer::Snapshot => TimerSpan::Exactly(Duration::ZERO),
    }
}

fn log_event(node: NodeId, event: &Event<Kv>) {
    match event {
        Event::Leading { term } => tracing::info!(%node, %term, "leads"),
        Event::Following { term, leader } => {
            let leader = leader.map(|leader| leader.to_string());
            tracing::info!(%node, %term, leader = leader.as_deref().unwrap_or("unknown"), "follows");
        }
        Event::MembershipChanged { configuration } => {
            tracing::info!(%node, %configuration, "acts on another configuration");
        }
        Event::Retired => tracing::warn!(%node, "is no member of the cluster any more"),
        Event::Installed {
            last_included_index,
        } => tracing::info!(%node, %last_included_index, "installed a snapshot"),
        Event::Reply { .. }
        | Event::Redirect { .. }
        | Event::Superseded { .. }
        | Event::SessionExpired { .. }
        | Event::Overloaded { .. }
        | Event::Changed { .. }
        | Event::Refused { .. } => {}
        Event::Transfer { outcome, .. } => {
            tracing::info!(%node, ?outcome, "a leadership transfer has ended");
        }
    }
}
