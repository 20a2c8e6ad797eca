//! What the nodes say to each other.
//!
//! The first six messages are Maekawa's (§4 of the paper; LOCKED is often called GRANT, and
//! RELINQUISH YIELD). Each bears the epoch that it belongs to, and the lock and the request that it
//! is about; those about a grant bear the grant's number as well. With that no order of delivery is
//! needed, and a message may arrive any number of times: the paper's assumption that messages
//! between two nodes arrive in the order sent (§2) is not needed.
//!
//! The request alone would not do: a request may be granted by the same arbiter twice, after it
//! has relinquished the first grant, and a late RELINQUISH of the first must not undo the
//! second.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::lock::LockName;
use super::quorum::Construction;
use crate::protocol::NodeId;

/// How far ahead of what a node knows a number may be that it is told. Nothing that really
/// happens gets so far.
pub const FURTHEST_AHEAD: u64 = 1 << 32;

/// The greatest number that a node believes. From there on it can count by itself for longer
/// than anything lasts, and so no forged messages, however many, can use the numbers up.
pub const GREATEST: u64 = u64::MAX / 2;

/// Whether a number that a node is told, where it knows of `known`, is none that it could ever
/// come to.
pub fn is_absurd(told: u64, known: u64) -> bool {
    told > known.saturating_add(FURTHEST_AHEAD).min(GREATEST)
}

/// The number of a membership: who the members are, and so what the quorums are. Of each epoch
/// all that its members said and granted ends with it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether a node in this epoch may believe in `epoch`.
    pub fn may_reach(self, epoch: Self) -> bool {
        !is_absurd(epoch.0, self.0)
    }
}

impl Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// A request's time stamp: its id within its epoch, and its priority. The earlier request
/// precedes; of two at the same time the one of the lower node (§4; Lamport, 1978).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp {
    /// The requester's logical clock when it made the request.
    pub clock: u64,
    /// The requester.
    pub node: NodeId,
}

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.clock, self.node)
    }
}

/// A fencing token. Whoever enters the critical section later has the greater one, so that a
/// resource which remembers the greatest it has seen can refuse a holder that has lost the lock
/// and does not know it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Token {
    /// The epoch of the grant.
    pub epoch: Epoch,
    /// The greatest number among the grants of the holder's quorum.
    pub counter: u64,
}

impl Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.counter)
    }
}

/// A lock that a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The request to which it was granted.
    pub request: Timestamp,
    /// Its fencing token.
    pub token: Token,
}

/// Locks that are held, each by one request.
pub type HeldLocks = BTreeMap<LockName, Held>;

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A requester asks an arbiter to be locked for it.
    Request {
        /// The requester's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request.
        request: Timestamp,
    },
    /// An arbiter is locked for the request.
    Locked {
        /// The arbiter's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request.
        request: Timestamp,
        /// The number of the grant: each of an arbiter's is greater than the last, and greater
        /// than any token's counter that the arbiter has been told.
        number: u64,
        /// The arbiter's logical clock: who has been granted a lock makes its next request
        /// later than all that the arbiter had seen by then.
        clock: u64,
    },
    /// An arbiter is locked for another request, or has a better one waiting.
    Failed {
        /// The arbiter's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request that has to wait.
        request: Timestamp,
    },
    /// An arbiter with a better request waiting asks whether the one that it is locked for
    /// would give way.
    Inquire {
        /// The arbiter's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request that the arbiter is locked for.
        request: Timestamp,
        /// The number of the grant.
        number: u64,
    },
    /// A requester that cannot have all its arbiters gives one back, and goes on waiting for it.
    Relinquish {
        /// The requester's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request.
        request: Timestamp,
        /// The number of the grant that is given back.
        number: u64,
    },
    /// The request is over: its node has left the critical section, or has given the request up.
    Release {
        /// The requester's epoch.
        epoch: Epoch,
        /// The lock.
        lock: LockName,
        /// The request.
        request: Timestamp,
        /// The counter of the latest token that the requester has had in the epoch.
        counter: u64,
    },
    /// A node asks the orchestrator to be made a member.
    Register {
        /// The latest epoch that the node was in or has heard the end of. It will never again
        /// be a member of that one or of any before: where it was, it has lost all it knew.
        after: Epoch,
    },
    /// A member asks the orchestrator to be made none.
    Deregister {
        /// The epoch in which it is a member.
        epoch: Epoch,
    },
    /// The orchestrator ends an epoch: grant nothing more in it, enter no more.
    Freeze {
        /// The epoch that ends.
        epoch: Epoch,
    },
    /// A member grants nothing more in the epoch, and enters no more.
    Frozen {
        /// The epoch that ends.
        epoch: Epoch,
        /// The locks that it holds. It may release some of them before the next epoch begins, and gets
        /// no others.
        held: HeldLocks,
    },
    /// The orchestrator begins an epoch.
    Install {
        /// The epoch that begins.
        epoch: Epoch,
        /// Its members.
        members: BTreeSet<NodeId>,
        /// How they build their quorums: all alike, or two might have no arbiter in common.
        construction: Construction,
        /// The locks that are held when it begins. The arbiters of each holder's quorum are locked for
        /// its request from the start.
        held: HeldLocks,
    },
    /// The orchestrator's health check.
    Ping {
        /// The latest epoch that the orchestrator has installed.
        epoch: Epoch,
        /// Whether the orchestrator has had an answer since the last health check, and so
        /// counts anew from this one before it gives the node up. Only then does the node's
        /// lease begin anew: else a node that hears, and is not heard, would go on for as long
        /// as it hears, and be given up meanwhile.
        renews: bool,
    },
    /// The answer to a health check.
    Pong {
        /// The latest epoch that the node was in or has heard the end of.
        epoch: Epoch,
    },
}

impl Message {
    /// The epoch, lock and request that a message of the paper is about; `None` of the others.
    pub fn subject(&self) -> Option<(Epoch, &LockName, Timestamp)> {
        match self {
            Self::Request {
                epoch,
                lock,
                request,
            }
            | Self::Locked {
                epoch,
                lock,
                request,
                ..
            }
            | Self::Failed {
                epoch,
                lock,
                request,
            }
            | Self::Inquire {
                epoch,
                lock,
                request,
                ..
            }
            | Self::Relinquish {
                epoch,
                lock,
                request,
                ..
            }
            | Self::Release {
                epoch,
                lock,
                request,
                ..
            } => Some((*epoch, lock, *request)),
            Self::Register { .. }
            | Self::Deregister { .. }
            | Self::Freeze { .. }
            | Self::Frozen { .. }
            | Self::Install { .. }
            | Self::Ping { .. }
            | Self::Pong { .. } => None,
        }
    }
}
