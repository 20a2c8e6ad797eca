//! Leases: keys that go together when nobody says any more that whoever had them lives.

use alloc::vec::Vec;
use core::fmt::{self, Display};

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::Store;
use super::response::{Fault, Outcome};

/// Names a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub u64);

impl Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How long a lease goes on without a sign of life, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(pub u64);

/// How often a lease was renewed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Renewals(pub u64);

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// How long it goes on without a sign of life.
    pub ttl: Ttl,
    /// How often it was renewed.
    pub renewals: Renewals,
    /// The keys that it holds.
    pub keys: OrdSet<Bytes>,
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leases(OrdMap<LeaseId, Lease>);

impl Leases {
    /// The lease, if there is one.
    pub fn get(&self, lease: LeaseId) -> Option<&Lease> {
        self.0.get(&lease)
    }

    /// Whether there is this lease.
    pub fn contains(&self, lease: LeaseId) -> bool {
        self.0.contains_key(&lease)
    }

    /// All leases, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.0.iter().map(|(&id, lease)| (id, lease))
    }

    /// Their numbers, in order.
    pub fn ids(&self) -> Vec<LeaseId> {
        self.0.keys().copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets one lease, if one holds the key, give it to another.
    pub(super) fn hand_over(&mut self, key: &Bytes, from: Option<LeaseId>, to: Option<LeaseId>) {
        if from == to {
            return;
        }
        if let Some(lease) = from.and_then(|from| self.0.get_mut(&from)) {
            lease.keys.remove(key);
        }
        if let Some(lease) = to.and_then(|to| self.0.get_mut(&to)) {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.0.insert(id, lease);
    }

    pub(super) fn get_mut(&mut self, lease: LeaseId) -> Option<&mut Lease> {
        self.0.get_mut(&lease)
    }

    fn remove(&mut self, lease: LeaseId) -> Option<Lease> {
        self.0.remove(&lease)
    }
}

impl Store {
    pub(super) fn grant(&mut self, id: LeaseId, ttl: Ttl) -> Result<Outcome, Fault> {
        if self.leases.contains(id) {
            return Err(Fault::LeaseExists);
        }
        let lease = Lease {
            ttl,
            renewals: Renewals::default(),
            keys: OrdSet::new(),
        };
        self.leases.insert(id, lease);
        Ok(Outcome::Alive { lease: id, ttl })
    }

    pub(super) fn keep_alive(&mut self, id: LeaseId) -> Result<Outcome, Fault> {
        let lease = self.leases.get_mut(id).ok_or(Fault::LeaseNotFound)?;
        lease.renewals.0 += 1;
        let ttl = lease.ttl;
        Ok(Outcome::Alive { lease: id, ttl })
    }

    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Outcome, Fault> {
        let lease = self.leases.remove(id).ok_or(Fault::LeaseNotFound)?;
        // In the order of the keys.
        for key in &lease.keys {
            self.history.delete(key);
        }
        let keys = lease.keys.len() as u64;
        Ok(Outcome::Ended { keys })
    }

    pub(super) fn expire(&mut self, id: LeaseId, renewals: Renewals) -> Result<Outcome, Fault> {
        let lease = self.leases.get(id).ok_or(Fault::LeaseNotFound)?;
        match lease.renewals == renewals {
            true => self.revoke(id),
            false => Ok(Outcome::Renewed),
        }
    }
}
