//! Broadcast: what clients ask, and what they are told.

use crate::raft::spec::{Adder, parties};
use crate::specification::{Model, Size};
use crate::zab::Zab;
use crate::zab::spec::{Oracle, scenarios};

use super::LOSSY;

pub(super) const MODELS: &[Model<Zab<Adder, Oracle>>] = &[
    Model {
        name: "zab/broadcast",
        size: Size::Gate,
        purpose: "two clients at once, at any node",
        faults: LOSSY,
        bounds: "n0 leads from the start; 2 clients, 1 write each",
        states: Some(17_241),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
            "two proposals are under way",
        ],
        scenario: || scenarios::broadcast(3, &[1, 1], 1).with_alike_clients(parties(&[&[0], &[1]])),
    },
    Model {
        name: "zab/five",
        size: Size::Gate,
        purpose: "more acknowledgements than a quorum needs",
        faults: LOSSY,
        bounds: "5 nodes, n0 leads from the start; 1 client, 1 write",
        states: Some(4_101),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
        ],
        scenario: || scenarios::broadcast(5, &[1], 1),
    },
    Model {
        name: "zab/five-join",
        size: Size::Gate,
        purpose: "a follower that joins while a transaction is proposed, and is no quorum with its leader",
        faults: LOSSY,
        bounds: "5 nodes, n0 leads two from the start; 1 client of n0, 1 write",
        states: Some(720),
        reaches: &["a transaction is delivered", "a write is answered", "DIFF"],
        scenario: scenarios::five_join,
    },
    Model {
        name: "zab/retries",
        size: Size::Gate,
        purpose: "a client that asks again",
        faults: LOSSY,
        bounds: "2 nodes, n0 leads from the start; 1 client, 2 writes, each asked up to 2 times",
        states: Some(143),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
        ],
        scenario: || scenarios::broadcast(2, &[2], 2),
    },
    Model {
        name: "zab/reads",
        size: Size::Gate,
        purpose: "a reader that wants the latest beside a writer",
        faults: LOSSY,
        bounds: "n0 leads from the start; 1 write, 1 synced read",
        states: Some(17_241),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
            "a read is answered",
            "two proposals are under way",
        ],
        scenario: scenarios::reads,
    },
    Model {
        name: "zab/local-reads",
        size: Size::Gate,
        purpose: "a reader that takes what there is beside a writer",
        faults: LOSSY,
        bounds: "n0 leads from the start; 1 write, 1 read",
        states: Some(345),
        reaches: &[
            "a transaction is delivered",
            "a write is answered",
            "a read is answered",
        ],
        scenario: scenarios::local_reads,
    },
];
