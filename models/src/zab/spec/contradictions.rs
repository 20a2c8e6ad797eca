//! Lost disks and contradictions: that what is delivered survives the loss of any minority of the
//! disks, for a node on a blank disk promises nothing and says nothing; and that who has been told
//! to truncate what it has delivered is silent from then on, crash or not.

use crate::machine::StateMachine;
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Scenario, World};
use crate::zab::Zab;
use crate::zab::state::{Persistent, Role};

use super::{Bounded, goes_through, takes_part};

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const NOBODY_IS_CONTRADICTED: Invariant<Self> = Invariant {
        name: "Nobody halts in one ensemble",
        source: "DSN 2011, §V: what is delivered is in the history of every later leader, whatever \
                 is lost",
        holds: |scenario, world| {
            let mut hosts = world.all_hosts();
            hosts.all(|(_, host)| host.durable().halted.is_none()) || ensembles_meet(scenario)
        },
    };

    pub(super) const HALTS_ARE_DURABLE: Invariant<Self> = Invariant {
        name: "Who has halted has it on disk",
        source: "a node that forgot why it has halted would truncate what it has delivered",
        holds: |_, world| {
            world
                .ghost
                .halted
                .iter()
                .all(|&id| { world.host(id) }.is_some_and(|host| !takes_part(host.on_disk())))
        },
    };

    pub(super) const BLANK_DISKS_STAY_BLANK: Invariant<Self> = Invariant {
        name: "A blank disk stays blank",
        source: "KAFKA-12181, of ZAB: a member without its disk may have promised otherwise before",
        holds: |_, world| {
            world.all_hosts().all(|(_, host)| {
                let looks = host
                    .node()
                    .is_none_or(|node| node.volatile.role == Role::Looking);
                !is_blank(host.durable()) || *host.durable() == Persistent::default() && looks
            })
        },
    };

    pub(super) const BLANK_NODES_ARE_SILENT: Law<Self> = Law {
        name: "A node on a blank disk says nothing →",
        source: "KAFKA-12181, of ZAB: it neither promises, nor acknowledges, nor leads",
        holds: |_, before, _, after| {
            after.network.sent().all(|envelope| {
                let disk = before.host(envelope.from).map(Host::durable);
                disk.is_some_and(|disk| !is_blank(disk))
            })
        },
    };

    pub(super) const HALTED_NODES_ARE_SILENT: Law<Self> = Law {
        name: "Who has halted takes no part any more →",
        source: "what it has is contradicted: nothing that it says, or writes, counts, crash or not",
        holds: |_, before, action, after| {
            let is_lost = |id| *action == Action::LoseDisk(id);
            let stays = before.ghost.halted.iter().all(|&id| {
                let disk = |world: &World<Self>| world.host(id).map(|host| host.durable().clone());
                is_lost(id) || disk(before) == disk(after)
            });
            let mut sent = after.network.sent();
            stays && sent.all(|envelope| !before.ghost.halted.contains(&envelope.from))
        },
    };

    pub(super) const DISK_IS_LOST: Reachable<Self> = Reachable {
        name: "a disk is lost",
        seen: |_, world| world.faults.lost_disks > 0,
    };

    pub(super) const BLANK_NODE_RUNS: Reachable<Self> = Reachable {
        name: "a node starts on a blank disk",
        seen: |_, world| world.running().any(|(_, node)| is_blank(node.durable())),
    };

    pub(super) const GOES_ON_WITHOUT: Reachable<Self> = Reachable {
        name: "a transaction is delivered beside a lost disk by all the others",
        seen: |_, world| goes_on_without_the_lost(world),
    };

    pub(super) const NODE_HALTS: Reachable<Self> = Reachable {
        name: "a node halts",
        seen: |_, world| !world.ghost.halted.is_empty(),
    };
}

/// Whether the disk belongs to no ensemble. All disks do when a world begins, so it has been lost.
pub(super) fn is_blank<M: StateMachine>(disk: &Persistent<M>) -> bool {
    !disk.is_member
}

/// Whether two ensembles meet: where the snapshot of one disk that the world begins with ends,
/// another disk has a history that has gone on without it. What a snapshot holds is delivered, so
/// no ensemble comes to that; and a state is then not what was delivered in this world.
pub(super) fn ensembles_meet<M: StateMachine, E: Bounded>(scenario: &Scenario<Zab<M, E>>) -> bool {
    scenario.disks.iter().any(|one| {
        let zxid = one.history.snapshot().zxid;
        scenario.disks.iter().any(|other| {
            let history = &other.history;
            history.begins_after() < zxid
                && zxid < history.last_zxid()
                && !goes_through(history, zxid)
        })
    })
}

/// What was delivered last, every node has delivered whose disk is not lost.
fn goes_on_without_the_lost<M: StateMachine, E: Bounded>(world: &World<Zab<M, E>>) -> bool {
    let last = world.ghost.last_delivered();
    let is_lost = |host: &Host<Zab<M, E>>| is_blank(host.durable());
    let mut hosts = world.all_hosts();
    last > Default::default()
        && world.all_hosts().any(|(_, host)| is_lost(host))
        && hosts.all(|(_, host)| {
            let node = host.node();
            is_lost(host) || node.is_some_and(|node| node.volatile.delivered.zxid == last)
        })
}
