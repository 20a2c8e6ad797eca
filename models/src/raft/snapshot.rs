//! Snapshots (§7): the applied prefix of the log, as the state that it makes.

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

use super::configuration::InForce;
use super::log::{Content, Entry, Index, Term};
use crate::machine::StateMachine;
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

    /// Folds the entry after the last included one into the snapshot.
    pub(super) fn include(&mut self, entry: &Entry<M::Command>) {
        self.state.apply(&entry.content);
        self.last_included_term = entry.term;
    }
}
