//! The worlds in which the store is checked.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::mvcc::command::{Command, Compare, DeleteRange, Operation, Put, Relation, Target, Txn};
use crate::mvcc::history::Revision;
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::lease::{LeaseId, Renewal, Ttl};
use crate::mvcc::query::{Order, Query, Range, SortBy};
use crate::mvcc::standalone::{Asked, Request, Standalone, Watch};
use crate::protocol::NodeId;
use crate::world::{Delivery, Duplicates, Faults, Scenario, Timing};

pub(super) type Checked = Scenario<Standalone>;

/// The lease that most worlds have.
pub(super) const LEASE: LeaseId = LeaseId(1);

/// A store that these clients ask, and crashes.
pub(super) fn alone(clients: &[&[Asked]], crashes: u8) -> Checked {
    Scenario {
        scripts: scripts(clients),
        asks_at: |_, node| node == NodeId(0),
        keeps_history: false,
        faults: Faults {
            crashes,
            ..Faults::default()
        },
        ..Scenario::new([Standalone::store(NodeId(0))].into(), ())
    }
}

/// The same with watchers of these keys, each from the first change on, and messages that are lost, late or
/// come twice.
fn watched(clients: &[&[Asked]], watched: &[KeyRange], limit: usize, crashes: u8) -> Checked {
    let mut scenario = alone(clients, crashes);
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario.faults.crash_within_step = crashes > 0;
    for keys in watched {
        let id = NodeId(scenario.nodes.len() as u16);
        let watch = Watch {
            store: NodeId(0),
            keys: keys.clone(),
            from: Revision(1),
            limit,
            wants_previous: true,
        };
        scenario.nodes.push(Standalone::watcher(id, watch));
    }
    scenario
}

/// What clients ask, numbered.
pub(super) fn scripts(clients: &[&[Asked]]) -> Vec<Vec<Request>> {
    let mut numbers = 0..u8::MAX;
    let mut request = |asked: &Asked| {
        let (number, asked) = (numbers.next()?, asked.clone());
        Some(Request { number, asked })
    };
    { clients.iter() }
        .map(|asked| asked.iter().map_while(&mut request).collect())
        .collect()
}

/// Keys that are set, kept, removed and created anew, and read as they were.
pub(super) fn keys() -> Checked {
    alone(
        &[
            &[put("a", "x"), put("a", "y"), delete(single("a"))],
            &[keep_value("a"), put("b", "x"), delete(all())],
            &[read_at(2), read_sorted()],
        ],
        1,
    )
}

/// Transactions: comparisons of all kinds, both lists, one within another, and those that fail.
pub(super) fn transactions() -> Checked {
    let conditional = Txn {
        compare: [
            compare("a", Relation::Equal, Target::Version(1)),
            compare("b", Relation::Equal, Target::Mod(Revision(0))),
        ]
        .into(),
        success: [
            Operation::Put(plain("a", "s")),
            Operation::Range(Range::new(all())),
            Operation::DeleteRange(removal(single("c"))),
            Operation::Put(plain("b", "s")),
        ]
        .into(),
        failure: [
            Operation::Put(plain("c", "f")),
            Operation::Range(Range::new(all())),
        ]
        .into(),
    };
    let nested = Txn {
        compare: [compare("a", Relation::NotEqual, Target::Value(word("s")))].into(),
        success: [
            Operation::Put(plain("a", "n")),
            Operation::Txn(Txn {
                compare: [compare("a", Relation::Equal, Target::Value(word("n")))].into(),
                success: [Operation::DeleteRange(removal(single("b")))].into(),
                failure: [Operation::Put(plain("c", "n"))].into(),
            }),
        ]
        .into(),
        failure: Vec::new(),
    };
    let failing = Txn {
        success: [
            Operation::Put(plain("b", "l")),
            Operation::Put(Put {
                value: None,
                ..plain("c", "")
            }),
        ]
        .into(),
        ..Txn::default()
    };
    let twofold = Txn {
        success: [
            Operation::Put(plain("a", "t")),
            Operation::DeleteRange(removal(all())),
        ]
        .into(),
        ..Txn::default()
    };
    alone(
        &[
            &[
                put("a", "x"),
                transact(conditional.clone()),
                transact(nested.clone()),
            ],
            &[transact(failing), put("b", "y"), transact(conditional)],
            &[transact(twofold), transact(nested)],
        ],
        0,
    )
}

/// Leases that are granted, renewed, revoked and run out while their keys change hands.
pub(super) fn leases() -> Checked {
    alone(
        &[
            &[
                grant(LEASE),
                put_by("a", LEASE),
                put_by("b", LEASE),
                keep_alive(LEASE),
            ],
            &[expire(LEASE, 1), put("a", "z"), keep_lease("b")],
            &[expire(LEASE, 2), grant(LEASE), tell_lease(LEASE)],
        ],
        1,
    )
}

/// A lease that is revoked and granted again under its id, while somebody still wants to end it as it was.
pub(super) fn lease_again() -> Checked {
    alone(
        &[
            &[grant(LEASE), put_by("a", LEASE), revoke(LEASE)],
            &[grant(LEASE), keep_alive(LEASE), put_by("b", LEASE)],
            &[expire(LEASE, 1), expire(LEASE, 2)],
        ],
        1,
    )
}

/// Two leases, and a key that goes from one to the other.
pub(super) fn two_leases() -> Checked {
    let other = LeaseId(2);
    alone(
        &[
            &[
                grant(LEASE),
                put_by("a", LEASE),
                put_by("b", LEASE),
                revoke(LEASE),
            ],
            &[
                grant(other),
                put_by("b", other),
                tell_lease(other),
                revoke(other),
            ],
        ],
        1,
    )
}

