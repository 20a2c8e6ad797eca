//! Messages over TCP: one outgoing connection for each peer, which carries messages one way.
//!
//! **Both ends show that they live.** A writer that has nothing to write says so now and then,
//! and a reader answers what arrives. An end that hears nothing for a while gives the connection
//! up, whatever the network keeps to itself: a peer that is back at another address is found
//! there in seconds.
//!
//! Each connection begins with a handshake; a peer of another cluster, protocol or version,
//! and one that was meant for another node, is refused in words. A connection that is lost
//! is made again, with growing pauses, at whatever addresses its name has then. A malformed frame harms its own connection only. Who
//! a peer is, its certificate says; in the clear it is its own word, and then the peer ports must not
//! be open to strangers.

mod admission;
mod blank;
mod handshake;
mod incoming;
mod outgoing;
mod peers;
mod resolver;
mod security;
mod turned_away;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::admission::Admission;
pub use self::admission::Known;
pub(crate) use self::admission::other_disk;
pub use self::blank::{Blank, Invitation, Probed, is_member, probe};
use self::handshake::Caller;
pub use self::handshake::MAX_INVITATION_BYTES;
pub(crate) use self::handshake::overhear;
use self::incoming::Readers;
pub use self::peers::Peers;
pub use self::security::Security;
use self::turned_away::TurnedAway;
use super::{Deliver, Transport};
use crate::runtime::identity::Identity;
use crate::runtime::metrics::Metrics;
use crate::runtime::sync::Mutex;

/// The usual limit on a message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// So many callers at a time may be about to say who they are; of more, those that have said nothing
/// for longest make room.
pub(crate) const UNAUTHENTICATED: usize = 64;

/// How a node talks to its peers.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Who this node is.
    pub identity: Identity,
    /// How the nodes know each other.
    pub security: Security,
    /// Where this node is reached: told to a peer that does not know it yet, because it was away
    /// when this node was added.
    pub address: Option<String>,
    /// The peers, each with its `host:port`. Names are resolved anew for each connection.
    pub peers: BTreeMap<NodeId, String>,
    /// A message that takes more bytes is not sent; a peer that sends one is cut off.
    pub max_message_bytes: usize,
    /// So many messages wait for a peer; more are dropped and counted.
    pub queue_messages: usize,
    /// Each address of a peer has this long for accepting a connection. Longer than a second,
    /// after which a lost first packet is sent again.
    pub connect_timeout: Duration,
    /// A peer has this long for its part of the handshake.
    pub handshake_timeout: Duration,
    /// A connection that has nothing to carry shows this often that its writer lives, and its
    /// reader answers.
    pub keep_alive: Duration,
    /// A connection is given up, by its reader and by its writer, when the peer has given no
    /// sign of life for this long. At least three times `keep_alive`.
    pub dead_after: Duration,
    /// The first pause before a connection is made again. It doubles with each failure.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Whether callers are answered from the start. Otherwise they wait for
    /// [`Tcp::begin_accepting`]: for a node whose disk tells it who its peers are.
    pub accepts_at_once: bool,
}

impl TcpConfig {
    /// The usual limits.
    pub fn new(identity: Identity, peers: BTreeMap<NodeId, String>) -> Self {
        Self {
            identity,
            security: Security::default(),
            address: None,
            peers,
            max_message_bytes: MAX_MESSAGE_BYTES,
            queue_messages: 4096,
            connect_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(2),
            keep_alive: Duration::from_secs(1),
            dead_after: Duration::from_secs(4),
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_secs(1),
            accepts_at_once: true,
        }
    }
}

/// A node's connections. Dropping it closes them at once.
pub struct Tcp<M> {
    shared: Arc<Shared<M>>,
    peers: Peers<M>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    begin: watch::Sender<bool>,
    acceptor: JoinHandle<()>,
}

/// The way out to the peers, for the node.
pub struct TcpTransport<M> {
    shared: Arc<Shared<M>>,
}

/// What the connections of a node share.
struct Shared<M> {
    config: TcpConfig,
    metrics: Arc<Metrics>,
    peers: Mutex<BTreeMap<NodeId, Peer<M>>>,
    /// Those of the peers that have introduced themselves and have not been set yet, and how many
    /// calls of each there are.
    guests: Mutex<BTreeMap<NodeId, usize>>,
    readers: Readers,
    admission: Admission,
    turned_away: TurnedAway,
}

