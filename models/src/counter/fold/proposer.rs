//! What a proposer does: it asks all, and proposes what all have said.

use super::ballot::{Ballot, Vote};
use super::dead::DeadNames;
use super::message::FoldMessage;
use super::state::Proposal;
use crate::counter::counts::Counts;
use crate::counter::g_counter::GCounter;
use crate::counter::message::Message;
use crate::counter::state::Persistent;
use crate::counter::{Counter, Timer};
use crate::protocol::{Node, NodeId, Outbox};

impl Counter {
    /// Time to begin, or to ask again who has not answered.
    pub(in crate::counter) fn on_fold_timeout(
        &self,
        node: &mut Node<Self>,
        out: &mut Outbox<Self>,
    ) {
        out.arm(Timer::Fold);
        if node.volatile.proposal.is_none() {
            self.begin(node, out);
        } else {
            self.ask_again(node, out);
        }
        self.advance_proposal(node, out);
    }

    /// Phase 1a, where there is something to fold and all can be reached: a promise that is made holds
    /// until the fold is chosen, and who has made it learns no more of the dead names till then.
    ///
    /// The first of the nodes does it, the "distinguished proposer" of "Paxos Made Simple", §2.4:
    /// two that outbid each other would not come to an end. Where nodes disagree on who is gone for
    /// good there may be two all the same.
    fn begin(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let durable = node.durable();
        let mut dead = durable.dead_names();
        dead.merge(&durable.acceptor.frozen);
        if !has_something_to_fold(durable, &dead) || !self.may_begin(node) {
            return;
        }
        let promised = durable.acceptor.promised.map_or(0, |ballot| ballot.round);
        let round = promised.checked_add(1);
        let (Some(round), Some(proposer)) = (round, durable.identity) else {
            return;
        };
        let ballot = Ballot { round, proposer };
        let Ok((counts, accepted)) = self.promise(node, ballot, &dead, out) else {
            return;
        };
        node.volatile.proposal = Some(Proposal::Preparing {
            ballot,
            dead,
            promised: [self.id].into(),
            counts,
            accepted,
        });
        self.ask_again(node, out);
    }

    /// Whether this is the first of the nodes, and all others can be reached.
    fn may_begin(&self, node: &Node<Self>) -> bool {
        let electors = self.electors(node.durable());
        let members = &node.volatile.members;
        let mut others = electors.iter().filter(|elector| **elector != self.id);
        electors.first() == Some(&self.id) && others.all(|elector| members.contains_key(elector))
    }

    /// Asks everybody who has not answered.
    fn ask_again(&self, node: &Node<Self>, out: &mut Outbox<Self>) {
        let durable = node.durable();
        let (message, answered) = match &node.volatile.proposal {
            Some(Proposal::Preparing {
                ballot,
                dead,
                promised,
                ..
            }) => {
                let prepare = FoldMessage::Prepare {
                    number: durable.counts.folded.number.saturating_add(1),
                    ballot: *ballot,
                    dead: dead.clone(),
                };
                (prepare, promised)
            }
            Some(Proposal::Accepting {
                ballot,
                fold,
                accepted,
            }) => {
                let accept = FoldMessage::Accept {
                    ballot: *ballot,
                    fold: fold.clone(),
                };
                (accept, accepted)
            }
            None => return,
        };
        for elector in self.electors(durable).difference(answered) {
            out.send(*elector, Message::Fold(message.clone()));
        }
    }

    /// Phase 1b, as it is heard: the fold is to have the most that anybody knows of each name.
    pub(in crate::counter) fn on_promise(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        (number, in_ballot): (u64, Ballot),
        (known, vote): (&GCounter, Option<Vote>),
        out: &mut Outbox<Self>,
    ) {
        if !is_about_the_next(node, number) {
            return;
        }
        if let Some(Proposal::Preparing {
            ballot,
            dead,
            promised,
            counts,
            accepted,
        }) = &mut node.volatile.proposal
            && *ballot == in_ballot
        {
            promised.insert(from);
            counts.merge(&known.only(|name| dead.covers(name)));
            let vote = vote.filter(|vote| vote.fold.number == number);
            *accepted = accepted.take().max(vote);
            self.advance_proposal(node, out);
        }
    }

    /// Phase 2b, as it is heard.
    pub(in crate::counter) fn on_accepted(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        (number, in_ballot): (u64, Ballot),
        out: &mut Outbox<Self>,
    ) {
        if !is_about_the_next(node, number) {
            return;
        }
        if let Some(Proposal::Accepting {
            ballot, accepted, ..
        }) = &mut node.volatile.proposal
            && *ballot == in_ballot
        {
            accepted.insert(from);
            self.advance_proposal(node, out);
        }
    }

    /// An acceptor does not heed the ballot. The next is made when the timer runs out.
    pub(in crate::counter) fn on_refused(node: &mut Node<Self>, (number, ballot): (u64, Ballot)) {
        let proposal = node.volatile.proposal.as_ref().map(Proposal::ballot);
        if is_about_the_next(node, number) && proposal == Some(ballot) {
            node.volatile.proposal = None;
        }
    }

    /// Goes on when everybody has answered.
    fn advance_proposal(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let electors = self.electors(node.durable());
        match &node.volatile.proposal {
            Some(Proposal::Preparing { promised, .. }) if promised.is_superset(&electors) => {
                self.propose(node, out);
                self.advance_proposal(node, out);
            }
            Some(Proposal::Accepting { fold, accepted, .. }) if accepted.is_superset(&electors) => {
                let counts = Counts {
                    folded: fold.clone(),
                    ..Counts::default()
                };
                self.learn(node, &counts, out);
                self.owe_everybody(node, &counts, out);
            }
            Some(Proposal::Preparing { .. } | Proposal::Accepting { .. }) | None => {}
        }
    }

    /// Phase 2a: "the value of the highest-numbered proposal among the responses, or any value if the
    /// responses reported no proposals". The first may have been chosen.
    fn propose(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(Proposal::Preparing {
            ballot,
            dead,
            counts,
            accepted,
            ..
        }) = node.volatile.proposal.take()
        else {
            return;
        };
        let folded = &node.durable().counts.folded;
        let fold = accepted.map_or_else(|| folded.next(&dead, &counts), |vote| vote.fold);
        if Self::accept(node, ballot, fold.clone()).is_ok() {
            node.volatile.proposal = Some(Proposal::Accepting {
                ballot,
                fold,
                accepted: [self.id].into(),
            });
            self.ask_again(node, out);
        }
    }
}

/// Whether this replica knows of a component that is dead; or has promised somebody to learn no more of
/// one, and does not know what it is kept from learning.
fn has_something_to_fold(durable: &Persistent, dead: &DeadNames) -> bool {
    let mut names = durable.counts.total.components();
    durable.acceptor.promised.is_some() || names.any(|(name, _)| dead.covers(name))
}

/// Rounds begin anew with each fold: what is said of another is not about this one.
fn is_about_the_next(node: &Node<Counter>, number: u64) -> bool {
    node.durable().counts.folded.number.checked_add(1) == Some(number)
}
