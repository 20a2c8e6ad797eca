//! How the orchestrator adds nodes to the registry: those of its file that come later, and those that an
//! operator adds.
//!
//! A node on an empty disk is asked for its disk; the registry with it in is on disk before the node is
//! invited, so that no two disks are ever known under one id.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use models::NodeId;
use tokio::time::sleep;

use crate::locks::Message;
use crate::locks::registry::Registry;
use crate::runtime::identity::Identity;
use crate::runtime::sync::Mutex;
use crate::runtime::transport::tcp::{Known, Peers, Probed, Security, probe};
use crate::service::address::Addresses;
use crate::service::founding::InitialMembers;
use crate::service::founding::bootstrap::PROBE_LIMIT;

/// The pause between two rounds over the nodes that are not there yet.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a node was not added. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdded {
    /// It will not be, as things are.
    #[error("{0}; nothing was changed")]
    Refused(String),
    /// It may be later.
    #[error("{0}; nothing was changed: try again")]
    NotNow(String),
}

/// A node that is to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) addresses: Addresses,
    /// Whether it is to register by itself.
    pub(crate) registers: bool,
}

/// Adds nodes to the registry.
pub(crate) struct NodeAdder {
    security: Security,
    identity: Identity,
    directory: PathBuf,
    peers: Peers<Message>,
    /// Held while a node is added: one at a time.
    registry: tokio::sync::Mutex<Registry>,
    /// What speaks against the nodes of the file that are not there yet.
    obstacles: Mutex<BTreeMap<NodeId, String>>,
}

impl NodeAdder {
    pub(crate) fn new(
        security: Security,
        identity: Identity,
        directory: PathBuf,
        peers: Peers<Message>,
        registry: Registry,
    ) -> Self {
        Self {
            security,
            identity,
            directory,
            peers,
            registry: tokio::sync::Mutex::new(registry),
            obstacles: Mutex::default(),
        }
    }

    /// Adds these nodes as soon as they are there. Ends when all are.
    pub(crate) async fn wait_for(&self, mut wanted: BTreeMap<NodeId, Wanted>) {
        while !wanted.is_empty() {
            for (id, node) in wanted.clone() {
                match self.add(id, &node).await {
                    Ok(_) => {
                        wanted.remove(&id);
                        self.obstacles.lock().remove(&id);
                    }
                    Err(NotAdded::NotNow(reason) | NotAdded::Refused(reason)) => {
                        self.note_obstacle(id, reason);
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn note_obstacle(&self, id: NodeId, reason: String) {
        let before = self.obstacles.lock().insert(id, reason.clone());
        if before.as_ref() != Some(&reason) {
            tracing::info!(node = %id, reason, "a node of the file cannot be invited yet");
        }
    }

    /// What speaks against the nodes of the file that are not there yet.
    pub(crate) fn obstacles(&self) -> BTreeMap<NodeId, String> {
        self.obstacles.lock().clone()
    }

    /// Adds a node, which must run on an empty disk. Returns whether it was there before, at these
    /// addresses.
    ///
    /// # Errors
    /// When it was not added.
    pub(crate) async fn add(&self, id: NodeId, wanted: &Wanted) -> Result<bool, NotAdded> {
        let mut registry = self.registry.lock().await;
        if let Some(known) = registry.iter().find(|(known, _)| *known == id) {
            let known = known.1.node.addresses();
            if known == wanted.addresses {
                return Ok(true);
            }
            return Err(NotAdded::Refused(format!(
                "node {} belongs to the cluster already, and came from {} for the others and {} for \
                 clients. If it has moved, write its new addresses in the cluster file of each node, \
                 and restart them one by one; another node needs an id that no node has had",
                id.0, known.peer, known.client
            )));
        }
        let address = &wanted.addresses.peer;
        let probed = probe(address, &self.security, &self.identity, id, PROBE_LIMIT).await;
        let disk = match probed {
            Probed::Blank(disk) => disk,
            Probed::Refuses(reason) => {
                return Err(NotAdded::Refused(format!(
                    "node {} refuses: {reason}. Only a node on an empty data directory can be added",
                    id.0
                )));
            }
            Probed::Silent(reason) => {
                return Err(NotAdded::NotNow(format!(
                    "node {} cannot be reached at {address}: {reason}. Start it first",
                    id.0
                )));
            }
        };
        let mut next = registry.clone();
        next.insert(id, disk, &wanted.addresses, wanted.registers)
            .map_err(NotAdded::Refused)?;
        next.write(&self.directory)
            .map_err(|error| NotAdded::NotNow(error.to_string()))?;
        *registry = next;
        tracing::info!(node = %id, %disk, address, "a node is added to the cluster");
        self.invite(id, &registry, address);
        Ok(false)
    }

    /// Tells the connections of a node in the registry.
    fn invite(&self, id: NodeId, registry: &Registry, address: &str) {
        let known = Known {
            disk: registry.disk(id),
            invitation: registry.encode(id),
        };
        self.peers.set_known(id, known);
        self.peers.set(id, address);
    }

    /// The nodes now.
    pub(crate) async fn registry(&self) -> Registry {
        self.registry.lock().await.clone()
    }
}
