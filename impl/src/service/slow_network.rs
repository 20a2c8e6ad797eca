//! A network between processes of this machine that is slow, and tells each message that it carries: for
//! watching a protocol live.
//!
//! As on a [`SplitNetwork`](super::split_network::SplitNetwork) each node is known to the others at the
//! address of an intermediary. It must hear them in the clear.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use models::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::runtime::codec;
use crate::runtime::transport::tcp::{MAX_MESSAGE_BYTES, overhear};
use crate::runtime::transport::{KEEP_ALIVE, decode_frame, encode_frame, take_keep_alive};
use crate::service::config::NodeConfig;

const ANY: &str = "127.0.0.1:0";
const READ_BYTES: usize = 64 << 10;

/// A message that a node has sent, and that is about to be on its way for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent<M> {
    /// Who sends it.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// The message.
    pub message: M,
}

/// A network, for as long as it is there.
#[derive(Debug)]
pub struct SlowNetwork<M> {
    /// All that passes anything on, which ends with this.
    _tasks: JoinSet<()>,
    _messages: PhantomData<M>,
}

/// What stands in front of one node.
struct Intermediary<M> {
    node: NodeId,
    /// Where the node listens.
    target: SocketAddr,
    delay: Duration,
    sent: mpsc::UnboundedSender<Sent<M>>,
}

impl<M: Clone + Serialize + DeserializeOwned + Send + 'static> SlowNetwork<M> {
    /// Puts an intermediary in front of each node, which is to start later: each message arrives `delay`
    /// after it was sent, and is told to `sent` when it was. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When there is no port for one, or a node's address is no IP address.
    pub fn before(
        nodes: &mut [NodeConfig],
        delay: Duration,
        sent: &mpsc::UnboundedSender<Sent<M>>,
    ) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        for node in nodes.iter_mut() {
            let listener = std::net::TcpListener::bind(ANY)?;
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            let intermediary = Intermediary {
                node: node.id,
                target: node.put_behind(listener.local_addr()?)?,
                delay,
                sent: sent.clone(),
            };
            tasks.spawn(intermediary.pass_connections(listener));
        }
        Ok(Self {
            _tasks: tasks,
            _messages: PhantomData,
        })
    }
}

