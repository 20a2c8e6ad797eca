//! What a leader knows of each peer, and how much it may send it (Figure 2, "volatile state on
//! leaders"; thesis §10.2). The three modes have the names that etcd gave them.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Raft;
use super::install::Sending;
use super::log::Index;
use super::message::Round;
use super::state::Role;
use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};

/// What a leader knows of one peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The next index to send. While the peer replicates it runs ahead of what is acknowledged.
    pub next_index: Index,
    /// The highest index known to be equal on the peer's disk.
    pub match_index: Index,
    /// The latest confirmation round that the peer has answered.
    pub round: Round,
    /// How the peer is sent to.
    pub mode: Mode,
}

/// How a peer is sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Where the logs part is not known. One append at a time, sent again with each heartbeat,
    /// finds it; it carries entries for the case that it has found it.
    Probe,
    /// The logs are known to agree up to `match_index`: appends follow each other without
    /// waiting for answers, as far as the window allows.
    Replicate {
        /// The appends that are not acknowledged, oldest first.
        in_flight: Vec<InFlight>,
        /// Whether some of what was under way has been acknowledged since the last heartbeat: what
        /// still is under way is then not lost, but on its way.
        advancing: bool,
    },
    /// What the peer needs next has been discarded: it is sent a snapshot, chunk by chunk.
    Snapshot(Sending),
}

/// An append under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InFlight {
    /// The index of its last entry.
    pub last_index: Index,
    /// The weight of its entries.
    pub weight: usize,
}

/// How many appends may be under way to a peer that replicates: the sender of the next one
/// waits for an acknowledgement once either limit is reached. One may always be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// So many appends,
    pub appends: usize,
    /// and entries of this weight, in the units of
    /// [`max_append_weight`](super::Raft::max_append_weight).
    pub weight: usize,
}

impl Window {
    /// Whether another append may be sent while these are under way.
    pub fn has_room(&self, in_flight: &[InFlight]) -> bool {
        let sum = |weight: usize, append: &InFlight| weight.saturating_add(append.weight);
        in_flight.is_empty()
            || in_flight.len() < self.appends && in_flight.iter().fold(0, sum) < self.weight
    }
}

impl Progress {
    /// What a leader knows of a peer at first: nothing. `next_index` is where it will try.
    pub fn unknown(next_index: Index) -> Self {
        Self {
            next_index,
            match_index: Index(0),
            round: Round(0),
            mode: Mode::Probe,
        }
    }

    /// Whether the next entries may be sent without waiting for an answer.
    pub(super) fn may_append(&self, window: &Window) -> bool {
        match &self.mode {
            Mode::Replicate { in_flight, .. } => window.has_room(in_flight),
            Mode::Probe | Mode::Snapshot(_) => false,
        }
    }

    /// Notes that an append with the entries from `next_index` to `last_index` is under way.
    pub(super) fn sent(&mut self, last_index: Index, weight: usize) {
        if let Mode::Replicate { in_flight, .. } = &mut self.mode {
            in_flight.push(InFlight { last_index, weight });
            self.next_index = last_index.next();
        }
    }

    /// Notes that the peer's log equals the leader's up to `match_index`, of which the leader
    /// still keeps what follows if `log_continues`.
    ///
    /// Answers overtake each other: an old one changes nothing. Returns whether this was
    /// another.
    pub(super) fn accepted(&mut self, match_index: Index, log_continues: bool) -> bool {
        if match_index <= self.match_index {
            return false;
        }
        self.match_index = match_index;
        match &mut self.mode {
            Mode::Replicate {
                in_flight,
                advancing,
            } => {
                in_flight.retain(|append| append.last_index > match_index);
                *advancing = !in_flight.is_empty();
                self.next_index = self.next_index.max(match_index.next());
            }
            Mode::Snapshot(_) if !log_continues => {}
            Mode::Probe | Mode::Snapshot(_) => {
                self.mode = Mode::Replicate {
                    in_flight: Vec::new(),
                    advancing: false,
                };
                self.next_index = match_index.next();
            }
        }
        true
    }

    /// Whether the peer has all of the snapshot that it is being sent.
    pub(super) fn awaits_another_snapshot(&self) -> bool {
        match &self.mode {
            Mode::Snapshot(sending) => sending.last_included_index <= self.match_index,
            Mode::Probe | Mode::Replicate { .. } => false,
        }
    }

    /// Notes that a heartbeat is due. Goes back to probing if something is under way of which
    /// nothing has been acknowledged since the last one: it may be lost.
    pub(super) fn tick(&mut self) {
        if let Mode::Replicate {
            in_flight,
            advancing,
        } = &mut self.mode
            && !in_flight.is_empty()
            && !core::mem::take(advancing)
        {
            self.next_index = self.match_index.next();
            self.mode = Mode::Probe;
        }
    }

    /// Goes back to probing, from `skipped_to`, after a refusal of the append that followed
    /// `prev_log_index`: something before it is missing or different. Back by at least one,
    /// and never behind what is known to match.
    ///
    /// A refusal of something older than what is under way changes nothing. Returns whether this
    /// was another.
    pub(super) fn refused(&mut self, prev_log_index: Index, skipped_to: Index) -> bool {
        let last_sent = self.next_index.previous();
        let is_news = prev_log_index > self.match_index
            && match self.mode {
                Mode::Probe => prev_log_index == last_sent,
                Mode::Replicate { .. } => prev_log_index <= last_sent,
                Mode::Snapshot(_) => false,
            };
        if is_news {
            self.next_index = skipped_to.min(prev_log_index).max(self.match_index.next());
            self.mode = Mode::Probe;
        }
        is_news
    }
}

/// The leader's view of `peer`, while this node leads.
pub(super) fn progress_of<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    peer: NodeId,
) -> Option<&mut Progress> {
    match &mut node.volatile.role {
        Role::Leader(leadership) => leadership.progress.get_mut(&peer),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => None,
    }
}
