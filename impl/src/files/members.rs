//! Who belongs to an ensemble: fixed when it is founded, each member known by its disk.
//!
//! ZAB has no record of who its voters are, so they are in a file of their own in every data
//! directory. It is on disk before the journal is begun, so a journal without it has lost something,
//! and is refused. Addresses may change: those of the cluster file are used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

use super::{FilesZab, PROTOCOL, VERSION};
use crate::files::server::node::zab;
use crate::runtime::codec;
use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::config::ClusterConfig;
use crate::service::data_directory::{self, DirectoryError, parse_disk};
use crate::service::founding::InitialMembers;

/// The file in the data directory.
const FILE: &str = "members";

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    /// The life of its disk, in hexadecimal digits.
    disk: String,
    /// Where it was when the cluster was founded.
    peer_address: String,
    client_address: String,
}

/// The members of an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ensemble {
    members: BTreeMap<NodeId, Member>,
}

/// Why a data directory does not say who the members are.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The file is not there.
    #[error(
        "{0} is missing, though there is a journal beside it: something has removed it. Nothing \
         was started. Copy it from another node of this cluster, where it is the same"
    )]
    Missing(PathBuf),
    /// It is not what was written.
    #[error(
        "{path} is damaged: {reason}. Nothing was started. Copy it from another node of this \
         cluster, where it is the same"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be read.
    #[error("{path}: {source}; nothing was started. Check the permissions there")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Ensemble {
    /// Who they are.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        self.members.keys().copied().collect()
    }

    /// The disk by which a member is known.
    pub fn disk(&self, node: NodeId) -> Option<DiskId> {
        self.members
            .get(&node)
            .and_then(|member| parse_disk(&member.disk))
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
    pub fn read(directory: &Path) -> Result<Self, MembersError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(MembersError::Missing(path));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let reason = "it is no text".to_owned();
                return Err(MembersError::Damaged { path, reason });
            }
            Err(source) => return Err(MembersError::Io { path, source }),
        };
        parse(&text).map_err(|reason| MembersError::Damaged { path, reason })
    }

    /// Writes it, whole or not at all.
    fn write(&self, directory: &Path) -> Result<(), DirectoryError> {
        let path = directory.join(FILE);
        let failed = |source| DirectoryError::Io {
            path: path.clone(),
            source,
        };
        let json = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let unfinished = path.with_extension("unfinished");
        File::create(&unfinished)
            .and_then(|mut file| {
                file.write_all(sealed(&json).as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(failed)
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

/// The text with its checksum.
fn sealed(json: &str) -> String {
    format!("{json}\ncrc32 {:08x}\n", crc32fast::hash(json.as_bytes()))
}

fn parse(text: &str) -> Result<Ensemble, String> {
    let (json, rest) = text.rsplit_once("\ncrc32 ").ok_or("it has no checksum")?;
    let expected = format!("{:08x}\n", crc32fast::hash(json.as_bytes()));
    if rest != expected {
        return Err("its checksum is another".to_owned());
    }
    let ensemble: Ensemble = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let unknown = ensemble
        .ids()
        .into_iter()
        .find(|id| ensemble.disk(*id).is_none());
    match unknown {
        Some(id) => Err(format!("the disk of node {} is none", id.0)),
        None => Ok(ensemble),
    }
}

impl InitialMembers for Ensemble {
    const PROTOCOL: &'static str = PROTOCOL;
    const VERSION: u32 = VERSION;
    const HOW_TO_JOIN: &'static str = "the members of a cluster that there is already are fixed: \
                                       none can be added";
    const AFTER_LOSS: &'static str = "The members of this service are fixed, so it cannot come back. \
                                      The others go on as long as they are a majority: keep them \
                                      running. To have as many nodes as before, found a new cluster, \
                                      and copy the files there (lockstep files read)";

    fn add(&mut self, node: NodeId, disk: DiskId, addresses: &Addresses) -> Result<(), String> {
        addresses.check()?;
        let member = Member {
            disk: disk.to_string(),
            peer_address: addresses.peer.clone(),
            client_address: addresses.client.clone(),
        };
        self.members.insert(node, member);
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
        let is_whole = ensemble.ids().iter().all(|id| ensemble.disk(*id).is_some());
        is_whole.then_some(ensemble)
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
        self.write(lock.directory())?;
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
    fn what_was_written_is_read_and_what_is_damaged_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = Ensemble::read(folder.path()).expect_err("not there");
        assert!(missing.to_string().contains("is missing"), "{missing}");
        two().write(folder.path()).expect("written");
        assert_eq!(Ensemble::read(folder.path()).expect("whole"), two());
        let path = folder.path().join(FILE);
        let text = fs::read_to_string(&path).expect("text");
        for damaged in [
            text.replace("a:1", "a:7"),
            text.replace("crc32", "crc33"),
            text[..text.len() / 2].to_owned(),
            String::new(),
            sealed("{}x"),
        ] {
            fs::write(&path, &damaged).expect("written");
            let error = Ensemble::read(folder.path()).expect_err("refused");
            assert!(
                error.to_string().contains("is damaged"),
                "{damaged}: {error}"
            );
            assert!(error.to_string().contains("Nothing was started"), "{error}");
        }
    }

    #[test]
    fn an_invitation_says_who_all_members_are() {
        let invitation = two().encode(NodeId(1)).expect("encodes");
        assert_eq!(Ensemble::decode(&invitation), Some(two()));
        assert_eq!(Ensemble::decode(b"nonsense"), None);
    }
}
