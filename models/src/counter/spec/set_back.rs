//! A disk that is set back: an earlier state of it was restored, and it has forgotten part of what its
//! node had counted.
//!
//! Verified: that the node counts no more under its name as soon as it hears what others know of it, that
//! it takes another, under which nobody has counted, and that nobody's value goes back for it. Not verified,
//! for it is not so: that what the node has counted under the name meanwhile is not lost. No replica can
//! tell by what it remembers that it has forgotten something.

use crate::counter::Counter;
use crate::counter::counts::Counts;
use crate::counter::g_counter::ReplicaId;
use crate::protocol::NodeId;
use crate::specification::Reachable;
use crate::world::{Host, Scenario};

use super::exact;

pub(super) const NAME_IS_GIVEN_UP: Reachable<Counter> = Reachable {
    name: "a node counts under a new name after its disk was set back",
    seen: |scenario, world| {
        set_back(scenario).any(|name| {
            let owner = world.host(name.node).map(Host::durable);
            let identity = owner.and_then(|disk| disk.identity);
            identity.is_some_and(|new| new != name && world.ghost.counted.contains_key(&new))
        })
    },
};

pub(super) const COUNT_IS_LOST: Reachable<Counter> = Reachable {
    name: "what was counted under a name that was set back is lost",
    seen: |scenario, world| {
        set_back(scenario).any(|name| {
            let counted = exact(scenario, world, None, name);
            let mut known = world.all_hosts().map(|(_, host)| &host.durable().counts);
            let mut under_way = world.network.under_way();
            let is_less = |counts: &Counts| u128::from(counts.total.count(name)) < counted;
            known.all(is_less) && under_way.all(|envelope| is_less(envelope.message.counts()))
        })
    },
};

/// The names whose counts, on the disk where they are kept, are not all that was known of them when the
/// world began.
fn set_back(scenario: &Scenario<Counter>) -> impl Iterator<Item = ReplicaId> + '_ {
    let known = scenario.disks.iter();
    let names = known.filter_map(|disk| disk.identity);
    names.filter(|&name| is_set_back(scenario, name))
}

/// Whether the disk on which this name's counts are kept was set back before the world began.
pub(super) fn is_set_back(scenario: &Scenario<Counter>, name: ReplicaId) -> bool {
    let NodeId(owner) = name.node;
    let Some(own) = scenario.disks.get(usize::from(owner)) else {
        return false;
    };
    scenario.disks.iter().any(|disk| {
        let mut known = disk.counts.components();
        known.any(|(bucket, of, count)| of == name && count > own.counts.count(bucket, name))
    })
}
