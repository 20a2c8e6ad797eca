//! Connections from peers: accepted, checked, read.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use models::NodeId;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedMutexGuard, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::Shared;
use super::handshake::{self, HandshakeError};
use crate::codec;
use crate::sync::Mutex;
use crate::transport::Deliver;
use crate::transport::wire::{self, FrameError};

/// At most so many callers that have not said who they are.
const STRANGERS: usize = 64;
const READ_BYTES: usize = 64 << 10;

/// Accepts connections for ever. Ending this task ends them all.
pub(super) async fn accept<M, D>(listener: TcpListener, shared: Arc<Shared<M>>, deliver: D)
where
    M: DeserializeOwned + Send + 'static,
    D: Deliver<M>,
{
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed. Waiting leaves further callers in the backlog.
        let Ok(permit) = strangers.clone().acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (shared, deliver) = (shared.clone(), deliver.clone());
        connections.spawn(async move {
            let mut stream = stream;
            let peer = welcome(&mut stream, &shared).await;
            drop(permit);
            if let Some(peer) = peer {
                serve(peer, stream, &shared, &deliver).await;
            }
        });
    }
}

/// Answers the handshake, and says who calls if it is a peer.
async fn welcome<M>(stream: &mut TcpStream, shared: &Shared<M>) -> Option<NodeId> {
    let config = &shared.config;
    let limit = config.handshake_timeout;
    let speaks_against = |caller, disk| shared.speaks_against(caller, disk);
    match handshake::answer(stream, &config.identity, speaks_against, limit).await {
        Ok(peer) => {
            shared.metrics.connections_accepted.increment();
            Some(peer)
        }
        Err(error) => {
            match &error {
                HandshakeError::Malformed(_) => shared.metrics.malformed_frames.increment(),
                HandshakeError::RefusedHere(_) => shared.metrics.handshakes_refused.increment(),
                _ => {}
            }
            let caller = stream.peer_addr().ok();
            tracing::warn!(?caller, %error, "a connection was turned away");
            None
        }
    }
}

/// Reads a peer's messages until the connection ends.
async fn serve<M, D>(peer: NodeId, stream: TcpStream, shared: &Shared<M>, deliver: &D)
where
    M: DeserializeOwned,
    D: Deliver<M>,
{
    let (cancelled, _turn) = shared.readers.take_turn(peer).await;
    tokio::select! {
        biased;
        _ = cancelled => tracing::debug!(%peer, "its connection is replaced or unwanted"),
        error = read_all(peer, stream, shared, deliver) => {
            if let ReadError::Malformed(_) = error {
                shared.metrics.malformed_frames.increment();
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
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}; the connection is closed, and what came before it was delivered")]
    Malformed(#[from] FrameError),
}

async fn read_all<M, D>(
    peer: NodeId,
    mut stream: impl AsyncRead + Unpin,
    shared: &Shared<M>,
    deliver: &D,
) -> ReadError
where
    M: DeserializeOwned,
    D: Deliver<M>,
{
    let mut buffer = BytesMut::new();
    loop {
        if let Err(error) = deliver_frames(peer, &mut buffer, shared, deliver) {
            return error.into();
        }
        buffer.reserve(READ_BYTES);
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return ReadError::Closed,
            Ok(count) => shared.metrics.bytes_received.add(count as u64),
            Err(error) => return error.into(),
        }
    }
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
    while let Some(payload) = wire::decode_frame(buffer, shared.config.max_message_bytes)? {
        let message = codec::decode(&payload)?;
        shared.metrics.messages_received.increment();
        deliver.deliver(peer, message);
    }
    Ok(())
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

    /// Cancels the peer's connection.
    pub(super) fn cancel(&self, peer: NodeId) {
        if let Some(reader) = self.0.lock().get_mut(&peer) {
            reader.cancel = None;
        }
    }
}
