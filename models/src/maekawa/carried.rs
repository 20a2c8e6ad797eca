//! Locks that are carried over from one epoch into the next: held when the one ended, and since the
//! other began.
//!
//! Who holds a lock and stays a member does not keep an epoch from ending. A member says what it holds
//! when it is asked to freeze. From then on it gets no lock in this epoch, so that can only become
//! less. The orchestrator puts what is held on disk with the next epoch, and tells all members the same.
//! (For a member that leaves it waits until that holds nothing.) In that epoch the arbiters of the holder's new quorum are locked for its request before
//! anybody can ask them for the lock, and the holder keeps its claim, request and token.
//!
//! - *Exclusion.* Another request of the lock in the new epoch has a quorum that shares an arbiter with
//!   the holder's, and that one is locked until the holder's RELEASE.
//! - *Two members may say that they hold one lock*: the first has released it since, and an arbiter that
//!   had not frozen yet has granted it to the second. The tokens of an epoch increase, so the second's is
//!   greater.
//! - *Released meanwhile.* The new arbiters are locked for a request that its node makes no more: it has
//!   released the lock before it heard of the epoch, or has restarted. On joining it says RELEASE.
//!   If that is lost it is told of the lock again as soon as somebody waits for it, and releases it
//!   again.
//! - *Missed.* A holder that has not heard of an epoch before that ends as well has lost its lock, and is
//!   told so. It could be in doubt only about whether it was carried, and to give it up is right in
//!   either case.

use alloc::collections::{BTreeMap, BTreeSet};

use super::Maekawa;
use super::lock::LockName;
use super::message::{Epoch, HeldLocks, is_absurd};
use super::quorum::Construction;
use super::requester::release;
use super::state::{Arbiter, Attempt, Grant, Membership, Standing, View};
use crate::protocol::{NodeId, Outbox};

/// An epoch, as the orchestrator tells of it.
pub(super) struct Installation {
    pub(super) epoch: Epoch,
    pub(super) members: BTreeSet<NodeId>,
    pub(super) construction: Construction,
    pub(super) held: HeldLocks,
}

/// Whether a member can have said this of itself in the epoch.
pub(super) fn can_be_held(held: &HeldLocks, by: NodeId, epoch: Epoch) -> bool {
    let mut locks = held.iter();
    locks
        .all(|(lock, held)| lock.is_valid() && held.request.node == by && held.token.epoch <= epoch)
}

/// What the next epoch begins with, by what each member has said that it holds.
pub(super) fn carried<'a>(said: impl Iterator<Item = &'a HeldLocks>) -> HeldLocks {
    let mut carried = HeldLocks::new();
    for (lock, held) in said.flatten() {
        let latest = carried.entry(lock.clone()).or_insert(*held);
        if held.token > latest.token {
            *latest = *held;
        }
    }
    carried
}

impl Installation {
    /// What the member is locked for from the start, as an arbiter.
    pub(super) fn arbiters(&self, id: NodeId) -> BTreeMap<LockName, Arbiter> {
        let is_arbiter = |holder| {
            let quorum = self.construction.quorum(&self.members, holder);
            quorum.is_some_and(|quorum| quorum.contains(&id))
        };
        let held = self.held.iter();
        held.filter(|(_, held)| is_arbiter(held.request.node))
            .map(|(lock, held)| {
                let grant = Grant {
                    request: held.request,
                    number: 0,
                    inquired: false,
                };
                let arbiter = Arbiter {
                    locked: Some(grant),
                    ..Arbiter::default()
                };
                (lock.clone(), arbiter)
            })
            .collect()
    }

    /// The latest request of those that hold a lock, for one whose clock this is. A member's next
    /// request is later: what a node has asked before one that is over is taken for over.
    pub(super) fn latest_request(&self, clock: u64) -> u64 {
        let clocks = self.held.values().map(|held| held.request.clock);
        let credible = clocks.filter(|&told| !is_absurd(told, clock));
        credible.fold(clock, u64::max)
    }
}

impl Attempt {
    /// The same lock, held by these arbiters of another epoch.
    pub(super) fn carry(self, quorum: &BTreeSet<NodeId>) -> Self {
        let locked = View {
            number: 0,
            standing: Standing::Locked,
        };
        Self {
            arbiters: quorum.iter().map(|&arbiter| (arbiter, locked)).collect(),
            ..self
        }
    }
}

/// Releases what the arbiters are locked for since the epoch began and this node does not hold any
/// more.
pub(super) fn release_the_rest(
    id: NodeId,
    membership: &Membership,
    held: &HeldLocks,
    out: &mut Outbox<Maekawa>,
) {
    let own = held.iter().filter(|(_, held)| held.request.node == id);
    let over = own.filter(|(lock, _)| !membership.attempts.contains_key(*lock));
    for (lock, held) in over {
        for &arbiter in &membership.quorum {
            let (epoch, counter) = (membership.epoch, membership.counter);
            release(epoch, lock, arbiter, held.request, counter, out);
        }
    }
}
