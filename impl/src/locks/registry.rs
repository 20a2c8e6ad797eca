//! Which nodes belong to a cluster of locks, each by its disk, and which of them is the
//! orchestrator. Who of them is a member at the moment is the orchestrator's to say, by its epochs.
//!
//! The orchestrator keeps the registry, in a file beside its journal, and adds nodes to it; each other
//! node has what was in it when it was invited. A node that comes with another disk than the registry has is
//! refused: it has forgotten in which epochs it was, and would join one again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::Path;

use models::maekawa::state::Record;
use models::{DiskId, NodeId, Protocol};
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use super::{Maekawa, PROTOCOL, VERSION};
use crate::runtime::codec;
use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::data_directory::{self, DirectoryError};
use crate::service::founding::{InitialMembers, ServiceProtocol};
use crate::service::member::Member;
use crate::service::sealed_file::{SealedError, SealedFile};

/// The file in the data directory.
const FILE: SealedFile = SealedFile {
    name: "registry",
    remedy: "There is no copy of the orchestrator's. A node that is none has lost nothing but this: let \
             another node take its place, under an id that no node has had, and see `lockstep locks add`",
};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredNode {
    /// Its disk and its addresses.
    pub node: Member,
    /// Whether it registers by itself when it starts for the first time.
    pub registers: bool,
}

/// The nodes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    orchestrator: NodeId,
    nodes: BTreeMap<NodeId, RegisteredNode>,
}

impl Registry {
    /// The orchestrator.
    pub fn orchestrator(&self) -> NodeId {
        self.orchestrator
    }

    /// Who they are.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// Their numbers, with what is known of each.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &RegisteredNode)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// The disk by which a node is known.
    pub fn disk(&self, node: NodeId) -> Option<DiskId> {
        self.nodes.get(&node)?.node.disk()
    }

    /// Where the orchestrator and those that register by themselves were when they came: what a file
    /// lists as members.
    pub(crate) fn members_at(&self) -> impl Iterator<Item = (NodeId, Option<String>)> + '_ {
        let nodes = self.nodes.iter();
        nodes
            .filter(|(id, node)| node.registers || **id == self.orchestrator)
            .map(|(&id, node)| (id, Some(node.node.peer_address.clone())))
    }

    /// Adds a node.
    ///
    /// # Errors
    /// In words, when it cannot be one.
    pub(crate) fn insert(
        &mut self,
        id: NodeId,
        disk: DiskId,
        addresses: &Addresses,
        registers: bool,
    ) -> Result<(), String> {
        let node = Member::new(disk, addresses)?;
        self.nodes.insert(id, RegisteredNode { node, registers });
        Ok(())
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the directory does not say.
    pub fn read(directory: &Path) -> Result<Self, SealedError> {
        FILE.read(directory, Self::check)
    }

    /// Writes it, whole or not at all.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), DirectoryError> {
        FILE.write(directory, self)
    }

    fn check(&self) -> Result<(), String> {
        let mut ids = self.nodes.keys();
        match ids.find(|id| self.disk(**id).is_none()) {
            Some(id) => Err(format!("the disk of node {} is none", id.0)),
            None => Ok(()),
        }
    }

    /// In words, how a file that names `orchestrator` contradicts the disk, if it does.
    pub(crate) fn contradicts(&self, orchestrator: NodeId) -> Option<String> {
        (orchestrator != self.orchestrator).then(|| {
            format!(
                "the file names node {} as the orchestrator, and this cluster was founded under node \
                 {}, which is fixed: another would number its epochs anew, and give tokens out \
                 twice. Write locks.orchestrator = {} in the file, or name the right file",
                orchestrator.0, self.orchestrator.0, self.orchestrator.0
            )
        })
    }
}

impl Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.nodes.keys().map(|id| id.0.to_string()).collect();
        write!(f, "{} under {}", ids.join(", "), self.orchestrator.0)
    }
}

impl ServiceProtocol for Registry {
    const PROTOCOL: &'static str = PROTOCOL;
    const VERSION: u32 = VERSION;
}

impl InitialMembers for Registry {
    const HOW_TO_JOIN: &'static str = "a cluster that there is already invites this node by itself if \
                                       the orchestrator's file lists it, and else by `lockstep locks \
                                       add`";
    const AFTER_LOSS: &'static str = "It has forgotten in which epochs it was, so it cannot come back \
                                      under this id: start it on an empty data directory under an id that \
                                      no node has had (`lockstep locks add`). Where it was the \
                                      orchestrator, there are no more epochs: found a new cluster";

    fn begun_by(founder: NodeId) -> Self {
        Self {
            orchestrator: founder,
            ..Self::default()
        }
    }

    fn add(&mut self, node: NodeId, disk: DiskId, addresses: &Addresses) -> Result<(), String> {
        let registers = node != self.orchestrator;
        self.insert(node, disk, addresses, registers)
    }

    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn encode(&self, _node: NodeId) -> Option<Vec<u8>> {
        codec::encode(self).ok()
    }

    fn decode(invitation: &[u8]) -> Option<Self> {
        let registry: Self = codec::decode(invitation).ok()?;
        registry.check().is_ok().then_some(registry)
    }

    /// The registry and the count of starts first, and only then the journal: whoever finds a journal
    /// finds them. What the journal begins with says whether the node is to be a member.
    fn format(&self, lock: &DirectoryLock, identity: Identity) -> Result<(), DirectoryError> {
        let id = identity.node;
        let own = self.nodes.get(&id);
        let own = own.filter(|own| own.node.disk() == Some(identity.disk));
        let Some(own) = own else {
            return Err(DirectoryError::Unusable {
                path: lock.directory().to_owned(),
                reason: format!("node {} is none of the nodes {self}", id.0),
            });
        };
        self.write(lock.directory())?;
        Numbers::begin(lock.directory())?;
        let maekawa = Maekawa::new(id, self.orchestrator);
        let mut records = maekawa.format();
        if own.registers {
            records.push(Record::Registered(true));
        }
        data_directory::format_with::<Maekawa>(lock, identity, &records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Registry {
        let mut registry = Registry::begun_by(NodeId(0));
        for id in 0..=1 {
            let addresses = Addresses {
                peer: format!("a:{id}7"),
                client: format!("b:{id}8"),
            };
            let added = registry.add(NodeId(id), DiskId([id as u8; 16]), &addresses);
            added.expect("good addresses");
        }
        registry
    }

    #[test]
    fn an_invitation_says_who_the_orchestrator_is_and_who_registers() {
        let invitation = two().encode(NodeId(1)).expect("encodes");
        let registry = Registry::decode(&invitation).expect("decodes");
        assert_eq!(registry, two());
        assert_eq!(registry.orchestrator(), NodeId(0));
        let registers: Vec<bool> = registry.iter().map(|(_, node)| node.registers).collect();
        assert_eq!(registers, [false, true]);
        assert_eq!(Registry::decode(b"nonsense"), None);
    }

    #[test]
    fn another_orchestrator_contradicts_the_disk() {
        assert_eq!(two().contradicts(NodeId(0)), None);
        let words = two().contradicts(NodeId(1)).expect("contradicts");
        assert!(words.contains("founded under node 0"), "{words}");
    }

    #[test]
    fn the_roll_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        two().write(folder.path()).expect("written");
        assert_eq!(Registry::read(folder.path()).expect("whole"), two());
    }
}
