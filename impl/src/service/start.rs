//! What the start of every node has: its listeners, and why it does not start.

use std::io;
use std::path::PathBuf;

use models::NodeId;
use tokio::net::TcpListener;

use crate::runtime::driver;
use crate::runtime::identity::Identity;
use crate::runtime::journal::{DirectoryLock, Journal, JournalError, Store};
use crate::runtime::recording::RecordingError;
use crate::runtime::tls::TlsError;
use crate::service::config::{ClusterConfig, Fault, NodeConfig};
use crate::service::data_directory::{self, DirectoryError, Held};
use crate::service::founding::ServiceProtocol;
use crate::service::founding::bootstrap::blank_identity;
use crate::service::gossip_key::GossipKeyError;
use crate::service::http_client::SetUpError;
use crate::service::open_files::OpenFilesError;
use crate::service::store_move::move_journal;
use crate::service::tokens::TokensError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] Fault),
    /// An address cannot be had.
    #[error(
        "cannot listen on {address} ({what}): {source}; nothing was started. Choose a free \
         address of this machine; where the others reach it at another address, peer_listen \
         and client_listen say what to listen on"
    )]
    Listen {
        /// The field of the configuration.
        what: &'static str,
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The credentials are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key with which datagrams are signed is of no use.
    #[error(transparent)]
    GossipKey(#[from] GossipKeyError),
    /// The tokens are of no use.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The process may open too few files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The data directory is of no use.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The data directory belongs to no cluster.
    #[error(
        "the data directory {0} is empty: this node belongs to no cluster yet, and nothing was \
         started"
    )]
    Blank(PathBuf),
    /// The data directory does not say who the members are.
    #[error("{0}")]
    Members(String),
    /// The file and the disk contradict each other.
    #[error("{0}; nothing was started")]
    Contradiction(String),
    /// The node refused to start.
    #[error(transparent)]
    Node(#[from] driver::StartError),
    /// The HTTP client cannot be had.
    #[error("the client of other nodes did not start: {0}; nothing was started")]
    Http(#[from] SetUpError),
    /// The recording cannot be made.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A listener is of no use.
    #[error("a listener failed: {0}; nothing was started")]
    Io(#[from] io::Error),
}

/// Opens the journal of node `id`, a member of `cluster`, and tells whose it is. Nothing is read yet.
///
/// # Errors
/// When it cannot be had, or belongs to no cluster yet.
pub(crate) fn open_journal<M: ServiceProtocol>(
    cluster: &ClusterConfig,
    id: NodeId,
) -> Result<(Identity, Box<dyn Journal>), StartError> {
    let node = cluster.node(id)?;
    let directory = &node.data_directory;
    let lock = DirectoryLock::acquire(directory)?;
    let Held::Journal(found) = data_directory::examine(&lock)? else {
        return Err(StartError::Blank(directory.clone()));
    };
    let identity = Identity {
        cluster_id: found.cluster_id,
        ..blank_identity::<M>(cluster, id, found.disk)
    };
    if let Some((store, _)) = Store::of(directory)?.filter(|(store, _)| *store != node.journal) {
        let kept = move_journal(&lock, &identity, store, node.journal)?;
        tracing::info!(
            node = %id, from = %store, to = %node.journal, kept = %kept.display(),
            "the journal was moved; the old one is kept, and needed no more"
        );
    }
    let journal = node.journal.journal(lock, identity.clone());
    Ok((identity, journal))
}

/// A node's listeners.
#[derive(Debug)]
pub struct Listeners {
    /// For the other nodes.
    pub peer: TcpListener,
    /// For clients.
    pub client: TcpListener,
    /// For metrics; none where the program shows them elsewhere, with its own.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Listens where `config` says.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub async fn bind(config: &NodeConfig) -> Result<Self, StartError> {
        Ok(Self {
            peer: listen(
                match config.peer_listen {
                    Some(_) => "peer_listen",
                    None => "peer_address",
                },
                config.peer_listen(),
            )
            .await?,
            client: listen(
                match config.client_listen {
                    Some(_) => "client_listen",
                    None => "client_address",
                },
                config.client_listen(),
            )
            .await?,
            metrics: Some(listen("metrics_address", &config.metrics_address()).await?),
        })
    }
}

async fn listen(what: &'static str, address: &str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen {
        what,
        address: address.to_owned(),
        source,
    })
}
