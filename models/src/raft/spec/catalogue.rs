//! The models of Raft that `checks` verifies.

use crate::raft::Raft;
use crate::specification::{Model, Size};

use super::machine::Adder;
use super::scenarios;

const LOSSY: &str = "any loss, duplication and reordering";
const LOSSY_AND_CRASH: &str = "any loss, duplication and reordering; 1 crash, also within a step";

/// Every model of Raft's core.
pub const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/election",
        size: Size::Gate,
        purpose: "elections, and what a crash may not undo",
        faults: LOSSY_AND_CRASH,
        bounds: "terms ≤ 2",
        states: None,
        reaches: &[],
        scenario: || scenarios::election(3, 2, 1),
    },
    Model {
        name: "raft/election-5",
        size: Size::Gate,
        purpose: "two of five nodes stand in one term",
        faults: LOSSY,
        bounds: "terms ≤ 1; n0 and n4 stand",
        states: None,
        reaches: &[],
        scenario: scenarios::election_of_five,
    },
    Model {
        name: "raft/replication",
        size: Size::Gate,
        purpose: "a command is replicated, and what a crash may not undo",
        faults: LOSSY_AND_CRASH,
        bounds: "terms ≤ 1, 1 command",
        states: None,
        reaches: &[],
        scenario: || scenarios::replication(3, 1, 1, &[1]),
    },
    Model {
        name: "raft/divergence",
        size: Size::Gate,
        purpose: "logs that diverge, and leaders that change",
        faults: LOSSY,
        bounds: "from a prepared state; n1 stands for term 2, n0 for 2 and 3",
        states: None,
        reaches: &[],
        scenario: scenarios::divergence,
    },
    Model {
        name: "raft/catch-up",
        size: Size::Gate,
        purpose: "a diverged follower is brought into agreement",
        faults: LOSSY_AND_CRASH,
        bounds: "from a prepared state; n1 stands for term 3; 1 entry an append",
        states: None,
        reaches: &[],
        scenario: scenarios::catch_up,
    },
    Model {
        name: "raft/clients",
        size: Size::Gate,
        purpose: "two clients at once",
        faults: LOSSY,
        bounds: "2 nodes; terms ≤ 1, n0 stands; 2 clients, 1 command each",
        states: None,
        reaches: &[],
        scenario: || scenarios::clients(2, 1, &[1, 1]),
    },
    Model {
        name: "raft/retries",
        size: Size::Gate,
        purpose: "a client that asks again",
        faults: LOSSY,
        bounds: "terms ≤ 1, n0 stands; 1 client, 1 command, asked up to 2 times",
        states: None,
        reaches: &[],
        scenario: || scenarios::clients(3, 2, &[1]),
    },
    Model {
        name: "raft/reads",
        size: Size::Gate,
        purpose: "a reader beside a writer",
        faults: LOSSY,
        bounds: "terms ≤ 1, n0 stands; 1 command, 1 read",
        states: None,
        reaches: &[],
        scenario: || scenarios::reads(&[(0, 1)]),
    },
    Model {
        name: "raft/reads-deposed",
        size: Size::Large,
        purpose: "a reader beside a writer, while the leader changes",
        faults: LOSSY,
        bounds: "n0 stands for term 1, n1 for terms 1 and 2; 1 command, 1 read",
        states: None,
        reaches: &[],
        scenario: || scenarios::reads(&[(0, 1), (1, 2)]),
    },
    Model {
        name: "raft/figure-8",
        size: Size::Large,
        purpose: "why a leader commits no entry of an earlier term by counting replicas",
        faults: LOSSY,
        bounds: "from Figure 8 (c): S1 leads term 4, S5 stands for term 5; 1 entry an append",
        states: None,
        reaches: &[],
        scenario: scenarios::figure_8,
    },
];
