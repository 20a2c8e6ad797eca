//! How messages and nodes read in a trace.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Display};

use crate::maekawa::message::Message;
use crate::maekawa::quorum::Construction;
use crate::maekawa::state::{
    Attempt, Claim, Local, Membership, Orchestration, Persistent, Session, Standing, Volatile,
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
        write!(f, "{}#{}", self.session, self.sequence)
    }
}

/// The nodes, in braces.
fn set(nodes: &BTreeSet<NodeId>) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    format!("{{{}}}", nodes.join(" "))
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { epoch, request } => write!(f, "REQUEST {epoch} {request}"),
            Self::Locked {
                epoch,
                request,
                number,
                clock,
            } => write!(f, "LOCKED {epoch} {request} grant={number} clock={clock}"),
            Self::Failed { epoch, request } => write!(f, "FAILED {epoch} {request}"),
            Self::Inquire {
                epoch,
                request,
                number,
            } => write!(f, "INQUIRE {epoch} {request} grant={number}"),
            Self::Relinquish {
                epoch,
                request,
                number,
            } => write!(f, "RELINQUISH {epoch} {request} grant={number}"),
            Self::Release {
                epoch,
                request,
                counter,
            } => write!(f, "RELEASE {epoch} {request} token={counter}"),
            Self::Register { after } => write!(f, "Register after {after}"),
            Self::Deregister { epoch } => write!(f, "Deregister {epoch}"),
            Self::Freeze { epoch } => write!(f, "Freeze {epoch}"),
            Self::Frozen { epoch } => write!(f, "Frozen {epoch}"),
            Self::Install {
                epoch,
                members,
                construction,
            } => {
                let shape = match construction {
                    Construction::Plane => "plane",
                    Construction::Grid => "grid",
                };
                write!(f, "Install {epoch} {} {shape}", set(members))
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
            set(&orchestration.frozen),
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
    let waiting = local.claims.len();
    format!(
        "{}{ending} clock={} {} | {} | claims={waiting}",
        membership.epoch,
        local.clock,
        arbiter(membership),
        membership
            .attempt
            .as_ref()
            .map_or("idle".to_string(), attempt),
    )
}

fn arbiter(membership: &Membership) -> String {
    let arbiter = &membership.arbiter;
    let locked = arbiter.locked.map_or("free".to_string(), |grant| {
        let inquired = if grant.inquired { "?" } else { "" };
        format!("locked {} grant={}{inquired}", grant.request, grant.number)
    });
    let waiting: Vec<String> = arbiter.waiting.iter().map(ToString::to_string).collect();
    format!("{locked} waiting=[{}]", waiting.join(" "))
}

fn attempt(attempt: &Attempt) -> String {
    if let Some(token) = attempt.held {
        return format!("IN THE CRITICAL SECTION {} token={token}", attempt.request);
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
    format!("requests {} {}", attempt.request, views.join(" "))
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
