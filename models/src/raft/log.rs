//! The replicated log: terms, indices, entries (Figure 2, "log\[\]").

use alloc::vec::Vec;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::session::RequestId;

/// A term: Raft's logical clock (§5.1). Term 0 is before the first election.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// How far ahead of a node's own a term may be. Terms count elections: a cluster that
    /// held one each microsecond would take two weeks to get so far. A message from beyond
    /// is damaged or forged, and must not use up the terms there are.
    pub const FURTHEST_AHEAD: u64 = 1 << 40;

    /// The term after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether a node at this term may believe in `other`.
    pub fn may_reach(self, other: Self) -> bool {
        other.0 <= self.0.saturating_add(Self::FURTHEST_AHEAD)
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// A position in the log. The first entry has index 1; index 0 is before the first entry.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Index(pub u64);

impl Index {
    /// The index after this one. There is none after the last: an index that a peer names is
    /// whatever the peer says.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The index before this one; the index before 0 is 0.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term in which a leader created it. Never changes, whoever replicates it (§5.3).
    pub term: Term,
    /// What it holds.
    pub content: Content<C>,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Content<C> {
    /// Nothing: a leader's first entry, which lets it commit what it inherited (§8).
    Noop,
    /// A client's command.
    Command {
        /// Whose command, and which one of theirs.
        request: RequestId,
        /// The command.
        command: C,
    },
}

/// A log without gaps that starts at index 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Log<C> {
    entries: Vec<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<C> Log<C> {
    /// The index of the last entry; 0 when the log is empty.
    pub fn last_index(&self) -> Index {
        Index(self.entries.len() as u64)
    }

    /// The term of the last entry; 0 when the log is empty.
    pub fn last_term(&self) -> Term {
        self.entries
            .last()
            .map_or(Term::default(), |entry| entry.term)
    }

    /// The entry at `index`, if the log reaches that far.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let position = index.0.checked_sub(1)?;
        self.entries.get(usize::try_from(position).ok()?)
    }

    /// The term of the entry at `index`. Index 0, before every log, has term 0.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == Index(0) {
            return Some(Term(0));
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entries from `index` on; empty past the end.
    pub fn from(&self, index: Index) -> &[Entry<C>] {
        let skipped = usize::try_from(index.previous().0).unwrap_or(usize::MAX);
        self.entries.get(skipped..).unwrap_or(&[])
    }

    /// The entries up to and including `index`, or all of them where the log is shorter.
    pub fn up_to(&self, index: Index) -> &[Entry<C>] {
        let kept = usize::try_from(index.0).unwrap_or(usize::MAX);
        &self.entries[..kept.min(self.entries.len())]
    }

    /// The first index that holds an entry of `term`.
    pub fn first_of(&self, term: Term) -> Option<Index> {
        let position = self.entries.iter().position(|entry| entry.term == term)?;
        Some(Index(position as u64 + 1))
    }

    /// The last index that holds an entry of `term`.
    pub fn last_of(&self, term: Term) -> Option<Index> {
        let position = self.entries.iter().rposition(|entry| entry.term == term)?;
        Some(Index(position as u64 + 1))
    }

    pub(super) fn push(&mut self, entry: Entry<C>) {
        self.entries.push(entry);
    }

    /// Deletes the entry at `from` and all that follow it.
    pub(super) fn truncate(&mut self, from: Index) {
        let kept = usize::try_from(from.previous().0).unwrap_or(usize::MAX);
        self.entries.truncate(kept);
    }
}
