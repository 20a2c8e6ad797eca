//! What agreeing on a fold takes of a replica's state: what its disk remembers as an acceptor, and
//! what a crash forgets of it as a proposer.

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Vote};
use super::dead::DeadNames;
use super::folded::Folded;
use crate::counter::g_counter::GCounter;
use crate::protocol::NodeId;

/// What an acceptor has said of the next fold. On disk, for it must not be unsaid; and forgotten when
/// that fold has been learned, for the next has an instance of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acceptor {
    /// The highest ballot that it has promised to heed.
    pub promised: Option<Ballot>,
    /// The names of which it has said how much it knows: it learns no more of them.
    pub frozen: DeadNames,
    /// What it has accepted last.
    pub accepted: Option<Vote>,
}

/// A proposal on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Proposal {
    /// Phase 1: promises are awaited.
    Preparing {
        /// The ballot.
        ballot: Ballot,
        /// The names that are to be folded.
        dead: DeadNames,
        /// Who has promised.
        promised: BTreeSet<NodeId>,
        /// The most that these know of each name.
        counts: GCounter,
        /// Of what these have accepted before, that of the highest ballot.
        accepted: Option<Vote>,
    },
    /// Phase 2: acceptances are awaited.
    Accepting {
        /// The ballot.
        ballot: Ballot,
        /// The fold.
        fold: Folded,
        /// Who has accepted it.
        accepted: BTreeSet<NodeId>,
    },
}

impl Proposal {
    /// In which ballot it is made.
    pub fn ballot(&self) -> Ballot {
        match self {
            Self::Preparing { ballot, .. } | Self::Accepting { ballot, .. } => *ballot,
        }
    }
}
