//! Leader election (§5.2) and its restriction (§5.4.1).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::log::{Content, Entry, Index, Term};
use super::machine::StateMachine;
use super::message::{Message, Round, VoteOutcome};
use super::progress::Progress;
use super::session::Position;
use super::state::{Leadership, PendingRead, Reader, Record, Role};
use super::{Event, Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

impl<M: StateMachine> Raft<M> {
    /// "If election timeout elapses: start election" (Figure 2, "Followers", "Candidates");
    /// with PreVote, first ask whether it can be won (thesis §9.6).
    pub(super) fn on_election_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if matches!(node.volatile.role, Role::Leader(_)) {
            return;
        }
        if !self.may_stand(node) {
            return self.miss_leader(node, out);
        }
        self.forget_leader(node, out);
        if self.pre_vote {
            self.ask_for_pre_votes(node, out);
        } else {
            self.stand(node, false, out);
        }
    }

    /// "Increment currentTerm, vote for self, reset election timer, send RequestVote RPCs to
    /// all other servers" (Figure 2, "Candidates"). `leadership_transfer`: because the leader
    /// has said so.
    pub(super) fn stand(
        &self,
        node: &mut Node<Self>,
        leadership_transfer: bool,
        out: &mut Outbox<Self>,
    ) {
        let term = node.durable().current_term.next();
        // Term and own vote are one record: a candidate that restarts must not vote for
        // another in the term in which it has stood.
        node.write(Record::Ballot {
            term,
            voted_for: Some(self.id()),
        });
        node.volatile.role = Role::Candidate {
            votes: BTreeSet::from([self.id()]),
        };
        out.arm(Timer::Election);
        let log = &node.durable().log;
        let voters = self.configuration(node).all_voters().into_iter();
        for voter in voters.filter(|&voter| voter != self.id()) {
            out.send(
                voter,
                Message::RequestVote {
                    term,
                    last_log_index: log.last_index(),
                    last_log_term: log.last_term(),
                    leadership_transfer,
                },
            );
        }
        self.count_votes(node, out);
    }

    /// A node that may not stand can only wait for another leader.
    fn miss_leader(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        out.arm(Timer::Election);
        if node.volatile.role != (Role::Follower { leader: None }) {
            self.follow(node, None, out);
        }
    }

    /// "Grant vote if votedFor is null or candidateId, and candidate's log is at least as
    /// up-to-date as receiver's log" (Figure 2, "RequestVote RPC"). `last` is the term and
    /// index of the candidate's last entry.
    pub(super) fn on_request_vote(
        &self,
        node: &mut Node<Self>,
        candidate: NodeId,
        term: Term,
        last: (Term, Index),
        out: &mut Outbox<Self>,
    ) {
        let outcome = self.vote(node, candidate, term, last, out);
        out.send(candidate, Message::RequestVoteResponse { term, outcome });
    }

    fn vote(
        &self,
        node: &mut Node<Self>,
        candidate: NodeId,
        term: Term,
        last: (Term, Index),
        out: &mut Outbox<Self>,
    ) -> VoteOutcome {
        let durable = node.durable();
        let current_term = durable.current_term;
        if term < current_term {
            return VoteOutcome::StaleTerm { current_term };
        }
        let vote_is_free = durable.voted_for.is_none_or(|voted| voted == candidate);
        if !vote_is_free || !is_up_to_date(node, last) {
            return VoteOutcome::Refused;
        }
        if durable.voted_for.is_none() {
            node.write(Record::Ballot {
                term,
                voted_for: Some(candidate),
            });
        }
        // Only a granted vote resets the timer (Figure 2, "Followers"): a node that cannot
        // win must not keep the others from standing.
        out.arm(Timer::Election);
        VoteOutcome::Granted
    }

    /// "If votes received from majority of servers: become leader" (Figure 2, "Candidates").
    pub(super) fn on_request_vote_response(
        &self,
        node: &mut Node<Self>,
        voter: NodeId,
        outcome: VoteOutcome,
        out: &mut Outbox<Self>,
    ) {
        if outcome == VoteOutcome::Granted
            && self.configuration(node).is_voter(voter)
            && let Role::Candidate { votes } = &mut node.volatile.role
        {
            votes.insert(voter);
            self.count_votes(node, out);
        }
    }

    fn count_votes(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if let Role::Candidate { votes } = &node.volatile.role
            && self.configuration(node).has_quorum(votes)
        {
            self.lead(node, out);
        }
    }

    /// Takes office: initialises "volatile state on leaders" (Figure 2), appends the term's
    /// no-op (§8) and tells everybody.
    pub(super) fn lead(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let term = node.durable().current_term;
        let term_start = node.durable().log.last_index().next();
        let unknown = Progress::unknown(term_start);
        let peers = self.peers(node).into_iter();
        node.volatile.role = Role::Leader(Leadership {
            progress: peers.map(|peer| (peer, unknown.clone())).collect(),
            term_start,
            round: Round(0),
            reads: Vec::new(),
            expiring: Position(0),
            change: None,
            transfer: None,
            heard: BTreeSet::new(),
            blob: None,
        });
        out.disarm(Timer::Election);
        self.begin_check_quorum(out);
        out.emit(Event::Leading { term });
        node.write(Record::Append(Entry {
            term,
            content: Content::Noop,
        }));
        self.on_heartbeat_timeout(node, out);
        self.advance_commit_index(node, out);
    }

    /// Becomes or stays a follower, of `leader` if it is known, and says so. Reads that waited
    /// for this node's leadership are sent elsewhere: nobody confirms it any more.
    pub(super) fn follow(
        &self,
        node: &mut Node<Self>,
        leader: Option<NodeId>,
        out: &mut Outbox<Self>,
    ) {
        self.forget_leader(node, out);
        let role = core::mem::replace(&mut node.volatile.role, Role::Follower { leader });
        if let Role::Leader(leadership) = &role {
            out.disarm(Timer::Heartbeat);
            self.end_check_quorum(out);
            self.end_transfer(leadership.transfer, out);
            // A follower that has asked for an index learns of the new term, or misses its leader.
            let is_clients = |read: &&PendingRead<M>| matches!(read.reader, Reader::Client { .. });
            let reads = leadership.reads.iter().filter(is_clients);
            let reads = reads.map(|read| read.request);
            for request in reads.chain(leadership.change) {
                out.emit(Event::Redirect { request, leader });
            }
        }
        if !matches!(role, Role::Follower { .. }) {
            out.arm(Timer::Election);
        }
        out.emit(Event::Following {
            term: node.durable().current_term,
            leader,
        });
    }
}

/// "If the logs have last entries with different terms, then the log with the later term is
/// more up-to-date. If the logs end with the same term, then whichever log is longer is more
/// up-to-date" (§5.4.1). `last` is the term and index of the candidate's last entry.
pub(super) fn is_up_to_date<M: StateMachine>(node: &Node<Raft<M>>, last: (Term, Index)) -> bool {
    let log = &node.durable().log;
    last >= (log.last_term(), log.last_index())
}
