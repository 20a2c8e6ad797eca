//! Client interaction (§8): commands with exactly-once semantics, linearizable reads.

use super::install::Partial;
use super::log::{Content, Entry, Index};
use super::machine::StateMachine;
use super::message::{Message, ReadIndexOutcome, Round};
use super::session::{Known, RequestId};
use super::snapshot::{Outcome, Verdict};
use super::state::{Leadership, PendingRead, Reader, Record, Role};
use super::{Event, Raft};
use crate::protocol::{Node, Outbox, Protocol};

impl<M: StateMachine> Raft<M> {
    /// "If command received from client: append entry to local log, respond after entry
    /// applied to state machine" (Figure 2, "Leaders").
    pub(super) fn on_propose(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        command: M::Command,
        out: &mut Outbox<Self>,
    ) {
        let Role::Leader(leadership) = &node.volatile.role else {
            return redirect(node, request, out);
        };
        if leadership.transfer.is_some() {
            return redirect(node, request, out);
        }
        // A command known to be applied needs no second entry.
        match node.volatile.applied.sessions.find(request) {
            Known::New => {}
            Known::Applied(response) => {
                return out.emit(Event::Reply {
                    request,
                    response: response.clone(),
                });
            }
            Known::Superseded => return out.emit(Event::Superseded { request }),
            Known::Expired => {
                let since = node.volatile.applied.sessions.position();
                return out.emit(Event::SessionExpired { request, since });
            }
        }
        node.write(Record::Append(Entry {
            term: node.durable().current_term,
            content: Content::Command { request, command },
        }));
        self.send_all_appends(node, out);
        self.advance_commit_index(node, out);
    }

    /// Lets the oldest sessions expire when there are more than this leader wants kept: by an
    /// entry, so that every replica forgets the same sessions at the same place of the log,
    /// whatever limit it has itself (thesis §6.3). An eighth at once, for that takes a look at
    /// them all.
    pub(super) fn expire_sessions(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let sessions = &node.volatile.applied.sessions;
        let Role::Leader(leadership) = &mut node.volatile.role else {
            return;
        };
        let is_under_way = leadership.expiring > sessions.horizon();
        // The target of a transfer would lack the entry.
        let waits = is_under_way || leadership.transfer.is_some();
        if waits || sessions.len() <= self.max_sessions {
            return;
        }
        let kept = self.max_sessions - self.max_sessions / 8;
        let Some(through) = sessions.excess(kept) else {
            return;
        };
        leadership.expiring = through;
        node.write(Record::Append(Entry {
            term: node.durable().current_term,
            content: Content::ExpireSessions { through },
        }));
        self.send_all_appends(node, out);
        self.advance_commit_index(node, out);
    }

    /// Registers a read (thesis §6.4): it answers once a quorum has confirmed this node's
    /// leadership *after* now, from a state that includes all that is committed by now.
    pub(super) fn on_read(
        &self,
        node: &mut Node<Self>,
        request: RequestId,
        query: M::Query,
        out: &mut Outbox<Self>,
    ) {
        let commit_index = node.volatile.commit_index;
        let Role::Leader(leadership) = &mut node.volatile.role else {
            return redirect(node, request, out);
        };
        // A leader that is cut off confirms nothing: its readers must not pile up.
        if leadership.reads.len() >= self.max_pending_reads {
            return out.emit(Event::Overloaded { request });
        }
        let reader = Reader::Client { query };
        leadership.register_read(commit_index, request, reader);
        self.confirm_reads(node, out);
    }

    /// Answers the reads that may be answered, then begins the next confirmation round where
    /// reads wait for it and none is under way: all that came meanwhile share it.
    pub(super) fn confirm_reads(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        self.answer_reads(node, out);
        let Role::Leader(leadership) = &node.volatile.role else {
            return;
        };
        let round = leadership.round;
        let waits = leadership
            .reads
            .last()
            .is_some_and(|read| read.round > round);
        if !waits || self.confirmed_round(node, leadership) < round {
            return;
        }
        if let Role::Leader(leadership) = &mut node.volatile.role {
            leadership.round = round.next();
        }
        if self.needs_no_disk(node) {
            self.send_early_heartbeats(node, out);
        } else {
            self.send_heartbeats(node, out);
        }
        self.answer_reads(node, out);
    }

