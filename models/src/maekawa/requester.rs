//! A node as a requester: how it locks its arbiters (§4 of the paper). It has one request for a
//! lock at a time, and those for different locks have nothing to do with each other.

use super::lock::LockName;
use super::message::{Epoch, Message, Timestamp, Token, is_absurd};
use super::state::{Attempt, Membership, Standing, View};
use super::{About, Event, Maekawa, Timer, in_epoch, local};
use crate::protocol::{Node, NodeId, Outbox};

impl Maekawa {
    /// §4: a node that wants to enter the critical section sends a REQUEST, with a time stamp
    /// greater than any it has seen, to every member of its set. Does so for the first of the
    /// claims that wait for the lock, if the node is free to.
    ///
    /// The timer of those that wait runs already if one waits for another lock: begun anew with
    /// each request, it might never run out.
    pub(super) fn request(&self, node: &mut Node<Self>, lock: &LockName, out: &mut Outbox<Self>) {
        let Some(local) = local(node) else {
            return;
        };
        let Some(membership) = local.membership.as_mut() else {
            return;
        };
        let is_free = !membership.frozen && !membership.attempts.contains_key(lock);
        if !is_free || !local.claims.contains_key(lock) {
            return;
        }
        if !membership.waits() {
            out.arm(Timer::Retry);
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
        let attempt = Attempt {
            request,
            arbiters: arbiters.collect(),
            held: None,
        };
        for &arbiter in attempt.arbiters.keys() {
            ask(membership.epoch, lock, arbiter, request, out);
        }
        membership.attempts.insert(lock.clone(), attempt);
    }

    /// An arbiter is locked. §4: once all members of its set are locked for it, the node enters
    /// the critical section.
    pub(super) fn on_locked(
        &self,
        node: &mut Node<Self>,
        about: &About,
        number: u64,
        arbiter_clock: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some((clock, _)) = in_epoch(node, about) else {
            return;
        };
        if is_absurd(arbiter_clock, *clock) {
            return;
        }
        *clock = arbiter_clock.max(*clock);
        if let Some(view) = self.view(node, about, number, out) {
            if number > view.number {
                *view = View {
                    number,
                    standing: Standing::Locked,
                };
                self.enter_if_all_are_locked(node, &about.lock, out);
            } else if number == view.number && view.standing == Standing::Failed {
                // The RELINQUISH is lost, or this is a late copy: then so is the answer.
                about.relinquish(number, out);
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
        about: &About,
        number: u64,
        out: &mut Outbox<Self>,
    ) {
        let Some(view) = self.view(node, about, number, out) else {
            return;
        };
        if number == view.number && view.standing == Standing::Failed {
            return about.relinquish(number, out);
        }
        // An INQUIRE that has overtaken its LOCKED says that the arbiter is locked.
        let is_news = number > view.number;
        if is_news || number == view.number && view.standing == Standing::Locked {
            *view = View {
                number,
                standing: Standing::Inquired,
            };
            self.enter_if_all_are_locked(node, &about.lock, out);
            self.give_way(node, about, out);
        }
    }

    /// The request has to wait at this arbiter. Only the first word of an arbiter can be a
    /// FAILED that means something: after LOCKED the request waits again only when it has
    /// relinquished the arbiter itself, and then it knows.
    pub(super) fn on_failed(&self, node: &mut Node<Self>, about: &About, out: &mut Outbox<Self>) {
        if let Some(attempt) = attempt(node, about)
            && let Some(view) = attempt.arbiters.get_mut(&about.from)
            && view.standing == Standing::Awaited
        {
            view.standing = Standing::Failed;
            self.give_way(node, about, out);
        }
    }

    /// Time to ask again where nothing is locked, for all locks that are waited for: the arbiter
    /// takes a request that it knows for a sign that something may be lost.
    pub(super) fn on_retry_timeout(&self, node: &mut Node<Self>, out: &mut Outbox<Self>) {
        let Some(membership) = local(node).and_then(|local| local.membership.as_ref()) else {
            return;
        };
        if membership.frozen || !membership.waits() {
            return;
        }
        out.arm(Timer::Retry);
        let attempts = membership.attempts.iter();
        for (lock, attempt) in attempts.filter(|(_, attempt)| attempt.held.is_none()) {
            for (&arbiter, view) in &attempt.arbiters {
                if !view.standing.is_locked() {
                    ask(membership.epoch, lock, arbiter, attempt.request, out);
                }
            }
        }
    }

    /// What the node knows of an arbiter which says that it is locked for its request. An arbiter
    /// that is locked for a request which is over is told so (again): it may have heard of the
    /// end before the beginning, or not at all, or have forgotten it.
    fn view<'a>(
        &self,
        node: &'a mut Node<Self>,
        about: &About,
        number: u64,
        out: &mut Outbox<Self>,
    ) -> Option<&'a mut View> {
        let request = about.request;
        let (clock, membership) = in_epoch(node, about)?;
        let counter = membership.counter;
        let known = membership.number.max(counter);
        if is_absurd(number, known) || request.node != self.id || request.clock > *clock {
            return None;
        }
        let attempt = membership.attempts.get(&about.lock);
        if attempt.is_none_or(|attempt| attempt.request != request) {
            release(about.epoch, &about.lock, about.from, request, counter, out);
            return None;
        }
        self::attempt(node, about)?.arbiters.get_mut(&about.from)
    }

    fn enter_if_all_are_locked(
        &self,
        node: &mut Node<Self>,
        lock: &LockName,
        out: &mut Outbox<Self>,
    ) {
        let Some(local) = local(node) else {
            return;
        };
        let claim = local.claims_to(lock).next().cloned();
        let (Some(membership), Some(claim)) = (&mut local.membership, claim) else {
            return;
        };
        if let Some(token) = enter(membership, lock) {
            stop_asking(membership, out);
            out.emit(Event::Granted { claim, token });
        }
    }

    /// Once one arbiter has failed, all that have inquired are relinquished; not before, for the
    /// request may yet succeed, and not after it has.
    fn give_way(&self, node: &mut Node<Self>, about: &About, out: &mut Outbox<Self>) {
        let Some(attempt) = attempt(node, about) else {
            return;
        };
        let has_failed = |view: &View| view.standing == Standing::Failed;
        if attempt.held.is_some() || !attempt.arbiters.values().any(has_failed) {
            return;
        }
        for (&from, view) in &mut attempt.arbiters {
            if view.standing == Standing::Inquired {
                view.standing = Standing::Failed;
                let about = About {
                    from,
                    ..about.clone()
                };
                about.relinquish(view.number, out);
            }
        }
    }
}

/// The node's request that the message is about, if it is the current one for that lock.
fn attempt<'a>(node: &'a mut Node<Maekawa>, about: &About) -> Option<&'a mut Attempt> {
    let (_, membership) = in_epoch(node, about)?;
    let attempt = membership.attempts.get_mut(&about.lock);
    attempt.filter(|attempt| attempt.request == about.request)
}

