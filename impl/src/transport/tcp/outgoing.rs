//! One peer's writer: connects, writes what is queued, and connects again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Shared;
use super::handshake::{self, HandshakeError};
use crate::transport::wire;

/// At most so many messages are taken from the queue at once.
const MESSAGES_AT_ONCE: usize = 256;
/// Messages are gathered into one write until it has this size.
const WRITE_BYTES: usize = 256 << 10;

pub(super) struct Writer<M> {
    pub(super) peer: NodeId,
    pub(super) address: String,
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

impl<M: Serialize> Writer<M> {
    pub(super) async fn run(mut self) {
        let mut pause = self.shared.config.first_pause;
        let mut complaint = String::new();
        while !*self.stop.borrow() {
            match self.connect().await {
                Ok(stream) => {
                    tracing::info!(peer = %self.peer, address = self.address, "connected");
                    self.shared.metrics.connects.increment();
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

    async fn connect(&self) -> Result<TcpStream, HandshakeError> {
        let limit = self.shared.config.handshake_timeout;
        let mut stream = timeout(limit, TcpStream::connect(&self.address))
            .await
            .map_err(|_| HandshakeError::TimedOut)??;
        // Messages are gathered here already; the kernel need not wait for more.
        stream.set_nodelay(true)?;
        let known = self.shared.admission.known(self.peer);
        let identity = &self.shared.config.identity;
        let called = handshake::call(&mut stream, identity, self.peer, known, limit).await;
        if let Err(HandshakeError::OtherDisk(reason)) = &called {
            self.shared.admission.refuse(self.peer, reason.clone());
        }
        called.map(|()| stream)
    }

    async fn write_all<S: AsyncRead + AsyncWrite>(&mut self, stream: S) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut messages = Vec::new();
        let mut buffer = Vec::new();
        loop {
            tokio::select! {
                biased;
                error = wait_for_close(&mut reader) => return End::Lost(error),
                taken = self.messages.recv_many(&mut messages, MESSAGES_AT_ONCE) => {
                    if taken == 0 {
                        // Closes the connection in order; an error comes too late to matter.
                        let _ = writer.shutdown().await;
                        return End::QueueClosed;
                    }
                }
            }
            let mut rest = messages.drain(..).peekable();
            while rest.peek().is_some() {
                let count = self.gather(&mut rest, &mut buffer);
                if let Err(error) = self.write(&mut writer, &buffer, count).await {
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
                    self.shared.metrics.messages_dropped.increment();
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
        let limit = self.shared.config.write_timeout;
        timeout(limit, writer.write_all(buffer))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes nothing any more"))??;
        let metrics = &self.shared.metrics;
        metrics.writes.increment();
        metrics.messages_sent.add(count);
        metrics.bytes_sent.add(buffer.len() as u64);
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
        self.shared.metrics.disconnects.increment();
        tracing::warn!(
            peer = %self.peer, address = self.address, %error,
            "connection lost; messages on their way may be lost; connecting again"
        );
    }

    /// Says what is wrong once, not each time it is tried again.
    fn complain(&self, error: &HandshakeError, last: &mut String) {
        let is_refusal = matches!(
            error,
            HandshakeError::RefusedByPeer(_) | HandshakeError::OtherDisk(_)
        );
        if is_refusal {
            self.shared.metrics.handshakes_refused.increment();
        }
        let complaint = error.to_string();
        if complaint != *last {
            tracing::warn!(
                peer = %self.peer, address = self.address, error = complaint,
                "no connection; messages to this peer wait, then drop; trying again"
            );
            *last = complaint;
        }
    }
}

/// The peer has nothing to say on this connection: whatever arrives ends it.
async fn wait_for_close(reader: &mut (impl AsyncRead + Unpin)) -> io::Error {
    match reader.read(&mut [0]).await {
        Ok(0) => io::Error::new(io::ErrorKind::ConnectionReset, "it closed the connection"),
        Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "it spoke out of turn"),
        Err(error) => error,
    }
}
