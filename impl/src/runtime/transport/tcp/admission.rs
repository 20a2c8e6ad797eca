//! Which disk each peer must come with, and which peers are refused whatever they come with.
//!
//! A node's promises rest on its disk. A peer that comes with another disk than the cluster knows
//! it by has lost what it promised, and would deny it: it is refused, in both directions, and
//! told so.

use std::collections::{BTreeMap, BTreeSet};

use models::{DiskId, NodeId};

use crate::runtime::sync::Mutex;

/// What is known of a peer beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The life of its disk; `None` where any will do.
    pub disk: Option<DiskId>,
    /// What a node of that disk that belongs to no cluster yet needs to join this one: the
    /// encoded records that its disk is set up with.
    pub invitation: Option<Vec<u8>>,
}

/// What is known of the peers, and why some are refused.
#[derive(Debug, Default)]
pub(super) struct Admission {
    known: Mutex<BTreeMap<NodeId, Known>>,
    /// Peers that are refused whatever they come with.
    refused: Mutex<BTreeMap<NodeId, String>>,
    /// Peers that have been seen to belong to the cluster: they are invited no more. An empty
    /// disk with the same id can only be a copy from before.
    joined: Mutex<BTreeSet<NodeId>>,
    /// Peers that were last heard of with another disk. One that comes back with its own is
    /// welcome: it has lost nothing.
    on_other_disks: Mutex<BTreeMap<NodeId, String>>,
}

impl Admission {
    pub(super) fn set(&self, peer: NodeId, known: Known) {
        self.known.lock().insert(peer, known);
    }

    pub(super) fn known(&self, peer: NodeId) -> Known {
        let mut known = self.known.lock().get(&peer).cloned().unwrap_or_default();
        if self.joined.lock().contains(&peer) {
            known.invitation = None;
        }
        known
    }

    /// The peer belongs to the cluster.
    pub(super) fn joined(&self, peer: NodeId) {
        self.joined.lock().insert(peer);
    }

    /// Refuses a peer from now on. Returns whether it was not refused before.
    pub(super) fn refuse(&self, peer: NodeId, reason: String) -> bool {
        self.refused.lock().insert(peer, reason).is_none()
    }

    /// Every peer that is refused, and why.
    pub(super) fn refusals(&self) -> BTreeMap<NodeId, String> {
        let mut refusals = self.on_other_disks.lock().clone();
        refusals.extend(self.refused.lock().clone());
        refusals
    }

    /// What speaks against `peer`, which comes with `disk`.
    pub(super) fn objection(&self, peer: NodeId, disk: DiskId) -> Option<String> {
        let expected = self.known(peer).disk;
        let mut on_other_disks = self.on_other_disks.lock();
        if let Some(expected) = expected.filter(|expected| *expected != disk) {
            let reason = other_disk(peer, expected, disk);
            on_other_disks.insert(peer, reason.clone());
            return Some(reason);
        }
        on_other_disks.remove(&peer);
        self.refused.lock().get(&peer).cloned()
    }
}

/// What is said of a peer that comes with another disk.
pub(crate) fn other_disk(peer: NodeId, expected: DiskId, disk: DiskId) -> String {
    format!(
        "{peer} is known to the cluster with disk {expected}, and has disk {disk}: what it has \
         acknowledged on the first is lost, so it can take no part any more under this id"
    )
}
