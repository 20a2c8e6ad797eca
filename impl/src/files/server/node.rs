//! One node of the file service, put together: ZAB over TCP and a journal, the HTTP API in front.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use models::NodeId;
use models::bully::election::Timer as BullyTimer;
use models::zab::Timer;
use models::zab::bully::Bully;
use models::zab::state::Persistent;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::catch_up::{CatchUps, Observed};
use super::status_page::PAGE_PATIENCE;
use super::watch::Watching;
use super::{api, events};
use crate::Identity;
use crate::files::config::{Config, LogLimits, Timing};
use crate::files::members::Ensemble;
use crate::files::request::router::{Service, View};
use crate::files::store::MAX_STATE_BYTES;
use crate::files::{Files, FilesZab, Message};
use crate::runtime::driver::{Failure, NodeBuilder, NodeOptions, RunningNode, Status, mailbox};
use crate::runtime::journal::Journal;
use crate::runtime::timers::TimerSpan;
use crate::runtime::transport::tcp::{Known, Tcp, TcpConfig};
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
use crate::service::session_pool::Sessions;
use crate::service::start::{Listeners, StartError, open_journal};
use crate::service::tokens::Tokens;

/// So many messages and commands wait for the node; more are refused.
const INBOX: usize = 4096;
/// So many writes without a session of their own run at a time; more are refused.
const SESSIONS: usize = 1024;
/// So many messages wait for a peer. What a peer missed is sent again when it is pinged.
const PEER_QUEUE: usize = 1024;
/// A SNAP carries all files in one message, and the sessions of clients beside them, for which
/// there is this much room: about a million.
const MAX_MESSAGE_BYTES: usize = MAX_STATE_BYTES as usize + (128 << 20);
/// A running node.
pub struct FilesNode {
    hosted: HostedNode<FilesZab>,
    watching: JoinHandle<()>,
}

impl FilesNode {
    /// Starts node `id` of `config` on `listeners`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        let (identity, ensemble, journal) = Self::open_journal(config, id)?;
        Self::start_on(config, listeners, identity, ensemble, journal)
    }

    /// Opens the journal of node `id`, and tells whose it is, and who the members are.
    ///
    /// # Errors
    /// When it cannot be had, or belongs to no cluster yet, or to another than the file says.
    /// Nothing was started then.
    pub fn open_journal(
        config: &Config,
        id: NodeId,
    ) -> Result<(Identity, Ensemble, Box<dyn Journal>), StartError> {
        let cluster = config.cluster_config();
        let directory = &cluster.node(id)?.data_directory;
        let (identity, journal) = open_journal::<Ensemble>(&cluster, id)?;
        let ensemble =
            Ensemble::read(directory).map_err(|error| StartError::Members(error.to_string()))?;
        if let Some(words) = ensemble.contradicts(&cluster) {
            return Err(StartError::Contradiction(words));
        }
        if ensemble.disk(id) != Some(identity.disk) {
            let words = format!(
                "the journal of node {} is of disk {}, and the members in the same directory name \
                 another: one of the two is from elsewhere",
                id.0, identity.disk
            );
            return Err(StartError::Contradiction(words));
        }
        Ok((identity, ensemble, journal))
    }

    fn start_on(
        config: &Config,
        listeners: Listeners,
        identity: Identity,
        ensemble: Ensemble,
        journal: impl Journal,
    ) -> Result<Self, StartError> {
        let id = identity.node;
        let others = config.nodes.len() - 1;
        let clients = open_files::client_connections(others, config.limits.max_client_connections)?;

        let credentials = config.security.credentials(id)?;
        let tokens = Tokens::load(config.security.tokens.as_deref())?;
        let timeouts = NodeTimeouts {
            connect: PAGE_PATIENCE,
            idle: GRACE,
        };
        let asked_with = NodeClient::new(credentials.clone(), tokens.for_nodes(), timeouts)?;

        let seed = fastrand::u64(..);
        tracing::info!(node = %id, seed, "timers and session ids are drawn from this seed");
        let (inbox, mailbox) = mailbox(INBOX);
        let metrics = inbox.metrics().clone();
        let catch_ups = Arc::new(CatchUps::default());
        let observed = Observed {
            inbox: inbox.clone(),
            catch_ups: catch_ups.clone(),
        };
        let security = peer_security(credentials.as_ref());
        let sync = config.timing.ticks(config.timing.sync_ticks);
        let cluster = config.cluster_config();
        let peers = TcpConfig {
            queue_messages: PEER_QUEUE,
            max_message_bytes: MAX_MESSAGE_BYTES,
            ..peer_config(&cluster, identity.clone(), security, sync)
        };
        let (tcp, transport) = Tcp::start(listeners.peer, peers, observed, metrics.clone())?;
        connect(&tcp, config, &ensemble, id);

        let stop = watch::Sender::new(false);
        let watching = Arc::new(Watching::new(stop.subscribe()));
        let halted = watch::Sender::new(None);
        let halts = halted.subscribe();
        let view = watch::Sender::new(View::default());
        let pending = Arc::default();
        let service = Arc::new(Service {
            id,
            identity: identity.clone(),
            inbox: inbox.clone(),
            pending: Arc::clone(&pending),
            view: view.subscribe(),
            sessions: Sessions::new(seed, SESSIONS),
            timing: config.timing.clone(),
            ensemble: ensemble.clone(),
            peers: tcp.peers().clone(),
            catch_ups,
            watching: watching.clone(),
            client_addresses: { config.nodes.iter() }
                .map(|node| node.client_address.clone())
                .collect(),
            others: asked_with,
            started: Instant::now(),
        });
        let told = events::Listeners {
            id,
            pending,
            view,
            watching: watching.clone(),
            halt: halted,
        };
        let options = NodeOptions {
            seed,
            slow_flush: config.timing.slow_flush(),
            ..NodeOptions::default()
        };
        let protocol = zab(id, &ensemble.ids(), &config.log);
        let zab = NodeBuilder::new(protocol, spans(&config.timing), move |event| {
            told.take(event)
        })
        .check(check)
        .options(options);
        let zab = recorded(zab, config.node(id)?, config.service, &metrics)?.spawn(
            (inbox.clone(), mailbox),
            journal,
            transport,
        )?;
        tcp.begin_accepting();
        let watching = tokio::spawn(async move { watching.run(inbox).await });

        let api = Served {
            listener: listeners.client,
            router: api::api(service.clone(), &tokens),
        };
        let page = listeners.metrics.map(|listener| Served {
            listener,
            router: api::metrics(service),
        });
        let servers = Servers::start(api, page, credentials, clients, &metrics, stop)?;
        let Identity {
            cluster_id, disk, ..
        } = identity;
        tracing::info!(
            node = %id, %cluster_id, %disk, members = %ensemble,
            clients = %servers.client_address, metrics = servers.metrics_address().map(display),
            max_client_connections = clients, "serving"
        );
        let hosted = HostedNode {
            node: zab,
            halted: halts,
            tcp,
            servers,
        };
        Ok(Self { hosted, watching })
    }

    /// Where clients are served.
    pub fn client_address(&self) -> SocketAddr {
        self.hosted.servers.client_address
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.hosted.servers.metrics_address()
    }

    /// The ZAB node.
    pub fn zab(&self) -> &RunningNode<FilesZab> {
        &self.hosted.node
    }

    /// Waits until the node has stopped or failed. End the process when it has failed.
    pub async fn ended(&self) -> Status {
        self.hosted.ended().await
    }

    /// Takes no more requests, gives those that run a short while, puts everything on disk and
    /// closes all connections. Does not wait for a disk that hangs: after a few seconds what is not
    /// on disk is given up, and nobody was told of it. End the process then.
    ///
    /// # Errors
    /// When the node had failed before, fails on the way, or hangs.
    pub async fn shutdown(self) -> Result<(), Failure> {
        let stopped = self.hosted.shutdown().await;
        // It has ended by itself, unless the node hangs.
        self.watching.abort();
        stopped
    }
}

