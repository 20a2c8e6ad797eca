//! A Raft node's state (Figure 2, "State"): what its disk remembers and what a crash forgets.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::log::{Entry, Index, Log, Term};
use super::machine::StateMachine;
use super::message::Round;
use super::session::{RequestId, Sessions};
use crate::protocol::{Data, Durable, NodeId};

/// "Persistent state on all servers" (Figure 2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Persistent<C> {
    /// The latest term that this node has seen. Increases monotonically.
    pub current_term: Term,
    /// The candidate that has this node's vote in the current term, if any.
    pub voted_for: Option<NodeId>,
    /// The log.
    pub log: Log<C>,
}

impl<C> Default for Persistent<C> {
    fn default() -> Self {
        Self {
            current_term: Term::default(),
            voted_for: None,
            log: Log::default(),
        }
    }
}

/// One change of the persistent state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Record<C> {
    /// The term, and the vote in it. One record, for a vote without its term means nothing.
    Ballot {
        /// The new current term.
        term: Term,
        /// The vote in that term.
        voted_for: Option<NodeId>,
    },
    /// A new last entry.
    Append(Entry<C>),
    /// The entry at `from` and all that follow it are gone.
    Truncate {
        /// The first index that is gone.
        from: Index,
    },
}

impl<C: Data> Durable for Persistent<C> {
    type Record = Record<C>;

    fn apply(&mut self, record: &Record<C>) {
        match record {
            Record::Ballot { term, voted_for } => {
                self.current_term = *term;
                self.voted_for = *voted_for;
            }
            Record::Append(entry) => self.log.push(entry.clone()),
            Record::Truncate { from } => self.log.truncate(*from),
        }
    }
}

/// "Volatile state on all servers" (Figure 2).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Volatile<M: StateMachine> {
    /// Follower, candidate or leader.
    pub role: Role<M>,
    /// The highest index known to be committed. Increases monotonically.
    pub commit_index: Index,
    /// The state machine, and how far it has come.
    pub applied: Applied<M>,
}

/// The state machine with its sessions, after the entries up to `last_applied`.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Applied<M: StateMachine> {
    /// The index of the last entry applied.
    pub last_applied: Index,
    /// The state machine.
    pub machine: M,
    /// Each client's last command and its response.
    pub sessions: Sessions<M::Response>,
}

/// What a node is in its current term (§5.1).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Role<M: StateMachine> {
    /// Answers the others.
    Follower {
        /// The leader of the current term, once it has been heard of.
        leader: Option<NodeId>,
    },
    /// Asks for votes.
    Candidate {
        /// Who has granted one, this node included.
        votes: BTreeSet<NodeId>,
    },
    /// Takes commands and replicates them.
    Leader(Leadership<M>),
}

/// "Volatile state on leaders" (Figure 2), and the reads that wait for it.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Leadership<M: StateMachine> {
    /// How far each peer has come.
    pub progress: BTreeMap<NodeId, Progress>,
    /// The index of the no-op that this leader began its term with (§8).
    pub term_start: Index,
    /// The latest confirmation round begun. 0 until the first read.
    pub round: Round,
    /// Reads that wait, oldest first.
    pub reads: Vec<PendingRead<M>>,
}

/// What a leader knows of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The next index to send.
    pub next_index: Index,
    /// The highest index known to be equal on the peer's disk.
    pub match_index: Index,
    /// The latest confirmation round that the peer has answered.
    pub round: Round,
    /// The last index of the latest append sent. While it is not acknowledged, new commands
    /// wait and then travel together; a heartbeat does not wait, so that a lost append
    /// delays but never stops replication.
    pub sent_index: Index,
}

impl Progress {
    /// Whether the latest append is acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        self.match_index >= self.sent_index
    }
}

/// A read that waits until leadership is confirmed and its index applied (thesis §6.4).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct PendingRead<M: StateMachine> {
    /// Who asked.
    pub request: RequestId,
    /// What they asked.
    pub query: M::Query,
    /// The state machine must have applied this index before it answers.
    pub read_index: Index,
    /// A quorum must have answered this round before it answers.
    pub round: Round,
}
