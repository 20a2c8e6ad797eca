//! Raft's messages (Figure 2, "RequestVote RPC" and "AppendEntries RPC"; Figure 13,
//! "InstallSnapshot RPC"). The sender's id
//! (the figure's candidateId and leaderId) travels with the envelope.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::log::{Entry, Index, Term};
use super::machine::Checksum;
use super::session::RequestId;

/// The number of a leadership confirmation round: a read waits until a quorum has answered
/// a message of the round that began after it (§8; thesis §6.4).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Round(pub u64);

impl Round {
    /// The round after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message<C> {
    /// A candidate asks for a vote (§5.2).
    RequestVote {
        /// The candidate's term.
        term: Term,
        /// The index of the candidate's last entry (§5.4.1).
        last_log_index: Index,
        /// The term of the candidate's last entry (§5.4.1).
        last_log_term: Term,
        /// The leader itself has told the candidate to stand: who hears the leader votes all
        /// the same (thesis §4.2.3, last paragraph).
        leadership_transfer: bool,
    },
    /// The answer to a vote request.
    RequestVoteResponse {
        /// The term of the request that this answers.
        term: Term,
        /// What came of the request.
        outcome: VoteOutcome,
    },
    /// A node asks whether it would get a vote in a term in which it does not stand yet
    /// (thesis §9.6). Changes nothing on either side.
    PreVote {
        /// The term that the sender would stand for: the one after its own.
        term: Term,
        /// The index of the sender's last entry.
        last_log_index: Index,
        /// The term of the sender's last entry.
        last_log_term: Term,
    },
    /// The answer to a pre-vote request.
    PreVoteResponse {
        /// The term of the request that this answers.
        term: Term,
        /// What came of the request.
        outcome: VoteOutcome,
    },
    /// A leader tells a follower whose log is complete to stand at once (thesis §3.10).
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
    /// A leader replicates entries, or shows that it lives (§5.2, §5.3).
    AppendEntries {
        /// The leader's term.
        term: Term,
        /// The index of the entry right before the new ones.
        prev_log_index: Index,
        /// The term of that entry.
        prev_log_term: Term,
        /// The new entries; none in a heartbeat.
        entries: Vec<Entry<C>>,
        /// The leader's commit index.
        leader_commit: Index,
        /// The checksum of the leader's state after the entries up to there, if it has one.
        checksum: Option<Checksum>,
        /// The leader's confirmation round, echoed in the answer.
        round: Round,
    },
    /// A leader shows that it lives, and nothing more: no entries, no commit index, no place in the
    /// log. Needs no disk on either side ([`early_heartbeats`](super::Raft::early_heartbeats)).
    Heartbeat {
        /// The leader's term.
        term: Term,
        /// The leader's confirmation round, echoed in the answer.
        round: Round,
    },
    /// The answer to such a heartbeat. Promises nothing about the follower's log or ballot.
    HeartbeatResponse {
        /// The term of the heartbeat that this answers.
        term: Term,
        /// The round of the heartbeat that this answers.
        round: Round,
        /// What came of the heartbeat.
        outcome: HeartbeatOutcome,
    },
    /// A follower asks the leader how far it must have applied the log before it answers a read
    /// (thesis §6.4).
    ReadIndex {
        /// The term of the leader that is asked.
        term: Term,
        /// The read, by which the answer finds its way back. Two reads never share an answer.
        request: RequestId,
    },
    /// The answer to that question.
    ReadIndexResponse {
        /// The term of the question that this answers.
        term: Term,
        /// The read.
        request: RequestId,
        /// What came of it.
        outcome: ReadIndexOutcome,
    },
    /// The answer to an append.
    AppendEntriesResponse {
        /// The term of the append that this answers.
        term: Term,
        /// What came of the append.
        outcome: AppendOutcome,
        /// The round of the append that this answers.
        round: Round,
    },
    /// A leader sends a part of its snapshot, or, with none, shows that it lives (§7).
    InstallSnapshot {
        /// The leader's term.
        term: Term,
        /// The index of the last entry that the snapshot replaces.
        last_included_index: Index,
        /// The term of that entry.
        last_included_term: Term,
        /// Where the chunk begins in the encoded snapshot, in bytes.
        offset: u64,
        /// The chunk.
        data: Vec<u8>,
        /// Whether it is the last one.
        done: bool,
        /// The leader's confirmation round, echoed in the answer.
        round: Round,
    },
    /// The answer to a chunk of a snapshot.
    InstallSnapshotResponse {
        /// The term of the chunk that this answers.
        term: Term,
        /// What came of the chunk.
        outcome: InstallOutcome,
        /// The round of the chunk that this answers.
        round: Round,
    },
}

/// What came of a vote or a pre-vote request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteOutcome {
    /// The candidate has the vote, on disk; or, for a pre-vote, would get it.
    Granted,
    /// It has not: the vote is another's, or the candidate's log is behind.
    Refused,
    /// The request came from an earlier term than the voter's, and was ignored (§5.1); or,
    /// for a pre-vote, the term asked for has begun already.
    StaleTerm {
        /// The voter's term.
        current_term: Term,
    },
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// The follower's log equals the leader's up to `match_index`, on disk.
    Accepted {
        /// The last index that the append has shown to be equal.
        match_index: Index,
    },
    /// The follower has no entry at `prev_log_index` with `prev_log_term`. The other two
    /// fields let the leader skip a whole term at once (§5.3, last paragraphs).
    Conflict {
        /// The index that the append named: tells a current answer from a stale one.
        prev_log_index: Index,
        /// The term of the follower's entry at that index; none where its log is shorter.
        conflict_term: Option<Term>,
        /// The first index that the follower stores for that term, or the end of its log.
        first_index: Index,
    },
    /// The append came from an earlier term than the follower's, and was ignored (§5.1).
    StaleTerm {
        /// The follower's term.
        current_term: Term,
    },
}

