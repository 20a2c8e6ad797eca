//! A member's own data directory, taken for as long as the node runs.

use models::NodeId;

use crate::runtime::identity::Identity;
use crate::runtime::journal::{DirectoryLock, FileJournal, FileJournalOptions};
use crate::service::config::ClusterConfig;
use crate::service::data_directory::{self, Held};
use crate::service::founding::InitialMembers;
use crate::service::founding::bootstrap::blank_identity;
use crate::service::start::StartError;

/// The journal of a member, and whose it is.
pub(crate) struct OwnJournal {
    pub(crate) identity: Identity,
    pub(crate) journal: FileJournal,
}

impl OwnJournal {
    /// Opens that of node `id`.
    ///
    /// # Errors
    /// When it cannot be had, or belongs to no cluster yet. Nothing was started then.
    pub(crate) fn open<M: InitialMembers>(
        cluster: &ClusterConfig,
        id: NodeId,
    ) -> Result<Self, StartError> {
        let directory = &cluster.node(id)?.data_directory;
        let lock = DirectoryLock::acquire(directory)?;
        let Held::Journal(found) = data_directory::examine(&lock)? else {
            return Err(StartError::Blank(directory.clone()));
        };
        let identity = Identity {
            cluster_id: found.cluster_id,
            ..blank_identity::<M>(cluster, id, found.disk)
        };
        let options = FileJournalOptions::default();
        Ok(Self {
            journal: FileJournal::in_locked(lock, identity.clone(), options),
            identity,
        })
    }
}
