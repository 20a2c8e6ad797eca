//! A new cluster of one node, with what a snapshot holds.

use std::path::PathBuf;

use models::NodeId;
use models::raft::log::Log;
use models::raft::snapshot::Snapshot as Installed;
use models::raft::state::Persistent;

use super::file::Snapshot;
use crate::kv::config::Config;
use crate::kv::recovery::recover::{RecoverError, alone, records, write};
use crate::kv::{PROTOCOL, VERSION};
use crate::runtime::identity::{ClusterId, Identity, random_disk};
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::data_directory::{self, DirectoryError, Held};
use crate::service::replacement;

/// Why nothing was restored. The data directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a journal already.
    #[error(
        "the data directory {0} holds a node's journal; nothing was changed. Restore into an empty one"
    )]
    Taken(PathBuf),
    /// As when a node is recovered.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// Makes node `id` of `config`, whose data directory is empty, the only member of a new cluster that has
/// what the snapshot holds: keys, revisions, leases and the sessions of clients. Returns the cluster's id.
///
/// # Errors
/// When its data directory is in use, not empty, or cannot be written.
pub fn restore(config: &Config, id: NodeId, snapshot: Snapshot) -> Result<ClusterId, RestoreError> {
    let node = config.node(id).map_err(RecoverError::from)?;
    let directory = &node.data_directory;
    let lock = DirectoryLock::acquire(directory).map_err(RecoverError::from)?;
    replacement::finish(&lock).map_err(RecoverError::from)?;
    let held = data_directory::examine(&lock).map_err(RecoverError::from)?;
    if matches!(held, Held::Journal(_)) {
        return Err(RestoreError::Taken(directory.clone()));
    }
    let random = |error| RecoverError::from(DirectoryError::random(error));
    let identity = Identity {
        cluster: config.cluster.clone(),
        cluster_id: ClusterId::random().map_err(random)?,
        protocol: PROTOCOL.to_owned(),
        version: VERSION,
        node: id,
        disk: random_disk().map_err(random)?,
    };
    let durable = durable(snapshot);
    let before = durable.snapshot.state.configuration.clone();
    let before = before.map(|in_force| in_force.configuration);
    let alone = alone(
        before.unwrap_or_default(),
        id,
        identity.disk,
        &Addresses::of(node),
    )?;
    let fresh = replacement::begin(&lock).map_err(RecoverError::from)?;
    write(&fresh, &identity, &records(&durable, alone))?;
    let kept = format!("before-restoration-{}", identity.cluster_id);
    replacement::replace(&lock, &kept, &|_| true).map_err(RecoverError::from)?;
    Ok(identity.cluster_id)
}

/// What a disk holds that has the snapshot and no log.
fn durable(snapshot: Snapshot) -> Persistent<crate::kv::Kv> {
    let term = snapshot.header.term;
    let installed = Installed {
        last_included_term: term,
        state: snapshot.state,
    };
    Persistent {
        current_term: term,
        snapshot: installed,
        log: Log::default(),
        ..Persistent::default()
    }
}
