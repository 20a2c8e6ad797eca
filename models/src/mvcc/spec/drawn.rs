//! Worlds of the store that are drawn: what clients ask, who watches, and which faults happen.

use alloc::vec::Vec;

use super::scenarios as made;
use crate::draw::Draw;
use crate::mvcc::command::{Command, Compare, Operation, Put, Relation, Target, Txn};
use crate::mvcc::history::Revision;
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::lease::LeaseId;
use crate::mvcc::query::{Order, Query, Range, SortBy};
use crate::mvcc::standalone::{Asked, Standalone, Watch};
use crate::protocol::NodeId;
use crate::world::Scenario;

const KEYS: [&str; 3] = ["a", "ab", "b"];
const VALUES: [&str; 2] = ["x", "y"];

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Standalone> {
    let mut draw = Draw::from(number);
    let mut nodes = Vec::from([Standalone::store(NodeId(0))]);
    for id in 1..=draw.u16(0..=2) {
        let watch = Watch {
            store: NodeId(0),
            keys: keys(&mut draw),
            from: Revision(draw.u64(1..=4)),
            limit: draw.usize(1..=3),
            wants_previous: draw.bool(),
        };
        nodes.push(Standalone::watcher(NodeId(id), watch));
    }
    let clients = draw.usize(2..=4);
    let asked: Vec<Vec<Asked>> = (0..clients)
        .map(|_| (0..6).map(|_| asked(&mut draw)).collect())
        .collect();
    let asked: Vec<&[Asked]> = asked.iter().map(Vec::as_slice).collect();
    let mut scenario = Scenario {
        delivery: draw.delivery(),
        timing: draw.timing(),
        scripts: made::scripts(&asked),
        asks_at: |_, node| node == NodeId(0),
        keeps_history: false,
        ..Scenario::new(nodes, ())
    };
    scenario.faults = draw.faults();
    // Who has lost its disk has lost what it promised: there is no other copy.
    scenario.faults.lost_disks = 0;
    scenario
}

fn asked(draw: &mut Draw) -> Asked {
    let lease = LeaseId(draw.u64(1..=2));
    let (key, value) = (draw.any(&KEYS), draw.any(&VALUES));
    match draw.u8(..16) {
        0..=3 => made::put(key, value),
        4 => made::put_by(key, lease),
        5 => made::keep_value(key),
        6 => made::keep_lease(key),
        7 => made::delete(keys(draw)),
        8 => made::grant(lease),
        9 => made::keep_alive(lease),
        10 => made::revoke(lease),
        11 => made::expire(lease, draw.u64(1..4)),
        12 => made::compact(draw.u64(1..=8)),
        13 => draw.any(&[made::read_at, made::compact])(draw.u64(1..=8)),
        14 => match draw.bool() {
            true => made::tell_lease(lease),
            false => made::tell_leases(),
        },
        _ => made::transact(transaction(draw)),
    }
}

/// The world of this number in which clients ask for transactions of all kinds, one within another too,
/// and read what they have left, as it is and as it was.
pub(super) fn transactions(number: u64) -> Scenario<Standalone> {
    let mut draw = Draw::from(number);
    let clients = draw.usize(2..=4);
    let asked: Vec<Vec<Asked>> = (0..clients)
        .map(|_| (0..6).map(|_| asked_of_transactions(&mut draw)).collect())
        .collect();
    let asked: Vec<&[Asked]> = asked.iter().map(Vec::as_slice).collect();
    made::alone(&asked, draw.any(&[0, 1]))
}

fn asked_of_transactions(draw: &mut Draw) -> Asked {
    let lease = LeaseId(draw.u64(1..=2));
    match draw.u8(..12) {
        0..=4 => made::transact(any_transaction(draw, 2)),
        5 => made::grant(lease),
        6 => draw.any(&[made::keep_alive, made::revoke])(lease),
        7 => made::expire(lease, draw.u64(1..4)),
        8 => made::compact(draw.u64(1..=6)),
        9 => Asked::Tell(Query::Range(any_range(draw))),
        10 => made::tell_lease(lease),
        _ => Asked::Do(Command::Put(any_put(draw))),
    }
}

