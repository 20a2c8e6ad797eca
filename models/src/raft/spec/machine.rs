//! The state machine that the checker runs: small, and its responses tell which commands
//! have been applied, and how often.

use serde::{Deserialize, Serialize};

use crate::raft::machine::StateMachine;

/// A byte that commands add to. With scripts that add distinct powers of two, every total
/// names the set of commands that made it, and a command applied twice shows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Adder(pub u8);

/// Adds to the byte and answers the new total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Add(pub u8);

/// Asks for the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Total;

impl StateMachine for Adder {
    type Command = Add;
    type Query = Total;
    type Response = u8;

    fn apply(&mut self, command: &Add) -> u8 {
        self.0 = self.0.wrapping_add(command.0);
        self.0
    }

    fn query(&self, _: &Total) -> u8 {
        self.0
    }
}
