//! Who lives and who leads, as programs and people read it: on the command line and over HTTP.

use std::net::SocketAddr;

use models::NodeId;
use serde::Serialize;

use super::member_info::MemberInfo;
use super::view::MemberList;

/// A list of members, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MembersPage {
    /// Whether it can be believed.
    pub current: bool,
    /// How long ago a leader last said so, in milliseconds.
    pub age_ms: u64,
    /// Who leads; nobody, as far as it is known, if nothing is said.
    pub leader: Option<LeaderPage>,
    /// The members, by their ids.
    pub members: Vec<MemberPage>,
}

/// Who leads, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LeaderPage {
    /// Which member.
    pub id: NodeId,
    /// In which term.
    pub term: u64,
}

/// A member, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberPage {
    /// Its number.
    pub id: NodeId,
    /// Where it listens for other members.
    pub address: SocketAddr,
    /// Where its application takes work, if it does.
    pub service_address: Option<SocketAddr>,
    /// How loaded it says it is.
    pub load: Option<f64>,
    /// Whether it votes.
    pub votes: bool,
    /// Where clients of the dictionary reach it, if it votes.
    pub client_address: Option<String>,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
}

impl From<&MemberList> for MembersPage {
    fn from(list: &MemberList) -> Self {
        Self {
            current: list.is_current,
            age_ms: u64::try_from(list.age.as_millis()).unwrap_or(u64::MAX),
            leader: list.leader.map(|leader| LeaderPage {
                id: leader.id,
                term: leader.term,
            }),
            members: list.members.iter().map(MemberPage::from).collect(),
        }
    }
}

impl From<&MemberInfo> for MemberPage {
    fn from(member: &MemberInfo) -> Self {
        let voter = member.voter.as_ref();
        Self {
            id: member.id,
            address: member.address,
            service_address: member.service_address,
            load: member.load,
            votes: voter.is_some(),
            client_address: voter.map(|voter| voter.client.clone()),
            started_ms: member.life,
        }
    }
}
