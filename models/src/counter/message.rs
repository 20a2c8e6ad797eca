//! The counter's messages: delta-groups and their acknowledgements (Almeida et al. 2018, §6),
//! the push-pull of anti-entropy (Demers et al. 1987, §1.3), and what is said to agree on a
//! [fold](super::fold).

use serde::{Deserialize, Serialize};

use super::counts::{Counts, NOTHING};
use super::fold::message::FoldMessage;

/// What replicas send each other. All may be lost, duplicated and reordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// What the sender has no word that the receiver has it.
    Delta {
        /// The join of all that is unacknowledged.
        counts: Counts,
    },
    /// The delta is merged, and on disk.
    ///
    /// It names what it acknowledges instead of a sequence number, and so is right whenever
    /// it comes: late, twice, or after a crash of either end.
    DeltaAck {
        /// The delta.
        counts: Counts,
    },
    /// All that the sender knows, with the wish to be told the rest.
    PushPull {
        /// The sender's whole state.
        counts: Counts,
    },
    /// The rest: what the sender knows and the receiver, by its own word, does not; and the totals of
    /// whatever buckets are in that.
    PushPullReply {
        /// The components in which the sender was ahead, and those totals.
        counts: Counts,
    },
    /// What dead names are to be folded.
    Fold(FoldMessage),
}

impl Message {
    /// What the message tells of the counter. What is said of a fold before it is agreed on is none of
    /// that.
    pub fn counts(&self) -> &Counts {
        match self {
            Self::Delta { counts }
            | Self::DeltaAck { counts }
            | Self::PushPull { counts }
            | Self::PushPullReply { counts } => counts,
            Self::Fold(_) => &NOTHING,
        }
    }
}
