//! The models of the store that `checks` verifies.

use super::{drawn, scenarios, transacting};
use crate::mvcc::standalone::Standalone;
use crate::specification::{Drawn, Model, Size};

/// Every model of the store that can be walked.
pub const MODELS: &[&[Model<Standalone>]] = &[&[
    Model {
        name: "mvcc/keys",
        size: Size::Gate,
        purpose: "keys that are set, removed and created anew, and read as they were",
        faults: "1 crash",
        bounds: "3 clients, 8 requests",
        states: Some(621),
        reaches: &[
            "a key is created anew",
            "a key is written again",
            "several keys are removed at once",
            "the past is read",
        ],
        scenario: scenarios::keys,
    },
    Model {
        name: "mvcc/transactions",
        size: Size::Gate,
        purpose: "comparisons, both lists, one transaction within another, and those that fail",
        faults: "none",
        bounds: "3 clients, 8 requests",
        states: Some(1_323),
        reaches: &[
            "a transaction does the first list",
            "a transaction does the second list",
            "a transaction fails",
            "several keys change at once",
        ],
        scenario: scenarios::transactions,
    },
    Model {
        name: "mvcc/transactions-fail",
        size: Size::Gate,
        purpose: "transactions that fail while keys would change hands, also by one that is within",
        faults: "none",
        bounds: "3 clients, 9 requests",
        states: Some(2_848),
        reaches: &["a transaction fails", "a lease takes its keys along"],
        scenario: transacting::failing,
    },
    Model {
        name: "mvcc/transactions-past",
        size: Size::Gate,
        purpose: "what transactions read that change keys: now, before them, and before that",
        faults: "none",
        bounds: "3 clients, 6 requests",
        states: Some(189),
        reaches: &[
            "a transaction does the first list",
            "what is compacted is asked for",
            "several keys change at once",
            "something is compacted",
        ],
        scenario: transacting::reading_the_past,
    },
    Model {
        name: "mvcc/leases",
        size: Size::Gate,
        purpose: "a lease that is granted, renewed and runs out while its keys change hands",
        faults: "1 crash",
        bounds: "3 clients, 10 requests",
        states: Some(19_608),
        reaches: &[
            "a lease takes its keys along",
            "a lease is renewed before it would have run out",
            "a lease lets a key go",
        ],
        scenario: scenarios::leases,
    },
    Model {
        name: "mvcc/lease-again",
        size: Size::Gate,
        purpose: "a lease that is revoked and granted again under its id, and an end that is asked for late",
        faults: "1 crash",
        bounds: "3 clients, 8 requests",
        states: Some(3_723),
        reaches: &["a lease that was granted again outlives the end of the earlier one"],
        scenario: scenarios::lease_again,
    },
    Model {
        name: "mvcc/two-leases",
        size: Size::Gate,
        purpose: "a key that goes from one lease to another",
        faults: "1 crash",
        bounds: "2 clients, 8 requests",
        states: Some(480),
        reaches: &["a lease takes its keys along", "a lease lets a key go"],
        scenario: scenarios::two_leases,
    },
    Model {
        name: "mvcc/compaction",
        size: Size::Gate,
        purpose: "what is forgotten, and what is still needed",
        faults: "none",
        bounds: "3 clients, 10 requests",
        states: Some(4_824),
        reaches: &[
            "something is compacted",
            "what is compacted is asked for",
            "a key is created anew",
        ],
        scenario: scenarios::compaction,
    },
    Model {
        name: "mvcc/watch",
        size: Size::Gate,
        purpose: "a watcher that goes from change to change, while they are compacted",
        faults: "any loss, duplication and reordering; 1 crash, also within a step",
        bounds: "1 watcher; 2 clients, 6 requests",
        states: Some(20_548),
        reaches: &[
            "a watcher sees a change",
            "a watcher sees several changes of a revision",
            "a watcher is told of a gap",
            "a watcher has seen all there is",
        ],
        scenario: scenarios::watch,
    },
    Model {
        name: "mvcc/watch-lease",
        size: Size::Gate,
        purpose: "a watcher of one key, and a lease that ends",
        faults: "any loss, duplication and reordering; 1 crash, also within a step",
        bounds: "1 watcher; 2 clients, 5 requests",
        states: Some(4_952),
        reaches: &[
            "a watcher sees a change",
            "a watcher has seen all there is",
            "a lease takes its keys along",
        ],
        scenario: scenarios::watch_lease,
    },
]];

/// The models that are sampled.
pub const FUZZED: &[&[Model<Standalone>]] = &[];

/// Worlds that are drawn.
pub const DRAWN: &[Drawn<Standalone>] = &[
    Drawn {
        model: Model {
            name: "mvcc/drawn",
            size: Size::Large,
            purpose: "any requests, watchers and faults",
            faults: "those of its number",
            bounds: "up to 4 clients with 6 requests each, and up to 2 watchers",
            states: None,
            reaches: &["a key is written again"],
            scenario: || drawn::scenario(0),
        },
        scenario: drawn::scenario,
    },
    Drawn {
        model: Model {
            name: "mvcc/drawn-transactions",
            size: Size::Large,
            purpose: "any transactions, one within another, and what they leave",
            faults: "no crash, or one",
            bounds: "2 to 4 clients with 6 requests each",
            states: None,
            reaches: &[
                "a transaction does the first list",
                "a transaction does the second list",
                "a transaction fails",
                "a lease takes its keys along",
                "something is compacted",
            ],
            scenario: || drawn::transactions(0),
        },
        scenario: drawn::transactions,
    },
];
