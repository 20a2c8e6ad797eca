//! The counter's messages: delta-groups and their acknowledgements (Almeida et al. 2018, §6),
//! and the push-pull of anti-entropy (Demers et al. 1987, §1.3).

use serde::{Deserialize, Serialize};

use super::counts::Counts;

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
}

impl Message {
    /// What the message tells of the counter.
    pub fn counts(&self) -> &Counts {
        match self {
            Self::Delta { counts }
            | Self::DeltaAck { counts }
            | Self::PushPull { counts }
            | Self::PushPullReply { counts } => counts,
        }
    }
}
