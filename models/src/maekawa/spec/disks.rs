//! Lost disks: a node without its disk takes no part, and another takes its place.

use crate::maekawa::Maekawa;
use crate::maekawa::message::Epoch;
use crate::maekawa::state::Persistent;
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Host, World};

use super::{holders, membership_of};

pub(super) const BLANK_DISKS_STAY_BLANK: Invariant<Maekawa> = Invariant {
    name: "A blank disk stays blank",
    source: "who does not remember in which epoch it was may not be in one",
    holds: |_, world| {
        world.all_hosts().all(|(_, host)| {
            let is_member = host
                .node()
                .is_some_and(|node| membership_of(node).is_some());
            let disk = host.durable();
            !is_blank(disk) || *disk == Persistent::default() && !is_member
        })
    },
};

pub(super) const BLANK_NODES_ARE_SILENT: Law<Maekawa> = Law {
    name: "A node on a blank disk says nothing →",
    source: "it neither registers, nor grants, nor answers for an epoch that it has forgotten",
    holds: |_, before, _, after| {
        after.network.sent().all(|envelope| {
            let disk = before.host(envelope.from).map(Host::durable);
            disk.is_some_and(|disk| !is_blank(disk))
        })
    },
};

pub(super) const BLANK_NODE_RUNS: Reachable<Maekawa> = Reachable {
    name: "a node starts on a blank disk",
    seen: |_, world| world.running().any(|(_, node)| is_blank(node.durable())),
};

pub(super) const LOST_IS_REPLACED: Reachable<Maekawa> = Reachable {
    name: "a node that has lost its disk is out, and another enters in the next epoch",
    seen: |_, world| lost(world) && holders(world).any(|(_, _, token)| token.epoch > Epoch(1)),
};

fn lost(world: &World<Maekawa>) -> bool {
    world.all_hosts().any(|(_, host)| is_blank(host.durable()))
}

/// Whether the disk is no node's. All disks are when a world begins, so it has been lost.
pub(super) fn is_blank(disk: &Persistent) -> bool {
    !disk.is_set_up
}