/// A transaction that has others within, so many deep at most.
fn any_transaction(draw: &mut Draw, depth: u8) -> Txn {
    Txn {
        compare: (0..draw.u8(..3)).map(|_| any_comparison(draw)).collect(),
        success: (0..draw.u8(..4))
            .map(|_| any_operation(draw, depth))
            .collect(),
        failure: (0..draw.u8(..3))
            .map(|_| any_operation(draw, depth))
            .collect(),
    }
}

fn any_operation(draw: &mut Draw, depth: u8) -> Operation {
    match draw.u8(..8) {
        0..=3 => Operation::Put(any_put(draw)),
        4 => Operation::DeleteRange(made::removal(keys(draw))),
        5 if depth > 1 => Operation::Txn(any_transaction(draw, depth - 1)),
        _ => Operation::Range(any_range(draw)),
    }
}

/// Mostly with a value, and of any lease or none.
fn any_put(draw: &mut Draw) -> Put {
    let leases = [None, None, Some(LeaseId(1)), Some(LeaseId(2))];
    let value = made::word(draw.any(&VALUES));
    Put {
        value: (draw.u8(..6) > 0).then_some(value),
        lease: draw.any(&leases),
        keep_lease: draw.u8(..6) == 0,
        wants_previous: draw.bool(),
        ..made::plain(draw.any(&KEYS), "")
    }
}

/// Of a revision, mostly one that there may be.
fn any_range(draw: &mut Draw) -> Range {
    let revision = Revision(draw.u64(..8));
    let by = draw.any(&[
        SortBy::Key,
        SortBy::Version,
        SortBy::Create,
        SortBy::Mod,
        SortBy::Value,
    ]);
    Range {
        keys: keys(draw),
        revision: draw.bool().then_some(revision),
        limit: draw.usize(..4),
        order: Order {
            by,
            descending: draw.bool(),
        },
        counts: draw.bool(),
    }
}

fn any_comparison(draw: &mut Draw) -> Compare {
    let relations = [
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::Greater,
    ];
    let target = match draw.u8(..5) {
        0 => Target::Version(draw.u64(..3)),
        1 => Target::Mod(Revision(draw.u64(..6))),
        2 => Target::Create(Revision(draw.u64(..6))),
        3 => Target::Lease(draw.any(&[None, Some(LeaseId(1)), Some(LeaseId(2))])),
        _ => Target::Value(made::word(draw.any(&VALUES))),
    };
    Compare {
        range: keys(draw),
        target,
        relation: draw.any(&relations),
    }
}

fn transaction(draw: &mut Draw) -> Txn {
    let relation = draw.any(&[
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::Greater,
    ]);
    let target = match draw.u8(..4) {
        0 => Target::Version(draw.u64(..3)),
        1 => Target::Mod(Revision(draw.u64(..6))),
        2 => Target::Create(Revision(draw.u64(..6))),
        _ => Target::Value(made::word(draw.any(&VALUES))),
    };
    Txn {
        compare: [made::compare(draw.any(&KEYS), relation, target)].into(),
        success: (0..draw.u8(..3)).map(|_| operation(draw)).collect(),
        failure: (0..draw.u8(..3)).map(|_| operation(draw)).collect(),
    }
}

fn operation(draw: &mut Draw) -> Operation {
    let key = draw.any(&KEYS);
    match draw.u8(..6) {
        0..=2 => Operation::Put(made::plain(key, draw.any(&VALUES))),
        3 => Operation::Put(Put {
            value: None,
            ..made::plain(key, "")
        }),
        4 => Operation::DeleteRange(made::removal(keys(draw))),
        _ => Operation::Range(Range::new(keys(draw))),
    }
}

fn keys(draw: &mut Draw) -> KeyRange {
    let key = made::word(draw.any(&KEYS));
    match draw.u8(..4) {
        0 => KeyRange::all(),
        1 => KeyRange::prefix(key),
        2 => KeyRange::span(key, made::word(draw.any(&KEYS))),
        _ => KeyRange::key(key),
    }
}
