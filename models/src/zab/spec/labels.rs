//! Messages, nodes and commands in one line each, for traces.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Debug, Display};

use crate::machine::StateMachine;
use crate::protocol::Node;
use crate::zab::election::Election;
use crate::zab::history::{Content, History, Recency, Transaction};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Phase, Role};
use crate::zab::{Command, Zab};

fn transactions<C: Debug>(transactions: &[Transaction<C>]) -> String {
    let words: Vec<String> = transactions.iter().map(ToString::to_string).collect();
    format!("[{}]", words.join(", "))
}

fn history<M: StateMachine>(history: &History<M>) -> String {
    let kept = transactions(history.transactions());
    match history.snapshot().zxid {
        zxid if zxid == Default::default() => kept,
        zxid => format!("snapshot {zxid}, after {} {kept}", history.begins_after()),
    }
}

impl<C: Debug> Display for Transaction<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Command { request, command } => {
                write!(f, "{}:{request} {command:?}", self.zxid)
            }
            Content::Sync { request } => write!(f, "{}:{request} sync", self.zxid),
        }
    }
}

impl Display for Recency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "current={} last={}", self.current_epoch, self.last_zxid)
    }
}

impl<M: StateMachine, E: Election> Display for Message<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FollowerInfo { accepted_epoch } => {
                write!(f, "FOLLOWERINFO accepted={accepted_epoch}")
            }
            Self::NewEpoch { epoch } => write!(f, "NEWEPOCH {epoch}"),
            Self::AckEpoch { epoch, ack } => {
                let promises = if ack.promises { "" } else { ", no promise" };
                write!(f, "ACKEPOCH {epoch} {}{promises}", ack.recency)
            }
            Self::Trunc { epoch, from, to } => write!(f, "TRUNC {epoch} from={from} to={to}"),
            Self::Snap { epoch, snapshot } => {
                write!(
                    f,
                    "SNAP {epoch} at={} {:?}",
                    snapshot.zxid, snapshot.machine
                )
            }
            Self::Diff {
                epoch,
                after,
                transactions: new,
            } => write!(f, "DIFF {epoch} after={after} {}", transactions(new)),
            Self::NewLeader { epoch, last_zxid } => {
                write!(f, "NEWLEADER {epoch} last={last_zxid}")
            }
            Self::AckNewLeader { epoch, last_zxid } => {
                write!(f, "ACK of NEWLEADER {epoch} last={last_zxid}")
            }
            Self::UpToDate { epoch, committed } => {
                write!(f, "UPTODATE {epoch} committed={committed}")
            }
            Self::Propose(transaction) => write!(f, "PROPOSE {transaction}"),
            Self::Ack { zxid } => write!(f, "ACK {zxid}"),
            Self::Commit { zxid } => write!(f, "COMMIT {zxid}"),
            Self::Request { epoch, content } => match content {
                Content::Command { request, command } => {
                    write!(f, "REQUEST {epoch} {request} {command:?}")
                }
                Content::Sync { request } => write!(f, "REQUEST {epoch} {request} sync"),
            },
            Self::Ping {
                epoch,
                last_zxid,
                committed,
            } => write!(f, "PING {epoch} last={last_zxid} committed={committed}"),
            Self::Pong { epoch, last_zxid } => write!(f, "PONG {epoch} last={last_zxid}"),
            Self::Election(message) => write!(f, "{message:?}"),
        }
    }
}

/// A node in one line: role, epochs, history, what is delivered.
pub(super) fn node<M: StateMachine, E: Election>(node: &Node<Zab<M, E>>) -> String {
    let durable = node.durable();
    let delivered = &node.volatile.delivered;
    format!(
        "{} accepted={} current={} history={} delivered={} {:?}",
        role(&node.volatile.role),
        durable.accepted_epoch,
        durable.current_epoch,
        history(&durable.history),
        delivered.zxid,
        delivered.machine,
    )
}

fn role(role: &Role) -> String {
    match role {
        Role::Looking => "looking".to_string(),
        Role::Following(following) => {
            let phase = match following.phase {
                Phase::Discovery => "discovery",
                Phase::Synchronization => "synchronization",
                Phase::Broadcast => "broadcast",
            };
            format!("follower of {}, {phase}", following.leader)
        }
        Role::Leading(Leading::Elected { accepted }) => {
            format!("elected, {} infos", accepted.len())
        }
        Role::Leading(Leading::Prospective { acks }) => {
            format!("prospective leader, {} acks", acks.len())
        }
        Role::Leading(Leading::Primary(primary)) => {
            let joined = primary.joined().count();
            if primary.established {
                format!("LEADER of {joined}")
            } else {
                format!("synchronizing leader of {joined}")
            }
        }
    }
}

/// A command in one line.
pub(super) fn command<M: StateMachine>(command: &Command<M>) -> String {
    match command {
        Command::Write { request, command } => format!("{request} {command:?}"),
        Command::Read { request, query } => format!("{request} read {query:?}"),
        Command::SyncedRead { request, query } => format!("{request} synced read {query:?}"),
    }
}
