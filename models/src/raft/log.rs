//! The replicated log: terms, indices, entries (Figure 2, "log\[\]").

use alloc::vec::Vec;
use core::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::configuration::{Configuration, InForce};
use super::session::{Position, RequestId};

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
    /// The sessions whose last command was applied at this position or before are forgotten
    /// (thesis §6.3).
    ExpireSessions {
        /// The last of those positions.
        through: Position,
    },
    /// Who the members of the cluster are from here on (§6).
    Configuration(Configuration),
}

/// A log without gaps. What a snapshot has replaced may be discarded from its beginning (§7):
/// of that, the index and the term of the last entry remain, the *base*, for the consistency
/// check of the entry behind it. A log that is whole has base 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Log<C> {
    base_index: Index,
    base_term: Term,
    entries: Vec<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Self::starting_after(Index(0), Term(0))
    }
}

impl<C> Log<C> {
    /// An empty log whose next entry follows the one at `base_index`, of `base_term`.
    pub(super) fn starting_after(base_index: Index, base_term: Term) -> Self {
        Self {
            base_index,
            base_term,
            entries: Vec::new(),
        }
    }

    /// The index of the last entry that was discarded; 0 when the log is whole.
    pub fn base_index(&self) -> Index {
        self.base_index
    }

    /// The index of the last entry, discarded or not; 0 when there never was one.
    pub fn last_index(&self) -> Index {
        Index(self.base_index.0.saturating_add(self.entries.len() as u64))
    }

    /// The term of the last entry, discarded or not; 0 when there never was one.
    pub fn last_term(&self) -> Term {
        self.entries
            .last()
            .map_or(self.base_term, |entry| entry.term)
    }

    /// How many of the kept entries are at indices up to and including `index`.
    fn kept_up_to(&self, index: Index) -> usize {
        let count = index.0.saturating_sub(self.base_index.0);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// The index of the kept entry at `position`.
    fn index_of(&self, position: usize) -> Index {
        Index(self.base_index.0.saturating_add(position as u64 + 1))
    }

    /// The entry at `index`, if the log reaches that far and has not discarded it.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        self.entries.get(self.kept_up_to(index).checked_sub(1)?)
    }

    /// The term of the entry at `index`, if the log reaches that far and knows it still. It
    /// knows that of the base; index 0, before every log, has term 0.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base_index {
            return Some(self.base_term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entries from `index` on, as far as they are kept; empty past the end.
    pub fn from(&self, index: Index) -> &[Entry<C>] {
        let skipped = self.kept_up_to(index.previous());
        self.entries.get(skipped..).unwrap_or(&[])
    }

    /// The kept entries up to and including `index`, or all of them where the log is shorter.
    pub fn up_to(&self, index: Index) -> &[Entry<C>] {
        &self.entries[..self.kept_up_to(index).min(self.entries.len())]
    }

    /// The first index that holds an entry of `term` and is kept.
    pub fn first_of(&self, term: Term) -> Option<Index> {
        let position = self.entries.iter().position(|entry| entry.term == term)?;
        Some(self.index_of(position))
    }

    /// The last index known to hold an entry of `term`: a kept one, or the base.
    pub fn last_of(&self, term: Term) -> Option<Index> {
        match self.entries.iter().rposition(|entry| entry.term == term) {
            Some(position) => Some(self.index_of(position)),
            None if self.base_term == term && self.base_index > Index(0) => Some(self.base_index),
            None => None,
        }
    }

    /// The latest configuration at or before `index` among the kept entries.
    pub fn configuration_at(&self, index: Index) -> Option<InForce> {
        let entries = self.up_to(index);
        let latest = entries.iter().enumerate().rev();
        let mut configurations = latest.filter_map(|(position, entry)| match &entry.content {
            Content::Configuration(configuration) => Some(InForce {
                index: self.index_of(position),
                configuration: configuration.clone(),
            }),
            Content::Noop | Content::Command { .. } | Content::ExpireSessions { .. } => None,
        });
        configurations.next()
    }

    pub(super) fn push(&mut self, entry: Entry<C>) {
        self.entries.push(entry);
    }

    /// Deletes the entry at `from` and all that follow it.
    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate(self.kept_up_to(from.previous()));
    }

    /// Discards the entries up to and including `through`, which becomes the base. Nothing
    /// happens where the log does not hold it.
    pub(super) fn discard(&mut self, through: Index) {
        let Some(term) = self.term_at(through) else {
            return;
        };
        self.entries.drain(..self.kept_up_to(through));
        self.base_index = through;
        self.base_term = term;
    }
}
