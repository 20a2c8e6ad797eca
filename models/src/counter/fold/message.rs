//! The synod's messages.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Vote};
use super::dead::DeadNames;
use super::folded::Folded;
use crate::counter::g_counter::GCounter;

/// What proposers and acceptors send each other (Lamport 2001, "Paxos Made Simple", §2.2). All may be
/// lost, duplicated and reordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FoldMessage {
    /// Phase 1a: what is known of these names, and no more of them from now on.
    Prepare {
        /// Which fold is to be agreed on.
        number: u64,
        /// The proposal's number.
        ballot: Ballot,
        /// The names that are dead.
        dead: DeadNames,
    },
    /// Phase 1b: nothing more is learned of these names, and nothing accepted in an earlier ballot.
    Promise {
        /// Of which fold.
        number: u64,
        /// The ballot.
        ballot: Ballot,
        /// All that the acceptor knows of the names.
        counts: GCounter,
        /// What it has accepted before.
        accepted: Option<Vote>,
    },
    /// Phase 2a: all have promised, and this is to be the fold.
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// The fold.
        fold: Folded,
    },
    /// Phase 2b: the acceptor has accepted it.
    Accepted {
        /// Which fold.
        number: u64,
        /// The ballot.
        ballot: Ballot,
    },
    /// The acceptor has promised another ballot, or knows nothing of this one: its proposer has to
    /// begin anew, with a higher one (§2.3, "if an acceptor … ignores a … request because it has
    /// already received a prepare request with a higher number, then it should probably inform the
    /// proposer").
    Refused {
        /// Which fold.
        number: u64,
        /// The ballot that is refused.
        ballot: Ballot,
    },
}

impl FoldMessage {
    /// Which fold it is about.
    pub fn number(&self) -> u64 {
        match self {
            Self::Prepare { number, .. }
            | Self::Promise { number, .. }
            | Self::Accepted { number, .. }
            | Self::Refused { number, .. } => *number,
            Self::Accept { fold, .. } => fold.number,
        }
    }

    /// In which ballot it is said.
    pub fn ballot(&self) -> Ballot {
        match self {
            Self::Prepare { ballot, .. }
            | Self::Promise { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Accepted { ballot, .. }
            | Self::Refused { ballot, .. } => *ballot,
        }
    }
}

impl Display for FoldMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare {
                number,
                ballot,
                dead,
            } => write!(f, "Prepare {number} {ballot} {dead}"),
            Self::Promise {
                number,
                ballot,
                counts,
                accepted,
            } => {
                write!(f, "Promise {number} {ballot} {counts}")?;
                match accepted {
                    Some(Vote { ballot, fold }) => write!(f, " accepted {ballot} {fold}"),
                    None => Ok(()),
                }
            }
            Self::Accept { ballot, fold } => write!(f, "Accept {ballot} {fold}"),
            Self::Accepted { number, ballot } => write!(f, "Accepted {number} {ballot}"),
            Self::Refused { number, ballot } => write!(f, "Refused {number} {ballot}"),
        }
    }
}
