//! How packets get to other members: as a datagram, or over TCP where they are larger than one may be.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::packet::{Envelope, Packet};
use super::traffic::Counters;
use crate::runtime::sync::Mutex;
use crate::service::datagram::Rejected;

/// No packet is larger: a list of some hundred thousand members.
const MAX_PACKET_BYTES: u32 = 4 << 20;
/// A large packet has so long to get there.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many large packets are received at a time.
const AT_A_TIME: usize = 32;

/// Which addresses can be reached, and are heard: in tests, to split a network.
pub(crate) type Reach = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// A member's way out. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) udp: Arc<UdpSocket>,
    pub(crate) envelope: Envelope,
    pub(crate) counters: Arc<Counters>,
    pub(crate) reach: Reach,
    /// A packet with more bytes goes over TCP.
    pub(crate) mtu: usize,
    /// To whom a large packet is on its way: one at a time, for the next says what the last one said and
    /// more.
    under_way: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Post {
    pub(crate) fn new(udp: UdpSocket, envelope: Envelope, reach: Reach, mtu: usize) -> Self {
        Self {
            udp: Arc::new(udp),
            envelope,
            counters: Arc::default(),
            reach,
            mtu,
            under_way: Arc::default(),
        }
    }

    /// Sends a packet. One that is lost is lost, as everywhere in a network: the next heartbeat says it
    /// again.
    pub(crate) fn send(&self, to: SocketAddr, packet: &Packet) {
        if !(self.reach)(to) {
            return;
        }
        let Some(bytes) = self.envelope.seal(packet) else {
            self.counters.unsent.inc();
            return;
        };
        let is_large = bytes.len() > self.mtu;
        if is_large && !self.under_way.lock().insert(to) {
            return;
        }
        self.counters.sent(packet, bytes.len(), is_large);
        if is_large {
            tokio::spawn(self.clone().send_large(to, bytes));
        } else if let Err(error) = self.udp.try_send_to(&bytes, to) {
            tracing::debug!(%to, %error, "a packet was not sent");
            self.counters.unsent.inc();
        }
    }

    async fn send_large(self, to: SocketAddr, bytes: Vec<u8>) {
        if !matches!(timeout(PATIENCE, write(to, &bytes)).await, Ok(Ok(()))) {
            tracing::debug!(%to, bytes = bytes.len(), "a large packet was not sent");
            self.counters.unsent.inc();
        }
        self.under_way.lock().remove(&to);
    }

    /// What a packet says, if it is one of a member's.
    pub(crate) fn open(&self, bytes: &[u8]) -> Option<Packet> {
        match self.envelope.open(bytes) {
            Ok(packet) => {
                self.counters.received(&packet, bytes.len());
                Some(packet)
            }
            Err(Rejected::Stranger) => {
                self.counters.strangers.inc();
                None
            }
            Err(Rejected::Malformed) => {
                self.counters.malformed.inc();
                None
            }
        }
    }
}

async fn write(to: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

/// Receives large packets until it is dropped.
pub(crate) async fn receive_large(listener: TcpListener, packets: mpsc::Sender<Large>) {
    let mut receiving = JoinSet::new();
    loop {
        while receiving.len() >= AT_A_TIME {
            receiving.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, from)) => {
                let packets = packets.clone();
                receiving.spawn(async move {
                    if let Ok(Ok(bytes)) = timeout(PATIENCE, read(stream)).await {
                        // The member ends.
                        let _ = packets.send(Large { from, bytes }).await;
                    }
                });
            }
            // Out of files, say: others may be closed meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while receiving.try_join_next().is_some() {}
    }
}

/// A packet that has come over TCP.
#[derive(Debug)]
pub(crate) struct Large {
    /// From which address; the port is of no use.
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Takes memory for what has come, not for what was announced.
async fn read(mut stream: TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > MAX_PACKET_BYTES {
        return Err(std::io::Error::other("it is too large"));
    }
    let mut bytes = Vec::new();
    stream
        .take(u64::from(length))
        .read_to_end(&mut bytes)
        .await?;
    match bytes.len() == length as usize {
        true => Ok(bytes),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
