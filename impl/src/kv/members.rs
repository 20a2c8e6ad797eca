//! Who belongs to the cluster, and where they are: what a configuration of Raft's tells a host.

use models::raft::configuration::{Configuration, Contact};
use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

use super::config::NodeConfig;
use crate::codec;

/// Where a node is to be reached: what its contact in the replicated configuration carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `host:port` for the other nodes.
    pub peer: String,
    /// `host:port` for clients.
    pub client: String,
}

/// A member as `/members` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// What it counts for.
    pub role: MemberRole,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// Where the other nodes reach it.
    pub peer_address: String,
    /// Where clients reach it.
    pub client_address: String,
}

/// What a member counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// It votes.
    Voter,
    /// It receives the log, and counts for nothing yet.
    Learner,
    /// It votes until the change that is under way has ended.
    Leaving,
}

impl Addresses {
    /// Those that a configuration file gives.
    pub fn of(node: &NodeConfig) -> Self {
        Self {
            peer: node.peer_address.clone(),
            client: node.client_address.clone(),
        }
    }

    /// As a contact carries them, for a node with this disk.
    ///
    /// # Errors
    /// When they have no encoding.
    pub fn contact(&self, disk: DiskId) -> Result<Contact, postcard::Error> {
        Ok(Contact {
            disk,
            address: codec::encode(self)?,
        })
    }

    /// Those that `contact` carries. None if it carries something else.
    pub fn in_contact(contact: &Contact) -> Option<Self> {
        codec::decode(&contact.address).ok()
    }
}

/// The members of `configuration`, by id.
pub fn members(configuration: &Configuration) -> Vec<Member> {
    let ids = configuration.members().into_iter();
    ids.map(|id| {
        let contact = configuration.contacts.get(&id);
        let addresses = contact.and_then(Addresses::in_contact);
        let (peer_address, client_address) =
            addresses.map_or_else(Default::default, |known| (known.peer, known.client));
        Member {
            id,
            role: role(configuration, id),
            disk_id: contact.map_or_else(String::new, |contact| contact.disk.to_string()),
            peer_address,
            client_address,
        }
    })
    .collect()
}

fn role(configuration: &Configuration, id: NodeId) -> MemberRole {
    if configuration.voters.contains(&id) {
        MemberRole::Voter
    } else if configuration.learners.contains(&id) {
        MemberRole::Learner
    } else {
        MemberRole::Leaving
    }
}
