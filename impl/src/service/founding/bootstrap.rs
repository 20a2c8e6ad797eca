//! How a cluster begins, once, and how a node on an empty disk comes to belong to one.
//!
//! A node on an empty disk belongs to no cluster. It says so, and waits: for a member that knows
//! it by the id of its disk and invites it, or, if it is the first node of its file, for leave to
//! found the cluster (`lockstep init`, or `init_on_first_start` in the file). To found it, it asks
//! every other node of the file for its disk: all must be there and on empty disks. It then
//! draws the cluster id, notes on its own disk who the members are, each by its disk, and starts;
//! its first calls invite the others.
//!
//! So nobody joins by accident: a member whose disk has been emptied has another disk id than the
//! cluster knows it by, and is invited by nobody; and a founder whose disk has been emptied finds
//! members of its cluster, and founds no other.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use models::{DiskId, NodeId};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{InitialMembers, ServiceProtocol};
use crate::runtime::driver::FormatError;
use crate::runtime::identity::{ClusterId, Identity};
use crate::runtime::journal::DirectoryLock;
use crate::runtime::transport::tcp::{
    Blank, Invitation, MAX_INVITATION_BYTES, Probed, Security, probe,
};
use crate::service::address::Addresses;
use crate::service::config::ClusterConfig;
use crate::service::data_directory::{self, DirectoryError, Held};

/// A node that is asked for its disk has this long to answer.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// The pause between two rounds over the nodes of the file.
const PAUSE: Duration = Duration::from_millis(200);

/// What a blank node knows of its state. Shown by its status page, and said in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether somebody has asked to found the cluster.
    pub asked: bool,
    /// Why it has not been founded yet, by node.
    pub hindrances: BTreeMap<NodeId, String>,
    /// The cluster that takes this node for a member that has lost its disk, and what it says.
    pub denied: Option<(ClusterId, String)>,
    /// The cluster that the node belongs to now.
    pub cluster_id: Option<ClusterId>,
}

/// A node on an empty disk.
pub(crate) struct BlankNode<'a, M> {
    pub(crate) config: &'a ClusterConfig,
    pub(crate) security: Security,
    pub(crate) identity: Identity,
    pub(crate) lock: DirectoryLock,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) members: PhantomData<fn() -> M>,
}

/// Who node `id` of `config` is on an empty disk: nobody's.
pub(crate) fn blank_identity<M: ServiceProtocol>(
    config: &ClusterConfig,
    id: NodeId,
    disk: DiskId,
) -> Identity {
    Identity {
        cluster: config.cluster.clone(),
        cluster_id: ClusterId::default(),
        protocol: M::PROTOCOL.to_owned(),
        version: M::VERSION,
        node: id,
        disk,
    }
}

