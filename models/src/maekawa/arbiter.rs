//! A node as an arbiter: whom it is locked for (§4 of the paper). It is one for each lock.

use super::message::{Message, Timestamp, is_absurd};
use super::state::{Arbiter, Grant};
use super::{About, Maekawa, in_epoch};
use crate::protocol::{Node, Outbox};

/// The arbiter of one lock, and what its node has for all locks.
struct Arbitration<'a> {
    /// What it hears of.
    about: &'a About,
    /// The logical clock.
    clock: &'a mut u64,
    /// The greatest number of a grant or counter of a token.
    number: &'a mut u64,
    /// What it knows of the lock.
    arbiter: &'a mut Arbiter,
}

/// The arbiter that heeds a message about this.
fn arbitration<'a>(node: &'a mut Node<Maekawa>, about: &'a About) -> Option<Arbitration<'a>> {
    let (clock, membership) = in_epoch(node, about)?;
    let arbiter = membership.arbiters.entry(about.lock.clone());
    Some(Arbitration {
        about,
        clock,
        number: &mut membership.number,
        arbiter: arbiter.or_default(),
    })
}

impl Maekawa {
    /// §4: a node that is not locked locks itself for the request and answers LOCKED. Otherwise
    /// the request waits, in the order of the time stamps. If it precedes all others that wait,
    /// and the one that the node is locked for, that one is sent an INQUIRE; if not, the request
    /// is answered FAILED.
    ///
    /// Here is Sanders' correction. A request that was the best has heard no FAILED. If a better
    /// one arrives it must: else it holds on to its other arbiters, when asked to relinquish
    /// them, in a hope that is gone, and all wait for each other for ever.
    pub(super) fn on_request(&self, node: &mut Node<Self>, about: &About, out: &mut Outbox<Self>) {
        let Some(mut lock) = arbitration(node, about) else {
            return;
        };
        let request = about.request;
        let is_late = lock.arbiter.has_finished(request);
        if request.node != about.from || is_late || is_absurd(request.clock, *lock.clock) {
            return;
        }
        *lock.clock = request.clock.max(*lock.clock);
        let arbiter = &mut *lock.arbiter;
        let Some(grant) = arbiter.locked.as_mut() else {
            arbiter.waiting.insert(request);
            return lock.grant_best(out);
        };
        if grant.request == request || arbiter.waiting.contains(&request) {
            return lock.remind(out);
        }
        let best = arbiter.waiting.first().copied();
        arbiter.waiting.insert(request);
        if request > grant.request || best.is_some_and(|best| request > best) {
            return about.fail(request, out);
        }
        if let Some(overtaken) = best.filter(|best| *best < grant.request) {
            about.fail(overtaken, out);
        }
        if !grant.inquired {
            grant.inquired = true;
            about.inquire(*grant, out);
        }
    }

    /// §4: the request goes back to those that wait, and the node locks itself for the first of
    /// them. It goes to its place by time stamp, not to the end: a request that has given way to
    /// a better one gives way to no other.
    pub(super) fn on_relinquish(
        &self,
        node: &mut Node<Self>,
        about: &About,
        number: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some(mut lock) = arbitration(node, about) else {
            return;
        };
        let request = about.request;
        let is_current = |grant: &Grant| {
            request.node == about.from && (grant.request, grant.number) == (request, number)
        };
        // Anything else is late: that grant has been given back before.
        if lock.arbiter.locked.as_ref().is_some_and(is_current) {
            lock.arbiter.locked = None;
            lock.arbiter.waiting.insert(request);
            lock.grant_best(out);
        }
    }

    /// §4: the request is deleted, and the node locks itself for the first of those that wait, if
    /// there is one.
    ///
    /// What the node asked before this request is over too, for it asks one at a time for a lock:
    /// that one's own RELEASE may come later, and be taken for a copy of this.
    pub(super) fn on_release(
        &self,
        node: &mut Node<Self>,
        about: &About,
        counter: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some(mut lock) = arbitration(node, about) else {
            return;
        };
        let (from, request) = (about.from, about.request);
        let is_forged = is_absurd(request.clock, *lock.clock) || is_absurd(counter, *lock.number);
        if request.node != from || is_forged || lock.arbiter.has_finished(request) {
            return;
        }
        *lock.clock = request.clock.max(*lock.clock);
        *lock.number = counter.max(*lock.number);
        let arbiter = &mut *lock.arbiter;
        arbiter.finished.insert(from, request.clock);
        let is_over = |other: &Timestamp| other.node == from && other.clock <= request.clock;
        arbiter.waiting.retain(|waiting| !is_over(waiting));
        if let Some(grant) = arbiter.locked
            && is_over(&grant.request)
        {
            arbiter.locked = None;
            lock.grant_best(out);
        }
    }
}

impl Arbitration<'_> {
    /// Locks a free arbiter for the best of the waiting requests, if there is one.
    fn grant_best(&mut self, out: &mut Outbox<Maekawa>) {
        let Some(request) = self.arbiter.waiting.pop_first() else {
            return;
        };
        *self.number += 1;
        let grant = Grant {
            request,
            number: *self.number,
            inquired: false,
        };
        self.arbiter.locked = Some(grant);
        self.about.lock(grant, *self.clock, out);
    }

    /// A request has come that is known already: its node has waited for long, and something may
    /// have been lost. It is told again how things stand, and so is the one that the arbiter is
    /// locked for: it may have left long ago, and its RELEASE be lost.
    fn remind(&mut self, out: &mut Outbox<Maekawa>) {
        let Some(grant) = self.arbiter.locked.as_mut() else {
            return;
        };
        let request = self.about.request;
        let is_best = self.arbiter.waiting.first() == Some(&request);
        if is_best && request < grant.request {
            grant.inquired = true;
            return self.about.inquire(*grant, out);
        }
        self.about.lock(*grant, *self.clock, out);
        if grant.request != request {
            self.about.fail(request, out);
        }
    }
}

/// What an arbiter says, in the epoch and of the lock that it hears of.
impl About {
    fn lock(&self, grant: Grant, clock: u64, out: &mut Outbox<Maekawa>) {
        out.send(
            grant.request.node,
            Message::Locked {
                epoch: self.epoch,
                lock: self.lock.clone(),
                request: grant.request,
                number: grant.number,
                clock,
            },
        );
    }

    fn fail(&self, request: Timestamp, out: &mut Outbox<Maekawa>) {
        out.send(
            request.node,
            Message::Failed {
                epoch: self.epoch,
                lock: self.lock.clone(),
                request,
            },
        );
    }

    fn inquire(&self, grant: Grant, out: &mut Outbox<Maekawa>) {
        out.send(
            grant.request.node,
            Message::Inquire {
                epoch: self.epoch,
                lock: self.lock.clone(),
                request: grant.request,
                number: grant.number,
            },
        );
    }
}
