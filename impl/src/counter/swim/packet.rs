//! What a datagram holds, within the envelope that all of the cluster's have.
//!
//! Beside SWIM's own packets there are two, for nodes that know an address and not yet who is there:
//! `Who` asks that, and `Here` answers.

use models::NodeId;

use super::MAX_PACKET_BYTES;
use super::member::Member;
use crate::runtime::codec;
use crate::runtime::identity::ClusterId;
use crate::service::datagram;
pub(crate) use crate::service::datagram::Rejected;
use crate::service::gossip_key::GossipKeys;

/// So much of SWIM's fits.
pub(crate) const MAX_SWIM_BYTES: usize = MAX_PACKET_BYTES - datagram::OVERHEAD;

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// SWIM's.
    Swim(Vec<u8>),
    /// Node so and so asks who is at this address.
    Who(NodeId),
    /// It is this one.
    Here(Box<Member>),
}

/// How the nodes of a cluster know each other's datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Envelope(datagram::Envelope);

impl Envelope {
    pub(crate) fn new(cluster: ClusterId, keys: Option<GossipKeys>) -> Self {
        Self(datagram::Envelope::new(cluster, keys))
    }

    /// The datagram that says this. None where it has no encoding.
    pub(crate) fn seal(&self, packet: &Packet) -> Option<Vec<u8>> {
        match packet {
            Packet::Swim(bytes) => self.0.seal(0, bytes),
            Packet::Who(node) => self.0.seal(1, &codec::encode(node).ok()?),
            Packet::Here(member) => self.0.seal(2, &codec::encode(member).ok()?),
        }
    }

    /// What a datagram says.
    ///
    /// # Errors
    /// When it is to be dropped.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Packet, Rejected> {
        let malformed = |_| Rejected::Malformed;
        match self.0.open(bytes)? {
            (0, body) => Ok(Packet::Swim(body.to_vec())),
            (1, body) => codec::decode(body).map(Packet::Who).map_err(malformed),
            (2, body) => codec::decode(body).map(Packet::Here).map_err(malformed),
            _ => Err(Rejected::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use models::DiskId;
    use models::counter::g_counter::DataCentre;

    use super::*;
    use crate::service::gossip_key::make_gossip_key;

    fn packets() -> [Packet; 3] {
        let member = Member {
            node: NodeId(7),
            data_centre: DataCentre(1),
            disk: DiskId([3; 16]),
            life: 9,
            renewals: 0,
            peer_address: "a:1".into(),
            client_address: "a:2".into(),
        };
        [
            Packet::Swim(vec![1, 2, 3]),
            Packet::Who(NodeId(7)),
            Packet::Here(Box::new(member)),
        ]
    }

    fn keys() -> GossipKeys {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        make_gossip_key(&path).expect("made");
        GossipKeys::load(&path).expect("a key")
    }

    #[test]
    fn a_packet_is_read_as_it_was_written_and_by_nobody_of_another_cluster() {
        let (blue, red) = (ClusterId::of_name("blue"), ClusterId::of_name("red"));
        for keys in [None, Some(keys())] {
            let envelope = Envelope::new(blue, keys.clone());
            for packet in packets() {
                let sealed = envelope.seal(&packet).expect("encodes");
                assert_eq!(envelope.open(&sealed), Ok(packet));
                let other = Envelope::new(red, keys.clone());
                assert_eq!(other.open(&sealed), Err(Rejected::Stranger));
            }
        }
    }

    #[test]
    fn what_no_node_has_signed_is_dropped() {
        let blue = ClusterId::of_name("blue");
        let ours = Envelope::new(blue, Some(keys()));
        let strangers = [Envelope::new(blue, Some(keys())), Envelope::new(blue, None)];
        for packet in packets() {
            for stranger in &strangers {
                let sealed = stranger.seal(&packet).expect("encodes");
                assert_eq!(ours.open(&sealed), Err(Rejected::Stranger));
            }
            let sealed = ours.seal(&packet).expect("encodes");
            for at in 0..sealed.len() {
                let mut altered = sealed.clone();
                altered[at] ^= 1;
                assert_eq!(ours.open(&altered), Err(Rejected::Stranger), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_dropped() {
        let envelope = Envelope::new(ClusterId::of_name("blue"), None);
        for packet in &packets()[1..] {
            let sealed = envelope.seal(packet).expect("encodes");
            for length in 0..sealed.len() {
                assert_eq!(envelope.open(&sealed[..length]), Err(Rejected::Malformed));
            }
        }
    }
}
