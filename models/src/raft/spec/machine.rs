//! The state machine that the checker runs: small, and its responses tell which commands
//! have been applied, and how often.

use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::raft::machine::{Checksum, StateMachine};
use crate::world::Parties;

/// A byte that commands add to. With scripts that add distinct powers of two, every total
/// names the set of commands that made it, and a command applied twice shows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Adder(pub u8);

/// Adds to the byte and answers the new total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Add(pub u8);

/// The total after a command, or when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sum(pub u8);

impl Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Asks for the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Total;

impl StateMachine for Adder {
    type Command = Add;
    type Query = Total;
    type Response = Sum;

    fn apply(&mut self, command: &Add) -> Sum {
        self.0 = self.0.wrapping_add(command.0);
        Sum(self.0)
    }

    fn checksum(&self) -> Option<Checksum> {
        Some(Checksum(self.0.into()))
    }

    fn query(&self, _: &Total) -> Sum {
        Sum(self.0)
    }
}

/// Clients that are alike, each in a session of its own: what they add is a payload, and so is
/// every total.
pub fn parties(clients: &'static [&'static [usize]]) -> Parties {
    Parties {
        clients,
        names: &["ClientId"],
        payloads: &["Add", "Adder", "Sum", "Checksum"],
    }
}
