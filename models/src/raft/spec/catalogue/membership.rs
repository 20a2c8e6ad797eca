//! The models of membership changes (§6).

use crate::raft::Raft;
use crate::specification::{Model, Size};
use crate::world::Delivery;

use super::super::machine::Adder;
use super::super::scenarios;
use super::fuzzed::{COMMON, EVERYTHING, joined};
use super::{LOSSY, LOSSY_AND_CRASH};

pub(super) const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/move",
        size: Size::Gate,
        purpose: "a cluster of one moves to a node that has nothing, a change at a time",
        faults: LOSSY_AND_CRASH,
        bounds: "terms ≤ 2; 3 changes, asked up to 2 times",
        states: Some(12_868),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "a joint configuration is committed",
            "a change of voters is done",
            "a learner is promoted",
            "one leader begins a change, another ends it",
            "a leader is no member",
            "a leader has left",
            "a crashed node recovers and catches up",
        ],
        scenario: scenarios::move_house,
    },
    Model {
        name: "raft/grow",
        size: Size::Gate,
        purpose: "a learner of two voters is to vote, while the leader changes",
        faults: LOSSY,
        bounds: "n0 leads term 2 from the start, n1 stands for term 3; 1 change",
        states: Some(77_324),
        reaches: &[
            "the leader changes",
            "a joint configuration is committed",
            "a change of voters is done",
            "a learner is promoted",
            "one leader begins a change, another ends it",
        ],
        scenario: || scenarios::grow(0),
    },
    Model {
        name: "raft/leader-leaves",
        size: Size::Gate,
        purpose: "a leader of three removes itself, while another stands",
        faults: LOSSY,
        bounds: "n0 leads term 1 from the start, n1 stands for term 2; 1 change",
        states: Some(286_580),
        reaches: &[
            "the leader changes",
            "a joint configuration is committed",
            "a change of voters is done",
            "a leader is no member",
            "a leader has left",
        ],
        scenario: || scenarios::leader_leaves(0),
    },
    Model {
        name: "raft/last-but-one",
        size: Size::Gate,
        purpose: "one of two leaves, and is needed until the other can go on alone",
        faults: LOSSY_AND_CRASH,
        bounds: "from a prepared state; terms ≤ 3",
        states: Some(1_491),
        reaches: &[
            "the leader changes",
            "a joint configuration is committed",
            "a change of voters is done",
            "a leader is no member",
            "a leader has left",
        ],
        scenario: scenarios::last_but_one,
    },
    Model {
        name: "raft/replace",
        size: Size::Large,
        purpose: "a learner takes the leader's place, while another stands",
        faults: LOSSY,
        bounds: "n0 leads term 2 from the start, n1 stands for term 3; 1 change",
        states: None,
        reaches: &[
            "the leader changes",
            "a joint configuration is committed",
            "a change of voters is done",
            "a learner is promoted",
            "a leader is no member",
            "a leader has left",
        ],
        scenario: scenarios::replace,
    },
    Model {
        name: "raft/overruled",
        size: Size::Gate,
        purpose: "a change that is begun twice, and truncated once",
        faults: LOSSY,
        bounds: "from a prepared state; n1 leads term 2, n0 stands for term 3; 1 change",
        states: Some(354_871),
        reaches: &[
            "the leader changes",
            "configurations diverge",
            "a joint configuration is committed",
            "a change of voters is done",
        ],
        scenario: scenarios::overruled,
    },
    Model {
        name: "raft/overruled-compacted",
        size: Size::Gate,
        purpose: "a change that is truncated where the configuration before it is in a snapshot alone",
        faults: "1 cut, around n0 from the start",
        bounds: "channels in order, messages beat timers; from a prepared state: n0 leads term 2, its \
                 log compacted, n1 stands for term 3; 1 change, begun",
        states: Some(500),
        reaches: &["the leader changes", "configurations diverge"],
        scenario: scenarios::overruled_compacted,
    },
    Model {
        name: "raft/inherited",
        size: Size::Gate,
        purpose: "a joint configuration whose leader is gone, and two that take over",
        faults: LOSSY,
        bounds: "from a prepared state; n1 leads term 2, n2 stands for term 3",
        states: Some(2_025),
        reaches: &[
            "a joint configuration is committed",
            "a change of voters is done",
            "one leader begins a change, another ends it",
        ],
        scenario: scenarios::inherited,
    },
    Model {
        name: "raft/asked-amid-change",
        size: Size::Gate,
        purpose: "what clients ask while a change of membership is under way",
        faults: "1 cut, around n1 from the start",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, and alone \
                 has the joint configuration by which n2 is to vote; the same change, 1 read, then 1 \
                 at n2",
        states: Some(48_106),
        reaches: &[
            "a joint configuration is committed",
            "a change of voters is done",
            "a read is answered",
            "a follower answers a read",
            "a leader steps down of itself",
        ],
        scenario: scenarios::asked_amid_change,
    },
    Model {
        name: "raft/single-server-change",
        size: Size::Large,
        purpose: "two leaders that change the membership by one server each",
        faults: LOSSY,
        bounds: "from a prepared state; n0 stands for term 3; 1 change",
        states: None,
        reaches: &["the leader changes", "configurations diverge"],
        scenario: scenarios::single_server_change,
    },
    Model {
        name: "raft/changes",
        size: Size::Large,
        purpose: "two of three voters are replaced at once, then the third leaves",
        faults: "any loss, duplication and reordering; 2 crashes, also within a step",
        bounds: "n0 leads term 2 from the start, all stand, up to term 4; 2 changes",
        states: None,
        reaches: &["a joint configuration is committed"],
        scenario: scenarios::changes,
    },
];

/// What the fuzzer of membership changes must have shown beside what is common to all.
const CHANGES: &[&str] = &[
    "a joint configuration is committed",
    "a change of voters is done",
    "a learner is promoted",
    "one leader begins a change, another ends it",
    "a leader is no member",
    "a leader has left",
    "configurations diverge",
];

pub(super) const FUZZED: &[Model<Raft<Adder>>] = &[Model {
    name: "raft/fuzz-members",
    size: Size::Large,
    purpose: "three founders, two nodes that join, changes, two writers and a reader",
    faults: EVERYTHING,
    bounds: "terms ≤ 40; 3 clients, 4 requests each, asked up to 3 times; 6 changes; 2 entries an append, a snapshot each 3",
    states: None,
    reaches: &joined::<{ COMMON.len() + CHANGES.len() }>(COMMON, CHANGES),
    scenario: || scenarios::members_at_large(Delivery::Bag),
}];
