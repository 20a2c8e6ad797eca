//! The order of revisions, for any commands: it rises by one with each change and never else, each
//! version of a key says when it was, and what was there at a revision is what stays readable of it. Held
//! against a store that keeps every revision as a whole. quickcheck makes a failing history shorter.

use std::collections::BTreeMap;

use models::mvcc::Store;
use models::mvcc::command::{Command, DeleteRange, Operation, Put, Txn};
use models::mvcc::lease::{LeaseId, Ttl};
use models::mvcc::response::Fault;
use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

/// All keys and values at one revision.
type Whole = BTreeMap<Bytes, Bytes>;

const SEED: u64 = 1;
const KEYS: [&str; 3] = ["a", "ab", "b"];

/// A command of few keys and leases, so that they meet.
#[derive(Clone, Debug)]
enum Asked {
    Put {
        key: u8,
        value: u8,
        lease: Option<u8>,
    },
    Delete {
        key: u8,
    },
    DeleteFrom {
        key: u8,
    },
    /// One transaction that sets a key and removes another.
    Both {
        put: u8,
        delete: u8,
    },
    Grant {
        lease: u8,
    },
    Revoke {
        lease: u8,
    },
    /// So many revisions behind the latest.
    Compact {
        behind: u8,
    },
}

impl Arbitrary for Asked {
    fn arbitrary(g: &mut Gen) -> Self {
        let (key, other) = (u8::arbitrary(g) % 3, u8::arbitrary(g) % 3);
        let lease = u8::arbitrary(g) % 2;
        match u8::arbitrary(g) % 10 {
            0..4 => Self::Put {
                key,
                value: other,
                lease: bool::arbitrary(g).then_some(lease),
            },
            4 => Self::Delete { key },
            5 => Self::DeleteFrom { key },
            6 => Self::Both {
                put: key,
                delete: other,
            },
            7 => Self::Grant { lease },
            8 => Self::Revoke { lease },
            _ => Self::Compact { behind: other },
        }
    }
}

fn name(key: u8) -> Bytes {
    bytes(KEYS[usize::from(key)])
}

fn removal(range: KeyRange) -> DeleteRange {
    DeleteRange {
        range,
        wants_previous: false,
    }
}

impl Asked {
    fn command(&self, latest: Revision) -> Command {
        let lease_id = |lease: u8| LeaseId(u64::from(lease) + 1);
        match *self {
            Self::Put { key, value, lease } => Command::Put(Put {
                lease: lease.map(lease_id),
                ..Put::new(name(key), Bytes::from(vec![value]))
            }),
            Self::Delete { key } => Command::DeleteRange(removal(KeyRange::key(name(key)))),
            Self::DeleteFrom { key } => Command::DeleteRange(removal(KeyRange::from(name(key)))),
            Self::Both { put, delete } => Command::Txn(Txn {
                success: vec![
                    Operation::Put(Put::new(name(put), bytes("both"))),
                    Operation::DeleteRange(removal(KeyRange::key(name(delete)))),
                ],
                ..Txn::default()
            }),
            Self::Grant { lease } => Command::Grant {
                lease: lease_id(lease),
                ttl: Ttl(10),
            },
            Self::Revoke { lease } => Command::Revoke {
                lease: lease_id(lease),
            },
            Self::Compact { behind } => Command::Compact {
                revision: Revision(latest.0.saturating_sub(behind.into())),
            },
        }
    }
}

fn whole(store: &Store) -> Whole {
    let all = KeyRange::all();
    let entries = store.history().current(&all);
    entries
        .map(|(key, held)| (key.clone(), held.value.clone()))
        .collect()
}

/// What can be read at a revision.
fn read_at(store: &Store, revision: Revision) -> Result<Whole, Fault> {
    let found = range(
        store,
        Range {
            revision: Some(revision),
            ..Range::new(KeyRange::all())
        },
    )?;
    let entries = found.entries.into_iter();
    Ok(entries.map(|(key, held)| (key, held.value)).collect())
}

/// One step from `before` to `after` is right.
fn follows(before: &Store, after: &Store, response: &Response) -> bool {
    let (was, is) = (before.revision(), after.revision());
    let all = KeyRange::all();
    let held = |store: &Store| -> Vec<_> {
        let entries = store.history().current(&all);
        entries
            .map(|(key, held)| (key.clone(), held.clone()))
            .collect()
    };
    let changed = held(before) != held(after);
    let rises = if changed { is == was.next() } else { is == was };
    let dated = held(after).iter().all(|(_, held)| {
        let (created, changed) = (held.create_revision, held.mod_revision);
        let span = changed.0 - created.0;
        created <= changed && changed <= is && (1..=span + 1).contains(&held.version)
    });
    rises && dated && response.revision == is
}

fn revisions_are_in_order(history: Vec<Asked>) -> bool {
    let mut store = Store::default();
    let mut kept = BTreeMap::from([(store.revision(), Whole::new())]);
    for asked in history {
        let before = store.clone();
        let response = store.apply(&asked.command(store.revision()));
        if !follows(&before, &store, &response) {
            return false;
        }
        kept.insert(store.revision(), whole(&store));
        let compacted = store.history().compacted();
        let readable = kept
            .iter()
            .all(|(&revision, then)| match read_at(&store, revision) {
                Ok(found) => revision >= compacted && found == *then,
                Err(fault) => revision < compacted && fault == Fault::Compacted { compacted },
            });
        if !readable {
            return false;
        }
    }
    true
}

#[test]
fn revisions_are_in_order_whatever_is_asked() {
    let checked: fn(Vec<Asked>) -> bool = revisions_are_in_order;
    let histories = Gen::from_size_and_seed(100, SEED);
    QuickCheck::new()
        .rng(histories)
        .tests(300)
        .quickcheck(checked);
}

/// What the property holds for is what it is about.
#[test]
fn histories_that_are_drawn_change_read_and_compact() {
    let mut g = Gen::from_size_and_seed(100, SEED);
    let history: Vec<Asked> = (0..200).map(|_| Asked::arbitrary(&mut g)).collect();
    let mut store = Store::default();
    for asked in &history {
        store.apply(&asked.command(store.revision()));
    }
    assert!(store.revision() > Revision(50), "{:?}", store.revision());
    assert!(store.history().compacted() > Revision(10));
}
