//! A network between processes of this machine that can be split: for demos and tests of what happens
//! when nodes live and cannot reach each other.
//!
//! Each node listens at an address of its own, and is known to the others at that of an intermediary,
//! which passes on what comes over TCP and UDP, or does not. Who sends is told by the first words of a
//! connection, which must be in the clear, and by the address that a datagram comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use models::NodeId;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::runtime::transport::tcp::overhear;
use crate::service::config::NodeConfig;

const ANY: &str = "127.0.0.1:0";
/// More than any datagram between nodes.
const DATAGRAM: usize = 2048;

/// The nodes that are cut off from all others, and not from each other.
type Apart = BTreeSet<NodeId>;

/// A network, for as long as it is there.
#[derive(Debug)]
pub struct SplitNetwork {
    apart: watch::Sender<Apart>,
    /// All that passes anything on, which ends with this.
    _tasks: JoinSet<()>,
}

/// What stands in front of one node.
#[derive(Clone)]
struct Intermediary {
    node: NodeId,
    /// Where the node listens.
    target: SocketAddr,
    /// Where all nodes listen, which is where their datagrams come from.
    nodes: Arc<BTreeMap<SocketAddr, NodeId>>,
    apart: watch::Receiver<Apart>,
}

impl SplitNetwork {
    /// Puts an intermediary in front of each node, which is to start later. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When there is no port for one, or a node's address is no IP address.
    pub fn before(nodes: &mut [NodeConfig]) -> io::Result<Self> {
        let addressed = nodes.iter().map(|node| {
            let address: Result<SocketAddr, _> = node.peer_address.parse();
            Ok((address.map_err(io::Error::other)?, node.id))
        });
        let listening: BTreeMap<SocketAddr, NodeId> = addressed.collect::<io::Result<_>>()?;
        let listening = Arc::new(listening);
        let apart = watch::Sender::new(Apart::new());
        let mut tasks = JoinSet::new();
        for node in nodes.iter_mut() {
            let (tcp, udp) = sockets()?;
            let target = node.put_behind(tcp.local_addr()?)?;
            let intermediary = Intermediary {
                node: node.id,
                target,
                nodes: listening.clone(),
                apart: apart.subscribe(),
            };
            tasks.spawn(intermediary.clone().pass_connections(tcp));
            tasks.spawn(intermediary.pass_datagrams(udp));
        }
        Ok(Self {
            apart,
            _tasks: tasks,
        })
    }

    /// From now on these nodes reach each other, and the others each other, and nobody anybody else.
    pub fn split(&self, apart: impl IntoIterator<Item = NodeId>) {
        self.apart.send_replace(apart.into_iter().collect());
    }

    /// From now on all nodes reach each other.
    pub fn heal(&self) {
        self.apart.send_replace(Apart::new());
    }
}

/// A port for both.
fn sockets() -> io::Result<(TcpListener, UdpSocket)> {
    let tcp = std::net::TcpListener::bind(ANY)?;
    let udp = std::net::UdpSocket::bind(tcp.local_addr()?)?;
    tcp.set_nonblocking(true)?;
    udp.set_nonblocking(true)?;
    Ok((TcpListener::from_std(tcp)?, UdpSocket::from_std(udp)?))
}

impl Intermediary {
    fn is_cut_off(&self, from: NodeId) -> bool {
        let apart = self.apart.borrow();
        apart.contains(&from) != apart.contains(&self.node)
    }

    async fn pass_connections(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((caller, _)) = listener.accept().await {
            connections.spawn(self.clone().pass_connection(caller));
            while connections.try_join_next().is_some() {}
        }
    }

    /// A connection ends when its ends come to be cut off from each other.
    async fn pass_connection(self, mut caller: TcpStream) {
        let Some((from, words)) = overhear(&mut caller).await else {
            return;
        };
        let mut apart = self.apart.clone();
        let cut = async { while !self.is_cut_off(from) && apart.changed().await.is_ok() {} };
        let pass = async {
            let mut called = TcpStream::connect(self.target).await?;
            called.write_all(&words).await?;
            copy_bidirectional(&mut caller, &mut called).await
        };
        tokio::select! {
            biased;
            () = cut => {}
            _ = pass => {}
        }
    }

    /// Each sender's datagrams go on from a socket of their own, so that what is answered comes back to
    /// it.
    async fn pass_datagrams(self, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut ways: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
        let mut answers = JoinSet::new();
        let mut buffer = [0; DATAGRAM];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            let sender = self.nodes.get(&from);
            if sender.is_some_and(|sender| self.is_cut_off(*sender)) {
                continue;
            }
            let way = match ways.get(&from) {
                Some(way) => way.clone(),
                None => {
                    let Ok(way) = UdpSocket::bind(ANY).await else {
                        continue;
                    };
                    let way = Arc::new(way);
                    ways.insert(from, way.clone());
                    let back = self.clone().pass_answers(way.clone(), socket.clone(), from);
                    answers.spawn(back);
                    way
                }
            };
            // One that is lost is lost.
            let _ = way.send_to(&buffer[..length], self.target).await;
        }
    }

    async fn pass_answers(self, way: Arc<UdpSocket>, socket: Arc<UdpSocket>, to: SocketAddr) {
        let mut buffer = [0; DATAGRAM];
        while let Ok((length, _)) = way.recv_from(&mut buffer).await {
            let receiver = self.nodes.get(&to);
            if !receiver.is_some_and(|receiver| self.is_cut_off(*receiver)) {
                let _ = socket.send_to(&buffer[..length], to).await;
            }
        }
    }
}
