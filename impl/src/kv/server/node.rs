//! One node of the store, put together: Raft over TCP and a journal, the HTTP API in front.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::raft::progress::Window;
use models::raft::state::Persistent;
use models::raft::{Compaction, Timer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Identity;
use crate::kv::config::{Config, Timing};
use crate::kv::membership::configured as membership;
use crate::kv::membership::configured::Membership;
use crate::kv::request::forward::Forwarder;
use crate::kv::request::pending::{View, Waiters};
use crate::kv::request::router::Service;
use crate::kv::request::session_pool::Sessions;
use crate::kv::server::api as http;
use crate::kv::server::auto_compaction;
use crate::kv::server::events::{halted_words, log_event, obey};
use crate::kv::server::handover::{self, HandOver, Transfers};
use crate::kv::server::lease_expiry::{self, LeaseClock};
use crate::kv::server::numbers::Numbers;
use crate::kv::server::watch::Watched;
use crate::kv::store::{MAX_APPEND_WEIGHT, Revision};
use crate::kv::{Kv, KvRaft};
use crate::runtime::driver::{
    Failure, NodeBuilder, NodeOptions, RunningNode, Status, mailbox_counting,
};
use crate::runtime::journal::Journal;
use crate::runtime::metrics::Metrics;
use crate::runtime::timers::TimerSpan;
use crate::runtime::transport::tcp::{Tcp, TcpConfig};
use crate::service::address::Addresses;
use crate::service::config::ServiceConfig;
use crate::service::founding::waiting::until_member;
use crate::service::hosted::HostedNode;
use crate::service::open_files;
use crate::service::peering::peer_config;
use crate::service::recording::recorded;
use crate::service::running::ServiceNode;
use crate::service::security::peer_security;
use crate::service::serving::{Served, Servers};
use crate::service::start::{Listeners, StartError, open_journal};
use crate::service::tokens::Tokens;
use models::raft::configuration::Configuration;

/// So many messages and commands wait for the node; more are refused.
const INBOX: usize = 4096;
/// So many writes without a session of their own run at a time; more are refused.
const SESSIONS: usize = 1024;
/// So many messages wait for a peer. Few, for a message may carry 2 MiB of entries, and what
/// a peer missed while it was away is sent again anyway.
pub(crate) const PEER_QUEUE: usize = 64;
/// Entries of so many bytes may be under way to a peer.
const MAX_WEIGHT_IN_FLIGHT: usize = 8 << 20;
/// A running node.
pub struct KvNode {
    hosted: HostedNode<KvRaft>,
    service: Arc<Service>,
    /// What is done beside serving.
    tasks: Vec<JoinHandle<()>>,
}

impl KvNode {
    /// Starts node `id` of `config` on `listeners`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        Self::start_counting(config, id, listeners, Arc::default())
    }

    /// As [`KvNode::start`]; what the node counts is counted in `metrics`, by a program that shows them.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn start_counting(
        config: &Config,
        id: NodeId,
        listeners: Listeners,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let (identity, journal) = Self::open_journal(config, id)?;
        Self::put_together(config, listeners, identity, journal, metrics)
    }

    /// Opens the journal of node `id`, and tells whose it is.
    ///
    /// # Errors
    /// When it cannot be had, or belongs to no cluster yet. Nothing was started then.
    pub fn open_journal(
        config: &Config,
        id: NodeId,
    ) -> Result<(Identity, Box<dyn Journal>), StartError> {
        open_journal::<Configuration>(&config.cluster_config(), id)
    }

    /// As [`KvNode::start`], on a journal that the caller has opened: such as one that a test
    /// has put something in front of.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start_on(
        config: &Config,
        listeners: Listeners,
        identity: Identity,
        journal: impl Journal,
    ) -> Result<Self, StartError> {
        Self::put_together(config, listeners, identity, journal, Arc::default())
    }

    fn put_together(
        config: &Config,
        listeners: Listeners,
        identity: Identity,
        journal: impl Journal,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let id = identity.node;
        let others = config.nodes.len() - 1;
        let clients = open_files::client_connections(others, config.limits.max_client_connections)?;

        let seed = fastrand::u64(..);
        tracing::info!(node = %id, seed, "timers and session ids are drawn from this seed");
        let credentials = config.security.credentials(id)?;
        let tokens = Tokens::load(config.security.tokens.as_deref())?;
        let security = peer_security(credentials.as_ref());
        let (inbox, mailbox) = mailbox_counting(INBOX, metrics.clone());
        let waiters = Arc::new(Waiters::new(id));
        let forwarder = Arc::new(Forwarder::new(credentials.clone(), tokens.for_nodes())?);
        let election = Duration::from_millis(config.timing.election_max_ms);
        let cluster = config.cluster_config();
        let peers = TcpConfig {
            queue_messages: PEER_QUEUE,
            ..peer_config(&cluster, identity.clone(), security.clone(), election)
        };
        let (tcp, transport) = Tcp::start(listeners.peer, peers, inbox.clone(), metrics.clone())?;
        let membership = Membership::new(config, id, tcp.peers().clone(), forwarder.clone());
        let transfers = Arc::new(Transfers::default());
        let revision = watch::Sender::new(Revision::default());
        let stop = watch::Sender::new(false);
        let service = Arc::new(Service {
            id,
            identity: identity.clone(),
            started: Instant::now(),
            security,
            inbox: inbox.clone(),
            waiters: waiters.clone(),
            transfers: transfers.clone(),
            sessions: Sessions::new(seed, SESSIONS),
            forwarder,
            membership: membership.clone(),
            timing: config.timing.clone(),
            leases: LeaseClock::default(),
            watched: Watched {
                revision: revision.subscribe(),
                stop: stop.subscribe(),
            },
        });
        let options = NodeOptions {
            seed,
            slow_flush: config.timing.slow_flush(),
            early_patience: config.timing.early_patience(),
            ..NodeOptions::default()
        };
        let halted = watch::Sender::new(None);
        let halt = halted.clone();
        let members = membership.clone();
        let sink = move |event| {
            log_event(id, &event);
            obey(&event, &members, &halt);
            transfers.take(&event);
            waiters.take(event);
        };
        let file = config.clone();
        let check = move |durable: &Persistent<Kv>| {
            if let Some(contradiction) = &durable.halted {
                return Err(halted_words(contradiction));
            }
            if let Some(words) = membership::contradiction(&file, durable) {
                return Err(words);
            }
            membership.recover(durable);
            Ok(())
        };
        let raft = NodeBuilder::new(raft(config, id), spans(&config.timing), sink)
            .check(check)
            .after_batch(move |node| {
                let latest = node.volatile.applied.machine.revision();
                revision.send_if_modified(|told| std::mem::replace(told, latest) != latest);
            })
            .options(options);
        let raft = recorded(raft, config.node(id)?, config.service, &metrics)?.spawn(
            (inbox, mailbox),
            journal,
            transport,
        )?;

        tcp.begin_accepting();

        let api = Served {
            listener: listeners.client,
            router: http::api(service.clone(), &tokens),
        };
        let page = listeners.metrics.map(|listener| Served {
            listener,
            router: http::metrics(service.clone()),
        });
        let servers = Servers::start(api, page, credentials, clients, &metrics, stop)?;
        let mut tasks = vec![tokio::spawn(lease_expiry::run(service.clone()))];
        let kept = config.limits.kept_history();
        tasks.push(tokio::spawn(auto_compaction::run(service.clone(), kept)));
        let Identity {
            cluster_id, disk, ..
        } = identity;
        tracing::info!(
            node = %id, %cluster_id, %disk, clients = %servers.client_address,
            metrics = servers.metrics_address().map(display), max_client_connections = clients, "serving"
        );
        let hosted = HostedNode {
            node: raft,
            halted: halted.subscribe(),
            tcp,
            servers,
        };
        Ok(Self {
            hosted,
            service,
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

    /// The Raft node.
    pub fn raft(&self) -> &RunningNode<KvRaft> {
        &self.hosted.node
    }

    /// What the node shows of itself, for a program that shows it with its own.
    pub(crate) fn numbers(&self) -> Numbers {
        Numbers(self.service.clone())
    }

    /// Another member is reached at these addresses from now on. They carry no promise: who it is, its disk
    /// says.
    pub(crate) fn moved(&self, node: NodeId, addresses: Addresses) {
        self.service.membership.moved(node, addresses);
    }

    /// Follows who leads, as far as the node knows.
    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.service.waiters.view()
    }

    /// Waits until the node has stopped or failed. End the process when it has failed.
    pub async fn ended(&self) -> Status {
        self.hosted.ended().await
    }

    /// Hands leadership over, if the node leads, to the voter that is best prepared, and serves on
    /// meanwhile. Takes an election time-out at most. Nothing is lost, whatever comes of it.
    pub async fn hand_over(&self) -> HandOver {
        let node = self.service.id;
        let outcome = handover::hand_over(&self.service).await;
        match outcome {
            HandOver::NotLeading | HandOver::Alone => {}
            HandOver::Done { leader } => {
                tracing::info!(%node, %leader, "has handed its leadership over");
            }
            HandOver::Failed(_) | HandOver::TimedOut | HandOver::Unasked => tracing::warn!(
                %node,
                why = %outcome,
                "has not handed its leadership over; the others will elect a leader"
            ),
        }
        outcome
    }

    /// Hands leadership over, takes no more requests, gives those that run a short while, puts
    /// everything on disk and closes all connections. Does not wait for a disk that hangs: after a
    /// few seconds what is not on disk is given up, and nobody was told of it. End the process
    /// then.
    ///
    /// # Errors
    /// When the node had failed before, fails on the way, or hangs.
    pub async fn shutdown(self) -> Result<(), Failure> {
        self.hand_over().await;
        for task in self.tasks {
            task.abort();
        }
        self.hosted.shutdown().await
    }
}

impl ServiceNode for KvNode {
    type Config = Config;

    async fn until_member(
        config: &Config,
        id: NodeId,
        listeners: Listeners,
    ) -> Result<Listeners, StartError> {
        let clients = config.limits.max_client_connections;
        until_member::<Configuration>(&config.cluster_config(), id, clients, listeners).await
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

/// The protocol of node `id`.
pub fn raft(config: &Config, id: NodeId) -> KvRaft {
    // Who the members are is on the disk: here it is only said to an empty one.
    tuned(KvRaft::joining(id), config)
}

/// The protocol with what this service wants of it.
pub(crate) fn tuned(mut raft: KvRaft, config: &Config) -> KvRaft {
    raft.max_append_weight = MAX_APPEND_WEIGHT;
    raft.max_sessions = config.limits.max_sessions;
    raft.max_pending_reads = config.limits.max_pending_reads;
    raft.pre_vote = true;
    raft.check_quorum = true;
    raft.ordered_delivery = true;
    raft.early_heartbeats = true;
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
