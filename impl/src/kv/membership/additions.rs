//! Adding a node to the cluster, and what must be right of it before Raft is asked.
//!
//! **What is said of the members is said by the log**: by the leader, of what is committed. What
//! the asked node knows may be old, and a first try whose answer was lost may have added the node.

use models::NodeId;
use models::raft::configuration::{Configuration, Contact};
use models::raft::membership::Change;

use crate::kv::membership::invitation::too_large_to_join;
use crate::kv::request::router::{Refusal, Service};
use crate::runtime::transport::tcp::{Probed, other_disk, probe};
use crate::service::address::Addresses;
use crate::service::founding::bootstrap::PROBE_LIMIT;

impl Service {
    /// Adds node `id`, which must run on an empty disk at `addresses`, as a learner. Nothing is
    /// to be done if it is a member already, with this disk and these addresses.
    ///
    /// # Errors
    /// When it cannot be reached or belongs to a cluster, or the change is not made.
    pub async fn add_member(
        &self,
        id: NodeId,
        addresses: Addresses,
    ) -> Result<Configuration, Refusal> {
        let before = self.members_by_the_log().await?;
        if before.is_member(id) {
            return self.keep_member(before, id, &addresses).await;
        }
        let disk = match probe(
            &addresses.peer,
            &self.security,
            &self.identity,
            id,
            PROBE_LIMIT,
        )
        .await
        {
            Probed::Blank(disk) => disk,
            Probed::Refuses(reason) => {
                // Another try may have added it meanwhile.
                let now = self.members_by_the_log().await?;
                if now.is_member(id) {
                    return self.keep_member(now, id, &addresses).await;
                }
                return Err(refused(format!(
                    "node {} refuses: {reason}. Only a node on an empty data directory can be \
                     added",
                    id.0
                )));
            }
            Probed::Silent(reason) => {
                let (id, at) = (id.0, &addresses.peer);
                return Err(Refusal::NotChanged {
                    reason: format!(
                        "node {id} cannot be reached at {at}: {reason}. Start it first"
                    ),
                    again: true,
                });
            }
        };
        let contact = addresses.contact(disk);
        let contact = contact.map_err(|error| refused(error.to_string()))?;
        let added = self.change_membership(Change::add_with(id, contact)).await;
        if !matches!(added, Err(Refusal::NotChanged { again: false, .. })) {
            return added;
        }
        // Another try may have added it, and somebody promoted it.
        let now = self.members_by_the_log().await?;
        let is_same = { now.contacts.get(&id) }.is_some_and(|known| known.disk == disk);
        if now.is_member(id) && is_same {
            return self.keep_member(now, id, &addresses).await;
        }
        added
    }

    /// The members as the leader knows them, which are committed: what a change that changes
    /// nothing is answered with.
    async fn members_by_the_log(&self) -> Result<Configuration, Refusal> {
        self.change_membership(Change::default()).await
    }

    /// What is said to an addition of node `id`, which is a member by `current`.
    async fn keep_member(
        &self,
        current: Configuration,
        id: NodeId,
        addresses: &Addresses,
    ) -> Result<Configuration, Refusal> {
        let known = current.contacts.get(&id);
        let Some((contact, in_log)) = known.and_then(|contact| {
            let addresses = Addresses::in_contact(contact)?;
            Some((contact, addresses))
        }) else {
            return Err(refused(format!("node {} is a member already", id.0)));
        };
        if in_log != *addresses {
            return Err(refused(format!(
                "node {} is a member already, at {} for the others and {} for clients. If it has \
                 moved, write its new addresses in the cluster file of each node, and restart them \
                 one by one; another node needs an id that no node has had",
                id.0, in_log.peer, in_log.client
            )));
        }
        // One that has lost its disk is a member only by name.
        if let Some(reason) = self.membership.refused().remove(&id) {
            return Err(refused(reason));
        }
        let expected = contact.disk;
        match probe(
            &addresses.peer,
            &self.security,
            &self.identity,
            id,
            PROBE_LIMIT,
        )
        .await
        {
            Probed::Blank(disk) if disk != expected => Err(refused(other_disk(id, expected, disk))),
            Probed::Blank(_) | Probed::Refuses(_) | Probed::Silent(_) => Ok(current),
        }
    }
}

