//! One node of the lock service, put together: Maekawa over TCP and a journal, the HTTP API in front.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::maekawa::state::Persistent;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::draining::{Draining, Observed, ObservedTransport};
use super::lease::Lease;
use super::node_adder::{NodeAdder, Wanted};
use super::service::{EpochCounts, Service};
use super::status_page::PAGE_PATIENCE;
use super::traffic::{Counted, Traffic};
use super::{api, events};
use crate::Identity;
use crate::locks::config::Config;
use crate::locks::numbers::Numbers;
use crate::locks::registry::Registry;
use crate::locks::sessions::Sessions;
use crate::locks::{Maekawa, Message};
use crate::runtime::driver::{Failure, NodeBuilder, NodeOptions, Status, mailbox};
use crate::runtime::journal::Journal;
use crate::runtime::transport::tcp::{Known, Tcp, TcpConfig};
use crate::service::address::Addresses;
use crate::service::config::ServiceConfig;
use crate::service::founding::InitialMembers;
use crate::service::founding::waiting::until_member;
use crate::service::hosted::HostedNode;
use crate::service::http_client::{NodeClient, NodeTimeouts};
use crate::service::open_files;
use crate::service::peering::peer_config;
use crate::service::recording::recorded;
use crate::service::running::ServiceNode;
use crate::service::security::peer_security;
use crate::service::serving::{GRACE, Served, Servers};
use crate::service::start::{Listeners, StartError, open_journal};
use crate::service::tokens::Tokens;

/// So many messages and commands wait for the node; more are refused.
const INBOX: usize = 16_384;
/// So many messages wait for a peer. What is lost is asked again.
const PEER_QUEUE: usize = 16_384;
/// Most messages name a lock, or the members. With an epoch's beginning come the names of all locks that
/// are held, by all nodes.
const MAX_MESSAGE_BYTES: usize = 1 << 26;
/// What is released when the node stops has so long to leave.
const FAREWELL: Duration = Duration::from_millis(200);

/// A running node: a member or one that is to be, or the orchestrator.
pub struct LocksNode {
    hosted: HostedNode<Maekawa>,
    sessions: Arc<Sessions>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a data directory says of its node.
struct Remembered {
    identity: Identity,
    registry: Registry,
    numbers: Numbers,
    journal: Box<dyn Journal>,
    directory: PathBuf,
}

impl LocksNode {
    /// Starts node `id` of `config` on `listeners`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        let remembered = remember(config, id)?;
        Self::start_on(config, listeners, remembered)
    }

    fn start_on(
        config: &Config,
        listeners: Listeners,
        remembered: Remembered,
    ) -> Result<Self, StartError> {
        let Remembered {
            identity,
            registry,
            numbers,
            journal,
            directory,
        } = remembered;
        let id = identity.node;
        let orchestrator = registry.orchestrator();
        let others = config.nodes.len() - 1;
        let clients = open_files::client_connections(others, config.limits.max_client_connections)?;
        let credentials = config.security.credentials(id)?;
        let tokens = Tokens::load(config.security.tokens.as_deref())?;
        let timeouts = NodeTimeouts {
            connect: PAGE_PATIENCE,
            idle: GRACE,
        };
        let asked_with = NodeClient::new(credentials.clone(), tokens.for_nodes(), timeouts)?;

        let (inbox, mailbox) = mailbox(INBOX);
        let metrics = inbox.metrics().clone();
        let draining = Arc::new(Draining::new(orchestrator, config.timing.drain()));
        let observed = Observed {
            inbox: inbox.clone(),
            draining: draining.clone(),
        };
        let security = peer_security(credentials.as_ref());
        let cluster = config.cluster_config();
        let health_check = config.timing.health_check();
        let peers = TcpConfig {
            queue_messages: PEER_QUEUE,
            max_message_bytes: MAX_MESSAGE_BYTES,
            ..peer_config(&cluster, identity.clone(), security.clone(), health_check)
        };
        let (tcp, transport) = Tcp::start(listeners.peer, peers, observed, metrics.clone())?;
        connect(&tcp, config, &registry, id);

        let traffic = Arc::new(Traffic::default());
        let transport = Counted {
            transport: ObservedTransport {
                transport,
                draining: draining.clone(),
            },
            traffic: traffic.clone(),
        };
        let lease = Arc::new(Lease::new(&config.timing));
        let epochs = Arc::new(EpochCounts::default());
        let sessions = Sessions::new(id, numbers, config.limits.max_sessions, inbox.clone());
        let node_adder = (id == orchestrator).then(|| {
            let (identity, peers) = (identity.clone(), tcp.peers().clone());
            Arc::new(NodeAdder::new(
                security,
                identity,
                directory,
                peers,
                registry.clone(),
            ))
        });
        let service = Arc::new(Service {
            id,
            identity: identity.clone(),
            orchestrator,
            inbox: inbox.clone(),
            sessions: sessions.clone(),
            lease: lease.clone(),
            traffic,
            epochs: epochs.clone(),
            node_adder: node_adder.clone(),
            registry: registry.clone(),
            timing: config.timing.clone(),
            peers: tcp.peers().clone(),
            client_addresses: { config.nodes.iter() }
                .map(|node| (node.id, node.client_address.clone()))
                .collect(),
            others: asked_with,
            started: Instant::now(),
        });
        let told = events::Listeners {
            id,
            sessions: sessions.clone(),
            draining: draining.clone(),
            epochs,
        };
        let options = NodeOptions {
            slow_flush: config.timing.delay(),
            // A lease that has run out has run out, whatever waits in the queue.
            timers_first: true,
            ..NodeOptions::default()
        };
        let timing = config.timing.clone();
        let spans = move |timer: &_| lease.span(&timing, timer);
        let maekawa = NodeBuilder::new(config.maekawa(id), spans, move |event| told.take(&event))
            .check(check)
            .options(options);
        let maekawa = recorded(maekawa, config.node(id)?, config.service, &metrics)?.spawn(
            (inbox, mailbox),
            journal,
            transport,
        )?;
        tcp.begin_accepting();

        let clients_served = Served {
            listener: listeners.client,
            router: api::api(service.clone(), &tokens),
        };
        let page = listeners.metrics.map(|listener| Served {
            listener,
            router: api::metrics(service),
        });
        let (_, never_halts) = watch::channel(None);
        let stop = watch::Sender::new(false);
        let servers = Servers::start(clients_served, page, credentials, clients, &metrics, stop)?;
        let mut tasks = vec![tokio::spawn(sessions.clone().watch_the_clock(draining))];
        if let Some(node_adder) = node_adder {
            let wanted = wanted(config, &registry);
            tasks.push(tokio::spawn(
                async move { node_adder.wait_for(wanted).await },
            ));
        }
        let Identity {
            cluster_id, disk, ..
        } = identity;
        tracing::info!(
            node = %id, %cluster_id, %disk, nodes = %registry, clients = %servers.client_address,
            metrics = servers.metrics_address().map(display), max_client_connections = clients, "serving"
        );
        let hosted = HostedNode {
            node: maekawa,
            halted: never_halts,
            tcp,
            servers,
        };
        Ok(Self {
            hosted,
            sessions,
            tasks,
        })
    }

