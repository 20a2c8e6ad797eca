//! What members say to each other. Over UDP, or over TCP where it is too large for a datagram: the bytes
//! are the same.

use std::net::SocketAddr;

use models::NodeId;
use serde::{Deserialize, Serialize};

use super::list::{ListChange, Version};
use super::member_info::MemberInfo;
use crate::runtime::codec;
use crate::runtime::identity::ClusterId;
use crate::service::datagram::{self, Rejected};
use crate::service::gossip_key::GossipKeys;

/// What is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Packet {
    /// A member lives.
    Beat(Beat),
    /// The leader has heard it, and says who else lives.
    Answer(Answer),
    /// Whoever was asked does not lead, and says what it knows of who does.
    Pointer(Pointer),
    /// A member leaves in order.
    Leave(Leave),
    /// The leader does not take this member: another one has its id.
    Refused(Refused),
    /// Somebody who is no member asks who lives.
    WhoLives(Question),
    /// The answer.
    Living(Living),
    /// Somebody asks for a value as this member knows it, which may be out of date.
    StaleRead { question: Question, key: Vec<u8> },
    /// The answer.
    StaleValue(StaleValue),
}

/// The names of the kinds of packets, for who counts them.
pub(crate) const BEAT: &str = "beat";
pub(crate) const ANSWER: &str = "answer";
const POINTER: &str = "pointer";
const LEAVE: &str = "leave";
const REFUSED: &str = "refused";
const WHO_LIVES: &str = "who_lives";
const LIVING: &str = "living";
const STALE_READ: &str = "stale_read";
const STALE_VALUE: &str = "stale_value";
pub(crate) const KINDS: [&str; 9] = [
    BEAT,
    ANSWER,
    POINTER,
    LEAVE,
    REFUSED,
    WHO_LIVES,
    LIVING,
    STALE_READ,
    STALE_VALUE,
];

impl Packet {
    /// The name of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Beat(_) => BEAT,
            Self::Answer(_) => ANSWER,
            Self::Pointer(_) => POINTER,
            Self::Leave(_) => LEAVE,
            Self::Refused(_) => REFUSED,
            Self::WhoLives(_) => WHO_LIVES,
            Self::Living(_) => LIVING,
            Self::StaleRead { .. } => STALE_READ,
            Self::StaleValue(_) => STALE_VALUE,
        }
    }
}

/// A member lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beat {
    pub(crate) from: MemberInfo,
    /// Counts this member's beats, so that an old one that is sent again keeps nobody alive.
    pub(crate) number: u64,
    /// The list that it has.
    pub(crate) known: Option<Version>,
    /// Whether this went to everybody rather than to one address.
    pub(crate) wide: bool,
}

/// The leader has heard a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) leader: Leader,
    /// The beat's number.
    pub(crate) to: u64,
    pub(crate) change: ListChange,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leader {
    /// In which term: no two members ever lead in the same.
    pub term: u64,
    /// Which member.
    pub id: NodeId,
    /// Where it listens for other members.
    pub address: SocketAddr,
}

/// What a member that does not lead knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    pub(crate) leader: Option<Leader>,
    /// The voters that it knows of.
    pub(crate) voters: Vec<MemberInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leave {
    pub(crate) id: NodeId,
    /// In which life.
    pub(crate) life: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// In which life the member that is refused is.
    pub(crate) life: u64,
    /// The other member of that id.
    pub(crate) other: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Drawn at random, and repeated in the answer.
    pub(crate) number: u64,
    /// Where the answer goes.
    pub(crate) address: SocketAddr,
    /// Whether this went to everybody rather than to one address.
    pub(crate) wide: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Living {
    pub(crate) to: u64,
    /// Who says so.
    pub(crate) by: NodeId,
    /// Who leads; nobody, as far as it knows, if nothing is said.
    pub(crate) leader: Option<Leader>,
    /// For how many milliseconds it has heard nothing of a leader.
    pub(crate) age_ms: u64,
    pub(crate) members: Vec<MemberInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StaleValue {
    pub(crate) to: u64,
    /// Nothing if the member has no copy of the dictionary yet.
    pub(crate) found: Option<Copied>,
}

/// A value out of a member's copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Copied {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) revision: u64,
    pub(crate) age_ms: u64,
}

/// How the members of a cluster know each other's packets.
#[derive(Clone, Debug)]
pub(crate) struct Envelope(datagram::Envelope);

/// There is one kind of packet as far as the envelope is concerned; another version would be another.
const KIND: u8 = 16;

impl Envelope {
    /// Of the cluster of this name.
    pub(crate) fn new(name: &str, keys: Option<GossipKeys>) -> Self {
        Self(datagram::Envelope::new(ClusterId::of_name(name), keys))
    }

    /// The bytes that say this. None where it has no encoding.
    pub(crate) fn seal(&self, packet: &Packet) -> Option<Vec<u8>> {
        self.0.seal(KIND, &codec::encode(packet).ok()?)
    }

    /// What bytes say.
    ///
    /// # Errors
    /// When they are to be dropped.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Packet, Rejected> {
        match self.0.open(bytes)? {
            (KIND, body) => codec::decode(body).map_err(|_| Rejected::Malformed),
            _ => Err(Rejected::Malformed),
        }
    }
}
