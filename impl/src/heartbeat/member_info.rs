//! What is known of a member.

use std::net::SocketAddr;

use models::NodeId;
use serde::{Deserialize, Serialize};

/// A member, as it describes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its number.
    pub id: NodeId,
    /// When it was started, in milliseconds since 1970: in another life it has another.
    pub life: u64,
    /// Where it listens for other members.
    pub address: SocketAddr,
    /// Where its application takes work, if it does.
    pub service_address: Option<SocketAddr>,
    /// How loaded it says it is: 0 is idle, 1 is fully used; nothing if it has never said.
    pub load: Option<f64>,
    /// How often it has said so.
    pub reports: u64,
    /// What is known of it as a voter, if it votes.
    pub voter: Option<VoterAddresses>,
}

/// Where a voter is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterAddresses {
    /// By other voters.
    pub peer: String,
    /// By the dictionary's clients.
    pub client: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Member `id` in life `life`.
    pub(crate) fn member(id: u16, life: u64) -> MemberInfo {
        MemberInfo {
            id: NodeId(id),
            life,
            address: SocketAddr::from(([127, 0, 0, 1], 1000 + id)),
            service_address: None,
            load: None,
            reports: 0,
            voter: None,
        }
    }
}
