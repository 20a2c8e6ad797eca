//! What a message says of terms (§5.1), in the specification's own words.

use crate::raft::log::Term;
use crate::raft::message::{
    AppendOutcome, HeartbeatOutcome, InstallOutcome, Message, ReadIndexOutcome, VoteOutcome,
};

/// The term that the message makes known: its sender's at the time. Pre-votes make none known (thesis
/// §9.6), but for the refusal that tells a node that it is behind.
pub(super) fn made_known<C>(message: &Message<C>) -> Option<Term> {
    let term = match message {
        Message::PreVote { .. }
        | Message::PreVoteResponse {
            outcome: VoteOutcome::Granted | VoteOutcome::Refused,
            ..
        } => return None,
        Message::PreVoteResponse {
            outcome: VoteOutcome::StaleTerm { current_term },
            ..
        } => current_term,
        Message::RequestVote { term, .. }
        | Message::TimeoutNow { term }
        | Message::Heartbeat { term, .. }
        | Message::ReadIndex { term, .. }
        | Message::AppendEntries { term, .. }
        | Message::InstallSnapshot { term, .. } => term,
        Message::RequestVoteResponse { term, outcome } => match outcome {
            VoteOutcome::Granted | VoteOutcome::Refused => term,
            VoteOutcome::StaleTerm { current_term } => current_term,
        },
        Message::HeartbeatResponse { term, outcome, .. } => match outcome {
            HeartbeatOutcome::Heard => term,
            HeartbeatOutcome::StaleTerm { current_term } => current_term,
        },
        Message::ReadIndexResponse { term, outcome, .. } => match outcome {
            ReadIndexOutcome::Confirmed { .. }
            | ReadIndexOutcome::NotLeader
            | ReadIndexOutcome::Busy => term,
            ReadIndexOutcome::StaleTerm { current_term } => current_term,
        },
        Message::AppendEntriesResponse { term, outcome, .. } => match outcome {
            AppendOutcome::Accepted { .. } | AppendOutcome::Conflict { .. } => term,
            AppendOutcome::StaleTerm { current_term } => current_term,
        },
        Message::InstallSnapshotResponse { term, outcome, .. } => match outcome {
            InstallOutcome::Installed { .. } | InstallOutcome::Received { .. } => term,
            InstallOutcome::StaleTerm { current_term } => current_term,
        },
    };
    Some(*term)
}

/// Whether the message answers another.
pub(super) fn is_answer<C>(message: &Message<C>) -> bool {
    matches!(
        message,
        Message::RequestVoteResponse { .. }
            | Message::PreVoteResponse { .. }
            | Message::HeartbeatResponse { .. }
            | Message::ReadIndexResponse { .. }
            | Message::AppendEntriesResponse { .. }
            | Message::InstallSnapshotResponse { .. }
    )
}

/// Whether the message answers what a node of `current_term` has asked before, and asks no more: in an
/// earlier term, or for one that has begun since.
pub(super) fn is_late<C>(message: &Message<C>, current_term: Term) -> bool {
    match message {
        Message::PreVoteResponse { term, .. } => *term <= current_term,
        Message::RequestVoteResponse { term, .. }
        | Message::HeartbeatResponse { term, .. }
        | Message::ReadIndexResponse { term, .. }
        | Message::AppendEntriesResponse { term, .. }
        | Message::InstallSnapshotResponse { term, .. } => *term < current_term,
        Message::RequestVote { .. }
        | Message::PreVote { .. }
        | Message::TimeoutNow { .. }
        | Message::Heartbeat { .. }
        | Message::ReadIndex { .. }
        | Message::AppendEntries { .. }
        | Message::InstallSnapshot { .. } => false,
    }
}

/// Whether a node of `own` term may have missed so many elections: more than there can have been in
/// two weeks, had each taken a microsecond, it has not.
pub(super) fn is_in_reach(own: Term, other: Term) -> bool {
    other.0.saturating_sub(own.0) <= 1 << 40
}
