//! A replica's state: what its disk remembers and what a crash forgets.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::fold::ballot::{Ballot, Vote};
use super::fold::dead::DeadNames;
use super::fold::state::{Acceptor, Proposal};
use super::g_counter::{Incarnation, ReplicaId};
use super::recent::Recent;
use crate::protocol::{Durable, NodeId};
use crate::session::{ClientId, RequestId};

/// What a replica's disk remembers: "durable state" of Almeida et al. 2018, Algorithm 2, all
/// that is known of the counter; and here the name under which this disk counts, since a
/// count without its name is worth nothing, and a name without its count does harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Persistent {
    /// Under which name this replica counts. None on an empty disk.
    pub identity: Option<ReplicaId>,
    /// All that it knows, its own counts included.
    pub counts: Counts,
    /// Whose requests it has counted lately.
    pub recent: Recent,
    /// Buckets that start before this time have expired here.
    pub horizon: u64,
    /// What it has said of the next fold.
    pub acceptor: Acceptor,
}

impl Persistent {
    /// The names that are known to be dead and are not folded: those of nodes that are gone for good,
    /// and of each other node all before the latest that is known. Incarnations rise, so these are dead
    /// also where nobody has heard of them.
    pub fn dead_names(&self) -> DeadNames {
        let components = self.counts.total.components();
        let latest = components.map(|(name, _)| name).chain(self.identity);
        let latest: BTreeMap<NodeId, Incarnation> = latest
            .map(|name| (name.node, name.incarnation))
            .fold(BTreeMap::new(), |mut latest, (node, incarnation)| {
                let so_far = latest.entry(node).or_insert(incarnation);
                *so_far = incarnation.max(*so_far);
                latest
            });
        let before = latest
            .into_iter()
            .filter_map(|(node, Incarnation(latest))| {
                Some((node, Incarnation(latest.checked_sub(1)?)))
            });
        let departed = self.counts.departed.iter();
        before
            .chain(departed.map(|&node| (node, DeadNames::FOR_GOOD)))
            .collect()
    }

    /// Whether this name cannot be taken: others have counted under it, or under a later one of its
    /// node, or have been told that it is dead.
    pub(super) fn is_behind(&self, name: ReplicaId) -> bool {
        let mut names = self.counts.total.components().map(|(other, _)| other);
        self.counts.folded.covers(name)
            || self.acceptor.frozen.covers(name)
            || names.any(|other| other.node == name.node && other.incarnation >= name.incarnation)
    }

    /// What this replica has counted itself, under its present name.
    pub fn own(&self) -> Counts {
        let own = self.identity.map(|identity| self.counts.of(identity));
        own.unwrap_or_default()
    }
}

/// One change of the durable state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record {
    /// This disk counts under this name.
    Identified(ReplicaId),
    /// Somebody else knows more of this name's counts than this disk: it is not used again.
    Retired,
    /// A request was counted. One record: a count without its request would be counted again
    /// when the client retries, a request without its count would be lost.
    Counted {
        /// The client's request.
        request: RequestId,
        /// The components that have grown, as they are now.
        counts: Counts,
    },
    /// Something was learned from others.
    Learned {
        /// The components that have grown, as they are now.
        counts: Counts,
    },
    /// The buckets that start before this time have expired.
    Expired {
        /// The start of the oldest bucket that is kept.
        before: u64,
    },
    /// It is forgotten which request of this client was counted last.
    Forgotten(ClientId),
    /// No earlier ballot on the next fold is heeded, and no more is learned of these names.
    Promised {
        /// The ballot.
        ballot: Ballot,
        /// The names.
        dead: DeadNames,
    },
    /// This is to be the next fold.
    Accepted(Vote),
}

impl Durable for Persistent {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Identified(identity) => self.identity = Some(*identity),
            Record::Retired => self.identity = None,
            Record::Counted { request, counts } => {
                self.counts.assign(counts);
                self.recent.remember(*request);
            }
            Record::Learned { counts } => {
                self.counts.assign(counts);
                if !counts.folded.is_empty() {
                    self.acceptor = Acceptor::default();
                }
            }
            Record::Expired { before } => {
                self.horizon = *before;
                self.counts.buckets.expire(*before);
            }
            Record::Forgotten(client) => self.recent.forget(*client),
            Record::Promised { ballot, dead } => {
                self.acceptor.promised = Some(*ballot);
                self.acceptor.frozen.merge(dead);
                self.counts.departed.extend(dead.departed());
            }
            Record::Accepted(vote) => self.acceptor.accepted = Some(vote.clone()),
        }
    }
}

/// What a crash forgets: who is there, and what each is known to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Volatile {
    /// The other members of the cluster, as far as the host knows.
    pub members: BTreeMap<NodeId, Peer>,
    /// With whom this replica has exchanged states last.
    pub last_partner: Option<NodeId>,
    /// Whether this replica is about to leave, and counts no more.
    pub leaving: bool,
    /// The fold that it proposes.
    pub proposal: Option<Proposal>,
}

impl Volatile {
    /// Whether every member has acknowledged all that it was to be told.
    pub fn is_settled(&self) -> bool {
        self.members.values().all(|peer| peer.pending.is_empty())
    }
}

/// What is kept for one member: the paper's delta-buffer, one for each neighbour and joined
/// into one delta-group from the start, for the join of a grow-only counter's deltas is never
/// larger than its components.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// What the member has not acknowledged yet.
    pub pending: Counts,
}
