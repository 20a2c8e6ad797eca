//! What a cluster of this store begins with, and how a member invites a node on an empty disk: a
//! configuration of Raft's.

use models::raft::configuration::Configuration;
use models::raft::state::Record;
use models::{DiskId, NodeId, Protocol};

use crate::kv::{Kv, KvRaft, PROTOCOL, VERSION};
use crate::runtime::codec;
use crate::runtime::identity::Identity;
use crate::runtime::journal::DirectoryLock;
use crate::service::address::Addresses;
use crate::service::data_directory::{self, DirectoryError};
use crate::service::founding::bootstrap::too_large;
use crate::service::founding::{InitialMembers, ServiceProtocol};

impl ServiceProtocol for Configuration {
    const PROTOCOL: &'static str = PROTOCOL;
    const VERSION: u32 = VERSION;
}

impl InitialMembers for Configuration {
    const HOW_TO_JOIN: &'static str = "a node that is to join a cluster which there is already is \
                                       added by `lockstep members add`";
    const AFTER_LOSS: &'static str = "Remove it (lockstep members remove ID), and add it under an id \
                                      that no node has had (lockstep members add)";

    fn add(&mut self, node: NodeId, disk: DiskId, addresses: &Addresses) -> Result<(), String> {
        let contact = addresses.contact(disk).map_err(|error| error.to_string())?;
        self.voters.insert(node);
        self.contacts.insert(node, contact);
        Ok(())
    }

    fn count(&self) -> usize {
        self.contacts.len()
    }

    fn encode(&self, node: NodeId) -> Option<Vec<u8>> {
        let raft = KvRaft::with_initial(node, self.clone());
        codec::encode(&raft.format()).ok()
    }

    fn decode(invitation: &[u8]) -> Option<Self> {
        let records: Vec<Record<Kv>> = codec::decode(invitation).ok()?;
        records.into_iter().find_map(|record| match record {
            Record::Initialize { configuration } => Some(configuration),
            _ => None,
        })
    }

    fn format(&self, lock: &DirectoryLock, identity: Identity) -> Result<(), DirectoryError> {
        let raft = KvRaft::with_initial(identity.node, self.clone());
        data_directory::format(lock, identity, &raft)
    }
}

/// What invites `node`, a member by `committed`, by the disk that it has there: the configuration
/// that the cluster started with if it was a founder, on that very disk; one of no voters if it
/// joins later.
pub(crate) fn invitation(
    initial: &Configuration,
    committed: &Configuration,
    node: NodeId,
) -> Option<Vec<u8>> {
    if !committed.is_member(node) {
        return None;
    }
    let known = committed.contacts.get(&node)?;
    let is_founder = initial
        .contacts
        .get(&node)
        .is_some_and(|first| first.disk == known.disk);
    let configuration = if is_founder && !initial.voters.is_empty() {
        initial.clone()
    } else {
        to_a_newcomer(committed)
    };
    configuration.encode(node)
}

/// What a node begins with that joins the members of `configuration`: it learns who votes from
/// the log, and must be able to answer whoever sends it that.
fn to_a_newcomer(configuration: &Configuration) -> Configuration {
    let mut contacts = configuration.contacts.clone();
    contacts.retain(|&node, _| configuration.is_member(node));
    Configuration {
        contacts,
        ..Configuration::default()
    }
}

/// In words, why nobody could be invited to the members of `configuration`, if so: an invitation
/// tells who they all are, in one message.
pub(crate) fn too_large_to_join(configuration: &Configuration) -> Option<String> {
    too_large(&to_a_newcomer(configuration))
}