struct Peer<M> {
    address: String,
    queue: mpsc::Sender<M>,
    writer: JoinHandle<()>,
}

impl<M: Serialize + DeserializeOwned + Send + 'static> Tcp<M> {
    /// Accepts peers on `listener`, hands their messages to `deliver`, and connects to the
    /// configured peers. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub fn start(
        listener: TcpListener,
        config: TcpConfig,
        deliver: impl Deliver<M>,
        metrics: Arc<Metrics>,
    ) -> io::Result<(Self, TcpTransport<M>)> {
        let address = listener.local_addr()?;
        let peers = config.peers.clone();
        let shared = Arc::new(Shared {
            config,
            metrics,
            peers: Mutex::new(BTreeMap::new()),
            guests: Mutex::new(BTreeMap::new()),
            readers: Readers::default(),
            admission: Admission::default(),
            turned_away: TurnedAway::new(),
        });
        let stop = watch::Sender::new(false);
        let changes = Peers::new(shared.clone(), stop.clone());
        let begin = watch::Sender::new(shared.config.accepts_at_once);
        let mut begun = begin.subscribe();
        let accepting = incoming::accept(listener, shared.clone(), changes.clone(), deliver);
        let acceptor = tokio::spawn(async move {
            // An error means that the connections are gone.
            if begun.wait_for(|begun| *begun).await.is_ok() {
                accepting.await;
            }
        });
        let tcp = Self {
            peers: changes,
            shared: shared.clone(),
            address,
            stop,
            begin,
            acceptor,
        };
        for (id, address) in peers {
            tcp.peers.set(id, address);
        }
        Ok((tcp, TcpTransport { shared }))
    }

    /// Where this node listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers callers from now on.
    pub fn begin_accepting(&self) {
        self.begin.send_replace(true);
    }

    /// The peers, to be changed while the node runs.
    pub fn peers(&self) -> &Peers<M> {
        &self.peers
    }

    /// Writes what is queued for connected peers, for a short while, and closes everything.
    /// Stop the node first, so that its last messages are in the queues.
    pub async fn shutdown(self) {
        const GRACE: Duration = Duration::from_secs(1);
        self.acceptor.abort();
        let peers = std::mem::take(&mut *self.shared.peers.lock());
        // Writers without a connection give up at once; the others end with their queues.
        self.stop.send_replace(true);
        let deadline = Instant::now() + GRACE;
        let writers: Vec<_> = peers.into_values().map(|peer| peer.writer).collect();
        for writer in writers {
            let abort = writer.abort_handle();
            if timeout_at(deadline, writer).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl<M> Drop for Tcp<M> {
    fn drop(&mut self) {
        self.acceptor.abort();
        for peer in self.shared.peers.lock().values() {
            peer.writer.abort();
        }
    }
}

impl<M> Shared<M> {
    /// What speaks against a caller whose identity is right otherwise. One that is no peer may
    /// have been added while this node was away, which it must hear from somebody: it is welcome
    /// if it knows this node's disk, and says where it is reached.
    fn speaks_against(&self, caller: &Caller) -> Option<String> {
        let is_introduced = caller.knows_our_disk && caller.address.is_some();
        if !is_introduced && !self.peers.lock().contains_key(&caller.node) {
            let (caller, called) = (caller.node, self.config.identity.node);
            return Some(format!("{caller} is not among the peers of {called}"));
        }
        self.admission.objection(caller.node, caller.disk)
    }

    /// A caller must make room for others.
    fn turn_away(&self, caller: Option<SocketAddr>) {
        self.metrics.callers_evicted.inc();
        self.turned_away.evicted(caller);
    }
}

/// Prepares a connection, whoever began it.
fn prepare(stream: &TcpStream, config: &TcpConfig) -> io::Result<()> {
    // Messages are gathered here already; the kernel need not wait for more.
    stream.set_nodelay(true)?;
    // The second line of defence, for what keep-alives cannot see: the kernel gives up what is
    // not acknowledged, also when this process has closed its end.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(2 * config.dead_after))?;
    Ok(())
}

impl<M: Send + 'static> Transport<M> for TcpTransport<M> {
    fn send(&mut self, to: NodeId, message: M) {
        let peers = self.shared.peers.lock();
        let sent = peers
            .get(&to)
            .is_some_and(|peer| peer.queue.try_send(message).is_ok());
        if !sent {
            self.shared.metrics.messages_dropped.inc();
        }
    }
}
