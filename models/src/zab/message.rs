//! ZAB's messages. Names are those of ZooKeeper's implementation (Medeiros 2012, §4) where it
//! has one, with the papers' in brackets; the sender's id travels with the envelope.
//!
//! Every message of a reign bears its epoch, so that one which comes late is known for what
//! it is. The papers need no such care: their channels are connections, made anew for each
//! attempt to follow.

use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::election::Election;
use super::history::{Content, Recency, Snapshot, Transaction};
use super::zxid::{Epoch, Zxid};
use crate::machine::StateMachine;

/// A message between two nodes.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Message<M: StateMachine, E: Election> {
    /// Phase 1, to the leader: I follow you (CEPOCH).
    FollowerInfo {
        /// The last epoch that the follower has accepted.
        accepted_epoch: Epoch,
    },
    /// Phase 1, to a follower: the epoch that the leader proposes (NEWEPOCH; LEADERINFO).
    NewEpoch {
        /// Higher than every epoch that a quorum has accepted.
        epoch: Epoch,
    },
    /// Phase 1, to the leader: the follower has accepted the epoch (ACK-E). Later, also from a
    /// follower that has lost something: let me have what I lack.
    AckEpoch {
        /// The accepted epoch.
        epoch: Epoch,
        /// What the follower says of itself.
        ack: AckEpoch,
    },
    /// Phase 2, to a follower: its transactions behind `to` were never committed.
    Trunc {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last of the follower's transactions, which the leader does not have.
        from: Zxid,
        /// The last transaction to keep.
        to: Zxid,
    },
    /// Phase 2, to a follower so far behind that the leader has deleted what it lacks.
    Snap {
        /// The leader's epoch.
        epoch: Epoch,
        /// Takes the place of the follower's history.
        snapshot: Snapshot<M>,
    },
    /// Phase 2, to a follower: transactions that it lacks.
    Diff {
        /// The leader's epoch.
        epoch: Epoch,
        /// The transaction right before them.
        after: Zxid,
        /// The transactions.
        transactions: Vec<Transaction<M::Command>>,
    },
    /// Phase 2, to a follower: that was the initial history; take it for yours.
    NewLeader {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last transaction of the history sent.
        last_zxid: Zxid,
    },
    /// Phase 2, to the leader: the history up to `last_zxid` is this follower's, on disk
    /// (the ACK of NEWLEADER).
    AckNewLeader {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last transaction of the follower's history.
        last_zxid: Zxid,
    },
    /// Phase 2, to a follower: a quorum has the initial history (COMMIT-LD; UPTODATE).
    UpToDate {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last committed transaction.
        committed: Zxid,
    },
    /// Phase 3, to a follower: accept this. Its epoch is its id's.
    Propose(Transaction<M::Command>),
    /// Phase 3, to the leader: all up to this is in the follower's history, on disk.
    Ack {
        /// The last transaction accepted.
        zxid: Zxid,
    },
    /// Phase 3, to a follower: all up to this is committed.
    Commit {
        /// The last transaction committed.
        zxid: Zxid,
    },
    /// To the leader, from a follower that a client has asked.
    Request {
        /// The leader's epoch.
        epoch: Epoch,
        /// What to broadcast.
        content: Content<M::Command>,
    },
    /// To a follower: I lead still, and this is how far I am.
    Ping {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last transaction proposed.
        last_zxid: Zxid,
        /// The last transaction committed.
        committed: Zxid,
    },
    /// To the leader: I follow still, and this is how far I am, on disk.
    Pong {
        /// The leader's epoch.
        epoch: Epoch,
        /// The last transaction accepted.
        last_zxid: Zxid,
    },
    /// The election's own.
    Election(E::Message),
}

/// What a follower that accepts an epoch says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AckEpoch {
    /// How recent its history is.
    pub recency: Recency,
    /// Whether this is the promise to follow no earlier epoch, and no other leader of this
    /// one. A node that had accepted the epoch before may have promised it to another leader:
    /// it can be synchronised, but does not count (ZooKeeper sends an epoch of -1 then).
    pub promises: bool,
}

impl<M: StateMachine, E: Election> Message<M, E> {
    /// The epoch of the reign that the message belongs to. The first message of a follower
    /// belongs to none yet, and those of the election to none at all.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::NewEpoch { epoch }
            | Self::AckEpoch { epoch, .. }
            | Self::Diff { epoch, .. }
            | Self::Trunc { epoch, .. }
            | Self::Snap { epoch, .. }
            | Self::NewLeader { epoch, .. }
            | Self::AckNewLeader { epoch, .. }
            | Self::UpToDate { epoch, .. }
            | Self::Request { epoch, .. }
            | Self::Ping { epoch, .. }
            | Self::Pong { epoch, .. } => Some(*epoch),
            Self::Propose(transaction) => Some(transaction.zxid.epoch),
            Self::Ack { zxid } | Self::Commit { zxid } => Some(zxid.epoch),
            Self::FollowerInfo { .. } | Self::Election(_) => None,
        }
    }
}
