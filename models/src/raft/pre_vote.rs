//! PreVote (thesis §9.6): a node stands for election only when a quorum would vote for it, so
//! that one that cannot win (its log is behind, or it was cut off for a while) raises nobody's
//! term.
//!
//! Neither side changes its term or its vote for it, and nothing is written. A pre-vote is no
//! promise: who has given one may vote for another.

use alloc::collections::BTreeSet;

use super::election::is_up_to_date;
use super::log::{Index, Term};
use super::machine::StateMachine;
use super::message::{Message, VoteOutcome};
use super::state::Role;
use super::{Raft, Timer};
use crate::protocol::{Node, NodeId, Outbox, Protocol};

impl<M: StateMachine> Raft<M> {
    /// Asks everybody whether they would vote for this node in the next term.
    pub(super) fn ask_for_pre_votes(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        node.volatile.role = Role::PreCandidate {
            votes: BTreeSet::from([self.id()]),
        };
        // A question may be lost: it is asked again after another election timeout.
        out.arm(Timer::Election);
        let term = node.durable().current_term.next();
        let log = &node.durable().log;
        let voters = self.configuration(node).all_voters().into_iter();
        for voter in voters.filter(|&voter| voter != self.id()) {
            out.send(
                voter,
                Message::PreVote {
                    term,
                    last_log_index: log.last_index(),
                    last_log_term: log.last_term(),
                },
            );
        }
        self.count_pre_votes(node, out);
    }

    /// "It would be willing to grant the candidate its vote if the candidate's log is
    /// sufficiently up-to-date and it has not received heartbeats from a valid leader for at
    /// least a baseline election timeout" (thesis §9.6, in short). Who does hear one has
    /// ignored the question already.
    pub(super) fn on_pre_vote(
        &self,
        node: &mut Node<Self>,
        candidate: NodeId,
        term: Term,
        last: (Term, Index),
        out: &mut Outbox<Self>,
    ) {
        let current_term = node.durable().current_term;
        let outcome = if term <= current_term {
            // Never silence: a node of an earlier term whose questions nobody answered would
            // ask for ever, and where one such node is needed for a quorum, so would the
            // nodes that are ahead of it.
            VoteOutcome::StaleTerm { current_term }
        } else if is_up_to_date(node, last) {
            VoteOutcome::Granted
        } else {
            VoteOutcome::Refused
        };
        out.send(candidate, Message::PreVoteResponse { term, outcome });
    }

    /// Counts a pre-vote for the term after the current one; one for another term was given to
    /// a question that this node no longer asks.
    ///
    /// One that was given to an earlier question for the same term does count: at worst a term
    /// begins that nobody joins.
    pub(super) fn on_pre_vote_response(
        &self,
        node: &mut Node<Self>,
        voter: NodeId,
        term: Term,
        outcome: VoteOutcome,
        out: &mut Outbox<Self>,
    ) {
        if outcome == VoteOutcome::Granted
            && term == node.durable().current_term.next()
            && self.configuration(node).is_voter(voter)
            && let Role::PreCandidate { votes } = &mut node.volatile.role
        {
            votes.insert(voter);
            self.count_pre_votes(node, out);
        }
    }

    fn count_pre_votes(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        if let Role::PreCandidate { votes } = &node.volatile.role
            && self.configuration(node).has_quorum(votes)
        {
            self.stand(node, false, out);
        }
    }
}
