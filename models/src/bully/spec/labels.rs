//! How Bully's messages and nodes read in a trace.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Debug, Display};

use crate::bully::election::Standing;
use crate::bully::{Bully, Command, Message};
use crate::protocol::{Data, Node};

impl<R: Debug> Display for Message<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Election { election, rank } => write!(f, "Election {election} rank={rank:?}"),
            Self::Okay { election } => write!(f, "Okay {election}"),
            Self::Coordinator { election, rank } => {
                write!(f, "Coordinator {election} rank={rank:?}")
            }
            Self::Stale { election, current } => write!(f, "Stale {election}, now {current}"),
        }
    }
}

/// A node in one line: what it is, in which election, and the highest that it knows of.
pub(super) fn node<R: Data>(node: &Node<Bully<R>>) -> String {
    let state = &node.volatile;
    let standing = match state.standing {
        Standing::Candidate => "candidate".to_string(),
        Standing::Waiting => "waiting".to_string(),
        Standing::Elected { leader } => format!("led by {leader}"),
    };
    format!("{standing} {} highest={}", state.election, state.highest.id)
}

/// A command in one line.
pub(super) fn command(command: Command) -> String {
    match command {
        Command::WhoLeads => "who leads?".to_string(),
    }
}
