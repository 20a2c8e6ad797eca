//! Snapshots and log compaction (§7): the applied prefix of the log is kept as the state that
//! it makes, and its entries are discarded.
//!
//! Taking a snapshot is folding entries into the one before: its cost is that of applying
//! them once more, whatever the size of the state, and what it writes to disk is one index.

use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::configuration::InForce;
use super::log::{Content, Entry, Index, Term};
use super::replication::entry_weight;
use super::state::Record;
use super::{Raft, Timer};
use crate::machine::StateMachine;
use crate::protocol::{Node, Outbox};
use crate::session::{Known, Position, RequestId, Sessions};

/// The state machine with its sessions, after the entries up to `last_applied`.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Applied<M: StateMachine> {
    /// The index of the last entry applied.
    pub last_applied: Index,
    /// The state machine.
    pub machine: M,
    /// Each client's last command and its response.
    pub sessions: Sessions<M::Response>,
    /// The latest configuration among those entries; none while there is none. A snapshot must
    /// tell who the members are once it replaces the entry that did (§7).
    pub configuration: Option<InForce>,
}

/// What applying a client's command came to.
#[derive_where(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<M: StateMachine> {
    /// Whose request.
    pub request: RequestId,
    /// What to tell the client.
    pub verdict: Verdict<M::Response>,
}

/// What is to be said of a client's command that has been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// It is applied, now or before, and this is the response.
    Applied(R),
    /// The client has since had a later command applied.
    Superseded,
    /// Its session has expired. One that begins at this position is new.
    Expired(Position),
}

impl<M: StateMachine> Applied<M> {
    /// Applies the next entry: the only way in which the state advances, so that it is a
    /// function of the log alone. A retried command answers as it did the first time and
    /// changes nothing (§8). Returns what to tell the client whose command it was.
    pub fn apply(&mut self, content: &Content<M::Command>) -> Option<Outcome<M>> {
        self.last_applied = self.last_applied.next();
        let (request, command) = match content {
            Content::Noop => return None,
            Content::ExpireSessions { through } => {
                self.sessions.expire(*through);
                return None;
            }
            Content::Command { request, command } => (request, command),
            Content::Configuration(configuration) => {
                self.configuration = Some(InForce {
                    index: self.last_applied,
                    configuration: configuration.clone(),
                });
                return None;
            }
        };
        let request = *request;
        let verdict = match self.sessions.find(request) {
            Known::New => {
                let response = self.machine.apply(command);
                self.sessions.record(request, response.clone());
                Verdict::Applied(response)
            }
            Known::Applied(response) => Verdict::Applied(response.clone()),
            Known::Superseded => Verdict::Superseded,
            Known::Expired => Verdict::Expired(self.sessions.position()),
        };
        Some(Outcome { request, verdict })
    }
}

/// "The last included index", "the last included term" and the state up to there (§7,
/// Figure 12). The empty snapshot is of index 0: before every log.
#[derive_where(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Snapshot<M: StateMachine> {
    /// The term of the last entry that the snapshot replaces.
    pub last_included_term: Term,
    /// The state after that entry.
    pub state: Applied<M>,
}

impl<M: StateMachine> Snapshot<M> {
    /// The index of the last entry that the snapshot replaces.
    pub fn last_included_index(&self) -> Index {
        self.state.last_applied
    }

    /// The index and the term of the last entry that the snapshot replaces.
    pub fn last_included(&self) -> (Index, Term) {
        (self.last_included_index(), self.last_included_term)
    }

    /// The snapshot as bytes, to be sent in chunks. Equal snapshots are equal bytes. `None` if
    /// the state machine has no encoding.
    pub fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(self).ok()
    }

    /// The snapshot that `bytes` are, all of them.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (snapshot, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(snapshot)
    }

    /// Folds the entry after the last included one into the snapshot.
    pub(super) fn include(&mut self, entry: &Entry<M::Command>) {
        self.state.apply(&entry.content);
        self.last_included_term = entry.term;
    }
}

impl<M: StateMachine> Raft<M> {
    /// Notes that an entry has been applied. A snapshot is due once what has been applied since
    /// the last one weighs enough. It is taken when the timer fires, and not now: the client
    /// that waits for this entry should not wait for that.
    pub(super) fn count_applied(
        &self,
        node: &mut Node<Self>,
        entry: &Entry<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        if self.compaction.snapshot_after == usize::MAX {
            return;
        }
        let before = node.volatile.unsaved;
        node.volatile.unsaved = before.saturating_add(entry_weight::<M>(entry));
        let is_due = |unsaved: usize| unsaved >= self.compaction.snapshot_after.max(1);
        if is_due(node.volatile.unsaved) && !is_due(before) {
            out.arm(Timer::Snapshot);
        }
    }

    /// "Each server takes snapshots independently, covering just the committed entries in its
    /// log" (§7), then discards what the snapshot has replaced, but for the entries that
    /// followers may still need.
    pub(super) fn on_snapshot_timeout(&self, node: &mut Node<Self>) {
        let last_applied = node.volatile.applied.last_applied;
        node.volatile.unsaved = 0;
        if last_applied > node.durable().snapshot.last_included_index() {
            node.write(Record::Snapshot {
                through: last_applied,
            });
        }
        let through = self.first_trailing(node).previous();
        if through > node.durable().log.base_index() {
            node.write(Record::Discard { through });
        }
    }

    /// The first index of the entries that stay although the snapshot includes them: as many of
    /// the last ones as the configured weight admits.
    fn first_trailing(&self, node: &Node<Self>) -> Index {
        let durable = node.durable();
        let mut first = durable.snapshot.last_included_index().next();
        let mut weight = 0usize;
        for entry in durable.log.up_to(first.previous()).iter().rev() {
            weight = weight.saturating_add(entry_weight::<M>(entry));
            if weight > self.compaction.trailing {
                break;
            }
            first = first.previous();
        }
        first
    }
}
