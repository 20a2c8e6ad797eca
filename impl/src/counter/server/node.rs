//! One node of the counter, put together: its replica over TCP and a journal, SWIM over UDP, the HTTP API
//! in front.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use models::NodeId;
use models::counter::{Counter, Timer};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::follower::Follower;
use super::replica::set_up;
use super::service::{SESSIONS, Service};
use super::status_page::PAGE_PATIENCE;
use super::{api, events};
use crate::Identity;
use crate::counter::Message;
use crate::counter::config::{Config, Exchange, Timing};
use crate::counter::swim::counts::SwimCounts;
use crate::counter::swim::detector::{Detector, Settings};
use crate::counter::swim::member::Member;
use crate::counter::swim::members::Members;
use crate::counter::swim::packet::Envelope;
use crate::runtime::driver::{Failure, NodeBuilder, NodeOptions, RunningNode, Status, mailbox};
use crate::runtime::timers::TimerSpan;
use crate::runtime::transport::tcp::{Tcp, TcpConfig};
use crate::service::config::ServiceConfig;
use crate::service::gossip_key::GossipKeys;
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

/// So many messages and commands wait for the replica; more are refused.
const INBOX: usize = 4096;
/// So many messages wait for a peer. What is lost is sent again.
const PEER_QUEUE: usize = 1024;
/// A whole state: what thousands of replicas have counted, in each bucket of the window.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// When the node stops SWIM has so long to tell the others.
const FAREWELL: Duration = Duration::from_millis(500);
/// A timer that is armed for so long never runs out.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A running node.
pub struct CounterNode {
    hosted: HostedNode<Counter>,
    left: watch::Receiver<bool>,
    stop_swim: watch::Sender<bool>,
    /// None where the node is alone.
    swim: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl CounterNode {
    /// Starts node `id` of `config` on `listeners`; SWIM is at the port of the one for peers, over UDP.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it cannot. Nothing was sent to anybody then.
    pub fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        let cluster = config.cluster_config();
        let (identity, journal) = open_journal::<Counter>(&cluster, id)?;
        let own = config.node(id)?;
        let others = config.seeds(id).len();
        let clients = open_files::client_connections(others, config.limits.max_client_connections)?;
        let credentials = config.security.credentials(id)?;
        let tokens = Tokens::load(config.security.tokens.as_deref())?;
        let keys = config.security.gossip_key.as_deref();
        let keys = keys.map(GossipKeys::load).transpose()?;
        let timeouts = NodeTimeouts {
            connect: PAGE_PATIENCE,
            idle: GRACE,
        };
        let asked_with = NodeClient::new(credentials.clone(), tokens.for_nodes(), timeouts)?;
        let socket = swim_socket(config.counter.exchange, &listeners.peer)?;

        let seed = fastrand::u64(..);
        tracing::info!(node = %id, seed, "timers, session ids and SWIM's choices are drawn from this seed");
        let (inbox, mailbox) = mailbox(INBOX);
        let metrics = inbox.metrics().clone();
        let security = peer_security(credentials.as_ref());
        let peers = TcpConfig {
            queue_messages: PEER_QUEUE,
            max_message_bytes: MAX_MESSAGE_BYTES,
            ..peer_config(&cluster, identity.clone(), security, config.timing.probe())
        };
        let (tcp, transport) =
            Tcp::<Message>::start(listeners.peer, peers, inbox.clone(), metrics.clone())?;

        let leaving = Arc::new(AtomicBool::new(false));
        let (drained_sender, drained) = watch::channel(false);
        let (nameless_sender, nameless) = watch::channel(false);
        let told = events::Listeners {
            id,
            pending: Arc::default(),
            tally: Arc::default(),
            drained: drained_sender,
            nameless: nameless_sender,
        };
        let (leave, wants_to_leave) = mpsc::channel(1);
        let (left_sender, left) = watch::channel(false);
        let members = Arc::new(Members::default());
        let swim_counts = Arc::new(SwimCounts::default());
        let service = Arc::new(Service {
            id,
            identity: identity.clone(),
            data_centre: config.data_centre(id),
            peer_address: own.peer_address.clone(),
            client_address: own.client_address.clone(),
            inbox: inbox.clone(),
            pending: Arc::clone(&told.pending),
            sessions: Sessions::new(seed, SESSIONS),
            timing: config.timing.clone(),
            window: config.window.window(),
            exchange: config.counter.exchange,
            peers: tcp.peers().clone(),
            members: Arc::clone(&members),
            swim: Arc::clone(&swim_counts),
            tally: Arc::clone(&told.tally),
            leave,
            left: left.clone(),
            others: asked_with,
            started: Instant::now(),
        });
        let options = NodeOptions {
            seed,
            slow_flush: config.timing.slow_flush(),
            ..NodeOptions::default()
        };
        let spans = spans(&config.timing, config.counter.exchange, leaving.clone());
        let replica = NodeBuilder::new(config.replica(id), spans, move |event| told.take(event))
            .options(options);
        let replica = recorded(replica, own, config.service, &metrics)?.spawn(
            (inbox.clone(), mailbox),
            journal,
            transport,
        )?;
        tcp.begin_accepting();

        let follower = Follower {
            inbox: inbox.clone(),
            peers: tcp.peers().clone(),
            exchange: config.counter.exchange,
            leaving,
            up: BTreeSet::new(),
            departed: config.counter.departed.clone(),
        };
        let (changes, changed) = mpsc::unbounded_channel();
        let mut tasks = vec![
            tokio::spawn(events::name_it(inbox, nameless)),
            tokio::spawn(events::wait_until_drained(drained, left_sender)),
            tokio::spawn(follower.run(changed, wants_to_leave)),
        ];
        let (stop_swim, swim_stopped) = watch::channel(false);
        let swim = match socket {
            Some(socket) => {
                let settings = swim_settings(config, &identity, keys, seed)?;
                let detector = Detector::new(settings, socket, members, swim_counts, changes);
                Some(tokio::spawn(detector.run(swim_stopped)))
            }
            // So that the follower does not take it for the end.
            None => {
                tasks.push(tokio::spawn(async move { changes.closed().await }));
                None
            }
        };

        let clients_served = Served {
            listener: listeners.client,
            router: api::api(service.clone(), &tokens),
        };
        let page = listeners.metrics.map(|listener| Served {
            listener,
            router: api::metrics(service),
        });
        let stop = watch::Sender::new(false);
        let servers = Servers::start(clients_served, page, credentials, clients, &metrics, stop)?;
        tracing::info!(
            node = %id, cluster_id = %identity.cluster_id, disk = %identity.disk,
            clients = %servers.client_address, metrics = servers.metrics_address().map(display),
            max_client_connections = clients, "serving"
        );
        let (_, never_halts) = watch::channel(None);
        let hosted = HostedNode {
            node: replica,
            halted: never_halts,
            tcp,
            servers,
        };
        Ok(Self {
            hosted,
            left,
            stop_swim,
            swim,
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

    /// The replica.
    pub fn replica(&self) -> &RunningNode<Counter> {
        &self.hosted.node
    }
}

impl ServiceNode for CounterNode {
    type Config = Config;

    /// It belongs to the cluster of its file's name at once.
    async fn until_member(
        config: &Config,
        id: NodeId,
        listeners: Listeners,
    ) -> Result<Listeners, StartError> {
        set_up(config, id).map(|()| listeners)
    }

    fn start(config: &Config, id: NodeId, listeners: Listeners) -> Result<Self, StartError> {
        Self::start(config, id, listeners)
    }

    async fn ended(&self) -> Status {
        self.hosted.ended().await
    }

    async fn done(&self) -> String {
        let mut left = self.left.clone();
        if left.wait_for(|left| *left).await.is_err() {
            std::future::pending::<()>().await;
        }
        "the node has left: every member knows what it knew".to_owned()
    }

    /// The others are told that it goes, so that they need not find out.
    async fn shutdown(self) -> Result<(), Failure> {
        self.stop_swim.send_replace(true);
        if let Some(swim) = self.swim {
            let abort = swim.abort_handle();
            if timeout(FAREWELL, swim).await.is_err() {
                abort.abort();
            }
        }
        for task in self.tasks {
            task.abort();
        }
        self.hosted.shutdown().await
    }
}

/// What this node's SWIM needs to know.
fn swim_settings(
    config: &Config,
    identity: &Identity,
    keys: Option<GossipKeys>,
    seed: u64,
) -> Result<Settings, StartError> {
    let id = identity.node;
    let node = config.node(id)?;
    Ok(Settings {
        own: Member {
            node: id,
            data_centre: config.data_centre(id),
            disk: identity.disk,
            life: now_ms(),
            renewals: 0,
            peer_address: node.peer_address.clone(),
            client_address: node.client_address.clone(),
        },
        timing: config.timing.clone(),
        seeds: config.seeds(id),
        envelope: Envelope::new(identity.cluster_id, keys),
        seed,
    })
}

/// The socket for SWIM, at the port for peers; none for a node that is alone.
fn swim_socket(exchange: Exchange, peer: &TcpListener) -> Result<Option<UdpSocket>, StartError> {
    if exchange == Exchange::Alone {
        return Ok(None);
    }
    let address = peer.local_addr()?;
    let listen = |source| StartError::Listen {
        what: "peer_address, over UDP",
        address: address.to_string(),
        source,
    };
    let socket = std::net::UdpSocket::bind(address).map_err(listen)?;
    socket.set_nonblocking(true)?;
    Ok(Some(UdpSocket::from_std(socket)?))
}

/// How long the timers last. Where increments travel by push-pull alone, what is owed is sent by a node
/// that leaves, and by no other.
pub fn spans(
    timing: &Timing,
    exchange: Exchange,
    leaving: Arc<AtomicBool>,
) -> impl Fn(&Timer) -> TimerSpan + Send + Sync + 'static {
    let (broadcast, push_pull) = (timing.broadcast(), timing.push_pull());
    move |timer| match timer {
        Timer::Broadcast if exchange == Exchange::Deltas || leaving.load(Ordering::Relaxed) => {
            TimerSpan::Exactly(broadcast)
        }
        Timer::Broadcast => TimerSpan::Exactly(NEVER),
        Timer::PushPull | Timer::Fold => TimerSpan::Between(push_pull * 3 / 4..=push_pull * 5 / 4),
    }
}

/// Later lives of a node have greater numbers, whatever its disk: milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
