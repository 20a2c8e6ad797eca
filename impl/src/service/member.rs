//! A member of a cluster whose journal does not say who the members are: known by its disk.

use models::DiskId;
use serde::{Deserialize, Serialize};

use crate::service::address::Addresses;
use crate::service::data_directory::parse_disk;

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The life of its disk, in hexadecimal digits.
    disk: String,
    /// Where it was when it came to the cluster.
    pub(crate) peer_address: String,
    pub(crate) client_address: String,
}

impl Member {
    /// A member with this disk, at these addresses.
    ///
    /// # Errors
    /// In words, when they are none.
    pub(crate) fn new(disk: DiskId, addresses: &Addresses) -> Result<Self, String> {
        addresses.check()?;
        Ok(Self {
            disk: disk.to_string(),
            peer_address: addresses.peer.clone(),
            client_address: addresses.client.clone(),
        })
    }

    /// Its disk, if what stands there is one.
    pub fn disk(&self) -> Option<DiskId> {
        parse_disk(&self.disk)
    }

    /// Where it was when it came to the cluster.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            peer: self.peer_address.clone(),
            client: self.client_address.clone(),
        }
    }
}
