//! Who belongs to an ensemble: fixed when it is founded, each member known by its disk.
//!
//! ZAB has no record of who its voters are, so they are in a file of their own in every data
//! directory. It is on disk before the journal is begun, so a journal without it has lost something,
//! and is refused. Addresses may change: those of the cluster file are used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::Path;

use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

use super::{FilesZab, PROTOCOL, VERSION};
use crate::files::server::node::zab;
use crate::runtime::codec;
use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::config::ClusterConfig;
use crate::service::data_directory::{self, DirectoryError};
use crate::service::founding::{InitialMembers, ServiceProtocol};
use crate::service::member::Member;
use crate::service::sealed_file::{SealedError, SealedFile};

/// The file in the data directory.
const FILE: SealedFile = SealedFile {
    name: "members",
    remedy: "Copy it from another node of this cluster, where it is the same",
};

/// The members of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ensemble {
    members: BTreeMap<NodeId, Member>,
}

impl Ensemble {
    /// Who they are.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        self.members.keys().copied().collect()
    }

    /// The disk by which a member is known.
    pub fn disk(&self, node: NodeId) -> Option<DiskId> {
        self.members.get(&node).and_then(Member::disk)
    }

    /// Where the members were when the cluster was founded.
    pub(crate) fn founded_at(&self) -> impl Iterator<Item = (NodeId, Option<String>)> + '_ {
        let members = self.members.iter();
        members.map(|(&id, member)| (id, Some(member.peer_address.clone())))
    }

    /// Reads who the members are.
    ///
    /// # Errors
    /// When the directory does not say.
    pub fn read(directory: &Path) -> Result<Self, SealedError> {
        FILE.read(directory, Self::check)
    }

    fn check(&self) -> Result<(), String> {
        let mut ids = self.members.keys();
        match ids.find(|id| self.disk(**id).is_none()) {
            Some(id) => Err(format!("the disk of node {} is none", id.0)),
            None => Ok(()),
        }
    }

    /// In words, how the nodes of a file contradict the members on disk, if they do.
    pub fn contradicts(&self, config: &ClusterConfig) -> Option<String> {
        let listed: BTreeSet<NodeId> = config.nodes.iter().map(|node| node.id).collect();
        let members = self.ids();
        (listed != members).then(|| {
            format!(
                "the file lists the nodes {}, and this cluster was founded with {}, which is \
                 fixed: the disks of all nodes say so. Write these nodes in the file, or name the \
                 right file",
                words(&listed),
                words(&members)
            )
        })
    }
}

impl Display for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words(&self.ids()))
    }
}

fn words(ids: &BTreeSet<NodeId>) -> String {
    let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    ids.join(", ")
}

impl ServiceProtocol for Ensemble {
    const PROTOCOL: &'static str = PROTOCOL;
    const VERSION: u32 = VERSION;
}

impl InitialMembers for Ensemble {
    const HOW_TO_JOIN: &'static str = "the members of a cluster that there is already are fixed: \
                                       none can be added";
    const AFTER_LOSS: &'static str = "The members of this service are fixed, so it cannot come back. \
                                      The others go on as long as they are a majority: keep them \
                                      running. To have as many nodes as before, found a new cluster, \
                                      and copy the files there (lockstep files read)";

    fn add(&mut self, node: NodeId, disk: DiskId, addresses: &Addresses) -> Result<(), String> {
        self.members.insert(node, Member::new(disk, addresses)?);
        Ok(())
    }

    fn count(&self) -> usize {
        self.members.len()
    }

    fn encode(&self, _node: NodeId) -> Option<Vec<u8>> {
        codec::encode(self).ok()
    }

    fn decode(invitation: &[u8]) -> Option<Self> {
        let ensemble: Self = codec::decode(invitation).ok()?;
        ensemble.check().is_ok().then_some(ensemble)
    }

    /// The members first, and only then the journal: whoever finds a journal finds them.
    fn format(&self, lock: &DirectoryLock, identity: Identity) -> Result<(), DirectoryError> {
        let id = identity.node;
        if self.disk(id) != Some(identity.disk) {
            return Err(DirectoryError::Unusable {
                path: lock.directory().to_owned(),
                reason: format!("node {} is none of the members {self}", id.0),
            });
        }
        FILE.write(lock.directory(), self)?;
        let protocol: FilesZab = zab(id, &self.ids(), &Default::default());
        data_directory::format(lock, identity, &protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Ensemble {
        let mut ensemble = Ensemble::default();
        for id in 1..=2 {
            let addresses = Addresses {
                peer: format!("a:{id}"),
                client: format!("b:{id}"),
            };
            let added = ensemble.add(NodeId(id), DiskId([id as u8; 16]), &addresses);
            added.expect("good addresses");
        }
        ensemble
    }

    #[test]
    fn a_member_without_a_disk_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        FILE.write(folder.path(), &two()).expect("written");
        assert_eq!(Ensemble::read(folder.path()).expect("whole"), two());
        let mut ensemble = serde_json::to_value(two()).expect("encodes");
        ensemble["2"]["disk"] = "none".into();
        FILE.write(folder.path(), &ensemble).expect("written");
        let error = Ensemble::read(folder.path()).expect_err("refused");
        let error = error.to_string();
        assert!(error.contains("the disk of node 2 is none"), "{error}");
    }

    #[test]
    fn an_invitation_says_who_all_members_are() {
        let invitation = two().encode(NodeId(1)).expect("encodes");
        assert_eq!(Ensemble::decode(&invitation), Some(two()));
        assert_eq!(Ensemble::decode(b"nonsense"), None);
    }
}
