//! What an acceptor does: it promises, and accepts what it has promised to heed.

use super::ballot::{Ballot, Vote};
use super::dead::DeadNames;
use super::folded::Folded;
use super::message::FoldMessage;
use crate::counter::Counter;
use crate::counter::counts::Counts;
use crate::counter::g_counter::GCounter;
use crate::counter::message::Message;
use crate::counter::state::Record;
use crate::protocol::{Node, NodeId, Outbox};

/// The acceptor heeds another ballot, or none.
pub(super) struct Refused;

impl Counter {
    /// Phase 1b.
    pub(in crate::counter) fn on_prepare(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        (number, ballot): (u64, Ballot),
        dead: &DeadNames,
        out: &mut Outbox<Self>,
    ) {
        if !is_next(node, from, number, out) {
            return;
        }
        let answer = match self.promise(node, ballot, dead, out) {
            Ok((counts, accepted)) => FoldMessage::Promise {
                number,
                ballot,
                counts,
                accepted,
            },
            Err(Refused) => FoldMessage::Refused { number, ballot },
        };
        out.send(from, Message::Fold(answer));
    }

    /// Promises to heed no earlier ballot, and to learn no more of the names than what it answers:
    /// whatever comes of them later is not in the fold, and would be counted by nobody in the end.
    ///
    /// A replica that counts under one of the names itself has been taken for dead: its disk was set
    /// back, or its host has drawn an incarnation that does not rise. It gives the name up before it
    /// promises.
    pub(super) fn promise(
        &self,
        node: &mut Node<Self>,
        ballot: Ballot,
        dead: &DeadNames,
        out: &mut Outbox<Self>,
    ) -> Result<(GCounter, Option<Vote>), Refused> {
        let promised = node.durable().acceptor.promised;
        if promised > Some(ballot) {
            return Err(Refused);
        }
        if promised != Some(ballot) {
            let identity = node.durable().identity;
            if let Some(identity) = identity.filter(|&identity| dead.covers(identity)) {
                self.retire(node, identity, out);
            }
            let dead = dead.clone();
            node.write(Record::Promised { ballot, dead });
            // A proposal of its own has been outbid.
            node.volatile.proposal = None;
            Self::let_go(node, out);
        }
        let durable = node.durable();
        let counts = durable.counts.total.only(|name| dead.covers(name));
        Ok((counts, durable.acceptor.accepted.clone()))
    }

    /// Phase 2b.
    pub(in crate::counter) fn on_accept(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        ballot: Ballot,
        fold: Folded,
        out: &mut Outbox<Self>,
    ) {
        let number = fold.number;
        if !is_next(node, from, number, out) {
            return;
        }
        let answer = match Self::accept(node, ballot, fold) {
            Ok(()) => FoldMessage::Accepted { number, ballot },
            Err(Refused) => FoldMessage::Refused { number, ballot },
        };
        out.send(from, Message::Fold(answer));
    }

    /// Accepts what it has promised to heed, and nothing else. "Paxos Made Simple" lets it accept any
    /// ballot that is not lower; but a disk that was lost since has not frozen what the promise says of
    /// the names, and may have learned more.
    pub(super) fn accept(
        node: &mut Node<Self>,
        ballot: Ballot,
        fold: Folded,
    ) -> Result<(), Refused> {
        let acceptor = &node.durable().acceptor;
        if acceptor.promised != Some(ballot) {
            return Err(Refused);
        }
        let vote = Vote { ballot, fold };
        if acceptor.accepted.as_ref() != Some(&vote) {
            node.write(Record::Accepted(vote));
        }
        Ok(())
    }
}

/// Whether the fold of this number is the next here. Who asks for one that is known is told it. Who
/// asks for a later one has to be heard of the one before first.
fn is_next(node: &Node<Counter>, from: NodeId, number: u64, out: &mut Outbox<Counter>) -> bool {
    let folded = &node.durable().counts.folded;
    if number <= folded.number {
        let counts = Counts {
            folded: folded.clone(),
            ..Counts::default()
        };
        out.send(from, Message::PushPullReply { counts });
    }
    folded.number.checked_add(1) == Some(number)
}