impl<M: InitialMembers> BlankNode<'_, M> {
    /// Waits until the node belongs to a cluster, and its disk says so.
    ///
    /// # Errors
    /// When the disk cannot be written, or the listener fails.
    pub(crate) async fn wait(&self, peers: &TcpListener) -> Result<(), DirectoryError> {
        let (cluster_id, members) = tokio::select! {
            invited = self.be_invited(peers) => invited,
            members = self.found() => {
                let cluster_id = ClusterId::random().map_err(DirectoryError::random)?;
                tracing::info!(%cluster_id, %members, "founds the cluster");
                (cluster_id, members)
            }
        };
        let identity = Identity {
            cluster_id,
            ..self.identity.clone()
        };
        members.format(&self.lock, identity)?;
        self.progress
            .send_modify(|progress| progress.cluster_id = Some(cluster_id));
        Ok(())
    }

    /// Waits for a member that invites this node. Returns its cluster, and the members to start
    /// from.
    async fn be_invited(&self, peers: &TcpListener) -> (ClusterId, M) {
        let blank = Blank {
            security: &self.security,
            identity: &self.identity,
            limit: PROBE_LIMIT,
        };
        loop {
            let on_other_disk = |cluster_id, reason: String| self.note_denial(cluster_id, reason);
            let Invitation {
                cluster_id,
                from,
                records,
            } = blank.wait_for_invitation(peers, on_other_disk).await;
            match M::decode(&records) {
                Some(members) => {
                    tracing::info!(%cluster_id, %from, "joins the cluster");
                    return (cluster_id, members);
                }
                None => tracing::error!(
                    %cluster_id, %from,
                    "an invitation is not understood, and nothing was changed: run the same \
                     version of this program on all nodes"
                ),
            }
        }
    }

    /// Says that the cluster knows this node with another disk.
    fn note_denial(&self, cluster_id: ClusterId, reason: String) {
        let reason = format!("{reason}. {}", M::AFTER_LOSS);
        let denied = Some((cluster_id, reason.clone()));
        let is_news = self.progress.send_if_modified(|progress| {
            let is_news = progress.denied != denied;
            progress.denied = denied;
            is_news
        });
        if is_news {
            tracing::error!(%cluster_id, reason, "this node's data directory is empty, and its cluster knows it with another disk");
        }
    }

    /// Waits for leave to found the cluster and for all its nodes, and returns who they are.
    /// Never returns at a node that is not the first of the file.
    async fn found(&self) -> M {
        if self.config.founder() != Some(self.identity.node) {
            return std::future::pending().await;
        }
        let mut progress = self.progress.subscribe();
        // An error means that nobody can ask any more.
        if !self.config.init_on_first_start
            && progress.wait_for(|progress| progress.asked).await.is_err()
        {
            return std::future::pending().await;
        }
        loop {
            match self.gather().await {
                Ok(members) => return members,
                Err(hindrances) => self.note_hindrances(hindrances),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note_hindrances(&self, hindrances: BTreeMap<NodeId, String>) {
        let is_news = self.progress.send_if_modified(|progress| {
            let is_news = progress.hindrances != hindrances;
            progress.hindrances.clone_from(&hindrances);
            is_news
        });
        if is_news {
            for (node, reason) in &hindrances {
                tracing::warn!(%node, reason, "the cluster cannot be founded yet: trying again");
            }
        }
    }

    /// Asks every other node of the file for its disk. A cluster that is there already, by the word
    /// of any of them, keeps this node from founding another.
    async fn gather(&self) -> Result<M, BTreeMap<NodeId, String>> {
        let mut members = M::begun_by(self.identity.node);
        let mut hindrances = BTreeMap::new();
        for node in &self.config.nodes {
            let addresses = Addresses::of(node);
            let probed = if node.id == self.identity.node {
                Probed::Blank(self.identity.disk)
            } else {
                probe(
                    &addresses.peer,
                    &self.security,
                    &self.identity,
                    node.id,
                    PROBE_LIMIT,
                )
                .await
            };
            let added = match probed {
                // No founder; but were there a cluster already, it would know.
                Probed::Blank(_) | Probed::Silent(_) if !node.member => continue,
                Probed::Blank(disk) => members.add(node.id, disk, &addresses),
                Probed::Refuses(reason) => Err(format!("it refuses: {reason}")),
                Probed::Silent(reason) => Err(format!("it cannot be reached: {reason}")),
            };
            if let Err(reason) = added {
                hindrances.insert(node.id, reason);
            }
        }
        if let Some((_, reason)) = &self.progress.borrow().denied {
            let reason = format!("its cluster knows it already: {reason}");
            hindrances.insert(self.identity.node, reason);
        }
        if let Some(reason) = too_large(&members) {
            hindrances.insert(self.identity.node, reason);
        }
        if hindrances.is_empty() {
            Ok(members)
        } else {
            Err(hindrances)
        }
    }
}

/// In words, why nobody could be invited to begin with `members`, if so: an invitation tells who they
/// all are, in one message.
pub(crate) fn too_large<M: InitialMembers>(members: &M) -> Option<String> {
    let invitation = members.encode(NodeId(u16::MAX));
    let bytes = invitation.map_or(usize::MAX, |invitation| invitation.len());
    (bytes > MAX_INVITATION_BYTES).then(|| {
        format!(
            "{} nodes with these addresses take {bytes} bytes in an invitation, which has \
             room for {MAX_INVITATION_BYTES}: remove members that are gone, or use shorter names",
            members.count()
        )
    })
}

/// Founds the cluster of `config` on this machine, all its nodes at once, before any of them
/// runs: for tests and benchmarks whose nodes share a disk.
///
/// # Errors
/// When a directory is not empty, or cannot be written.
pub fn found_all<M: InitialMembers>(config: &ClusterConfig) -> Result<ClusterId, DirectoryError> {
    let cluster_id = ClusterId::random().map_err(DirectoryError::random)?;
    let mut members = config.founder().map_or_else(M::default, M::begun_by);
    let mut blank = Vec::new();
    for node in &config.nodes {
        let lock = DirectoryLock::acquire(&node.data_directory)?;
        let Held::Nothing(disk) = data_directory::examine(&lock)? else {
            return Err(FormatError::NotEmpty.into());
        };
        let added = members.add(node.id, disk, &Addresses::of(node));
        added.map_err(|reason| DirectoryError::Unusable {
            path: node.data_directory.clone(),
            reason,
        })?;
        blank.push((lock, blank_identity::<M>(config, node.id, disk)));
    }
    for (lock, identity) in blank {
        let identity = Identity {
            cluster_id,
            ..identity
        };
        members.format(&lock, identity)?;
    }
    Ok(cluster_id)
}
