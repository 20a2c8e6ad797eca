//! How messages and nodes read in a trace.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Display};

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{HeldLocks, Message};
use crate::maekawa::quorum::Construction;
use crate::maekawa::state::{
    Arbiter, Attempt, Claim, Local, Orchestration, Persistent, Session, Standing, Volatile,
};
use crate::maekawa::{Command, Maekawa};
use crate::protocol::{Node, NodeId};

impl Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}@{}", self.number, self.node)
    }
}

impl Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} to {}", self.session, self.sequence, self.lock)
    }
}

/// The nodes, in braces.
fn set(nodes: &BTreeSet<NodeId>) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    format!("{{{}}}", nodes.join(" "))
}

/// Who holds which lock, after what else is said; nothing where nobody does.
fn held_locks(held: &HeldLocks) -> String {
    let held = held.iter();
    held.map(|(lock, held)| format!(", {lock} is held by {} token={}", held.request, held.token))
        .collect()
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request {
                epoch,
                lock,
                request,
            } => write!(f, "REQUEST {epoch} {lock} {request}"),
            Self::Locked {
                epoch,
                lock,
                request,
                number,
                clock,
            } => write!(
                f,
                "LOCKED {epoch} {lock} {request} grant={number} clock={clock}"
            ),
            Self::Failed {
                epoch,
                lock,
                request,
            } => write!(f, "FAILED {epoch} {lock} {request}"),
            Self::Inquire {
                epoch,
                lock,
                request,
                number,
            } => write!(f, "INQUIRE {epoch} {lock} {request} grant={number}"),
            Self::Relinquish {
                epoch,
                lock,
                request,
                number,
            } => write!(f, "RELINQUISH {epoch} {lock} {request} grant={number}"),
            Self::Release {
                epoch,
                lock,
                request,
                counter,
            } => write!(f, "RELEASE {epoch} {lock} {request} token={counter}"),
            Self::Register { after } => write!(f, "Register after {after}"),
            Self::Deregister { epoch } => write!(f, "Deregister {epoch}"),
            Self::Freeze { epoch } => write!(f, "Freeze {epoch}"),
            Self::Frozen { epoch, held } => write!(f, "Frozen {epoch}{}", held_locks(held)),
            Self::Install {
                epoch,
                members,
                construction,
                held,
            } => {
                let shape = match construction {
                    Construction::Plane => "plane",
                    Construction::Grid => "grid",
                };
                let (members, held) = (set(members), held_locks(held));
                write!(f, "Install {epoch} {members} {shape}{held}")
            }
            Self::Ping { epoch, renews } => {
                let renews = if *renews { ", renews the lease" } else { "" };
                write!(f, "Ping {epoch}{renews}")
            }
            Self::Pong { epoch } => write!(f, "Pong {epoch}"),
        }
    }
}

/// A node in one line.
pub(super) fn node(node: &Node<Maekawa>) -> String {
    match &node.volatile {
        Volatile::Orchestrator(orchestration) => orchestrator(node.durable(), orchestration),
        Volatile::Node(local) => member(node.durable(), local),
    }
}

fn orchestrator(durable: &Persistent, orchestration: &Orchestration) -> String {
    let mut line = format!("orchestrator {} {}", durable.epoch, set(&durable.members));
    if durable.changing {
        line += &format!(
            " ends, frozen {}, next {}",
            set(&orchestration.frozen.keys().copied().collect()),
            set(&durable.roster)
        );
    }
    line
}

fn member(durable: &Persistent, local: &Local) -> String {
    let Some(membership) = &local.membership else {
        return format!("outside, after {}", durable.epoch);
    };
    let ending = if membership.frozen { " frozen" } else { "" };
    let waiting = local.all_claims().count();
    let arbiters = membership.arbiters.iter();
    let arbiters = arbiters.filter(|(_, arbiter)| !arbiter.is_idle());
    let arbiters: Vec<String> = arbiters.map(|(lock, it)| arbiter(lock, it)).collect();
    let attempts = membership.attempts.iter();
    let attempts: Vec<String> = attempts.map(|(lock, it)| attempt(lock, it)).collect();
    format!(
        "{}{ending} clock={} {} | {} | claims={waiting}",
        membership.epoch,
        local.clock,
        or(&arbiters, "free"),
        or(&attempts, "idle"),
    )
}

/// The parts, or a word where there are none.
fn or(parts: &[String], none: &str) -> String {
    match parts {
        [] => none.to_string(),
        parts => parts.join(", "),
    }
}

fn arbiter(lock: &LockName, arbiter: &Arbiter) -> String {
    let locked = arbiter.locked.map_or("free".to_string(), |grant| {
        let inquired = if grant.inquired { "?" } else { "" };
        format!("locked {} grant={}{inquired}", grant.request, grant.number)
    });
    let waiting: Vec<String> = arbiter.waiting.iter().map(ToString::to_string).collect();
    format!("{lock} {locked} waiting=[{}]", waiting.join(" "))
}

fn attempt(lock: &LockName, attempt: &Attempt) -> String {
    if let Some(token) = attempt.held {
        return format!("HOLDS {lock} {} token={token}", attempt.request);
    }
    let views = attempt.arbiters.iter().map(|(arbiter, view)| {
        let standing = match view.standing {
            Standing::Awaited => "?",
            Standing::Failed => "failed",
            Standing::Locked => "locked",
            Standing::Inquired => "inquired",
        };
        format!("{arbiter}:{standing}")
    });
    let views: Vec<String> = views.collect();
    format!("requests {lock} {} {}", attempt.request, views.join(" "))
}

/// A command in one line.
pub(super) fn command(command: &Command) -> String {
    match command {
        Command::Acquire { claim } => format!("acquire {claim}"),
        Command::Release { claim } => format!("release {claim}"),
        Command::End { session } => format!("end {session}"),
        Command::Register => "register".to_string(),
        Command::Deregister => "deregister".to_string(),
    }
}
