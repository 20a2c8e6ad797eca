//! A Raft node's state (Figure 2, "State"): what its disk remembers and what a crash forgets.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::configuration::{Configuration, InForce};
use super::contradiction::Contradiction;
use super::install::{Blob, Partial};
use super::log::{Entry, Index, Log, Term};
use super::machine::StateMachine;
use super::message::Round;
use super::progress::Progress;
use super::session::{Position, RequestId};
use super::snapshot::{Applied, Snapshot};
use super::transfer::Transfer;
use crate::protocol::{Durable, NodeId};

/// "Persistent state on all servers" (Figure 2), and the snapshot (Figure 12).
///
/// The log continues the snapshot without a gap: it may begin before the snapshot ends, never
/// behind.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Persistent<M: StateMachine> {
    /// The configuration that the cluster started with, as far as this disk knows: nobody's on
    /// the disk of a node that joins later. `None` on a disk that belongs to no cluster: it is
    /// new, or what it held is lost.
    pub initial: Option<Configuration>,
    /// Why this node takes part no more, if so.
    pub halted: Option<Contradiction>,
    /// The latest term that this node has seen. Increases monotonically.
    pub current_term: Term,
    /// The candidate that has this node's vote in the current term, if any.
    pub voted_for: Option<NodeId>,
    /// The state that the first entries make. What it has replaced need not be in the log.
    pub snapshot: Snapshot<M>,
    /// The log.
    pub log: Log<M::Command>,
}

/// One change of the persistent state.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Record<M: StateMachine> {
    /// The disk belongs to a cluster from now on.
    Initialize {
        /// The configuration that the cluster starts with; nobody's for a node that joins.
        configuration: Configuration,
    },
    /// This node takes part no more.
    Halt(Contradiction),
    /// The term, and the vote in it. One record, for a vote without its term means nothing.
    Ballot {
        /// The new current term.
        term: Term,
        /// The vote in that term.
        voted_for: Option<NodeId>,
    },
    /// A new last entry.
    Append(Entry<M::Command>),
    /// The entry at `from` and all that follow it are gone.
    Truncate {
        /// The first index that is gone.
        from: Index,
    },
    /// The snapshot includes the log's entries up to an index (§7). The record need not carry
    /// the state: the entries are in the log, and make it again whenever records are folded.
    Snapshot {
        /// The last included index.
        through: Index,
    },
    /// The log's entries up to an index are gone: the snapshot has replaced them (§7).
    Discard {
        /// The last index that is gone.
        through: Index,
    },
    /// A leader's snapshot replaces this node's, and the log with it but for the entries that
    /// follow on from it (Figure 13, steps 5 to 7).
    Install(Snapshot<M>),
}

impl<M: StateMachine> Persistent<M> {
    /// Whether the node may say anything: its disk belongs to a cluster, and nothing that it
    /// remembers has been contradicted.
    pub fn takes_part(&self) -> bool {
        self.initial.is_some() && self.halted.is_none()
    }

    /// The latest configuration at or before `index`, in the log or in the snapshot. None if
    /// there is none, or if it is so old that the snapshot has replaced it.
    pub fn configuration_at(&self, index: Index) -> Option<InForce> {
        let in_snapshot = || {
            let latest = self.snapshot.state.configuration.clone();
            latest.filter(|in_force| in_force.index <= index)
        };
        self.log.configuration_at(index).or_else(in_snapshot)
    }
}

impl<M: StateMachine> Durable for Persistent<M> {
    type Record = Record<M>;

    fn apply(&mut self, record: &Record<M>) {
        match record {
            Record::Initialize { configuration } => self.initial = Some(configuration.clone()),
            Record::Halt(contradiction) => self.halted = Some(*contradiction),
            Record::Ballot { term, voted_for } => {
                self.current_term = *term;
                self.voted_for = *voted_for;
            }
            Record::Append(entry) => self.log.push(entry.clone()),
            Record::Truncate { from } => self.log.truncate(*from),
            Record::Snapshot { through } => {
                while self.snapshot.last_included_index() < *through {
                    let next = self.snapshot.last_included_index().next();
                    let Some(entry) = self.log.get(next) else {
                        return;
                    };
                    self.snapshot.include(entry);
                }
            }
            Record::Discard { through } => self.log.discard(*through),
            Record::Install(snapshot) => {
                let last = snapshot.last_included_index();
                let last_term = snapshot.last_included_term;
                if self.log.term_at(last) == Some(last_term) {
                    self.log.discard(last);
                } else {
                    self.log = Log::starting_after(last, last_term);
                }
                self.snapshot = snapshot.clone();
            }
        }
    }
}