/// Enters the critical section if all arbiters are locked, and returns the token.
fn enter(membership: &mut Membership, lock: &LockName) -> Option<Token> {
    let attempt = membership.attempts.get_mut(lock)?;
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
    membership.counter = counter.max(membership.counter);
    Some(token)
}

/// Ends the request for the lock: all its arbiters hear of it.
pub(super) fn withdraw(membership: &mut Membership, lock: &LockName, out: &mut Outbox<Maekawa>) {
    let Some(attempt) = membership.attempts.remove(lock) else {
        return;
    };
    stop_asking(membership, out);
    let (epoch, counter) = (membership.epoch, membership.counter);
    for &arbiter in attempt.arbiters.keys() {
        release(epoch, lock, arbiter, attempt.request, counter, out);
    }
}

/// The timer of those that wait stops when no lock is waited for any more.
fn stop_asking(membership: &Membership, out: &mut Outbox<Maekawa>) {
    if !membership.waits() {
        out.disarm(Timer::Retry);
    }
}

impl About {
    /// Gives the arbiter back from which this has been heard.
    fn relinquish(&self, number: u64, out: &mut Outbox<Maekawa>) {
        out.send(
            self.from,
            Message::Relinquish {
                epoch: self.epoch,
                lock: self.lock.clone(),
                request: self.request,
                number,
            },
        );
    }
}

fn ask(
    epoch: Epoch,
    lock: &LockName,
    arbiter: NodeId,
    request: Timestamp,
    out: &mut Outbox<Maekawa>,
) {
    let lock = lock.clone();
    out.send(
        arbiter,
        Message::Request {
            epoch,
            lock,
            request,
        },
    );
}

pub(super) fn release(
    epoch: Epoch,
    lock: &LockName,
    arbiter: NodeId,
    request: Timestamp,
    counter: u64,
    out: &mut Outbox<Maekawa>,
) {
    out.send(
        arbiter,
        Message::Release {
            epoch,
            lock: lock.clone(),
            request,
            counter,
        },
    );
}
