//! What a node's clients ask. Those that claim the same lock queue at their node, and the node
//! requests it for one at a time: to the others it is one requester (§4 of the paper). Claims to
//! different locks do not wait for each other.

use super::message::{HeldLocks, Message, Token};
use super::requester::withdraw;
use super::state::{Claim, Local, Session};
use super::{Command, Event, Maekawa, Refusal, local};
use crate::protocol::{Node, Outbox};

impl Maekawa {
    /// A client claims a lock.
    pub(super) fn on_acquire(&self, node: &mut Node<Self>, claim: Claim, out: &mut Outbox<Self>) {
        let registered = node.durable().registered;
        let Some(local) = local(node) else {
            return refuse(Command::Acquire { claim }, Refusal::Orchestrator, out);
        };
        // A claim that has the lock, or waits for it, is not made again.
        if local.claims_to(&claim.lock).any(|other| *other == claim) {
            if let Some(token) = local.held_by(&claim) {
                out.emit(Event::Granted { claim, token });
            }
            return;
        }
        let why = if claim.session.node != self.id {
            Refusal::WrongNode
        } else if !claim.lock.is_valid() {
            Refusal::InvalidName
        } else if local.is_over(&claim) {
            Refusal::Over
        } else if local.claim_of(claim.session).is_some() {
            Refusal::Busy
        } else if !registered {
            Refusal::NotAMember
        } else if local.all_claims().count() >= self.max_claims {
            Refusal::Full
        } else {
            let lock = claim.lock.clone();
            let queue = local.claims.entry(lock.clone()).or_default();
            queue.push_back(claim);
            return self.request(node, &lock, out);
        };
        refuse(Command::Acquire { claim }, why, out);
    }

    /// A client leaves the critical section, or gives its claim up: also one that this node has
    /// never heard of. It may have had it before it crashed, or hear of it later, for what a
    /// client asks may be overtaken by what it asks next; granted then, the claim would hold the
    /// lock with nobody there to release it.
    pub(super) fn on_release_claim(
        &self,
        node: &mut Node<Self>,
        claim: Claim,
        out: &mut Outbox<Self>,
    ) {
        let Some(local) = local(node) else {
            return refuse(Command::Release { claim }, Refusal::Orchestrator, out);
        };
        if claim.session.node != self.id {
            refuse(Command::Release { claim }, Refusal::WrongNode, out);
        } else if local.claims_to(&claim.lock).any(|other| *other == claim) {
            self.finish(node, &claim, out);
        } else if local.is_over(&claim) {
            out.emit(Event::Released { claim });
        } else if local.claim_of(claim.session).is_some() {
            refuse(Command::Release { claim }, Refusal::Busy, out);
        } else {
            local.close(&claim);
            out.emit(Event::Released { claim });
        }
    }

    /// A client is gone, or its lease has run out. What it has asked before may come later, and is
    /// over then: granted, it would hold the lock with nobody there to release it.
    pub(super) fn on_end(&self, node: &mut Node<Self>, session: Session, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return refuse(Command::End { session }, Refusal::Orchestrator, out);
        };
        if session.node != self.id {
            return refuse(Command::End { session }, Refusal::WrongNode, out);
        }
        if let Some(claim) = local.claim_of(session).cloned() {
            self.finish(node, &claim, out);
        }
        if let Some(local) = super::local(node) {
            local.over.remove(&session);
            local.ended.insert(session.number);
        }
        out.emit(Event::Ended { session });
    }

    /// Ends a claim that waits or holds, and turns to the next to the same lock.
    fn finish(&self, node: &mut Node<Self>, claim: &Claim, out: &mut Outbox<Self>) {
        let leaves = !node.durable().registered;
        let Some(local) = local(node) else {
            return;
        };
        let lock = &claim.lock;
        let is_first = local.claims_to(lock).next() == Some(claim);
        local.close(claim);
        out.emit(Event::Released {
            claim: claim.clone(),
        });
        let Some(membership) = local.membership.as_mut().filter(|_| is_first) else {
            return;
        };
        let held = membership.held(lock).is_some();
        withdraw(membership, lock, out);
        if leaves && membership.frozen && held && !membership.holds() {
            // The epoch has waited for this one.
            let (epoch, held) = (membership.epoch, HeldLocks::new());
            out.send(self.orchestrator, Message::Frozen { epoch, held });
        }
        self.request(node, lock, out);
    }
}

impl Local {
    /// The claim's token, if it has the lock.
    fn held_by(&self, claim: &Claim) -> Option<Token> {
        let is_first = self.claims_to(&claim.lock).next() == Some(claim);
        self.membership
            .as_ref()
            .filter(|_| is_first)?
            .held(&claim.lock)
    }

    /// Whether the claim, or a later one of its session, or the session itself is over.
    fn is_over(&self, claim: &Claim) -> bool {
        let last = self.over.get(&claim.session);
        self.ended.contains(claim.session.number)
            || last.is_some_and(|&last| claim.sequence <= last)
    }

    /// The claim of the session that waits or holds, to whichever lock.
    fn claim_of(&self, session: Session) -> Option<&Claim> {
        let mut claims = self.all_claims();
        claims.find(|claim| claim.session == session)
    }

    /// Notes that a claim is over.
    pub(super) fn close(&mut self, claim: &Claim) {
        if let Some(queue) = self.claims.get_mut(&claim.lock) {
            queue.retain(|other| other != claim);
            if queue.is_empty() {
                self.claims.remove(&claim.lock);
            }
        }
        self.over.insert(claim.session, claim.sequence);
    }
}

fn refuse(command: Command, why: Refusal, out: &mut Outbox<Maekawa>) {
    out.emit(Event::Refused { command, why });
}
