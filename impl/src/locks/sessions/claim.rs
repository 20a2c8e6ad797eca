//! A claim of a client: what becomes of it, and who waits for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use models::maekawa::Refusal;
use models::maekawa::lock::LockName;
use tokio::sync::watch;

use super::Sessions;
use crate::locks::token::TokenReport;

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for the lock.
    Waiting,
    /// It has the lock.
    Held(TokenReport),
    /// It is over.
    Over(End),
}

/// How a claim came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was released or given up, or its session has ended.
    Released,
    /// The node did not take it, or takes it no more.
    Refused(Refusal),
    /// It had the lock, and has lost it: others may have it by now, with greater tokens.
    Revoked(TokenReport),
}

/// A claim. To the protocol each is a session of its own, of this one claim: so a client's session
/// holds any number of locks.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) lock: LockName,
    /// The protocol's session.
    pub(crate) number: u64,
    /// The client's session.
    pub(super) session: u64,
    standing: watch::Sender<Standing>,
    /// How many requests wait for it.
    waiters: AtomicUsize,
    /// Whether the client knows of it: one that waits from request to request, or has been told
    /// that it has the lock.
    kept: AtomicBool,
}

impl Claimed {
    pub(super) fn new(lock: LockName, number: u64, session: u64) -> Self {
        Self {
            lock,
            number,
            session,
            standing: watch::Sender::new(Standing::Waiting),
            waiters: AtomicUsize::new(0),
            kept: AtomicBool::new(false),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing(), Standing::Over(_))
    }

    /// The first end is the one that counts. Returns whether something has changed.
    pub(super) fn become_so(&self, standing: Standing) -> bool {
        self.standing.send_if_modified(|now| {
            let changes = match (&now, &standing) {
                (Standing::Over(_), _) | (Standing::Held(_), Standing::Waiting) => false,
                (now, new) => **now != *new,
            };
            if changes {
                *now = standing;
            }
            changes
        })
    }

    /// Waits until the claim stands as `wanted`.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Standing) -> bool) -> Standing {
        let mut standing = self.standing.subscribe();
        let found = standing.wait_for(wanted).await.map(|standing| *standing);
        // The sender is ours.
        found.unwrap_or_else(|_| self.standing())
    }
}

/// A request that waits for a claim. Gives the claim up when it ends and nobody else waits, unless
/// the client knows of it.
pub(crate) struct Waiter {
    pub(super) sessions: Arc<Sessions>,
    pub(crate) claim: Arc<Claimed>,
}

impl Waiter {
    pub(super) fn new(sessions: Arc<Sessions>, claim: Arc<Claimed>) -> Self {
        claim.waiters.fetch_add(1, Ordering::SeqCst);
        Self { sessions, claim }
    }

    /// The client knows of the claim from now on, and it goes on without a request that waits.
    pub(crate) fn keep(&self) {
        self.claim.kept.store(true, Ordering::SeqCst);
    }

    /// The client wants it no more: it ends with this request.
    pub(crate) fn give_up(self) {
        self.claim.kept.store(false, Ordering::SeqCst);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let others = self.claim.waiters.fetch_sub(1, Ordering::SeqCst) - 1;
        if others == 0 && !self.claim.kept.load(Ordering::SeqCst) && !self.claim.is_over() {
            self.sessions.counts.given_up.inc();
            self.sessions.end_claim(&self.claim);
        }
    }
}
