//! Nodes that talk over loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use lockstep::Identity;
use lockstep::runtime::driver::{NodeBuilder, RunningNode, mailbox};
use lockstep::runtime::journal::{FileJournal, FileJournalOptions};
use lockstep::runtime::transport::tcp::{Tcp, TcpConfig};
use models::NodeId;
use tokio::net::TcpListener;

use super::journals::identity;
use super::tally::{Event, Message, Tally, spans};
use super::watch::{Watch, events};

/// A node with its connections.
pub(crate) struct Member {
    pub(crate) node: RunningNode<Tally>,
    pub(crate) tcp: Tcp<Message>,
    pub(crate) events: Watch<Event>,
}

/// A listener on a free port.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

pub(crate) fn identity_of(id: u16) -> Identity {
    Identity {
        node: NodeId(id),
        ..identity()
    }
}

/// Short pauses, so that tests are quick.
pub(crate) fn config(id: u16, peers: &[(u16, SocketAddr)]) -> TcpConfig {
    let peers: BTreeMap<_, _> = peers
        .iter()
        .map(|(peer, address)| (NodeId(*peer), address.to_string()))
        .collect();
    TcpConfig {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        ..TcpConfig::new(identity_of(id), peers)
    }
}

impl Member {
    /// Starts a node whose journal is in `directory`.
    pub(crate) fn start(config: TcpConfig, listener: TcpListener, directory: &Path) -> Self {
        let identity = config.identity.clone();
        let (inbox, mailbox) = mailbox(1024);
        let metrics = inbox.metrics().clone();
        let tally = Tally {
            id: identity.node,
            peers: config.peers.keys().copied().collect(),
        };
        let (tcp, transport) =
            Tcp::start(listener, config, inbox.clone(), metrics).expect("starts");
        let journal =
            FileJournal::open(directory, identity, FileJournalOptions::default()).expect("opens");
        let (sink, events) = events();
        let node = NodeBuilder::new(tally, spans, sink)
            .spawn((inbox, mailbox), journal, transport)
            .expect("starts");
        Self { node, tcp, events }
    }

    pub(crate) async fn stop(self) {
        tokio::task::block_in_place(|| self.node.shutdown()).expect("stops in order");
        self.tcp.shutdown().await;
    }
}
