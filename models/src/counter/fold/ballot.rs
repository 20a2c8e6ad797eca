//! The synod's ballots.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::folded::Folded;
use crate::counter::g_counter::ReplicaId;

/// A proposal's number (Lamport 2001, "Paxos Made Simple", §2.2). Each is of one proposer, and of one
/// disk of it: one that has lost its disk has forgotten which numbers it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Greater than every round that the proposer has heard of.
    pub round: u64,
    /// Under which name the proposer counts.
    pub proposer: ReplicaId,
}

impl Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.round, self.proposer)
    }
}

/// A fold that an acceptor has accepted, and in which ballot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The ballot.
    pub ballot: Ballot,
    /// The fold.
    pub fold: Folded,
}
