//! Models that are too large to walk, and are sampled instead.

use super::super::machine::Adder;
use super::super::{drawn, scenarios};
use crate::raft::Raft;
use crate::specification::{Drawn, Model, Size};
use crate::world::Delivery;

pub(super) const EVERYTHING: &str = "drops, duplicates, cuts, crashes, also within a step";

/// What every fuzzer of Raft must have shown.
pub(super) const COMMON: &[&str] = &[
    "a leader is elected",
    "the leader changes",
    "two nodes lead at once, in different terms",
    "an entry is committed",
    "a command is committed",
    "an entry of an earlier term is committed",
    "logs diverge",
    "a crashed node recovers and catches up",
    "a command is answered",
    "a read is answered",
    "a retried command is in the log twice",
    "an append is sent while another is under way",
    "a lost append is noticed",
    "a snapshot is taken",
    "a log is discarded",
    "a part of a snapshot has arrived",
    "a leader's snapshot is installed",
];

/// The names of both lists, which are as many as `LENGTH`.
pub(super) const fn joined<const LENGTH: usize>(
    first: &[&'static str],
    second: &[&'static str],
) -> [&'static str; LENGTH] {
    let mut names = [""; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        names[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    names
}

pub(super) const FUZZED: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/fuzz-datagrams",
        size: Size::Large,
        purpose: "five nodes, three clients and every fault, messages in any order",
        faults: EVERYTHING,
        bounds: "terms ≤ 40; 3 clients, 4 requests each, asked up to 3 times; 2 entries an append, a snapshot each 3",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(5, Delivery::Bag),
    },
    Model {
        name: "raft/fuzz-connections",
        size: Size::Large,
        purpose: "five nodes, three clients and every fault, messages in order",
        faults: EVERYTHING,
        bounds: "terms ≤ 40; 3 clients, 4 requests each, asked up to 3 times; 2 entries an append, a snapshot each 3",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(5, Delivery::Fifo),
    },
    Model {
        name: "raft/fuzz-three",
        size: Size::Large,
        purpose: "three nodes, which get further in as many steps",
        faults: EVERYTHING,
        bounds: "terms ≤ 40; 3 clients, 4 requests each, asked up to 3 times; 2 entries an append, a snapshot each 3",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(3, Delivery::Bag),
    },
];

pub(super) const DRAWN: &[Drawn<Raft<Adder>>] = &[Drawn {
    model: Model {
        name: "raft/drawn",
        size: Size::Large,
        purpose: "features, faults, clients and sizes that are drawn, so that any of them meet",
        faults: "any, as drawn",
        bounds: "terms ≤ 40; up to 5 nodes, 2 of which join, and 5 clients with up to 4 requests each",
        states: None,
        reaches: COMMON,
        scenario: || drawn::scenario(0),
    },
    scenario: drawn::scenario,
}];
