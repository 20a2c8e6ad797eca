//! Log replication (§5.3), pipelined (thesis §10.2), and commitment (§5.4.2).

use alloc::vec::Vec;

use super::contradiction::Contradiction;
use super::log::{Content, Entry, Index, Log, Term};
use super::machine::{Checksum, StateMachine};
use super::message::{AppendOutcome, Message, Round};
use super::progress::{Mode, progress_of};
use super::state::{Leadership, Role};
use super::{Event, Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

/// What an AppendEntries message says beside its term.
pub(super) struct Append<C> {
    pub(super) prev_log_index: Index,
    pub(super) prev_log_term: Term,
    pub(super) entries: Vec<Entry<C>>,
    pub(super) leader_commit: Index,
    pub(super) checksum: Option<Checksum>,
    pub(super) round: Round,
}

impl<M: StateMachine> Raft<M> {
    /// "Repeat during idle periods to prevent election timeouts" (Figure 2, "Leaders").
    pub(super) fn on_heartbeat_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if !matches!(node.volatile.role, Role::Leader(_)) {
            return;
        }
        out.arm(Timer::Heartbeat);
        for peer in self.peers(node) {
            if let Some(progress) = progress_of(node, peer) {
                progress.tick();
            }
        }
        if self.needs_no_disk(node) {
            self.send_early_heartbeats(node, out);
        }
        self.send_heartbeats(node, out);
    }

    /// Shows every peer that this node leads.
    pub(super) fn send_heartbeats(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        for peer in self.peers(node) {
            self.send_heartbeat(node, peer, out);
        }
    }

    /// A heartbeat carries no entries, and asks for nothing that is not known: it neither waits
    /// for what is under way nor is refused. While the leader probes, or sends a snapshot, the
    /// probe or an empty chunk is the heartbeat.
    pub(super) fn send_heartbeat(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        out: &mut Outbox<Self>,
    ) {
        let Some(progress) = progress_of(node, peer) else {
            return;
        };
        match progress.mode {
            Mode::Probe => self.send_probe(node, peer, out),
            Mode::Replicate { .. } => {
                let known = progress.match_index.next();
                self.send_batch(node, peer, known, 0, out);
            }
            Mode::Snapshot(_) => self.send_chunk(node, peer, 0, out),
        }
    }

    /// Asks `peer` whether its log agrees up to `next_index - 1`, with the entries behind that for
    /// the case that it does.
    pub(super) fn send_probe(&self, node: &mut Node<Self>, peer: NodeId, out: &mut Outbox<Self>) {
        if let Some(progress) = progress_of(node, peer) {
            let next_index = progress.next_index;
            self.send_batch(node, peer, next_index, usize::MAX, out);
        }
    }

    /// Tells `peer`, which leaves, how far the log is committed, behind all that it has been sent
    /// and with what it has not: whether its window has room or not, for it will be sent no
    /// more. Should it come back, it is probed.
    pub(super) fn send_rest(&self, node: &mut Node<Self>, peer: NodeId, out: &mut Outbox<Self>) {
        let Some(progress) = progress_of(node, peer) else {
            return;
        };
        if let Mode::Snapshot(_) = progress.mode {
            return self.send_chunk(node, peer, 0, out);
        }
        progress.mode = Mode::Probe;
        let next_index = progress.next_index;
        self.send_batch(node, peer, next_index, usize::MAX, out);
    }

    /// Sends every peer what it may be sent.
    pub(super) fn send_all_appends(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        for peer in self.peers(node) {
            self.send_appends(node, peer, out);
        }
    }

    /// Sends `peer` the entries from its `next_index` on, in as many appends as its window has
    /// room for (thesis §10.2).
    pub(super) fn send_appends(&self, node: &mut Node<Self>, peer: NodeId, out: &mut Outbox<Self>) {
        while let Some(progress) = progress_of(node, peer) {
            let next_index = progress.next_index;
            let may_append = progress.may_append(&self.window);
            if !may_append || next_index > node.durable().log.last_index() {
                return;
            }
            self.send_batch(node, peer, next_index, usize::MAX, out);
        }
    }

    /// Sends `peer` the entries from `first` on, at most so many and no more than one append
    /// carries; or a snapshot, where what comes before them has been discarded.
    fn send_batch(
        &self,
        node: &mut Node<Self>,
        peer: NodeId,
        first: Index,
        most: usize,
        out: &mut Outbox<Self>,
    ) {
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        let prev_log_index = first.previous();
        let log = &node.durable().log;
        let Some(prev_log_term) = log.term_at(prev_log_index) else {
            return self.begin_snapshot(node, peer, out);
        };
        let rest = log.from(first);
        let entries = self.take_batch(&rest[..rest.len().min(most)]);
        let weight = entries.iter().map(entry_weight::<M>);
        let weight = weight.fold(0, usize::saturating_add);
        let last_index = Index(prev_log_index.0 + entries.len() as u64);
        let has_entries = !entries.is_empty();
        let message = Message::AppendEntries {
            term: node.durable().current_term,
            prev_log_index,
            prev_log_term,
            entries,
            leader_commit: node.volatile.commit_index,
            checksum: node.volatile.applied.machine.checksum(),
            round: leadership.round,
        };
        out.send(peer, message);
        if has_entries && let Some(progress) = progress_of(node, peer) {
            progress.sent(last_index, weight);
        }
    }

    /// The longest prefix of `entries` that one append may carry.
    fn take_batch(&self, entries: &[Entry<M::Command>]) -> Vec<Entry<M::Command>> {
        let mut weight = 0usize;
        let fits = |entry: &&Entry<M::Command>| {
            let admitted = weight == 0 || weight < self.max_append_weight;
            weight = weight.saturating_add(entry_weight::<M>(entry));
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
            match self.append(node, append, out) {
                Ok(outcome) => outcome,
                Err(contradiction) => return self.halt(node, contradiction, out),
            }
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
    pub(super) fn recognise(&self, node: &mut Node<Self>, leader: NodeId, out: &mut Outbox<Self>) {
        let leader = Some(leader);
        if node.volatile.role != (Role::Follower { leader }) {
            self.follow(node, leader, out);
        }
    }

    /// Receiver implementation, steps 2 to 5. Nothing is deleted that this node knows to be
    /// committed.
    fn append(
        &self,
        node: &mut Node<Self>,
        append: Append<M::Command>,
        out: &mut Outbox<Self>,
    ) -> Result<AppendOutcome, Contradiction> {
        self.check_committed(node, &append)?;
        let log = &node.durable().log;
        let prev_log_index = append.prev_log_index;
        // What this node has discarded is committed, so the leader has the same.
        let is_discarded = prev_log_index < log.base_index();
        if !is_discarded && log.term_at(prev_log_index) != Some(append.prev_log_term) {
            return Ok(conflict_at(log, prev_log_index));
        }
        let base_index = log.base_index();
        let mut index = prev_log_index;
        for entry in append.entries {
            index = index.next();
            if index <= base_index {
                continue;
            }
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
        match self.diverges(node, append.leader_commit, append.checksum) {
            Some(contradiction) => Err(contradiction),
            None => Ok(AppendOutcome::Accepted { match_index: index }),
        }
    }

    /// Whether the append agrees with all that this node knows to be committed.
    fn check_committed(
        &self,
        node: &Node<Self>,
        append: &Append<M::Command>,
    ) -> Result<(), Contradiction> {
        let mut index = append.prev_log_index;
        let mut term = append.prev_log_term;
        let mut entries = append.entries.iter();
        while index <= node.volatile.commit_index {
            if let Some(contradiction) = self.contradicts(node, index, term) {
                return Err(contradiction);
            }
            let Some(entry) = entries.next() else {
                break;
            };
            (index, term) = (index.next(), entry.term);
        }
        Ok(())
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
        match outcome {
            // The follower's term was higher: this node no longer leads.
            AppendOutcome::StaleTerm { .. } => return,
            AppendOutcome::Accepted { match_index } => {
                self.accepted(node, follower, match_index, out);
            }
            AppendOutcome::Conflict {
                prev_log_index,
                conflict_term,
                first_index,
            } => {
                let hint = (conflict_term, first_index);
                if self.ordered_delivery {
                    denied(node, follower, prev_log_index, out);
                }
                if conflicted(node, follower, prev_log_index, hint) {
                    self.send_probe(node, follower, out);
                }
            }
        }
        self.on_answer(node, follower, round, out);
    }

    /// Notes how far `follower` has come, and sends it what its window has room for now.
    pub(super) fn accepted(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        match_index: Index,
        out: &mut Outbox<Self>,
    ) {
        // No follower has what its leader has not: such an answer is damaged or forged.
        if match_index > node.durable().log.last_index() {
            return;
        }
        let log_continues = node.durable().log.term_at(match_index).is_some();
        let Some(progress) = progress_of(node, follower) else {
            return;
        };
        // An old answer makes room for nothing. That matters for a node that has left: what
        // others are sent meanwhile is kept from it, and not because its window is full.
        if !progress.accepted(match_index, log_continues) {
            return;
        }
        // It has the snapshot, and meanwhile the leader has discarded what follows it.
        if progress.awaits_another_snapshot() {
            self.begin_snapshot(node, follower, out);
        }
        self.forget_unused_blob(node);
        self.send_appends(node, follower, out);
    }

    /// What every answer of a follower leads to: what waits for a quorum is looked at again.
    pub(super) fn on_answer(
        &self,
        node: &mut Node<Self>,
        follower: NodeId,
        round: Round,
        out: &mut Outbox<Self>,
    ) {
        self.hear_from(node, follower);
        note_round(node, follower, round);
        self.summon(node, follower, out);
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

/// Notes that `follower` has answered this round.
pub(super) fn note_round<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    follower: NodeId,
    round: Round,
) {
    if let Some(progress) = progress_of(node, follower) {
        progress.round = progress.round.max(round);
    }
}

/// What an entry counts for in every limit: at least 1.
pub(super) fn entry_weight<M: StateMachine>(entry: &Entry<M::Command>) -> usize {
    match &entry.content {
        Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => 1,
        Content::Command { command, .. } => M::weight(command).max(1),
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

/// Tells the host of a follower that denies what it has acknowledged. Nothing is known of what
/// it has instead, and what it has acknowledged may have been committed by that: it is not helped
/// to forget it.
fn denied<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    follower: NodeId,
    prev_log_index: Index,
    out: &mut Outbox<Raft<M>>,
) {
    let acknowledged = progress_of(node, follower).map(|progress| progress.match_index);
    // Before the first entry there is nothing to have acknowledged.
    let denies = |known: &Index| Index(0) < prev_log_index && prev_log_index <= *known;
    if let Some(acknowledged) = acknowledged.filter(denies) {
        out.emit(Event::Denied {
            follower,
            acknowledged,
            prev_log_index,
        });
    }
}

/// Moves `next_index` back: behind the leader's own last entry of the conflicting term, if
/// it has one, else to where the follower's entries of that term begin (§5.3). Returns whether
/// to try again from there.
fn conflicted<M: StateMachine>(
    node: &mut Node<Raft<M>>,
    follower: NodeId,
    prev_log_index: Index,
    (conflict_term, first_index): (Option<Term>, Index),
) -> bool {
    let skipped_to = conflict_term
        .and_then(|term| node.durable().log.last_of(term))
        .map_or(first_index, Index::next);
    progress_of(node, follower).is_some_and(|progress| progress.refused(prev_log_index, skipped_to))
}
