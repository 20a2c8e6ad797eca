//! One peer's writer: connects, writes what is queued, and connects again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::admission::Admission;
use super::handshake::{self, HandshakeError};
use super::resolver::Resolver;
use super::{Shared, TcpConfig, prepare};
use crate::runtime::secure_stream::SecureStream;
use crate::runtime::transport::wire;

/// At most so many messages are taken from the queue at once.
const MESSAGES_AT_ONCE: usize = 256;
/// Messages are gathered into one write until it has this size.
const WRITE_BYTES: usize = 256 << 10;

pub(super) struct Writer<M> {
    pub(super) peer: NodeId,
    pub(super) resolver: Resolver,
    pub(super) messages: mpsc::Receiver<M>,
    pub(super) shared: Arc<Shared<M>>,
    pub(super) stop: watch::Receiver<bool>,
}

/// How a connection ended.
enum End {
    /// There will be nothing more to write.
    QueueClosed,
    Lost(io::Error),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("its name cannot be looked up: {0}")]
    Resolve(io::Error),
    #[error("{at}: {error}")]
    At {
        at: SocketAddr,
        error: HandshakeError,
    },
}

impl<M: Serialize> Writer<M> {
    pub(super) async fn run(mut self) {
        let mut pause = self.shared.config.first_pause;
        let mut complaint = String::new();
        while !*self.stop.borrow() {
            match self.connect().await {
                Ok((stream, at)) => {
                    tracing::info!(peer = %self.peer, address = self.resolver.address(), %at, "connected");
                    self.shared.metrics.connects.inc();
                    pause = self.shared.config.first_pause;
                    complaint.clear();
                    match self.write_all(stream).await {
                        End::QueueClosed => return,
                        End::Lost(error) => self.lost(&error),
                    }
                }
                Err(error) => self.complain(&error, &mut complaint),
            }
            self.wait(pause).await;
            pause = (pause * 2).min(self.shared.config.longest_pause);
        }
    }

    /// Tries each address that the peer's name has now, and says which one it was.
    async fn connect(&mut self) -> Result<(SecureStream, SocketAddr), ConnectError> {
        let addresses = self
            .resolver
            .resolve()
            .await
            .map_err(ConnectError::Resolve)?;
        let (peer, config) = (self.peer, &self.shared.config);
        connect_to_any(addresses, peer, &self.shared.admission, config).await
    }

    /// Writes what is queued, for as long as the peer shows that it reads.
    async fn write_all(&mut self, stream: SecureStream) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let dead_after = self.shared.config.dead_after;
        tokio::select! {
            biased;
            error = watch_answers(&mut reader, dead_after) => End::Lost(error),
            end = self.write_messages(&mut writer) => end,
        }
    }

    async fn write_messages(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> End {
        let mut messages = Vec::new();
        let mut buffer = Vec::new();
        loop {
            let taken = self.messages.recv_many(&mut messages, MESSAGES_AT_ONCE);
            match timeout(self.shared.config.keep_alive, taken).await {
                Err(_) => buffer.extend_from_slice(&wire::KEEP_ALIVE),
                Ok(0) => {
                    // Closes the connection in order; an error comes too late to matter.
                    let _ = writer.shutdown().await;
                    return End::QueueClosed;
                }
                Ok(_) => {}
            }
            let mut rest = messages.drain(..).peekable();
            while rest.peek().is_some() || !buffer.is_empty() {
                let count = self.gather(&mut rest, &mut buffer);
                if let Err(error) = self.write(writer, &buffer, count).await {
                    return End::Lost(error);
                }
                buffer.clear();
                buffer.shrink_to(2 * WRITE_BYTES);
            }
        }
    }

    /// Encodes messages into `buffer` until it is worth a write. Returns how many.
    fn gather(&self, messages: &mut impl Iterator<Item = M>, buffer: &mut Vec<u8>) -> u64 {
        let mut count = 0;
        while buffer.len() < WRITE_BYTES
            && let Some(message) = messages.next()
        {
            match wire::encode_frame(&message, self.shared.config.max_message_bytes, buffer) {
                Ok(()) => count += 1,
                Err(error) => {
                    self.shared.metrics.messages_dropped.inc();
                    tracing::error!(peer = %self.peer, %error, "a message was not sent");
                }
            }
        }
        count
    }

    async fn write(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        buffer: &[u8],
        count: u64,
    ) -> io::Result<()> {
        writer.write_all(buffer).await?;
        writer.flush().await?;
        let metrics = &self.shared.metrics;
        metrics.writes.inc();
        metrics.messages_sent.inc_by(count);
        metrics.sent_bytes.inc_by(buffer.len() as u64);
        Ok(())
    }

    /// Waits about as long as `pause`, so that peers that lost a node together do not come
    /// back to it together; no longer than until told to stop.
    async fn wait(&mut self, pause: Duration) {
        let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        tokio::select! {
            () = sleep(jittered) => {}
            // An error means that the network is gone, and this writer with it.
            _ = self.stop.changed() => {}
        }
    }

    fn lost(&self, error: &io::Error) {
        self.shared.metrics.disconnects.inc();
        if error.kind() == io::ErrorKind::TimedOut {
            self.shared.metrics.peers_silent.inc();
        }
        tracing::warn!(
            peer = %self.peer, address = self.resolver.address(), %error,
            "connection lost; messages on their way may be lost; connecting again"
        );
    }

    /// Says what is wrong once, not each time it is tried again.
    fn complain(&self, error: &ConnectError, last: &mut String) {
        if let ConnectError::At {
            error:
                HandshakeError::RefusedByPeer(_)
                | HandshakeError::RefusedHere(_)
                | HandshakeError::Objection(_),
            ..
        } = error
        {
            self.shared.metrics.handshakes_refused.inc();
        }
        let complaint = error.to_string();
        if complaint != *last {
            tracing::warn!(
                peer = %self.peer, address = self.resolver.address(), error = complaint,
                "no connection; messages to this peer wait, then drop; trying again"
            );
            *last = complaint;
        }
    }
}

