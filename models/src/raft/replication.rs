//! Log replication (§5.3) and commitment (§5.4.2).

use alloc::vec::Vec;

use super::log::{Content, Entry, Index, Log, Term};
use super::machine::StateMachine;
use super::message::{AppendOutcome, Message, Round};
use super::state::{Leadership, Progress, Role};
use super::{Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

/// What an AppendEntries message says beside its term.
pub(super) struct Append<C> {
    pub(super) prev_log_index: Index,
    pub(super) prev_log_term: Term,
    pub(super) entries: Vec<Entry<C>>,
    pub(super) leader_commit: Index,
    pub(super) round: Round,
}

impl<M: StateMachine> Raft<M> {
    /// "Repeat during idle periods to prevent election timeouts" (Figure 2, "Leaders"). What
    /// a peer has not acknowledged travels along: a lost append is sent again.
    pub(super) fn on_heartbeat_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if !matches!(node.volatile.role, Role::Leader(_)) {
            return;
        }
        out.arm(Timer::Heartbeat);
        for peer in self.peers(node) {
            self.send_append(node, peer, out);
        }
    }

    /// Sends `peer` the entries from its `next_index` on, as far as one message carries.
    pub(super) fn send_append(&self, node: &mut Node<Self>, peer: NodeId, out: &mut Outbox<Self>) {
        let commit_index = node.volatile.commit_index;
        let durable = node.durable();
        let (term, log) = (durable.current_term, &durable.log);
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        let Some(&Progress { next_index, .. }) = leadership.progress.get(&peer) else {
            return;
        };
        let prev_log_index = next_index.previous();
        let entries = self.take_batch(log.from(next_index));
        let sent_index = Index(prev_log_index.0 + entries.len() as u64);
        let message = Message::AppendEntries {
            term,
            prev_log_index,
            // The leader's own log reaches at least to `next_index - 1`.
            prev_log_term: log.term_at(prev_log_index).unwrap_or_default(),
            entries,
            leader_commit: commit_index,
            round: leadership.round,
        };
        out.send(peer, message);
        if let Some(progress) = progress_of(node, peer) {
            progress.sent_index = sent_index;
        }
    }

    /// The longest prefix of `entries` that one append may carry.
    fn take_batch(&self, entries: &[Entry<M::Command>]) -> Vec<Entry<M::Command>> {
        let mut weight = 0usize;
        let fits = |entry: &&Entry<M::Command>| {
            let admitted = weight == 0 || weight < self.max_append_weight;
            weight = weight.saturating_add(entry_weight::<M>(entry).max(1));
            admitted
        };
        entries.iter().take_while(fits).cloned().collect()
    }

    /// "AppendEntries RPC, receiver implementation" (Figure 2).
    pub(super) fn on_append_entries(
        &self,
        node: &mut Node<Self>,
        leader: NodeId,
        term: Term,
        append: Append<M::Command>,
        out: &mut Outbox<Self>,
    ) {
        let round = append.round;
        let is_heartbeat = append.entries.is_empty();
        let current_term = node.durable().current_term;
        let outcome = if term < current_term {
            AppendOutcome::StaleTerm { current_term }
        } else {
            // "If the leader's term is at least as large as the candidate's current term,
            // then the candidate recognizes the leader as legitimate" (§5.2).
            self.recognise(node, leader, out);
            self.hear_leader(node, out);
            self.append(node, append, out)
        };
        out.send(
            leader,
            Message::AppendEntriesResponse {
                term,
                outcome,
                round,
            },
        );
        if is_heartbeat && term == current_term {
            self.ask_again(node, leader, out);
        }
    }

    /// Follows the leader of the current term, unless this node does already.
    fn recognise(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        let leader = Some(leader);
        if node.volatile.role != (Role::Follower { leader }) {
            self.follow(node, leader, out);
        }
    }

    /// Receiver implementation, steps 2 to 5.
    fn append(
        &self,
        node: &mut Node<Self>,
        append: Append<M::Command>,
        out: &mut Outbox<Self>,
    ) -> AppendOutcome {
        let log = &node.durable().log;
        let prev_log_index = append.prev_log_index;
        if log.term_at(prev_log_index) != Some(append.prev_log_term) {
            return conflict_at(log, prev_log_index);
        }
        let mut index = prev_log_index;
        for entry in append.entries {
            index = index.next();
            match node.durable().log.term_at(index) {
                // An entry that is there already stays, and so does all that follows it:
                // this append may be an old one that comes late.
                Some(term) if term == entry.term => continue,
                Some(_) => self.truncate_log(node, index, out),
                None => {}
            }
            self.append_entry(node, entry, out);
        }
        // "Set commitIndex = min(leaderCommit, index of last new entry)": of what follows
        // the last new entry this append has shown nothing.
        self.commit_up_to(node, append.leader_commit.min(index), out);
        AppendOutcome::Accepted { match_index: index }
    }

    /// "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails
    /// because of log inconsistency: decrement nextIndex and retry" (Figure 2, "Leaders").
    pub(super) fn on_append_entries_response(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        outcome: AppendOutcome,
        round: Round,
        out: &mut Outbox<Self>,
    ) {
        let resend = match outcome {
            // The follower's term was higher: this node no longer leads.
            AppendOutcome::StaleTerm { .. } => return,
            AppendOutcome::Accepted { match_index } => accepted(node, follower, match_index),
            AppendOutcome::Conflict { .. } => conflicted(node, follower, outcome),
        };
        self.hear_from(node, follower);
        if let Some(progress) = progress_of(node, follower) {
            progress.round = progress.round.max(round);
        }
        self.summon(node, follower, out);
        if resend {
            self.send_append(node, follower, out);
        }
        self.advance_commit_index(node, out);
        self.confirm_reads(node, out);
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] ≥ N, and
    /// log\[N\].term == currentTerm: set commitIndex = N" (Figure 2, "Leaders").
    ///
    /// The leader counts its own log: the step's records are on disk before anything that
    /// this step says leaves.
    pub(super) fn advance_commit_index(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        let log = &node.durable().log;
        let replicated = self.replicated_on_quorum(node, leadership);
        // An entry of an earlier term may be on a majority and yet be overwritten: only one
        // of the current term commits, and with it all before it (§5.4.2, Figure 8).
        if log.term_at(replicated) == Some(node.durable().current_term) {
            self.commit_up_to(node, replicated, out);
        }
        self.settle_configuration(node, out);
        self.expire_sessions(node, out);
    }

    /// The highest index that a quorum has on disk.
    pub(super) fn replicated_on_quorum(
        &self,
        node: &Node<Self>,
        leadership: &Leadership<M>,
    ) -> Index {
        self.configuration(node).reached_by_quorum(|voter| {
            if voter == self.id() {
                node.durable().log.last_index()
            } else {
                let progress = leadership.progress.get(&voter);
                progress.map_or(Index(0), |peer| peer.match_index)
            }
        })
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

fn entry_weight<M: StateMachine>(entry: &Entry<M::Command>) -> usize {
    match &entry.content {
        Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => 1,
        Content::Command { command, .. } => M::weight(command),
    }
}

/// "When rejecting an AppendEntries request, the follower can include the term of the
/// conflicting entry and the first index it stores for that term" (§5.3).
fn conflict_at<C>(log: &Log<C>, prev_log_index: Index) -> AppendOutcome {
    let conflict_term = log.term_at(prev_log_index);
    let first_index = conflict_term
        .and_then(|term| log.first_of(term))
        .unwrap_or(log.last_index().next());
    AppendOutcome::Conflict {
        prev_log_index,
        conflict_term,
        first_index,
    }
}

/// Notes how far `follower` has come. Returns whether there is more to send.
fn accepted<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    follower: NodeId,
    match_index: Index,
) -> bool {
    let last_index = node.durable().log.last_index();
    let Some(progress) = progress_of(node, follower) else {
        return false;
    };
    // Answers overtake each other: neither index ever moves back.
    if match_index <= progress.match_index {
        return false;
    }
    progress.match_index = match_index;
    progress.next_index = progress.next_index.max(match_index.next());
    progress.is_idle() && progress.next_index <= last_index
}

/// Moves `next_index` back: behind the leader's own last entry of the conflicting term, if
/// it has one, else to where the follower's entries of that term begin (§5.3). Returns
/// whether to try again from there.
fn conflicted<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    follower: NodeId,
    outcome: AppendOutcome,
) -> bool {
    let AppendOutcome::Conflict {
        prev_log_index,
        conflict_term,
        first_index,
    } = outcome
    else {
        return false;
    };
    let skipped_to = conflict_term
        .and_then(|term| node.durable().log.last_of(term))
        .map_or(first_index, Index::next);
    let Some(progress) = progress_of(node, follower) else {
        return false;
    };
    // An answer to an append that is not the latest one: what has been learned since stands.
    if prev_log_index.next() != progress.next_index {
        return false;
    }
    // Back by at least one, and never behind what is known to match.
    progress.next_index = skipped_to
        .min(prev_log_index)
        .max(progress.match_index.next());
    true
}