/// What came of a heartbeat that is nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HeartbeatOutcome {
    /// The follower was in no later term when it was asked.
    Heard,
    /// The heartbeat came from an earlier term than the follower's, and was ignored (§5.1).
    StaleTerm {
        /// The follower's term.
        current_term: Term,
    },
}

/// What came of a follower's question for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReadIndexOutcome {
    /// A quorum has confirmed the leader since it was asked. Who has applied the log this far
    /// has all that was committed by then.
    Confirmed {
        /// So far.
        read_index: Index,
    },
    /// Who was asked leads no longer, or not yet.
    NotLeader,
    /// Too many reads wait at the leader.
    Busy,
    /// The question came from an earlier term (§5.1).
    StaleTerm {
        /// The term of who was asked.
        current_term: Term,
    },
}

/// What came of a chunk of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstallOutcome {
    /// The follower has all that the snapshot replaces, on disk: from the snapshot, or in its
    /// log.
    Installed {
        /// The index of the last entry that the snapshot replaces.
        last_included_index: Index,
    },
    /// The snapshot is not complete.
    Received {
        /// The index of the last entry that the snapshot replaces.
        last_included_index: Index,
        /// Where the chunk ended: tells a current answer from a stale one.
        sent: u64,
        /// How many bytes the follower has, from the start on: where the next chunk must begin.
        received: u64,
    },
    /// The chunk came from an earlier term than the follower's, and was ignored (§5.1).
    StaleTerm {
        /// The follower's term.
        current_term: Term,
    },
}

impl<C> Message<C> {
    /// The term of the exchange: the sender's in a request, the request's in an answer. Of a
    /// pre-vote it is the term asked for, in which nobody is.
    ///
    /// An answer bears its request's term so that a node which has moved on knows it for
    /// what it is, the answer to a question that it no longer asks: an RPC library would
    /// have dropped it with the call.
    pub fn term(&self) -> Term {
        match self {
            Self::RequestVote { term, .. }
            | Self::RequestVoteResponse { term, .. }
            | Self::PreVote { term, .. }
            | Self::PreVoteResponse { term, .. }
            | Self::TimeoutNow { term }
            | Self::Heartbeat { term, .. }
            | Self::HeartbeatResponse { term, .. }
            | Self::ReadIndex { term, .. }
            | Self::ReadIndexResponse { term, .. }
            | Self::AppendEntries { term, .. }
            | Self::AppendEntriesResponse { term, .. }
            | Self::InstallSnapshot { term, .. }
            | Self::InstallSnapshotResponse { term, .. } => *term,
        }
    }

    /// The term that the message makes known (§5.1): its sender's at the time. A pre-vote
    /// makes none known, for it must change nothing (thesis §9.6); a node that is behind
    /// learns so from the answer to a pre-vote of its own.
    pub fn sender_term(&self) -> Term {
        match self {
            Self::RequestVoteResponse {
                outcome: VoteOutcome::StaleTerm { current_term },
                ..
            }
            | Self::PreVoteResponse {
                outcome: VoteOutcome::StaleTerm { current_term },
                ..
            }
            | Self::AppendEntriesResponse {
                outcome: AppendOutcome::StaleTerm { current_term },
                ..
            }
            | Self::HeartbeatResponse {
                outcome: HeartbeatOutcome::StaleTerm { current_term },
                ..
            }
            | Self::ReadIndexResponse {
                outcome: ReadIndexOutcome::StaleTerm { current_term },
                ..
            }
            | Self::InstallSnapshotResponse {
                outcome: InstallOutcome::StaleTerm { current_term },
                ..
            } => *current_term,
            Self::PreVote { .. } | Self::PreVoteResponse { .. } => Term(0),
            _ => self.term(),
        }
    }

    /// Whether this answers a request.
    pub fn is_response(&self) -> bool {
        match self {
            Self::RequestVoteResponse { .. }
            | Self::PreVoteResponse { .. }
            | Self::HeartbeatResponse { .. }
            | Self::ReadIndexResponse { .. }
            | Self::AppendEntriesResponse { .. }
            | Self::InstallSnapshotResponse { .. } => true,
            Self::RequestVote { .. }
            | Self::PreVote { .. }
            | Self::TimeoutNow { .. }
            | Self::Heartbeat { .. }
            | Self::ReadIndex { .. }
            | Self::AppendEntries { .. }
            | Self::InstallSnapshot { .. } => false,
        }
    }

    /// Whether this answers a question that a node at `current_term` no longer asks: one of a
    /// term that it has left behind, or a pre-vote for a term that it has reached.
    pub fn is_late_at(&self, current_term: Term) -> bool {
        match self {
            Self::PreVoteResponse { term, .. } => *term <= current_term,
            _ => self.is_response() && self.term() < current_term,
        }
    }
}