/// Compactions, at every revision, while keys are replaced and removed.
pub(super) fn compaction() -> Checked {
    alone(
        &[
            &[
                put("a", "x"),
                put("a", "y"),
                delete(single("a")),
                put("a", "z"),
            ],
            &[put("b", "x"), compact(3), compact(4)],
            &[compact(2), read_at(3), compact(5)],
        ],
        0,
    )
}

/// A watcher of all keys, one change at a time, while keys change alone and together, and are compacted.
pub(super) fn watch() -> Checked {
    let both = Txn {
        success: [
            Operation::Put(plain("a", "t")),
            Operation::Put(plain("b", "t")),
        ]
        .into(),
        ..Txn::default()
    };
    watched(
        &[
            &[put("a", "x"), transact(both), delete(all())],
            &[compact(2), put("a", "z"), compact(4)],
        ],
        &[all()],
        1,
        1,
    )
}

/// A watcher of one key, which goes with its lease.
pub(super) fn watch_lease() -> Checked {
    watched(
        &[
            &[
                grant(LEASE),
                put_by("a", LEASE),
                put_by("b", LEASE),
                revoke(LEASE),
            ],
            &[put("b", "x")],
        ],
        &[single("b")],
        2,
        1,
    )
}

/// As [`watched`], one change at a time, where what is lost is lost for good: two messages, and what is
/// under way when a node crashes.
fn connected(clients: &[&[Asked]], keys: KeyRange) -> Checked {
    let mut scenario = watched(clients, &[keys], 1, 1);
    scenario.delivery = Delivery::Fifo;
    scenario.timing = Timing::Quiescent;
    scenario.faults.duplicates = Duplicates::default();
    scenario.faults.drops = 2;
    scenario
}

/// A watcher of all keys, one change at a time, some of which are compacted before it has seen them.
pub(super) fn live_watch() -> Checked {
    let clients: &[&[Asked]] = &[
        &[put("a", "x"), put("b", "x"), delete(single("a"))],
        &[compact(3)],
    ];
    connected(clients, all())
}

/// A watcher of one key, while others change as well.
pub(super) fn live_watch_key() -> Checked {
    let clients: &[&[Asked]] = &[
        &[put("a", "x"), put("b", "x")],
        &[put("c", "x"), delete(single("a"))],
    ];
    connected(clients, single("b"))
}

pub(super) fn word(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn single(key: &'static str) -> KeyRange {
    KeyRange::key(word(key))
}

pub(super) fn all() -> KeyRange {
    KeyRange::all()
}

pub(super) fn plain(key: &'static str, value: &'static str) -> Put {
    Put {
        wants_previous: true,
        ..Put::new(word(key), word(value))
    }
}

pub(super) fn removal(range: KeyRange) -> DeleteRange {
    let wants_previous = true;
    DeleteRange {
        range,
        wants_previous,
    }
}

pub(super) fn compare(key: &'static str, relation: Relation, target: Target) -> Compare {
    let range = single(key);
    Compare {
        range,
        target,
        relation,
    }
}

pub(super) fn put(key: &'static str, value: &'static str) -> Asked {
    Asked::Do(Command::Put(plain(key, value)))
}

pub(super) fn put_by(key: &'static str, lease: LeaseId) -> Asked {
    let lease = Some(lease);
    Asked::Do(Command::Put(Put {
        lease,
        ..plain(key, "l")
    }))
}

pub(super) fn keep_value(key: &'static str) -> Asked {
    let value = None;
    Asked::Do(Command::Put(Put {
        value,
        ..plain(key, "")
    }))
}

pub(super) fn keep_lease(key: &'static str) -> Asked {
    let keep_lease = true;
    Asked::Do(Command::Put(Put {
        keep_lease,
        ..plain(key, "k")
    }))
}

pub(super) fn delete(range: KeyRange) -> Asked {
    Asked::Do(Command::DeleteRange(removal(range)))
}

pub(super) fn transact(txn: Txn) -> Asked {
    Asked::Do(Command::Txn(txn))
}

pub(super) fn grant(lease: LeaseId) -> Asked {
    let ttl = Ttl(60);
    Asked::Do(Command::Grant { lease, ttl })
}

pub(super) fn keep_alive(lease: LeaseId) -> Asked {
    Asked::Do(Command::KeepAlive { lease })
}

pub(super) fn revoke(lease: LeaseId) -> Asked {
    Asked::Do(Command::Revoke { lease })
}

pub(super) fn expire(lease: LeaseId, renewal: u64) -> Asked {
    let renewal = Renewal(renewal);
    Asked::Do(Command::Expire { lease, renewal })
}

pub(super) fn compact(revision: u64) -> Asked {
    let revision = Revision(revision);
    Asked::Do(Command::Compact { revision })
}

pub(super) fn read_at(revision: u64) -> Asked {
    let revision = Some(Revision(revision));
    Asked::Tell(Query::Range(Range {
        revision,
        counts: true,
        ..Range::new(all())
    }))
}

pub(super) fn read_sorted() -> Asked {
    let order = Order {
        by: SortBy::Mod,
        descending: true,
    };
    Asked::Tell(Query::Range(Range {
        order,
        limit: 1,
        ..Range::new(all())
    }))
}

pub(super) fn tell_lease(lease: LeaseId) -> Asked {
    Asked::Tell(Query::Lease { lease })
}

pub(super) fn tell_leases() -> Asked {
    Asked::Tell(Query::Leases)
}
