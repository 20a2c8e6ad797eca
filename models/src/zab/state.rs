//! A ZAB node's state: what its disk remembers (DSN 2011, §IV, "f.p, f.a, h_f"; Medeiros 2012,
//! §3.2) and what a crash forgets.

use alloc::collections::{BTreeMap, BTreeSet};

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::contradiction::Contradiction;
use super::election::Election;
use super::history::{Content, History, Recency, Snapshot, Transaction};
use super::message::AckEpoch;
use super::zxid::{Epoch, Zxid};
use crate::machine::StateMachine;
use crate::protocol::{Durable, NodeId};
use crate::session::RequestId;

/// What survives a crash.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Persistent<M: StateMachine> {
    /// Whether the disk belongs to an ensemble. If not, it is new, or what it held is lost.
    pub is_member: bool,
    /// Why this node takes part no more, if so.
    pub halted: Option<Contradiction>,
    /// The last epoch accepted (`f.p`): the node heeds no leader of an earlier one, and no
    /// second leader of this one. Increases monotonically.
    pub accepted_epoch: Epoch,
    /// The epoch of the last leader whose initial history this node has taken for its own
    /// (`f.a`). Never above `accepted_epoch`.
    pub current_epoch: Epoch,
    /// The history (`h_f`).
    pub history: History<M>,
}

impl<M: StateMachine> Persistent<M> {
    /// Whether the node may say anything: its disk belongs to an ensemble, and nothing that it
    /// has delivered has been contradicted.
    pub fn takes_part(&self) -> bool {
        self.is_member && self.halted.is_none()
    }

    /// How recent the history is.
    pub fn recency(&self) -> Recency {
        Recency {
            current_epoch: self.current_epoch,
            last_zxid: self.history.last_zxid(),
        }
    }
}

/// One change of what survives a crash.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Record<M: StateMachine> {
    /// The disk belongs to an ensemble from now on.
    Initialize,
    /// This node takes part no more.
    Halt(Contradiction),
    /// An epoch is accepted.
    AcceptedEpoch(Epoch),
    /// A leader's initial history is complete, and this node's own.
    CurrentEpoch(Epoch),
    /// A new last transaction.
    Append(Transaction<M::Command>),
    /// The transactions behind `to` are gone.
    Truncate {
        /// The last that stays.
        to: Zxid,
    },
    /// The snapshot takes the place of the whole history.
    Restore(Snapshot<M>),
    /// A snapshot takes the place of the history's beginning: the transactions up to a committed one
    /// are folded into the snapshot before, so that the record has one size whatever the state's is.
    Compact {
        /// The last transaction that is in the snapshot.
        snapshot: Zxid,
        /// The transactions up to this one are gone.
        forgotten: Zxid,
    },
}

impl<M: StateMachine> Durable for Persistent<M> {
    type Record = Record<M>;

    fn apply(&mut self, record: &Record<M>) {
        match record {
            Record::Initialize => self.is_member = true,
            Record::Halt(contradiction) => self.halted = Some(*contradiction),
            Record::AcceptedEpoch(epoch) => self.accepted_epoch = *epoch,
            Record::CurrentEpoch(epoch) => self.current_epoch = *epoch,
            Record::Append(transaction) => self.history.push(transaction.clone()),
            Record::Truncate { to } => self.history.truncate(*to),
            Record::Restore(snapshot) => self.history.restore(snapshot.clone()),
            Record::Compact {
                snapshot,
                forgotten,
            } => self.history.compact(*snapshot, *forgotten),
        }
    }
}

/// What a crash forgets.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Volatile<M: StateMachine, E: Election> {
    /// Looking for a leader, following or leading.
    pub role: Role,
    /// The state machine after all that has been delivered.
    pub delivered: Snapshot<M>,
    /// The requests of this node's own clients that wait for a transaction.
    #[serde(with = "crate::pairs")]
    pub waiting: BTreeMap<RequestId, Waiting<M>>,
    /// The state of the election.
    pub election: E::State,
}

/// What a client waits for.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Waiting<M: StateMachine> {
    /// The delivery of this command of its.
    Command(M::Command),
    /// The delivery of a sync, and then the answer to this query.
    Read(M::Query),
}

impl<M: StateMachine> Waiting<M> {
    /// What is to be broadcast for it.
    pub(super) fn content(&self, request: RequestId) -> Content<M::Command> {
        match self {
            Self::Command(command) => Content::Command {
                request,
                command: command.clone(),
            },
            Self::Read(_) => Content::Sync { request },
        }
    }
}

/// What a node is at the moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Phase 0: it knows no leader.
    Looking,
    /// It follows.
    Following(Following),
    /// It leads, or tries to.
    Leading(Leading),
}

/// A follower's view of its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Following {
    /// The leader.
    pub leader: NodeId,
    /// How far it is with it. From synchronisation on, the leader's epoch is this node's
    /// accepted epoch.
    pub phase: Phase,
}

/// The three phases of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Phase 1: agreeing on an epoch.
    Discovery,
    /// Phase 2: taking over the leader's history.
    Synchronization,
    /// Phase 3: new transactions.
    Broadcast,
}

/// How far a leader is, and what it knows of its followers. Once it has proposed an epoch,
/// that is its own accepted epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Leading {
    /// Phase 1, step l.1.1: it waits for FOLLOWERINFO from a quorum.
    Elected {
        /// The accepted epochs of those that have sent it.
        accepted: BTreeMap<NodeId, Epoch>,
    },
    /// Phase 1, step l.1.2: it has proposed an epoch, and waits for ACKEPOCH from a quorum.
    Prospective {
        /// Those that have come.
        acks: BTreeMap<NodeId, AckEpoch>,
    },
    /// Phases 2 and 3: its history is the initial history of its epoch.
    Primary(Primary),
}

/// A leader that has its quorum's promises.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Primary {
    /// Whether a quorum has taken over its history: only then does it broadcast.
    pub established: bool,
    /// The followers that it synchronises or has synchronised: the last transaction that each
    /// has on disk, once it has taken over the history.
    pub learners: BTreeMap<NodeId, Option<Zxid>>,
    /// The requests proposed and not yet delivered: a retry needs no second transaction.
    pub outstanding: BTreeSet<RequestId>,
    /// The followers heard of since the last look.
    pub heard: BTreeSet<NodeId>,
}
