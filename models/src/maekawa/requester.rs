//! A node as a requester: how it locks its arbiters (§4 of the paper).

use super::message::{Epoch, Message, Timestamp, Token, is_absurd};
use super::state::{Attempt, Membership, Standing, View};
use super::{Event, Maekawa, Timer, in_epoch, local};
use crate::protocol::{Node, NodeId, Outbox};

impl Maekawa {
    /// §4: a node that wants to enter the critical section sends a REQUEST, with a time stamp
    /// greater than any it has seen, to every member of its set. Does so for the first of the
    /// waiting claims, if the node is free to.
    pub(super) fn request(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return;
        };
        let Some(membership) = local.membership.as_mut() else {
            return;
        };
        if membership.frozen || membership.attempt.is_some() || local.claims.is_empty() {
            return;
        }
        local.clock += 1;
        let request = Timestamp {
            clock: local.clock,
            node: self.id,
        };
        let unheard = View {
            number: 0,
            standing: Standing::Awaited,
        };
        let arbiters = membership.quorum.iter().map(|&arbiter| (arbiter, unheard));
        membership.attempt = Some(Attempt {
            request,
            arbiters: arbiters.collect(),
            held: None,
        });
        let epoch = membership.epoch;
        out.arm(Timer::Retry);
        for &arbiter in &membership.quorum {
            out.send(arbiter, Message::Request { epoch, request });
        }
    }

    /// An arbiter is locked. §4: once all members of its set are locked for it, the node enters
    /// the critical section.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub(super) fn on_locked(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        number: u64,
        arbiter_clock: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some((clock, _)) = in_epoch(node, from, epoch) else {
            return;
        };
        if is_absurd(arbiter_clock, *clock) {
            return;
        }
        *clock = arbiter_clock.max(*clock);
        if let Some(view) = self.view(node, from, epoch, request, number, out) {
            if number > view.number {
                *view = View {
                    number,
                    standing: Standing::Locked,
                };
                self.enter_if_all_are_locked(node, out);
            } else if number == view.number && view.standing == Standing::Failed {
                // The RELINQUISH is lost, or this is a late copy: then so is the answer.
                relinquish(epoch, from, request, number, out);
            }
        }
    }

    /// §4: a node that is asked whether it would give way does so, with RELINQUISH, if it knows
    /// that it cannot have all its arbiters: one has answered FAILED, or has been relinquished
    /// and is not locked again. If all are locked, it answers with RELEASE when it leaves.
    /// Otherwise it waits until it knows.
    pub(super) fn on_inquire(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        number: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some(view) = self.view(node, from, epoch, request, number, out) else {
            return;
        };
        if number == view.number && view.standing == Standing::Failed {
            return relinquish(epoch, from, request, number, out);
        }
        // An INQUIRE that has overtaken its LOCKED says that the arbiter is locked.
        let is_news = number > view.number;
        if is_news || number == view.number && view.standing == Standing::Locked {
            *view = View {
                number,
                standing: Standing::Inquired,
            };
            self.enter_if_all_are_locked(node, out);
            self.give_way(node, out);
        }
    }

    /// The request has to wait at this arbiter. Only the first word of an arbiter can be a
    /// FAILED that means something: after LOCKED the request waits again only when it has
    /// relinquished the arbiter itself, and then it knows.
    pub(super) fn on_failed(
        &self,
        node: &mut Node<Self>,
        from: NodeId,
        epoch: Epoch,
        request: Timestamp,
        out: &mut Outbox<Self>,
    ) {
        let Some((_, membership)) = in_epoch(node, from, epoch) else {
            return;
        };
        let attempt = membership.attempt.as_mut();
        let attempt = attempt.filter(|attempt| attempt.request == request);
        if let Some(view) = attempt.and_then(|attempt| attempt.arbiters.get_mut(&from))
            && view.standing == Standing::Awaited
        {
            view.standing = Standing::Failed;
            self.give_way(node, out);
        }
    }

    /// Time to ask again where nothing is locked: the arbiter takes a request that it knows for
    /// a sign that something may be lost.
    pub(super) fn on_retry_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(membership) = local(node).and_then(|local| local.membership.as_ref()) else {
            return;
        };
        let Some(attempt) = membership.attempt.as_ref() else {
            return;
        };
        if membership.frozen || attempt.held.is_some() {
            return;
        }
        out.arm(Timer::Retry);
        let (epoch, request) = (membership.epoch, attempt.request);
        for (&arbiter, view) in &attempt.arbiters {
            if !view.standing.is_locked() {
                out.send(arbiter, Message::Request { epoch, request });
            }
        }
    }

    /// What the node knows of an arbiter which says that it is locked for `request`. An arbiter
    /// that is locked for a request which is over is told so (again): it may have heard of the
    /// end before the beginning, or not at all.
    fn view<'a>(
        &self,
        node: &'a mut Node<Self>,
        arbiter: NodeId,
        epoch: Epoch,
        request: Timestamp,
        number: u64,
        out: &mut Outbox<Self>,
    ) -> Option<&'a mut View> {
        let (clock, membership) = in_epoch(node, arbiter, epoch)?;
        let known = membership.arbiter.counter.max(membership.counter);
        if is_absurd(number, known) || request.node != self.id || request.clock > *clock {
            return None;
        }
        let counter = membership.counter;
        let attempt = membership.attempt.as_mut();
        let Some(attempt) = attempt.filter(|attempt| attempt.request == request) else {
            release(epoch, arbiter, request, counter, out);
            return None;
        };
        attempt.arbiters.get_mut(&arbiter)
    }

    fn enter_if_all_are_locked(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return;
        };
        let (Some(membership), Some(&claim)) = (&mut local.membership, local.claims.front()) else {
            return;
        };
        if let Some(token) = enter(membership) {
            out.disarm(Timer::Retry);
            out.emit(Event::Granted { claim, token });
        }
    }

    /// Once one arbiter has failed, all that have inquired are relinquished; not before, for the
    /// request may yet succeed, and not after it has.
    fn give_way(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(membership) = local(node).and_then(|local| local.membership.as_mut()) else {
            return;
        };
        let epoch = membership.epoch;
        let Some(attempt) = membership.attempt.as_mut() else {
            return;
        };
        let has_failed = |view: &View| view.standing == Standing::Failed;
        if attempt.held.is_some() || !attempt.arbiters.values().any(has_failed) {
            return;
        }
        for (&arbiter, view) in &mut attempt.arbiters {
            if view.standing == Standing::Inquired {
                view.standing = Standing::Failed;
                relinquish(epoch, arbiter, attempt.request, view.number, out);
            }
        }
    }
}

