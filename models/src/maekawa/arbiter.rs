//! A node as an arbiter: whom it is locked for (§4 of the paper).

use super::message::{Epoch, Message, Timestamp, is_absurd};
use super::state::{Arbiter, Grant};
use super::{Maekawa, in_epoch};
use crate::protocol::{Node, NodeId, Outbox};

impl Maekawa {
    /// §4: a node that is not locked locks itself for the request and answers LOCKED. Otherwise
    /// the request waits, in the order of the time stamps. If it precedes all others that wait,
    /// and the one that the node is locked for, that one is sent an INQUIRE; if not, the request
    /// is answered FAILED.
    ///
    /// Here is Sanders' correction. A request that was the best has heard no FAILED. If a better
    /// one arrives it must: else it holds on to its other arbiters, when asked to relinquish
    /// them, in a hope that is gone, and all wait for each other for ever.
    pub(super) fn on_request(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        out: &mut Outbox<Self>,
    ) {
        let Some((clock, membership)) = in_epoch(node, from, epoch) else {
            return;
        };
        let is_late = membership.arbiter.has_finished(request);
        if request.node != from || is_late || is_absurd(request.clock, *clock) {
            return;
        }
        *clock = request.clock.max(*clock);
        let arbiter = &mut membership.arbiter;
        let Some(grant) = arbiter.locked.as_mut() else {
            arbiter.waiting.insert(request);
            return grant_best(epoch, arbiter, *clock, out);
        };
        if grant.request == request || arbiter.waiting.contains(&request) {
            return remind(epoch, arbiter, request, *clock, out);
        }
        let best = arbiter.waiting.first().copied();
        arbiter.waiting.insert(request);
        if request > grant.request || best.is_some_and(|best| request > best) {
            return out.send(from, Message::Failed { epoch, request });
        }
        if let Some(overtaken) = best.filter(|best| *best < grant.request) {
            fail(epoch, overtaken, out);
        }
        if !grant.inquired {
            grant.inquired = true;
            inquire(epoch, *grant, out);
        }
    }

    /// §4: the request goes back to those that wait, and the node locks itself for the first of
    /// them. It goes to its place by time stamp, not to the end: a request that has given way to
    /// a better one gives way to no other.
    pub(super) fn on_relinquish(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        number: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some((clock, membership)) = in_epoch(node, from, epoch) else {
            return;
        };
        let arbiter = &mut membership.arbiter;
        let is_current = |grant: &Grant| {
            request.node == from && (grant.request, grant.number) == (request, number)
        };
        // Anything else is late: that grant has been given back before.
        if arbiter.locked.as_ref().is_some_and(is_current) {
            arbiter.locked = None;
            arbiter.waiting.insert(request);
            grant_best(epoch, arbiter, *clock, out);
        }
    }

    /// §4: the request is deleted, and the node locks itself for the first of those that wait, if
    /// there is one.
    ///
    /// What the node asked before this request is over too, for it asks one at a time: that one's
    /// own RELEASE may come later, and be taken for a copy of this.
    pub(super) fn on_release(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        counter: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some((clock, membership)) = in_epoch(node, from, epoch) else {
            return;
        };
        let arbiter = &mut membership.arbiter;
        let is_forged = is_absurd(request.clock, *clock) || is_absurd(counter, arbiter.counter);
        if request.node != from || is_forged || arbiter.has_finished(request) {
            return;
        }
        *clock = request.clock.max(*clock);
        arbiter.finished.insert(from, request.clock);
        arbiter.counter = counter.max(arbiter.counter);
        let is_over = |other: &Timestamp| other.node == from && other.clock <= request.clock;
        arbiter.waiting.retain(|waiting| !is_over(waiting));
        if let Some(grant) = arbiter.locked
            && is_over(&grant.request)
        {
            arbiter.locked = None;
            grant_best(epoch, arbiter, *clock, out);
        }
    }
}

/// Locks a free arbiter for the best of the waiting requests, if there is one.
fn grant_best(epoch: Epoch, arbiter: &mut Arbiter, clock: u64, out: &mut Outbox<Maekawa>) {
    let Some(request) = arbiter.waiting.pop_first() else {
        return;
    };
    arbiter.counter += 1;
    let grant = Grant {
        request,
        number: arbiter.counter,
        inquired: false,
    };
    arbiter.locked = Some(grant);
    lock(epoch, grant, clock, out);
}

/// A request has come that is known already: its node has waited for long, and something may
/// have been lost. It is told again how things stand, and so is the one that the arbiter is
/// locked for: it may have left long ago, and its RELEASE be lost.
fn remind(
    epoch: Epoch,
    arbiter: &mut Arbiter,
    request: Timestamp,
    clock: u64,
    out: &mut Outbox<Maekawa>,
) {
    let Some(grant) = arbiter.locked.as_mut() else {
        return;
    };
    let is_best = arbiter.waiting.first() == Some(&request);
    if is_best && request < grant.request {
        grant.inquired = true;
        return inquire(epoch, *grant, out);
    }
    lock(epoch, *grant, clock, out);
    if grant.request != request {
        fail(epoch, request, out);
    }
}

fn lock(epoch: Epoch, grant: Grant, clock: u64, out: &mut Outbox<Maekawa>) {
    out.send(
        grant.request.node,
        Message::Locked {
            epoch,
            request: grant.request,
            number: grant.number,
            clock,
        },
    );
}

fn fail(epoch: Epoch, request: Timestamp, out: &mut Outbox<Maekawa>) {
    out.send(request.node, Message::Failed { epoch, request });
}

fn inquire(epoch: Epoch, grant: Grant, out: &mut Outbox<Maekawa>) {
    out.send(
        grant.request.node,
        Message::Inquire {
            epoch,
            request: grant.request,
            number: grant.number,
        },
    );
}
