//! What must hold of every transition.

use alloc::vec::Vec;

use bytes::Bytes;

use super::reference::Reference;
use super::store;
use crate::mvcc::command::Command;
use crate::mvcc::history::Revision;
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::lease::{LeaseId, Renewal};
use crate::mvcc::response::KeyValue;
use crate::mvcc::standalone::{Disk, Seen, Standalone};
use crate::specification::Law;
use crate::world::{Action, World};

type Checked = World<Standalone>;

pub(super) const LAWS: &[Law<Standalone>] = &[
    Law {
        name: "The revision rises by one with a change, and by none without →",
        source: "etcd's data model: a revision is a 64-bit, cluster-wide counter, incremented by each change",
        holds: |_, before, _, after| {
            of_store(before, after, |old, new| {
                let (was, is) = (old.store.revision(), new.store.revision());
                match keys(old) == keys(new) {
                    true => was == is,
                    false => was.next() == is,
                }
            })
        },
    },
    Law {
        name: "What changes bears the new revision, and nothing else does →",
        source: "etcd's data model: ModRevision is the revision of the last modification",
        holds: |_, before, _, after| {
            of_store(before, after, |old, new| {
                let (old, now) = (keys(old), (keys(new), new.store.revision()));
                let (new, revision) = now;
                new.iter().all(|(key, held)| {
                    let was = old.iter().find(|(other, _)| other == key);
                    let is_new = was.is_none_or(|(_, was)| was != held);
                    is_new == (held.mod_revision == revision) || old == new
                })
            })
        },
    },
    Law {
        name: "A lease's keys go together →",
        source: "etcd's API reference: when a lease ends, all keys attached to it are deleted",
        holds: |_, before, _, after| {
            of_store(before, after, |old, new| {
                let over = old.store.leases().iter();
                let mut over = over.filter(|(id, _)| !new.store.leases().contains(*id));
                let left = keys(new);
                over.all(|(_, lease)| {
                    lease
                        .keys
                        .iter()
                        .all(|key| left.iter().all(|(other, _)| other != key))
                })
            })
        },
    },
    Law {
        name: "A lease that was granted or renewed since does not expire →",
        source: "the order of the log decides: who was told that a lease goes on has it",
        holds: |_, before, _, after| {
            of_store(before, after, |old, new| {
                new.log[old.log.len().min(new.log.len())..]
                    .iter()
                    .all(|command| match command {
                        Command::Expire { lease, renewal } => {
                            let is_held = old.store.leases().contains(*lease);
                            let ended = is_held && !new.store.leases().contains(*lease);
                            !ended || latest_renewal(&old.log, *lease) == Some(*renewal)
                        }
                        _ => true,
                    })
            })
        },
    },
    Law {
        name: "Neither the revision nor the compaction goes back →",
        source: "etcd's data model: revisions are monotonically increasing over the cluster's lifetime",
        holds: |_, before, action, after| {
            matches!(action, Action::LoseDisk(_))
                || of_store(before, after, |old, new| {
                    let of = |disk: &Disk| {
                        let history = disk.store.history();
                        (history.revision(), history.compacted())
                    };
                    let ((was, past), (is, now)) = (of(old), of(new));
                    was <= is && past <= now
                })
        },
    },
    Law {
        name: "A compaction changes no key →",
        source: "etcd's API reference, Compact: superseded versions alone are dropped",
        holds: |_, before, _, after| {
            of_store(before, after, |old, new| {
                let is_compaction =
                    old.store.history().compacted() < new.store.history().compacted();
                !is_compaction || keys(old) == keys(new)
            })
        },
    },
    Law {
        name: "Nobody is told of a gap where nothing is compacted →",
        source: "etcd's watch guarantees: reliable; a watch is cancelled only by a compaction",
        holds: |_, before, _, after| {
            let compacted = store(after).map(|host| host.durable().store.history().compacted());
            let gaps = |world: &Checked| -> Vec<Revision> {
                let hosts = world.hosts.iter().flat_map(|host| &host.durable().seen);
                hosts
                    .filter_map(|seen| match seen {
                        Seen::Gap { to } => Some(*to),
                        Seen::Event(_) => None,
                    })
                    .collect()
            };
            gaps(before) == gaps(after)
                || gaps(after)
                    .iter()
                    .all(|to| compacted.is_none_or(|compacted| *to <= compacted))
        },
    },
];

/// Whether `holds` is true of the change of what the store has on disk.
fn of_store(before: &Checked, after: &Checked, holds: fn(&Disk, &Disk) -> bool) -> bool {
    match (store(before), store(after)) {
        (Some(before), Some(after)) => holds(before.durable(), after.durable()),
        _ => true,
    }
}

/// The lease's latest renewal by the whole log.
fn latest_renewal(log: &[Command], lease: LeaseId) -> Option<Renewal> {
    let renewed = Reference::of(log).renewed;
    let latest = renewed.iter().rposition(|renewed| *renewed == lease)?;
    Some(Renewal(latest as u64 + 1))
}

fn keys(disk: &Disk) -> Vec<(Bytes, KeyValue)> {
    let all = KeyRange::all();
    let keys = disk.store.history().current(&all);
    keys.map(|(key, held)| (key.clone(), held.clone()))
        .collect()
}