async fn connect_to_any(
    addresses: &[SocketAddr],
    peer: NodeId,
    admission: &Admission,
    config: &TcpConfig,
) -> Result<(SecureStream, SocketAddr), ConnectError> {
    let mut last = ConnectError::Resolve(io::ErrorKind::NotFound.into());
    for &at in addresses {
        match connect_to(at, peer, admission, config).await {
            Ok(stream) => return Ok((stream, at)),
            Err(error) => last = ConnectError::At { at, error },
        }
    }
    Err(last)
}

async fn connect_to(
    at: SocketAddr,
    peer: NodeId,
    admission: &Admission,
    config: &TcpConfig,
) -> Result<SecureStream, HandshakeError> {
    let refused = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
    let stream = timeout(config.connect_timeout, TcpStream::connect(at))
        .await
        .map_err(refused)??;
    prepare(&stream, config)?;
    let safe = config
        .security
        .connect(stream, peer, config.handshake_timeout);
    let mut stream = safe.await?;
    let called = handshake::call(
        &mut stream,
        (&config.identity, config.address.as_deref()),
        peer,
        admission.known(peer),
        config.handshake_timeout,
    )
    .await;
    if let Ok(disk) | Err(HandshakeError::Blank { disk, .. }) = &called
        && let Some(reason) = admission.objection(peer, *disk)
    {
        return Err(HandshakeError::Objection(reason));
    }
    called?;
    admission.joined(peer);
    Ok(stream)
}

/// The peer shows that it reads, and has nothing else to say on this connection: whatever else
/// arrives ends it, and so does silence.
async fn watch_answers(reader: &mut (impl AsyncRead + Unpin), dead_after: Duration) -> io::Error {
    let mut answer = wire::KEEP_ALIVE;
    loop {
        match timeout(dead_after, reader.read_exact(&mut answer)).await {
            Err(_) => {
                let words = format!("it has shown for {dead_after:?} no sign that it reads");
                return io::Error::new(io::ErrorKind::TimedOut, words);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return io::Error::new(error.kind(), "it closed the connection");
            }
            Ok(Err(error)) => return error,
            Ok(Ok(_)) if answer == wire::KEEP_ALIVE => {}
            Ok(Ok(_)) => {
                return io::Error::new(io::ErrorKind::InvalidData, "it spoke out of turn");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use models::DiskId;
    use tokio::net::TcpListener;

    use super::super::Tcp;
    use super::*;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::transport::Deliver;
    use crate::{ClusterId, Identity};

    #[derive(Clone)]
    struct Nowhere;

    impl Deliver<u8> for Nowhere {
        fn deliver(&self, _from: NodeId, _message: u8) {}
    }

    fn config(id: u16, peer: u16) -> TcpConfig {
        let identity = Identity {
            cluster: "blue".into(),
            cluster_id: ClusterId([1; 16]),
            protocol: "none".into(),
            version: 1,
            node: NodeId(id),
            disk: DiskId::default(),
        };
        let peers = BTreeMap::from([(NodeId(peer), "127.0.0.1:1".to_owned())]);
        TcpConfig::new(identity, peers)
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    fn node(listener: TcpListener, id: u16) -> Tcp<u8> {
        let metrics = Arc::new(Metrics::default());
        let started = Tcp::start(listener, config(id, 1), Nowhere, metrics);
        started.expect("starts").0
    }

    /// Nobody listens at the first, and another node at the second.
    #[tokio::test]
    async fn each_address_of_a_name_is_tried() {
        let (closed, first) = listener().await;
        drop(closed);
        let ((other, second), (peer, third)) = (listener().await, listener().await);
        let (_other, _peer) = (node(other, 3), node(peer, 2));
        let config = config(1, 2);
        let found = connect_to_any(
            &[first, second, third],
            NodeId(2),
            &Admission::default(),
            &config,
        )
        .await;
        assert_eq!(found.expect("connects").1, third);
        let last =
            connect_to_any(&[first, second], NodeId(2), &Admission::default(), &config).await;
        let last = last.expect_err("no such peer").to_string();
        assert!(last.starts_with(&second.to_string()), "{last}");
        assert!(
            connect_to_any(&[], NodeId(2), &Admission::default(), &config)
                .await
                .is_err()
        );
    }
}