/// "Volatile state on all servers" (Figure 2).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Volatile<M: StateMachine> {
    /// Follower, pre-candidate, candidate or leader.
    pub role: Role<M>,
    /// A follower's: the leader of the current term has been heard of within the minimum
    /// election timeout. As long as that is so, [`Timer::Lease`](super::Timer::Lease) runs and
    /// this node ignores who wants to depose that leader (thesis §4.2.3).
    pub hears_leader: bool,
    /// The highest index known to be committed. Increases monotonically.
    pub commit_index: Index,
    /// The state machine, and how far it has come.
    pub applied: Applied<M>,
    /// Reads that wait at this node while it follows a leader, oldest first.
    pub follower_reads: Vec<FollowerRead<M>>,
    /// The latest configuration in log and snapshot. None while they have none: then the one that
    /// the cluster started with is in force.
    pub configuration: Option<InForce>,
    /// The weight of what has been applied and is not in the snapshot. Counted only where
    /// snapshots are taken.
    pub unsaved: usize,
    /// What has arrived of a snapshot that the leader sends.
    pub partial: Option<Partial>,
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
    /// Asks who would vote for it in the term after this one, and stands only when a quorum
    /// would (thesis §9.6). Its own term and vote remain what they are.
    PreCandidate {
        /// Who would, this node included.
        votes: BTreeSet<NodeId>,
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
    /// How far each peer has come. A node that has left keeps its place: were it to come
    /// back, its log would hold what it has acknowledged to this leader.
    pub progress: BTreeMap<NodeId, Progress>,
    /// The index of the no-op that this leader began its term with (§8).
    pub term_start: Index,
    /// The latest confirmation round begun. 0 until the first read.
    pub round: Round,
    /// Reads that wait, oldest first.
    pub reads: Vec<PendingRead<M>>,
    /// How far sessions expire by the last entry that this leader has appended to say so.
    pub expiring: Position,
    /// Who waits for the membership change under way.
    pub change: Option<RequestId>,
    /// The transfer of leadership that is under way. No command is taken meanwhile.
    pub transfer: Option<Transfer>,
    /// The peers that have answered an append since the lease timer last ran out. Stays empty
    /// without [`check_quorum`](super::Raft::check_quorum).
    pub heard: BTreeSet<NodeId>,
    /// The snapshot that some peers are being sent.
    pub blob: Option<Blob>,
}

/// A read that waits until leadership is confirmed and its index applied (thesis §6.4).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct PendingRead<M: StateMachine> {
    /// Which read.
    pub request: RequestId,
    /// Who wants to know what.
    pub reader: Reader<M>,
    /// The state machine must have applied this index before it answers.
    pub read_index: Index,
    /// A quorum must have answered this round before it answers.
    pub round: Round,
}

/// For whom a leader confirms that it leads.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Reader<M: StateMachine> {
    /// A client of its own.
    Client {
        /// What it asks.
        query: M::Query,
    },
    /// A follower that answers its client itself.
    Follower {
        /// The follower.
        node: NodeId,
    },
}

/// A read that a follower answers once its leader has said how far the log must be applied
/// for it, and it is (thesis §6.4).
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct FollowerRead<M: StateMachine> {
    /// Who asked.
    pub request: RequestId,
    /// What they asked.
    pub query: M::Query,
    /// The state machine must have applied this index before it answers; none until the leader
    /// has said so.
    pub read_index: Option<Index>,
    /// The leader has been heard of since it was asked, and has said nothing of this read.
    pub is_overdue: bool,
}
