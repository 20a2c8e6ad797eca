//! What no leader can say to a node that has kept its promises, and what a node does that hears it.
//!
//! "If a log entry is committed in a given term, then that entry will be present in the logs of
//! the leaders for all higher-numbered terms" (Leader Completeness, Figure 3), and replicas that
//! have applied the same entries are in the same state (State Machine Safety). A leader whose
//! log or state says otherwise belongs to another cluster, or somebody has lost what it had
//! promised to keep. Whoever is wrong, to delete what has been committed would hide it: the node
//! remembers why and takes part no more, not even after a restart.

use serde::{Deserialize, Serialize};

use super::log::{Index, Term};
use super::machine::{Checksum, StateMachine};
use super::state::{Record, Role};
use super::{Event, Raft, Timer};
use crate::protocol::{Node, Outbox};

/// Two claims of which one must be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Contradiction {
    /// The leader has another entry where this node knows its own to be committed.
    Log {
        /// Where.
        index: Index,
        /// The term of this node's entry.
        own: Term,
        /// The term of the leader's.
        leader: Term,
    },
    /// The states differ after the same entries.
    State {
        /// The last of those entries.
        index: Index,
        /// The checksum of this node's state.
        own: Checksum,
        /// The checksum of the leader's.
        leader: Checksum,
    },
}

impl<M: StateMachine> Raft<M> {
    /// Ends this node's part in the cluster, for good.
    pub(super) fn halt(
        &self,
        node: &mut Node<Self>,
        contradiction: Contradiction,
        out: &mut Outbox<Self>,
    ) {
        node.write(Record::Halt(contradiction));
        self.follow(node, None, out);
        node.volatile.role = Role::Follower { leader: None };
        for timer in [
            Timer::Election,
            Timer::Heartbeat,
            Timer::Lease,
            Timer::Transfer,
            Timer::Snapshot,
        ] {
            out.disarm(timer);
        }
        out.emit(Event::Halted { contradiction });
    }

    /// Whether the leader's entry of `term` at `index` contradicts what this node knows to be
    /// committed.
    pub(super) fn contradicts(
        &self,
        node: &Node<Self>,
        index: Index,
        term: Term,
    ) -> Option<Contradiction> {
        let own = node.durable().log.term_at(index)?;
        let leader = term;
        let is_committed = Index(0) < index && index <= node.volatile.commit_index;
        (is_committed && own != leader).then_some(Contradiction::Log { index, own, leader })
    }

    /// Whether the leader's state after the entries up to `index`, of which it may have told the
    /// checksum, differs from this node's after the same entries.
    pub(super) fn diverges(
        &self,
        node: &Node<Self>,
        index: Index,
        checksum: Option<Checksum>,
    ) -> Option<Contradiction> {
        let applied = &node.volatile.applied;
        let (own, leader) = (applied.machine.checksum()?, checksum?);
        let is_comparable = applied.last_applied == index;
        (is_comparable && own != leader).then_some(Contradiction::State { index, own, leader })
    }
}
