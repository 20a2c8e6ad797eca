//! What every datagram between nodes has around what it says: a version, a kind, which cluster it is of,
//! and, where the cluster has a key, its signature.
//!
//! ```text
//! version  1   kind  1   cluster  8   body …   signature  32, where there is a key
//! ```

use crate::runtime::identity::ClusterId;
use crate::service::gossip_key::GossipKeys;

const VERSION: u8 = 1;
const CLUSTER_BYTES: usize = 8;
const HEAD: usize = 2 + CLUSTER_BYTES;
/// Of HMAC-SHA256.
const SIGNATURE: usize = 32;
/// So many bytes stand around the body, at most.
pub(crate) const OVERHEAD: usize = HEAD + SIGNATURE;

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// It is of another cluster, or no node of this one has signed it.
    Stranger,
    /// It cannot be read.
    Malformed,
}

/// How the nodes of a cluster know each other's datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    cluster: [u8; CLUSTER_BYTES],
    keys: Option<GossipKeys>,
}

impl Envelope {
    pub(crate) fn new(cluster: ClusterId, keys: Option<GossipKeys>) -> Self {
        let mut first = [0; CLUSTER_BYTES];
        first.copy_from_slice(&cluster.0[..CLUSTER_BYTES]);
        Self {
            cluster: first,
            keys,
        }
    }

    /// The datagram of this kind that says `body`. None where the cluster's key cannot sign.
    pub(crate) fn seal(&self, kind: u8, body: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(OVERHEAD + body.len());
        bytes.extend_from_slice(&[VERSION, kind]);
        bytes.extend_from_slice(&self.cluster);
        bytes.extend_from_slice(body);
        if let Some(keys) = &self.keys {
            let tag = keys.sign(&bytes)?;
            bytes.extend_from_slice(tag.as_ref());
        }
        Some(bytes)
    }

    /// The kind of a datagram, and what it says.
    ///
    /// # Errors
    /// When it is to be dropped.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), Rejected> {
        let signed = match &self.keys {
            Some(keys) => {
                let at = bytes.len().checked_sub(SIGNATURE);
                let (signed, tag) = bytes.split_at(at.ok_or(Rejected::Stranger)?);
                if !keys.verify(signed, tag) {
                    return Err(Rejected::Stranger);
                }
                signed
            }
            None => bytes,
        };
        let (head, body) = signed.split_at_checked(HEAD).ok_or(Rejected::Malformed)?;
        if head[2..] != self.cluster {
            return Err(Rejected::Stranger);
        }
        match head[..2] {
            [VERSION, kind] => Ok((kind, body)),
            _ => Err(Rejected::Malformed),
        }
    }
}