    /// Where clients are served.
    pub fn client_address(&self) -> SocketAddr {
        self.hosted.servers.client_address
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.hosted.servers.metrics_address()
    }
}

impl ServiceNode for LocksNode {
    type Config = Config;

    async fn until_member(
        config: &Config,
        id: NodeId,
        listeners: Listeners,
    ) -> Result<Listeners, StartError> {
        let clients = config.limits.max_client_connections;
        until_member::<Registry>(&config.cluster_config(), id, clients, listeners).await
    }

    fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        Self::start(config, id, listeners)
    }

    async fn ended(&self) -> Status {
        self.hosted.ended().await
    }

    /// Its clients' locks are released first, so that others need not wait until the orchestrator
    /// notices that this node is gone.
    async fn shutdown(self) -> Result<(), Failure> {
        self.sessions.close();
        for task in self.tasks {
            task.abort();
        }
        tokio::time::sleep(FAREWELL).await;
        self.hosted.shutdown().await
    }
}

/// What the data directory of node `id` says.
fn remember(config: &Config, id: NodeId) -> Result<Remembered, StartError> {
    let directory = &config.node(id)?.data_directory;
    let (identity, journal) = open_journal::<Registry>(&config.cluster_config(), id)?;
    let registry =
        Registry::read(directory).map_err(|error| StartError::Members(error.to_string()))?;
    if let Some(words) = registry.contradicts(config.locks.orchestrator) {
        return Err(StartError::Contradiction(words));
    }
    if registry.disk(id) != Some(identity.disk) {
        let words = format!(
            "the journal of node {} is of disk {}, and the registry in the same directory names another: \
             one of the two is from elsewhere",
            id.0, identity.disk
        );
        return Err(StartError::Contradiction(words));
    }
    let numbers = Numbers::of_this_start(directory)?;
    Ok(Remembered {
        journal,
        identity,
        registry,
        numbers,
        directory: directory.clone(),
    })
}

/// Whether the node may take part, by what its disk remembers.
fn check(durable: &Persistent) -> Result<(), String> {
    if durable.is_set_up {
        return Ok(());
    }
    Err("the journal does not say that this disk was set up for this node".to_owned())
}

/// Tells the connections who the peers are: those of the registry, where the file says, or where they
/// were when they came. The orchestrator invites one that is on the empty disk which the registry knows, for
/// its invitation may have been lost. Others introduce themselves.
fn connect(tcp: &Tcp<Message>, config: &Config, registry: &Registry, id: NodeId) {
    let is_orchestrator = id == registry.orchestrator();
    for (peer, known) in registry.iter().filter(|(peer, _)| *peer != id) {
        let listed = config.node(peer).ok();
        let listed = listed.map(|node| node.peer_address.clone());
        let invitation = registry.encode(peer).filter(|_| is_orchestrator);
        let disk = known.node.disk();
        tcp.peers().set_known(peer, Known { disk, invitation });
        let address = listed.unwrap_or_else(|| known.node.addresses().peer);
        tcp.peers().set(peer, address);
    }
}

/// The nodes of the file that do not belong to the cluster yet.
fn wanted(config: &Config, registry: &Registry) -> BTreeMap<NodeId, Wanted> {
    let known = registry.ids();
    let new = config.nodes.iter().filter(|node| !known.contains(&node.id));
    new.map(|node| {
        let wanted = Wanted {
            addresses: Addresses::of(node),
            registers: node.member,
        };
        (node.id, wanted)
    })
    .collect()
}