impl<M: Clone + Serialize + DeserializeOwned + Send + 'static> Intermediary<M> {
    async fn pass_connections(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((caller, _)) = listener.accept().await {
            let (target, delay) = (self.target, self.delay);
            let (to, sent) = (self.node, self.sent.clone());
            connections.spawn(async move {
                // A connection that is lost is made again.
                let _ = pass_connection(caller, to, target, delay, sent).await;
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Passes on what a node sends to another, until either gives the connection up. What the other answers
/// is no message, and comes back at once.
async fn pass_connection<M: Clone + Serialize + DeserializeOwned>(
    mut caller: TcpStream,
    to: NodeId,
    target: SocketAddr,
    delay: Duration,
    sent: mpsc::UnboundedSender<Sent<M>>,
) -> io::Result<()> {
    let Some((from, words)) = overhear(&mut caller).await else {
        return Ok(());
    };
    let mut called = TcpStream::connect(target).await?;
    called.set_nodelay(true)?;
    called.write_all(&words).await?;
    let (messages, mut back) = caller.split();
    let (mut answers, mut onward) = called.split();
    let mut way = Way {
        messages,
        delay,
        received: BytesMut::new(),
        waiting: VecDeque::new(),
    };
    let forth = async {
        loop {
            let due = way.waiting.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                () = until(due) => {
                    if let Some((_, frame)) = way.waiting.pop_front() {
                        onward.write_all(&frame).await?;
                    }
                }
                heard = way.listen() => match heard? {
                    Heard::KeepAlive => onward.write_all(&KEEP_ALIVE).await?,
                    Heard::Message(message) => {
                        way.put(&message)?;
                        // Nobody may be listening any more.
                        let _ = sent.send(Sent { from, to, message });
                    }
                },
            }
        }
    };
    tokio::select! {
        end = forth => end,
        end = tokio::io::copy(&mut answers, &mut back) => end.map(|_| ()),
    }
}

/// What has come from a node.
enum Heard<M> {
    KeepAlive,
    Message(M),
}

/// The way of one node's messages to another.
struct Way<R> {
    messages: R,
    delay: Duration,
    /// What has been received, and is no whole frame yet.
    received: BytesMut,
    /// The frames that are on their way, each with the time at which it arrives.
    waiting: VecDeque<(Instant, Vec<u8>)>,
}

impl<R: AsyncRead + Unpin> Way<R> {
    /// Waits for what comes next. Nothing is lost where this is cancelled.
    async fn listen<M: DeserializeOwned>(&mut self) -> io::Result<Heard<M>> {
        loop {
            if take_keep_alive(&mut self.received) {
                return Ok(Heard::KeepAlive);
            }
            let frame = decode_frame(&mut self.received, MAX_MESSAGE_BYTES);
            if let Some(payload) = frame.map_err(io::Error::other)? {
                let message = codec::decode(&payload).map_err(io::Error::other)?;
                return Ok(Heard::Message(message));
            }
            self.received.reserve(READ_BYTES);
            if self.messages.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a message on its way.
    fn put<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let mut frame = Vec::new();
        encode_frame(message, MAX_MESSAGE_BYTES, &mut frame).map_err(io::Error::other)?;
        self.waiting.push_back((Instant::now() + self.delay, frame));
        Ok(())
    }
}

/// Until then, or for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use models::DiskId;

    use super::*;
    use crate::runtime::metrics::Metrics;
    use crate::runtime::transport::tcp::{Tcp, TcpConfig};
    use crate::runtime::transport::{Deliver, Transport};
    use crate::{ClusterId, Identity};

    const DELAY: Duration = Duration::from_millis(200);

    #[derive(Clone)]
    struct Arrivals(mpsc::UnboundedSender<(NodeId, u32, Instant)>);

    impl Deliver<u32> for Arrivals {
        fn deliver(&self, from: NodeId, message: u32) {
            let _ = self.0.send((from, message, Instant::now()));
        }
    }

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind(ANY).await.expect("binds");
        let address = listener.local_addr().expect("bound").to_string();
        (listener, address)
    }

    fn config(id: u16, peers: BTreeMap<NodeId, String>) -> TcpConfig {
        let identity = Identity {
            cluster: "blue".into(),
            cluster_id: ClusterId([1; 16]),
            protocol: "none".into(),
            version: 1,
            node: NodeId(id),
            disk: DiskId::default(),
        };
        TcpConfig::new(identity, peers)
    }

    /// All of them, late, in order, and told before they arrive.
    #[tokio::test(flavor = "multi_thread")]
    async fn messages_arrive_late_and_in_order_and_are_told_when_they_are_sent() {
        let ((one, _), (two, address)) = (listener().await, listener().await);
        let mut nodes = [NodeConfig::new(NodeId(2), &address, "127.0.0.1:1", "2")];
        let (sent, mut told) = mpsc::unbounded_channel();
        let network = SlowNetwork::<u32>::before(&mut nodes, DELAY, &sent).expect("ports");
        assert_eq!(nodes[0].peer_listen(), address);
        let (arrivals, mut arrived) = mpsc::unbounded_channel();
        let metrics = || Arc::new(Metrics::default());
        let from_one = BTreeMap::from([(NodeId(1), ANY.to_owned())]);
        let to_two = BTreeMap::from([(NodeId(2), nodes[0].peer_address.clone())]);
        let arrivals = Arrivals(arrivals);
        let (_two, _) =
            Tcp::start(two, config(2, from_one), arrivals.clone(), metrics()).expect("starts");
        let (_one, mut transport) =
            Tcp::start(one, config(1, to_two), arrivals, metrics()).expect("starts");
        for message in 0..3_u32 {
            transport.send(NodeId(2), message);
        }
        for expected in 0..3 {
            let Sent { from, to, message } = told.recv().await.expect("told");
            assert_eq!((from, to, message), (NodeId(1), NodeId(2), expected));
            let heard = Instant::now();
            let (from, message, at) = arrived.recv().await.expect("arrives");
            assert_eq!((from, message), (NodeId(1), expected));
            // The first is told as it is sent; the others were told while it was on its way.
            assert!(expected > 0 || at - heard >= DELAY / 2, "{:?}", at - heard);
        }
        drop(network);
    }
}
