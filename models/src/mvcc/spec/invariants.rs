//! What must hold in every reachable state.

use alloc::vec::Vec;

use super::reference::Reference;
use super::{Ghost, store};
use crate::machine::StateMachine;
use crate::mvcc::history::Revision;
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::lease::Lease;
use crate::mvcc::query::{Query, Range};
use crate::mvcc::response::{Fault, Outcome};
use crate::mvcc::standalone::{Disk, Seen, Standalone};
use crate::mvcc::watch::{Changes, Event};
use crate::specification::Invariant;
use crate::world::World;

type Checked = World<Standalone>;

pub(super) const INVARIANTS: &[Invariant<Standalone>] = &[
    Invariant {
        name: "The keys are what the commands come to",
        source: "etcd's API guarantees: each operation is applied whole, in the order of revisions",
        holds: |_, world| {
            of_store(world, |disk, reference| {
                let all = KeyRange::all();
                let current = disk.store.history().current(&all);
                disk.store.revision() == reference.revision() && current.eq(reference.latest())
            })
        },
    },
    Invariant {
        name: "What was there at a revision that is not compacted can be read",
        source: "etcd's API reference, RangeRequest.revision",
        holds: |_, world| of_store(world, can_be_read),
    },
    Invariant {
        name: "What is compacted, and what is to come, cannot be read",
        source: "etcd's API reference: ErrCompacted, ErrFutureRev",
        holds: |_, world| of_store(world, nothing_else_can_be_read),
    },
    Invariant {
        name: "What was changed since a revision is told whole and in order",
        source: "etcd's watch guarantees: ordered, unique, reliable, atomic",
        holds: |_, world| of_store(world, is_told),
    },
    Invariant {
        name: "A lease holds the keys that name it, and no others",
        source: "etcd's API reference, LeaseTimeToLiveResponse.keys",
        holds: |_, world| {
            let Some(host) = store(world) else {
                return true;
            };
            let disk = host.durable();
            let names = |lease: &Lease, id| {
                let all = KeyRange::all();
                let current = disk.store.history().current(&all);
                let named = current.filter(|(_, held)| held.lease == Some(id));
                lease.keys.iter().eq(named.map(|(key, _)| key))
            };
            disk.store
                .leases()
                .iter()
                .all(|(id, lease)| names(lease, id))
        },
    },
    Invariant {
        name: "There are the leases that were granted and are not over",
        source: "etcd's API reference, Lease service",
        holds: |_, world| {
            of_store(world, |disk, reference| {
                let leases = disk.store.leases().iter();
                let leases = leases.map(|(id, lease)| (id, (lease.ttl, lease.renewal)));
                leases.eq(reference.leases.iter().map(|(&id, &lease)| (id, lease)))
            })
        },
    },
    Invariant {
        name: "A watcher has seen each change once, in order, or was told of a gap",
        source: "etcd's watch guarantees: unique, ordered, reliable, resumable",
        holds: |scenario, world| {
            let watchers = scenario.nodes.iter().filter(|node| node.watches.is_some());
            watchers.clone().all(|watcher| has_seen(watcher, world))
        },
    },
    Invariant {
        name: "What is answered is what the commands come to",
        source: "etcd's API guarantees: strict serializability of what clients are told",
        holds: |_, world| {
            let Ghost { misanswered } = &world.ghost;
            misanswered.is_empty()
        },
    },
];

/// Whether `holds` is true of what the store has on disk.
fn of_store(world: &Checked, holds: fn(&Disk, &Reference) -> bool) -> bool {
    store(world).is_none_or(|host| {
        let disk = host.durable();
        holds(disk, &Reference::of(&disk.log))
    })
}

fn all_at(disk: &Disk, revision: Revision) -> Result<Outcome, Fault> {
    let all = Range {
        revision: Some(revision),
        ..Range::new(KeyRange::all())
    };
    disk.store.query(&Query::Range(all)).outcome
}

fn can_be_read(disk: &Disk, reference: &Reference) -> bool {
    let readable = reference.compacted.0.max(1)..=reference.revision().0;
    readable.map(Revision).all(|revision| {
        let Ok(Outcome::Range(found)) = all_at(disk, revision) else {
            return false;
        };
        let found = found.entries.iter().map(|(key, held)| (key, held));
        reference.at(revision).is_ok_and(|keys| found.eq(keys))
    })
}

fn nothing_else_can_be_read(disk: &Disk, reference: &Reference) -> bool {
    let compacted = reference.compacted;
    let future = Revision(reference.revision().0 + 1);
    let before = (0..compacted.0).map(Revision);
    let before = before.map(|revision| all_at(disk, revision));
    before
        .into_iter()
        .all(|found| found == Err(Fault::Compacted { compacted }))
        && all_at(disk, future) == Err(Fault::FutureRevision)
}

/// Pages of any size, from any revision on, come to all changes from there on.
fn is_told(disk: &Disk, reference: &Reference) -> bool {
    let end = reference.revision().0 + 1;
    let told_from = |from: Revision, limit: usize| {
        let changes = reference.changes();
        let expected = changes.filter(|event| event.revision >= from);
        let expected = expected.map(|event| reference.told(event, true));
        told(disk, from, limit).is_some_and(|told| told.into_iter().eq(expected))
    };
    let from = (reference.compacted.0..=end).map(Revision);
    from.into_iter()
        .all(|from| (1..3).all(|limit| told_from(from, limit)))
}

/// What a watcher is told that goes from page to page, to the end.
fn told(disk: &Disk, from: Revision, limit: usize) -> Option<Vec<Event>> {
    let end = disk.store.revision().next();
    let (mut next, mut events) = (from, Vec::new());
    while next < end {
        let changes = Changes {
            keys: KeyRange::all(),
            from: next,
            limit,
            wants_previous: true,
        };
        let answer = disk.store.query(&Query::Changes(changes)).outcome;
        let Ok(Outcome::Changes(page)) = answer else {
            return None;
        };
        if page.from != next || page.next <= next {
            return None;
        }
        next = page.next;
        events.extend(page.events);
    }
    Some(events)
}

/// Whether a watcher has seen all changes of its keys up to where it is, but for the gaps of which it was
/// told.
fn has_seen(watcher: &Standalone, world: &Checked) -> bool {
    let (Some(watch), Some(host), Some(store)) =
        (&watcher.watches, world.host(watcher.id), store(world))
    else {
        return true;
    };
    let seen_up_to = host.durable().seen_up_to.unwrap_or(watch.from);
    let reference = Reference::of(&store.durable().log);
    let mut missing = reference.changes().filter(|event| {
        let is_watched =
            event.key >= *watch.keys.start() && watch.keys.end().is_none_or(|end| event.key < *end);
        is_watched && event.revision >= watch.from && event.revision < seen_up_to
    });
    let mut expected = missing.next();
    for seen in &host.durable().seen {
        match seen {
            Seen::Gap { to } => {
                while expected.is_some_and(|event| event.revision < *to) {
                    expected = missing.next();
                }
            }
            Seen::Event(event) => {
                if !expected.is_some_and(|expected| is_same(event, expected)) {
                    return false;
                }
                expected = missing.next();
            }
        }
    }
    expected.is_none()
}

/// The same change, whatever is told of what was there before.
fn is_same(one: &Event, other: &Event) -> bool {
    (&one.key, one.revision, &one.version) == (&other.key, other.revision, &other.version)
}