/// Enters the critical section if all arbiters are locked, and returns the token.
fn enter(membership: &mut Membership) -> Option<Token> {
    let attempt = membership.attempt.as_mut()?;
    let views = || attempt.arbiters.values();
    if attempt.held.is_some() || !views().all(|view| view.standing.is_locked()) {
        return None;
    }
    let counter = views().map(|view| view.number).max()?;
    let token = Token {
        epoch: membership.epoch,
        counter,
    };
    attempt.held = Some(token);
    membership.counter = counter;
    Some(token)
}

/// Ends the request: all its arbiters hear of it. Returns whether there was one.
pub(super) fn withdraw(membership: &mut Membership, out: &mut Outbox<Maekawa>) -> bool {
    let Some(attempt) = membership.attempt.take() else {
        return false;
    };
    out.disarm(Timer::Retry);
    let (epoch, counter) = (membership.epoch, membership.counter);
    for &arbiter in attempt.arbiters.keys() {
        release(epoch, arbiter, attempt.request, counter, out);
    }
    true
}

fn relinquish(
    epoch: Epoch,
    arbiter: NodeId,
    request: Timestamp,
    number: u64,
    out: &mut Outbox<Maekawa>,
) {
    out.send(
        arbiter,
        Message::Relinquish {
            epoch,
            request,
            number,
        },
    );
}

fn release(
    epoch: Epoch,
    arbiter: NodeId,
    request: Timestamp,
    counter: u64,
    out: &mut Outbox<Maekawa>,
) {
    out.send(
        arbiter,
        Message::Release {
            epoch,
            request,
            counter,
        },
    );
}