impl ServiceNode for FilesNode {
    type Config = Config;

    async fn until_member(
        config: &Config,
        id: NodeId,
        listeners: Listeners,
    ) -> Result<Listeners, StartError> {
        let clients = config.limits.max_client_connections;
        until_member::<Ensemble>(&config.cluster_config(), id, clients, listeners).await
    }

    fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        Self::start(config, id, listeners)
    }

    async fn ended(&self) -> Status {
        self.ended().await
    }

    async fn shutdown(self) -> Result<(), Failure> {
        self.shutdown().await
    }
}

/// The protocol of node `id`, one of `members`.
pub fn zab(id: NodeId, members: &BTreeSet<NodeId>, log: &LogLimits) -> FilesZab {
    let election = Bully::new(id, members.iter().copied());
    let mut zab = FilesZab::new(id, members.iter().copied(), election);
    zab.max_diff_weight = log.diff_bytes;
    zab.snapshot_every = log.snapshot_every;
    zab.retained = log.retained;
    zab
}

/// Whether the node may take part, by what its disk remembers.
fn check(durable: &Persistent<Files>) -> Result<(), String> {
    if let Some(contradiction) = &durable.halted {
        return Err(events::halted_words(contradiction));
    }
    if !durable.is_member {
        return Err("the journal does not say that this disk belongs to an ensemble".to_owned());
    }
    Ok(())
}

/// Tells the connections who the peers are: where the file says, and with which disks. A peer on the
/// empty disk that the ensemble knows is invited, for its invitation may have been lost.
fn connect(tcp: &Tcp<Message>, config: &Config, ensemble: &Ensemble, id: NodeId) {
    for node in config.nodes.iter().filter(|node| node.id != id) {
        let known = Known {
            disk: ensemble.disk(node.id),
            invitation: ensemble.encode(node.id),
        };
        tcp.peers().set_known(node.id, known);
        tcp.peers().set(node.id, node.peer_address.clone());
    }
}

/// How long the timers last.
pub fn spans(timing: &Timing) -> impl Fn(&Timer<Bully>) -> TimerSpan + Send + Sync + 'static {
    let timing = timing.clone();
    move |timer| {
        TimerSpan::Exactly(timing.ticks(match timer {
            Timer::Init => timing.init_ticks,
            Timer::Sync => timing.sync_ticks,
            Timer::Ping => timing.ping_ticks,
            Timer::Election(BullyTimer::Okay) => timing.okay_ticks,
            Timer::Election(BullyTimer::Coordinator) => timing.coordinator_ticks,
        }))
    }
}
