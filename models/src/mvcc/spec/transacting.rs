//! Worlds of transactions that fail, have others within, and read the past.

use alloc::vec::Vec;

use super::scenarios::{
    Checked, LEASE, all, alone, compact, compare, grant, plain, put, put_by, removal, revoke,
    single, tell_lease, transact,
};
use crate::mvcc::command::{Command, Operation, Put, Relation, Target, Txn};
use crate::mvcc::history::Revision;
use crate::mvcc::lease::LeaseId;
use crate::mvcc::query::Range;
use crate::mvcc::standalone::Asked;

/// Keys of a lease that a transaction would take from it or give to it, and fails: because one of its
/// operations cannot be done, or because a list of one within, which is not even done, sets a key twice.
/// And a key without a lease that is to keep the one that it has, whichever the request names.
pub(super) fn failing() -> Checked {
    let hands_over = Txn {
        success: [
            Operation::Put(plain("a", "f")),
            Operation::Put(held("b", "f")),
            Operation::Put(Put {
                value: None,
                ..plain("c", "")
            }),
        ]
        .into(),
        ..Txn::default()
    };
    let twofold = |lists: [Vec<Operation>; 2]| {
        let [success, failure] = lists;
        let within = Txn {
            compare: [compare("c", Relation::Equal, Target::Version(1))].into(),
            success,
            failure,
        };
        transact(Txn {
            success: [Operation::Txn(within)].into(),
            ..Txn::default()
        })
    };
    let twice = || {
        Vec::from([
            Operation::Put(plain("b", "1")),
            Operation::Put(plain("b", "2")),
        ])
    };
    alone(
        &[
            &[
                grant(LEASE),
                put_by("a", LEASE),
                transact(hands_over),
                tell_lease(LEASE),
            ],
            &[
                twofold([Vec::new(), twice()]),
                put("c", "x"),
                keep_lease_but_name("c", LEASE),
            ],
            &[twofold([twice(), Vec::new()]), revoke(LEASE)],
        ],
        0,
    )
}

/// A transaction that changes keys and reads them: as they are by then, as they were before it, and as they
/// were before that, which may be compacted; and one that reads what is to come.
pub(super) fn reading_the_past() -> Checked {
    let reads = |revision: Option<u64>| {
        Operation::Range(Range {
            revision: revision.map(Revision),
            counts: true,
            ..Range::new(all())
        })
    };
    let changes_and_reads = |revision: u64| {
        transact(Txn {
            success: [
                Operation::Put(plain("a", "t")),
                Operation::DeleteRange(removal(single("b"))),
                reads(Some(revision)),
                reads(None),
            ]
            .into(),
            ..Txn::default()
        })
    };
    alone(
        &[
            &[put("a", "x"), changes_and_reads(2), changes_and_reads(3)],
            &[put("b", "x"), compact(3)],
            &[changes_and_reads(4)],
        ],
        0,
    )
}

/// Sets a key that is to stay with the lease that it has, if it has one, and names another.
fn keep_lease_but_name(key: &'static str, lease: LeaseId) -> Asked {
    Asked::Do(Command::Put(Put {
        lease: Some(lease),
        keep_lease: true,
        ..plain(key, "k")
    }))
}

fn held(key: &'static str, value: &'static str) -> Put {
    Put {
        lease: Some(LEASE),
        ..plain(key, value)
    }
}
