//! The replicated state machine that a log of commands serves (Schneider 1990). The protocols
//! that order commands are generic over it: the checker runs on a register of a byte, a
//! service on a map of byte strings or a tree of files.

use serde::{Deserialize, Serialize};

use crate::protocol::Data;

/// What a history of commands comes to, in brief.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Checksum(pub u64);

/// A deterministic state machine: equal commands in equal order give equal states and equal
/// responses on every replica.
pub trait StateMachine: Data + Default {
    /// What changes the state. Goes through the log.
    type Command: Data;
    /// What asks about the state. Does not go through the log.
    type Query: Data;
    /// What a command or a query answers.
    type Response: Data;

    /// Applies a committed command.
    fn apply(&mut self, command: &Self::Command) -> Self::Response;

    /// Answers a query from the state as it is.
    fn query(&self, query: &Self::Query) -> Self::Response;

    /// A running checksum: equal histories of commands give equal checksums on every replica, in
    /// every build that may meet in a cluster, and unequal ones hardly ever. Replicas compare
    /// theirs. None where there is nothing to compare.
    fn checksum(&self) -> Option<Checksum> {
        None
    }

    /// How much room a command takes in a message, in the units of a protocol's limit on
    /// messages, such as [`Raft::max_append_weight`](crate::raft::Raft::max_append_weight):
    /// bytes in the runtime.
    fn weight(command: &Self::Command) -> usize {
        let _ = command;
        1
    }
}
