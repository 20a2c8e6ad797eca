//! How Raft's messages and nodes read in a trace.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Debug, Display};

use crate::protocol::{Node, NodeId};
use crate::raft::configuration::Configuration;
use crate::raft::log::{Content, Entry, Index};
use crate::raft::machine::StateMachine;
use crate::raft::membership::Change;
use crate::raft::message::{
    AppendOutcome, HeartbeatOutcome, InstallOutcome, Message, ReadIndexOutcome, VoteOutcome,
};
use crate::raft::state::{Persistent, Role};
use crate::raft::{Command, Raft};

impl<C: Debug> Display for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Noop => write!(f, "{}:no-op", self.term),
            Content::ExpireSessions { through } => {
                write!(f, "{}:sessions expire through {}", self.term, through.0)
            }
            Content::Configuration(configuration) => write!(f, "{}:{configuration}", self.term),
            Content::Command { request, command } => {
                write!(f, "{}:{request} {command:?}", self.term)
            }
        }
    }
}

impl Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        if self.is_joint() {
            write!(f, "{} → ", nodes(&self.outgoing))?;
        }
        f.write_str(&nodes(&self.voters))?;
        if !self.learners.is_empty() {
            write!(f, " + {}", nodes(&self.learners))?;
        }
        f.write_str("}")
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("change membership:")?;
        for (verb, subjects) in [
            ("add", &self.add),
            ("promote", &self.promote),
            ("remove", &self.remove),
        ] {
            if !subjects.is_empty() {
                write!(f, " {verb} {}", nodes(subjects))?;
            }
        }
        Ok(())
    }
}

/// Their names, in a row.
fn nodes(nodes: &BTreeSet<NodeId>) -> String {
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    names.join(" ")
}

/// The entries, in brackets.
fn entries<C: Debug>(entries: &[Entry<C>]) -> String {
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    format!("[{}]", entries.join(", "))
}

impl<C: Debug> Display for Message<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestVote {
                term,
                last_log_index,
                last_log_term,
                leadership_transfer,
            } => write!(
                f,
                "RequestVote {term} last={last_log_index}@{last_log_term}{}",
                if *leadership_transfer {
                    " transfer"
                } else {
                    ""
                }
            ),
            Self::TimeoutNow { term } => write!(f, "TimeoutNow {term}"),
            Self::Heartbeat { term, round } => write!(f, "Heartbeat {term} round={}", round.0),
            Self::HeartbeatResponse {
                term,
                round,
                outcome,
            } => write!(f, "HeartbeatResponse {term} {outcome} round={}", round.0),
            Self::ReadIndex { term, request } => write!(f, "ReadIndex {term} for {request}"),
            Self::ReadIndexResponse {
                term,
                request,
                outcome,
            } => write!(f, "ReadIndexResponse {term} for {request} {outcome}"),
            Self::RequestVoteResponse { term, outcome } => {
                write!(f, "RequestVoteResponse {term} {outcome}")
            }
            Self::PreVote {
                term,
                last_log_index,
                last_log_term,
            } => write!(f, "PreVote {term} last={last_log_index}@{last_log_term}"),
            Self::PreVoteResponse { term, outcome } => {
                write!(f, "PreVoteResponse {term} {outcome}")
            }
            Self::AppendEntries {
                term,
                prev_log_index,
                prev_log_term,
                entries: new,
                leader_commit,
                checksum: _,
                round,
            } => write!(
                f,
                "AppendEntries {term} prev={prev_log_index}@{prev_log_term} {} commit={leader_commit} round={}",
                entries(new),
                round.0
            ),
            Self::AppendEntriesResponse {
                term,
                outcome,
                round,
            } => write!(
                f,
                "AppendEntriesResponse {term} {outcome} round={}",
                round.0
            ),
            Self::InstallSnapshot {
                term,
                last_included_index,
                last_included_term,
                offset,
                data,
                done,
                round,
            } => write!(
                f,
                "InstallSnapshot {term} last={last_included_index}@{last_included_term} bytes={offset}..{}{} round={}",
                offset.saturating_add(data.len() as u64),
                if *done { " done" } else { "" },
                round.0
            ),
            Self::InstallSnapshotResponse {
                term,
                outcome,
                round,
            } => write!(
                f,
                "InstallSnapshotResponse {term} {outcome} round={}",
                round.0
            ),
        }
    }
}

