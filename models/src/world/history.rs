//! What the clients have seen: who asked before whom was answered.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::renamed::Rename;
use crate::protocol::Data;

/// Something a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Occurrence<E> {
    /// The client has asked the next request of its script for the first time.
    Invoke {
        /// The client's position among the scripts.
        client: usize,
    },
    /// The client has its answer.
    Return {
        /// The client's position among the scripts.
        client: usize,
        /// The answer.
        event: E,
    },
}

impl<E> Occurrence<E> {
    fn is_invoke(&self) -> bool {
        matches!(self, Self::Invoke { .. })
    }
}

impl<E: Data> Occurrence<E> {
    fn renamed(&self, names: &impl Rename) -> Self {
        match self {
            Self::Invoke { client } => Self::Invoke {
                client: names.client(*client),
            },
            Self::Return { client, event } => Self::Return {
                client: names.client(*client),
                event: names.value(event),
            },
        }
    }
}

/// The clients' history, in a normal form.
///
/// All that linearizability asks of a history is which answers came before which requests.
/// Neighbouring requests may therefore be listed in any order, and so may neighbouring
/// answers: sorting them merges states that differ in nothing that can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct History<E> {
    occurrences: Vec<Occurrence<E>>,
}

impl<E> Default for History<E> {
    fn default() -> Self {
        Self {
            occurrences: Vec::new(),
        }
    }
}

impl<E: Ord> History<E> {
    /// What happened, in the order in which it happened, up to the normal form.
    pub fn occurrences(&self) -> &[Occurrence<E>] {
        &self.occurrences
    }

    pub(super) fn push(&mut self, occurrence: Occurrence<E>) {
        let same_kind = |other: &&Occurrence<E>| other.is_invoke() == occurrence.is_invoke();
        let run = self.occurrences.iter().rev().take_while(same_kind).count();
        let start = self.occurrences.len() - run;
        self.occurrences.push(occurrence);
        self.occurrences[start..].sort();
    }
}

impl<E: Data> History<E> {
    /// The same, seen by clients at their new places: in its normal form again, which lists
    /// neighbours in the order of clients.
    pub fn renamed(&self, names: &impl Rename) -> Self {
        let mut renamed = Self::default();
        for occurrence in &self.occurrences {
            renamed.push(occurrence.renamed(names));
        }
        renamed
    }
}
