//! Bully's messages. Each bears the number of the election that it belongs to.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// The number of an election. Election 0 is before the first.
///
/// The paper needs none: under bounded delay a message of an old election is never seen in a
/// new one. Numbers make the algorithm bear what a real network does, and let an embedder tell
/// old messages from new ones. They are unique only as long as delays are bounded: without
/// quorums, two sides of a partition count alike.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Number(pub u64);

impl Number {
    /// How far ahead of a node's own a number may be. A message from beyond is damaged or
    /// forged, and must not use up the numbers there are.
    pub const FURTHEST_AHEAD: u64 = 1 << 40;

    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether a node at this number may believe in `other`.
    pub fn may_reach(self, other: Self) -> bool {
        other.0 <= self.0.saturating_add(Self::FURTHEST_AHEAD)
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// A message between two nodes. `R` is a node's rank, by which nodes are ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message<R> {
    /// The sender stands for election. To a higher node it asks "are you there?", a lower one
    /// it halts: from now on that waits for a coordinator (the paper's AreYouThere and Halt). It
    /// goes to all, for nobody knows the others' ranks.
    Election {
        /// The election.
        election: Number,
        /// The sender's rank.
        rank: R,
    },
    /// The answer to [`Election`](Self::Election): a higher node takes part.
    Okay {
        /// The election of the message that this answers.
        election: Number,
    },
    /// The sender is the coordinator (the paper's NewCoordinator, and its periodic check): said
    /// to all when it is elected, and again and again as long as it is up.
    Coordinator {
        /// The election that it has won.
        election: Number,
        /// The sender's rank.
        rank: R,
    },
    /// The answer to [`Election`](Self::Election) and [`Coordinator`](Self::Coordinator) from
    /// a node that has missed something: this election is over, or a later one has begun.
    Stale {
        /// The election of the message that this answers.
        election: Number,
        /// The last election that the sender knows of.
        current: Number,
    },
}

impl<R> Message<R> {
    /// The election that this message belongs to; of an answer, that of the message it
    /// answers.
    pub fn election(&self) -> Number {
        match self {
            Self::Election { election, .. }
            | Self::Okay { election }
            | Self::Coordinator { election, .. }
            | Self::Stale { election, .. } => *election,
        }
    }
}
