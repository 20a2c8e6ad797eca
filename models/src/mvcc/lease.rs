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

/// Numbers the renewals of all leases together, in the order of the log and from 1 on; a grant counts as one.
/// So whoever names one means one lease, and not a later one that was granted under the same id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Renewal(pub u64);

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// How long it goes on without a sign of life.
    pub ttl: Ttl,
    /// Its latest renewal: its grant, if it was not renewed since.
    pub renewal: Renewal,
    /// The keys that it holds.
    pub keys: OrdSet<Bytes>,
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leases {
    granted: OrdMap<LeaseId, Lease>,
    /// The latest renewal of any lease, of those that are over too: 0 before the first.
    renewal: Renewal,
}

impl Leases {
    /// The lease, if there is one.
    pub fn get(&self, lease: LeaseId) -> Option<&Lease> {
        self.granted.get(&lease)
    }

    /// Whether there is this lease.
    pub fn contains(&self, lease: LeaseId) -> bool {
        self.granted.contains_key(&lease)
    }

    /// All leases, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.granted.iter().map(|(&id, lease)| (id, lease))
    }

    /// Their numbers, in order.
    pub fn ids(&self) -> Vec<LeaseId> {
        self.granted.keys().copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.granted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }

    /// Lets one lease, if one holds the key, give it to another.
    pub(super) fn hand_over(&mut self, key: &Bytes, from: Option<LeaseId>, to: Option<LeaseId>) {
        if from == to {
            return;
        }
        if let Some(lease) = from.and_then(|from| self.granted.get_mut(&from)) {
            lease.keys.remove(key);
        }
        if let Some(lease) = to.and_then(|to| self.granted.get_mut(&to)) {
            lease.keys.insert(key.clone());
        }
    }

    /// The number of another renewal.
    fn next_renewal(&mut self) -> Renewal {
        self.renewal.0 += 1;
        self.renewal
    }

    pub(super) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.granted.insert(id, lease);
    }

    pub(super) fn get_mut(&mut self, lease: LeaseId) -> Option<&mut Lease> {
        self.granted.get_mut(&lease)
    }

    fn remove(&mut self, lease: LeaseId) -> Option<Lease> {
        self.granted.remove(&lease)
    }
}

impl Store {
    pub(super) fn grant(&mut self, id: LeaseId, ttl: Ttl) -> Result<Outcome, Fault> {
        if self.leases.contains(id) {
            return Err(Fault::LeaseExists);
        }
        let lease = Lease {
            ttl,
            renewal: self.leases.next_renewal(),
            keys: OrdSet::new(),
        };
        self.leases.insert(id, lease);
        Ok(Outcome::Alive { lease: id, ttl })
    }

    pub(super) fn keep_alive(&mut self, id: LeaseId) -> Result<Outcome, Fault> {
        if !self.leases.contains(id) {
            return Err(Fault::LeaseNotFound);
        }
        let renewal = self.leases.next_renewal();
        let lease = self.leases.get_mut(id).ok_or(Fault::LeaseNotFound)?;
        lease.renewal = renewal;
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

    pub(super) fn expire(&mut self, id: LeaseId, renewal: Renewal) -> Result<Outcome, Fault> {
        let lease = self.leases.get(id).ok_or(Fault::LeaseNotFound)?;
        match lease.renewal == renewal {
            true => self.revoke(id),
            false => Ok(Outcome::Renewed),
        }
    }
}
