//! Who belongs to the cluster, and where they are: what a configuration of Raft's tells a host.

use std::collections::BTreeMap;

use models::raft::configuration::{Configuration, Contact};
use models::{DiskId, NodeId};
use serde::{Deserialize, Serialize};

use crate::runtime::codec;
use crate::service::address::Addresses;

/// A member as `/members` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// What it counts for.
    pub role: MemberRole,
    /// The life of its disk, in hexadecimal digits.
    pub disk_id: String,
    /// Where the other nodes reach it, as far as the asked node is concerned.
    pub peer_address: String,
    /// Where clients reach it.
    pub client_address: String,
    /// What the cluster's log has instead, where these are of the asked node's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_log: Option<Addresses>,
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

/// The members of `configuration`, by id. Where `in_file` has addresses for one, these are used.
pub(crate) fn members(
    configuration: &Configuration,
    in_file: &BTreeMap<NodeId, Addresses>,
) -> Vec<Member> {
    let ids = configuration.members().into_iter();
    ids.map(|id| {
        let contact = configuration.contacts.get(&id);
        let in_log = contact.and_then(Addresses::in_contact);
        let in_file = in_file.get(&id);
        let used = in_file.or(in_log.as_ref()).cloned();
        let (peer_address, client_address) =
            used.map_or_else(Default::default, |known| (known.peer, known.client));
        Member {
            id,
            role: role(configuration, id),
            disk_id: contact.map_or_else(String::new, |contact| contact.disk.to_string()),
            peer_address,
            client_address,
            in_log: in_log.filter(|in_log| in_file.is_some_and(|in_file| in_file != in_log)),
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
