//! Connections from peers: accepted, checked, read.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use models::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::UNAUTHENTICATED;
use super::handshake::{self, Caller, HandshakeError};
use super::peers::Peers;
use super::security::certified;
use super::{Shared, TcpConfig, prepare, turned_away};
use crate::runtime::codec;
use crate::runtime::connection_limit::{Admission, ConnectionLimit};
use crate::runtime::secure_stream::SecureStream;
use crate::runtime::sync::Mutex;
use crate::runtime::throttle::Throttle;
use crate::runtime::transport::Deliver;
use crate::runtime::transport::wire::{self, FrameError};

const READ_BYTES: usize = 64 << 10;
/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(20);
/// Failures to accept are logged this often at most.
const LOG_PERIOD: Duration = Duration::from_secs(5);

/// Accepts connections for ever. Ending this task ends them all.
pub(super) async fn accept<M, D>(
    listener: TcpListener,
    shared: Arc<Shared<M>>,
    peers: Peers<M>,
    deliver: D,
) where
    M: Serialize + DeserializeOwned + Send + 'static,
    D: Deliver<M>,
{
    let unauthenticated = ConnectionLimit::new(UNAUTHENTICATED);
    let failing = Throttle::new(LOG_PERIOD);
    let mut reminder = interval(turned_away::LOG_PERIOD);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = reminder.tick() => {
                shared.turned_away.remind();
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                shared.metrics.accepts_failed.inc();
                if let Some(more) = failing.pass(Instant::now()) {
                    tracing::warn!(%error, more, "no connection could be accepted; trying again");
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        // A caller that says nothing makes room: no peer waits for it.
        let Admission::Admitted { slot, .. } = unauthenticated.admit().await else {
            shared.turn_away(stream.peer_addr().ok());
            continue;
        };
        let (shared, peers, deliver) = (shared.clone(), peers.clone(), deliver.clone());
        connections.spawn(async move {
            let from = stream.peer_addr().ok();
            let peer = tokio::select! {
                biased;
                peer = welcome(stream, &shared) => peer,
                () = slot.evicted() => {
                    shared.turn_away(from);
                    None
                }
            };
            drop(slot);
            if let Some((caller, stream)) = peer {
                let peer = caller.node;
                let _guest = peers.introduce(caller);
                serve(peer, stream, &shared, &deliver).await;
            }
        });
    }
}

/// Answers the handshake, and says who calls if it is a peer.
async fn welcome<M>(stream: TcpStream, shared: &Shared<M>) -> Option<(Caller, SecureStream)> {
    let config = &shared.config;
    let limit = config.handshake_timeout;
    let from = stream.peer_addr().ok();
    let welcomed = async {
        let mut stream = config.security.accept(stream, limit).await?;
        let certified = certified(&stream);
        let speaks_against = |caller: &Caller| {
            let certificate = certified.objection(caller.node);
            certificate.or_else(|| shared.speaks_against(caller))
        };
        let answered = handshake::answer(&mut stream, &config.identity, speaks_against, limit);
        answered.await.map(|caller| (caller, stream))
    };
    match welcomed.await {
        Ok(welcomed) => {
            shared.metrics.connections_accepted.inc();
            Some(welcomed)
        }
        Err(error) => {
            match &error {
                HandshakeError::Malformed(_) => {
                    shared.metrics.malformed_frames.inc();
                }
                HandshakeError::RefusedHere(_) | HandshakeError::RefusedByPeer(_) => {
                    shared.metrics.handshakes_refused.inc();
                }
                _ => {}
            }
            shared.turned_away.failed(from, &error);
            None
        }
    }
}

/// Reads a peer's messages until the connection ends.
async fn serve<M, D>(peer: NodeId, stream: SecureStream, shared: &Shared<M>, deliver: &D)
where
    M: DeserializeOwned,
    D: Deliver<M>,
{
    let (cancelled, _turn) = shared.readers.take_turn(peer).await;
    tokio::select! {
        biased;
        _ = cancelled => tracing::debug!(%peer, "its connection is replaced or unwanted"),
        error = read_all(peer, stream, shared, deliver) => {
            match &error {
                ReadError::Malformed(_) => {
                    shared.metrics.malformed_frames.inc();
                }
                ReadError::Silent(_) => {
                    shared.metrics.peers_silent.inc();
                }
                ReadError::Closed | ReadError::Io(_) => {}
            }
            tracing::info!(%peer, %error, "its connection has ended");
        }
    }
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("it closed the connection")]
    Closed,
    #[error("it has given no sign of life for {0:?}; the connection is given up")]
    Silent(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}; the connection is closed, and what came before it was delivered")]
    Malformed(#[from] FrameError),
}

async fn read_all<M, D>(
    peer: NodeId,
    stream: SecureStream,
    shared: &Shared<M>,
    deliver: &D,
) -> ReadError
where
    M: DeserializeOwned,
    D: Deliver<M>,
{
    let config = &shared.config;
    if let Err(error) = prepare(stream.socket(), config) {
        return error.into();
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut answers = Answers::new(config);
    let mut buffer = BytesMut::new();
    loop {
        if let Err(error) = deliver_frames(peer, &mut buffer, shared, deliver) {
            return error.into();
        }
        buffer.reserve(READ_BYTES);
        match timeout(config.dead_after, reader.read_buf(&mut buffer)).await {
            Err(_) => return ReadError::Silent(config.dead_after),
            Ok(Ok(0)) => return ReadError::Closed,
            Ok(Ok(count)) => {
                shared.metrics.received_bytes.inc_by(count as u64);
            }
            Ok(Err(error)) => return error.into(),
        }
        if let Err(error) = answers.answer(&mut writer).await {
            return error;
        }
    }
}

/// Shows the writer that what it writes is read: also while a long message arrives slowly, and
/// not for every message of many.
struct Answers {
    period: Duration,
    patience: Duration,
    last: Instant,
}

impl Answers {
    fn new(config: &TcpConfig) -> Self {
        Self {
            // A keep-alive that comes a little early is answered all the same.
            period: config.keep_alive / 2,
            patience: config.dead_after,
            last: Instant::now(),
        }
    }

    /// Something has arrived.
    async fn answer(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), ReadError> {
        if self.last.elapsed() < self.period {
            return Ok(());
        }
        self.last = Instant::now();
        let answered = timeout(self.patience, show(writer)).await;
        Ok(answered.map_err(|_| ReadError::Silent(self.patience))??)
    }
}

/// Flushed at once: TLS would keep it back.
async fn show(writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    writer.write_all(&wire::KEEP_ALIVE).await?;
    writer.flush().await
}

/// Delivers the messages that have arrived whole.
fn deliver_frames<M, D>(
    peer: NodeId,
    buffer: &mut BytesMut,
    shared: &Shared<M>,
    deliver: &D,
) -> Result<(), FrameError>
where
    M: DeserializeOwned,
    D: Deliver<M>,
{
    loop {
        if wire::take_keep_alive(buffer) {
            continue;
        }
        let Some(payload) = wire::decode_frame(buffer, shared.config.max_message_bytes)? else {
            return Ok(());
        };
        let message = codec::decode(&payload)?;
        shared.metrics.messages_received.inc();
        deliver.deliver(peer, message);
    }
}

/// Sees to it that each peer has one connection that is read: the newest. What an older one
/// still holds must not be delivered after what the newer one brings, or the messages of one
/// peer would be out of order.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<BTreeMap<NodeId, Reader>>);

#[derive(Debug, Default)]
struct Reader {
    /// Held by whoever reads.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Dropped to cancel whoever reads.
    cancel: Option<oneshot::Sender<()>>,
}

impl Readers {
    /// Cancels the peer's older connection, waits until it is out of the way, and returns
    /// what tells that this one is to go in its turn.
    async fn take_turn(&self, peer: NodeId) -> (oneshot::Receiver<()>, OwnedMutexGuard<()>) {
        let (cancel, cancelled) = oneshot::channel();
        let turn = {
            let mut readers = self.0.lock();
            let reader = readers.entry(peer).or_default();
            reader.cancel = Some(cancel);
            reader.turn.clone()
        };
        (cancelled, turn.lock_owned().await)
    }

    /// The peers that have a connection which is read.
    pub(super) fn reading(&self) -> Vec<NodeId> {
        let readers = self.0.lock();
        let reading = readers
            .iter()
            .filter(|(_, reader)| reader.turn.try_lock().is_err());
        reading.map(|(&peer, _)| peer).collect()
    }

    /// Cancels the peer's connection.
    pub(super) fn cancel(&self, peer: NodeId) {
        if let Some(reader) = self.0.lock().get_mut(&peer) {
            reader.cancel = None;
        }
    }
}