    /// The latest round that a quorum has answered.
    pub(super) fn confirmed_round(&self, node: &Node<Self>, leadership: &Leadership<M>) -> Round {
        self.configuration(node).reached_by_quorum(|voter| {
            if voter == self.id() {
                leadership.round
            } else {
                let progress = leadership.progress.get(&voter);
                progress.map_or(Round(0), |peer| peer.round)
            }
        })
    }

    fn answer_reads(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let confirmed = match &node.volatile.role {
            Role::Leader(leadership) if !leadership.reads.is_empty() => {
                self.confirmed_round(node, leadership)
            }
            Role::Follower { .. }
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Leader(_) => return,
        };
        let term = node.durable().current_term;
        let applied = &node.volatile.applied;
        let Role::Leader(leadership) = &mut node.volatile.role else {
            return;
        };
        leadership.reads.retain(|read| {
            let request = read.request;
            let is_confirmed = read.round <= confirmed;
            match &read.reader {
                Reader::Client { query } => {
                    let ready = is_confirmed && read.read_index <= applied.last_applied;
                    if ready {
                        let response = applied.machine.query(query);
                        out.emit(Event::Reply { request, response });
                    }
                    !ready
                }
                Reader::Follower { node } => {
                    if is_confirmed {
                        let read_index = read.read_index;
                        let outcome = ReadIndexOutcome::Confirmed { read_index };
                        out.send(
                            *node,
                            Message::ReadIndexResponse {
                                term,
                                request,
                                outcome,
                            },
                        );
                    }
                    !is_confirmed
                }
            }
        });
    }

    /// Commits and applies the entries up to `index`. The commit index never moves back.
    pub(super) fn commit_up_to(&self, node: &mut Node<Self>, index: Index, out: &mut Outbox<Self>) {
        if index <= node.volatile.commit_index {
            return;
        }
        let changed = self.is_changing(node);
        let belonged = changed && self.belongs(node);
        node.volatile.commit_index = index;
        let is_old = |partial: &Partial| partial.last_included.0 <= index;
        if node.volatile.partial.as_ref().is_some_and(is_old) {
            node.volatile.partial = None;
        }
        let leads = matches!(node.volatile.role, Role::Leader(_));
        while node.volatile.applied.last_applied < index {
            let next = node.volatile.applied.last_applied.next();
            let Some(entry) = node.durable().log.get(next).cloned() else {
                break;
            };
            // "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
            // state machine" (Figure 2, "All Servers").
            let outcome = node.volatile.applied.apply(&entry.content);
            self.count_applied(node, &entry, out);
            // Every replica computes the response; the leader has the client.
            if let Some(outcome) = outcome.filter(|_| leads) {
                out.emit(outcome.into());
            }
        }
        self.answer_reads(node, out);
        self.answer_follower_reads(node, out);
        if changed && !self.is_changing(node) {
            self.on_configuration_committed(node, belonged, out);
        }
    }
}

impl<M: StateMachine> Leadership<M> {
    /// Lets a read wait until a quorum has confirmed the leader after now.
    pub(super) fn register_read(
        &mut self,
        commit_index: Index,
        request: RequestId,
        reader: Reader<M>,
    ) {
        self.reads.push(PendingRead {
            request,
            reader,
            // Until the term's first entry commits, a leader does not know what its
            // predecessors have committed (§8): the read then waits for that entry.
            read_index: commit_index.max(self.term_start),
            // A message that is already under way confirms only what was before it was sent.
            round: self.round.next(),
        });
    }
}

impl<M: StateMachine> From<Outcome<M>> for Event<M> {
    fn from(outcome: Outcome<M>) -> Self {
        let Outcome { request, verdict } = outcome;
        match verdict {
            Verdict::Applied(response) => Self::Reply { request, response },
            Verdict::Superseded => Self::Superseded { request },
            Verdict::Expired(since) => Self::SessionExpired { request, since },
        }
    }
}

/// "If the client's first choice is not the leader, that server will reject the client's
/// request and supply information about the most recent leader it has heard from" (§8).
pub(super) fn redirect<M: StateMachine>(
    node: &Node<Raft<M>>,
    request: RequestId,
    out: &mut Outbox<Raft<M>>,
) {
    let leader = match &node.volatile.role {
        Role::Follower { leader } => *leader,
        Role::PreCandidate { .. } | Role::Candidate { .. } | Role::Leader(_) => None,
    };
    out.emit(Event::Redirect { request, leader });
}
