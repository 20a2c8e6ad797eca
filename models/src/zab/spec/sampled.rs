//! The models of ZAB that are too large to walk: `checks` samples their runs.

use crate::raft::spec::Adder;
use crate::specification::{Drawn, Model, Size};
use crate::world::Delivery;
use crate::zab::Zab;

use super::{Oracle, drawn, scenarios};

const EVERYTHING: &str = "drops, duplicates, cuts, lost replies, crashes, also within a step";

/// What every fuzzer of ZAB must have shown.
const COMMON: &[&str] = &[
    "a leader is established",
    "the leader changes",
    "two nodes try to lead at once",
    "a node stands down for one with a more recent history",
    "a transaction is delivered",
    "a transaction of an earlier epoch is delivered in a later",
    "histories diverge",
    "DIFF",
    "SNAP",
    "a node has part of an initial history",
    "a write is answered",
    "a read is answered",
    "two proposals are under way",
];

/// Models of ZAB that are too large to walk, and are sampled instead.
pub const FUZZED: &[Model<Zab<Adder, Oracle>>] = &[
    Model {
        name: "zab/fuzz-three",
        size: Size::Large,
        purpose: "three nodes, three clients and every fault, messages in any order",
        faults: EVERYTHING,
        bounds: "epochs ≤ 40; 3 clients, 4 requests each, asked up to 3 times",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(3, Delivery::Bag),
    },
    Model {
        name: "zab/fuzz-connections",
        size: Size::Large,
        purpose: "three nodes, three clients and every fault, messages in order",
        faults: EVERYTHING,
        bounds: "epochs ≤ 40; 3 clients, 4 requests each, asked up to 3 times",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(3, Delivery::Fifo),
    },
    Model {
        name: "zab/fuzz-five",
        size: Size::Large,
        purpose: "five nodes, three clients and every fault, messages in order",
        faults: EVERYTHING,
        bounds: "epochs ≤ 40; 3 clients, 4 requests each, asked up to 3 times",
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(5, Delivery::Fifo),
    },
];

/// Worlds that are drawn, and sampled.
pub const DRAWN: &[Drawn<Zab<Adder, Oracle>>] = &[Drawn {
    model: Model {
        name: "zab/drawn",
        size: Size::Large,
        purpose: "nodes, clients, reads of both kinds and faults that are drawn, so that any of them meet",
        faults: "any, as drawn",
        bounds: "epochs ≤ 40; up to 5 nodes; up to 4 clients with 4 requests each, asked up to 3 times",
        states: None,
        reaches: COMMON,
        scenario: || drawn::scenario(0),
    },
    scenario: drawn::scenario,
}];
