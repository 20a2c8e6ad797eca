//! The models of the counter that are too large to walk, and are sampled instead.

use crate::counter::Counter;
use crate::specification::{Drawn, Model, Size};
use crate::world::Delivery;

use super::drawn;
use super::scenarios;

/// Models of the counter that are too large to walk, and are sampled instead.
pub const FUZZED: &[&[Model<Counter>]] = &[SAMPLED];

const EVERYTHING: &str = "drops, duplicates, cuts, lost answers, crashes, also within a step";
const AT_LARGE: &str = "a window of 2 buckets of 10; 4 clients, 4 increments each, asked up to 3 \
                        times, and readers; n0 is gone and back";

/// What every fuzzer of the counter must have shown.
const COMMON: &[&str] = &[
    "an increment is acknowledged",
    "two replicas count under their own names",
    "replicas differ",
    "all replicas agree on what all clients have counted",
    "nobody owes anything any more",
    "what a crashed node has counted is known elsewhere",
    "a retry is not counted again",
    "a retry elsewhere is counted again",
    "a bucket has expired",
    "a window tells what two replicas have counted in two buckets",
    "the component of a node that is gone still counts",
];

const SAMPLED: &[Model<Counter>] = &[
    Model {
        name: "counter/fuzz-datagrams",
        size: Size::Large,
        purpose: "five nodes, clients and every fault, messages in any order",
        faults: EVERYTHING,
        bounds: AT_LARGE,
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(5, Delivery::Bag),
    },
    Model {
        name: "counter/fuzz-connections",
        size: Size::Large,
        purpose: "five nodes, clients and every fault, messages in order",
        faults: EVERYTHING,
        bounds: AT_LARGE,
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(5, Delivery::Fifo),
    },
    Model {
        name: "counter/fuzz-three",
        size: Size::Large,
        purpose: "three nodes, which get further in as many steps",
        faults: EVERYTHING,
        bounds: AT_LARGE,
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(3, Delivery::Bag),
    },
    Model {
        name: "counter/fuzz-hosts",
        size: Size::Large,
        purpose: "names for new and lost disks, a node that leaves, counts as large as can be",
        faults: "drops, duplicates, cuts, lost answers, crashes, also within a step, a lost disk",
        bounds: "3 nodes; 4 clients, 11 increments, asked up to 3 times; 10 incarnations drawn; \
                 one node is to leave",
        states: None,
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "what a crashed node has counted is known elsewhere",
            "a retry is not counted again",
            "a node counts again under a new name after its disk was lost",
            "a node has told all that it knows and may leave",
            "the value exceeds 64 bits",
            "a component is as large as it can be",
        ],
        scenario: || scenarios::hosts_at_large(3, Delivery::Bag),
    },
];

/// Worlds that are drawn, and sampled.
pub const DRAWN: &[Drawn<Counter>] = &[Drawn {
    model: Model {
        name: "counter/drawn",
        size: Size::Large,
        purpose: "replicas, clients, reads, windows and faults that are drawn, so that any of them meet",
        faults: "any, as drawn",
        bounds: "up to 4 replicas that are given 6 names in all; up to 4 clients with 4 requests each, asked up to 3 times",
        states: None,
        reaches: &[
            "an increment is acknowledged",
            "replicas differ",
            "a bucket has expired",
        ],
        scenario: || drawn::scenario(0),
    },
    scenario: drawn::scenario,
}];