fn refused(reason: String) -> Refusal {
    Refusal::NotChanged {
        reason,
        again: false,
    }
}

/// In words, what speaks against a change, wherever it comes from: what a node is known by must be
/// understood by all.
pub(crate) fn malformed(change: &Change) -> Option<String> {
    change.contacts.iter().find_map(|(id, contact)| {
        let problem = check_contact(contact).err()?;
        Some(format!("node {}: {problem}", id.0))
    })
}

/// In words, why a change of `current` would make a cluster that nobody can be told of, if so. To
/// be asked of the leader's configuration: another's may be old.
pub(crate) fn too_large(change: &Change, current: &Configuration) -> Option<String> {
    // Raft itself says what is wrong otherwise.
    let next = change.applied_to(current).ok()?;
    let grows = next.members().len() > current.members().len();
    grows.then(|| too_large_to_join(&next)).flatten()
}

fn check_contact(contact: &Contact) -> Result<(), String> {
    let addresses = Addresses::in_contact(contact);
    let addresses = addresses.ok_or("its addresses are not understood")?;
    addresses.check()
}

#[cfg(test)]
mod tests {
    use models::DiskId;

    use super::*;

    fn addresses(id: u16, bytes: usize) -> Addresses {
        let name = format!("{id:05}{}", "x".repeat(bytes - 10));
        Addresses {
            peer: format!("{name}:7400"),
            client: format!("{name}:7500"),
        }
    }

    fn contact(addresses: &Addresses) -> Contact {
        addresses.contact(DiskId([7; 16])).expect("encodes")
    }

    /// So many voters, with addresses of so many bytes.
    fn cluster(nodes: u16, bytes: usize) -> Configuration {
        let ids = (1..=nodes).map(NodeId);
        let contacts = ids.clone().map(|id| (id, contact(&addresses(id.0, bytes))));
        Configuration {
            contacts: contacts.collect(),
            ..Configuration::new(ids)
        }
    }

    fn addition(addresses: &Addresses) -> Change {
        Change::add_with(NodeId(9999), contact(addresses))
    }

    #[test]
    fn addresses_that_come_from_another_node_are_checked_too() {
        assert_eq!(malformed(&addition(&addresses(4, 255))), None);
        let long = malformed(&addition(&addresses(4, 256))).expect("too long");
        assert!(
            long.contains("node 9999: peer_address: an address of 256 bytes"),
            "{long}"
        );
        let nowhere = Addresses {
            peer: "0.0.0.0:7400".into(),
            ..addresses(4, 30)
        };
        let nowhere = malformed(&addition(&nowhere)).expect("nowhere");
        assert!(nowhere.contains("nowhere that another node"), "{nowhere}");
        let nonsense = Contact {
            disk: DiskId::default(),
            address: vec![0xff; 3],
        };
        let change = Change::add_with(NodeId(4), nonsense);
        let words = malformed(&change).expect("not understood");
        assert!(words.contains("are not understood"), "{words}");
    }

    #[test]
    fn members_that_do_not_fit_in_an_invitation_are_too_many() {
        assert_eq!(
            too_large(&addition(&addresses(4, 255)), &cluster(100, 255)),
            None
        );
        let full = cluster(120, 255);
        let words = too_large(&addition(&addresses(4, 255)), &full).expect("full");
        assert!(words.contains("121 nodes with these addresses"), "{words}");
        // Who leaves makes room, and may always leave.
        let leaves = Change::remove(NodeId(1));
        assert_eq!(too_large(&leaves, &full), None);
        // Nobody is told of those that have left.
        let mut former = cluster(200, 255);
        former.voters.retain(|id| id.0 <= 3);
        assert_eq!(too_large(&addition(&addresses(4, 255)), &former), None);
    }
}