impl Display for VoteOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::Refused => f.write_str("refused"),
            Self::StaleTerm { current_term } => write!(f, "stale, now {current_term}"),
        }
    }
}

impl Display for HeartbeatOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard => f.write_str("heard"),
            Self::StaleTerm { current_term } => write!(f, "stale, now {current_term}"),
        }
    }
}

impl Display for ReadIndexOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmed { read_index } => write!(f, "index={read_index}"),
            Self::NotLeader => f.write_str("not leader"),
            Self::Busy => f.write_str("busy"),
            Self::StaleTerm { current_term } => write!(f, "stale, now {current_term}"),
        }
    }
}

impl Display for AppendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { match_index } => write!(f, "accepted match={match_index}"),
            Self::Conflict {
                prev_log_index,
                conflict_term,
                first_index,
            } => {
                write!(f, "conflict at {prev_log_index}")?;
                match conflict_term {
                    Some(term) => write!(f, ", {term} from {first_index}"),
                    None => write!(f, ", log ends before {first_index}"),
                }
            }
            Self::StaleTerm { current_term } => write!(f, "stale, now {current_term}"),
        }
    }
}

impl Display for InstallOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed {
                last_included_index,
            } => write!(f, "installed {last_included_index}"),
            Self::Received {
                last_included_index,
                sent,
                received,
            } => write!(f, "of {last_included_index}, {received} bytes at {sent}"),
            Self::StaleTerm { current_term } => write!(f, "stale, now {current_term}"),
        }
    }
}

/// A node in one line: role, term, vote, log, commit index, state machine.
pub(super) fn node<M: StateMachine>(node: &Node<Raft<M>>) -> String {
    let durable = node.durable();
    let vote = durable
        .voted_for
        .map_or_else(|| "none".to_string(), |voted| voted.to_string());
    let part = match (&durable.initial, &durable.halted) {
        (None, _) => "blank ",
        (_, Some(_)) => "halted ",
        (Some(_), None) => "",
    };
    format!(
        "{part}{} {} vote={vote}{} log={} commit={} {:?}",
        role(&node.volatile.role),
        durable.current_term,
        snapshot(durable),
        entries(durable.log.from(Index(1))),
        node.volatile.commit_index,
        node.volatile.applied.machine,
    )
}

/// The snapshot and where the log begins, if there is one.
fn snapshot<M: StateMachine>(durable: &Persistent<M>) -> String {
    let (index, term) = durable.snapshot.last_included();
    match index {
        Index(0) => String::new(),
        index => format!(
            " snapshot={index}@{term} discarded={}",
            durable.log.base_index()
        ),
    }
}

fn role<M: StateMachine>(role: &Role<M>) -> String {
    match role {
        Role::Follower { leader: None } => "follower".to_string(),
        Role::Follower {
            leader: Some(leader),
        } => format!("follower of {leader}"),
        Role::PreCandidate { votes } => format!("pre-candidate with {}", nodes(votes)),
        Role::Candidate { votes } => format!("candidate with {}", nodes(votes)),
        Role::Leader(_) => "LEADER".to_string(),
    }
}

/// A command in one line.
pub(super) fn command<M: StateMachine>(command: &Command<M>) -> String {
    match command {
        Command::Propose { request, command } => format!("{request} {command:?}"),
        Command::Read { request, query } => format!("{request} read {query:?}"),
        Command::ReadHere { request, query } => format!("{request} read {query:?} here"),
        Command::ChangeMembership { request, change } => format!("{request} {change}"),
        Command::TransferLeadership { request, to } => format!("{request} transfer to {to}"),
    }
}
