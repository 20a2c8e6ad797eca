//! The models of the counter that `checks` verifies.

use crate::counter::Counter;
use crate::specification::{Model, Size};

use super::folding;
use super::scenarios::{self, Limits, parties};

const LOSSY: &str = "any loss, duplication and reordering";
const LOSSY_AND_CRASH: &str = "any loss, duplication and reordering; 1 crash, also within a step";

/// Every model of the counter that can be walked.
pub const MODELS: &[&[Model<Counter>]] = &[EXCHANGE, SERVICE, folding::MODELS, LARGE];

/// How replicas come to agree.
const EXCHANGE: &[Model<Counter>] = &[
    Model {
        name: "counter/deltas",
        size: Size::Gate,
        purpose: "deltas are sent until acknowledged, and what a crash may not undo",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes, no push-pull; 2 clients, 3 increments",
        states: Some(29_720),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
        ],
        scenario: || scenarios::counting(2, &[2, 1], Limits::DELTAS, 1),
    },
    Model {
        name: "counter/deltas-3",
        size: Size::Gate,
        purpose: "deltas among three",
        faults: LOSSY,
        bounds: "no push-pull; 2 clients, 1 increment each",
        states: Some(2_137),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
        ],
        scenario: || {
            scenarios::counting(3, &[1, 1], Limits::DELTAS, 0)
                .with_alike(&[0, 1, 2])
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/push-pull",
        size: Size::Gate,
        purpose: "whole states are exchanged, and what a crash may not undo",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes, no deltas; 2 clients, 1 increment each",
        states: Some(12_996),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
        ],
        scenario: || {
            scenarios::counting(2, &[1, 1], Limits::PUSH_PULL, 1)
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/push-pull-later",
        size: Size::Gate,
        purpose: "states of which neither is the other's past",
        faults: LOSSY,
        bounds: "2 nodes, no deltas; 2 clients, 3 increments",
        states: Some(65_620),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
        ],
        scenario: || scenarios::counting(2, &[2, 1], Limits::PUSH_PULL, 0),
    },
    Model {
        name: "counter/push-pull-3",
        size: Size::Gate,
        purpose: "what one has heard from another it passes on",
        faults: LOSSY,
        bounds: "3 nodes, no deltas, n0 begins push-pull; 2 clients, 1 increment each",
        states: Some(4_102),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
        ],
        scenario: || {
            scenarios::counting(3, &[1, 1], Limits::new(0, 1), 0)
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/both",
        size: Size::Gate,
        purpose: "deltas and push-pull side by side",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes; 1 client, 1 increment",
        states: Some(1_524),
        reaches: &[
            "an increment is acknowledged",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
        ],
        scenario: || scenarios::counting(2, &[1], Limits::ALL, 1),
    },
    Model {
        name: "counter/connections",
        size: Size::Gate,
        purpose: "connections that break with a node and lose what is under way",
        faults: "1 cut, 1 drop, 1 crash, also within a step",
        bounds: "channels in order, messages beat timers; 2 nodes, no push-pull; 2 clients, 1 \
                 increment each",
        states: Some(11_544),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
        ],
        scenario: || {
            scenarios::connected(2, &[1, 1], Limits::DELTAS, 1, 1, 1)
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/turns",
        size: Size::Gate,
        purpose: "whole states are exchanged with each of several members in turn",
        faults: "none",
        bounds: "channels in order, messages beat timers; 4 nodes, no deltas, n0 begins push-pull; 1 client, \
                 1 increment",
        states: Some(89),
        reaches: &[
            "an increment is acknowledged",
            "all replicas agree on what all clients have counted",
        ],
        scenario: || scenarios::connected(4, &[1], Limits::new(0, 1), 0, 0, 0),
    },
    Model {
        name: "counter/partition",
        size: Size::Gate,
        purpose: "links that are cut, one way or around a node, and healed",
        faults: "1 cut",
        bounds: "channels in order, messages beat timers; 3 nodes, n0 begins push-pull; 1 \
                 client, 1 increment",
        states: Some(3_469),
        reaches: &[
            "an increment is acknowledged",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
        ],
        scenario: || scenarios::connected(3, &[1], Limits::new(3, 1), 0, 1, 0),
    },
    Model {
        name: "counter/torn-frames",
        size: Size::Gate,
        purpose: "the counter needs no more of its disk than the order of the records",
        faults: "any loss, duplication and reordering; 1 crash, between any two records",
        bounds: "2 nodes, no push-pull; 1 client, 2 increments",
        states: Some(978),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
        ],
        scenario: scenarios::torn_frames,
    },
];

/// What replicas do for clients and hosts.
const SERVICE: &[Model<Counter>] = &[
    Model {
        name: "counter/retries",
        size: Size::Gate,
        purpose: "a client that hears no answer and asks again, here or elsewhere",
        faults: "any loss, duplication and reordering; 1 crash, also within a step; 1 answer lost",
        bounds: "2 nodes, no push-pull; 1 client, 2 increments, each asked up to 3 times",
        states: Some(11_162),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
            "a retry is not counted again",
            "a retry elsewhere is counted again",
        ],
        scenario: scenarios::retries,
    },
    Model {
        name: "counter/overtaken",
        size: Size::Gate,
        purpose: "a client whose requests overtake each other",
        faults: "any loss, duplication and reordering; 1 answer lost",
        bounds: "2 nodes, no push-pull; 1 client, 2 increments, each asked up to 2 times",
        states: Some(1_593),
        reaches: &[
            "an increment is acknowledged",
            "a retry is not counted again",
            "a request comes after a later one of its client",
            "an increment is refused for good",
        ],
        scenario: scenarios::overtaken,
    },
    Model {
        name: "counter/sessions",
        size: Size::Gate,
        purpose: "more clients than there is room for",
        faults: LOSSY,
        bounds: "2 nodes that remember 1 client each, no push-pull; 2 clients, 1 increment each",

        states: Some(145),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "a client is forgotten",
        ],
        scenario: || scenarios::sessions().with_alike_clients(parties(&[&[0], &[1]])),
    },
    Model {
        name: "counter/crowded",
        size: Size::Gate,
        purpose: "clients that come again and again, at a replica that has room for all but one",
        faults: "none",
        bounds: "1 node that remembers 2 clients; 3 clients, 2 increments each",
        states: Some(271),
        reaches: &["an increment is acknowledged", "a client is forgotten"],
        scenario: scenarios::crowded,
    },
    Model {
        name: "counter/crowded-refused",
        size: Size::Gate,
        purpose: "a client that is refused where there is no room: nobody is forgotten for it",
        faults: "none",
        bounds: "1 node that remembers 1 client; 3 clients, 1 increment each, one of nothing",
        states: Some(16),
        reaches: &[
            "an increment is acknowledged",
            "an increment is refused for good",
        ],
        scenario: scenarios::crowded_refused,
    },
    Model {
        name: "counter/window",
        size: Size::Gate,
        purpose: "buckets that expire while deltas about them are under way",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; a window of 2 buckets of 10; 2 clients that count at 1 \
                 and 25, and at 15; the window read at 15",
        states: Some(36_112),
        reaches: &[
            "a bucket has expired",
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "a window tells what two replicas have counted in two buckets",
        ],
        scenario: || scenarios::windowed(2, &[&[1, 25], &[15]], 15, Limits::DELTAS),
    },
    Model {
        name: "counter/window-part",
        size: Size::Gate,
        purpose: "a part of the window is asked for",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; a window of 2 buckets of 10; 2 clients that count at 5 and \
                 at 15; the running bucket alone read at 15",
        states: Some(1_120),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
        ],
        scenario: scenarios::window_part,
    },
    Model {
        name: "counter/mixed-windows",
        size: Size::Gate,
        purpose: "nodes whose windows are not the same, and what they merge all the same",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; a window of 2 buckets of 10 beside one of 2 buckets of 4; 2 \
                 clients that count at 1 and at 5; the window read at 5",
        states: Some(1_062),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
        ],
        scenario: scenarios::mixed_windows,
    },
    Model {
        name: "counter/overflow",
        size: Size::Gate,
        purpose: "components that are as large as can be, and a sum that is larger",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; both have counted to 2⁶⁴ − 3; a client that counts 2, 0 \
                 and 2, and one that reads",
        states: Some(6_988),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "the value exceeds 64 bits",
            "a component is as large as it can be",
            "an increment is refused for good",
        ],
        scenario: || scenarios::overflowing(Limits::DELTAS),
    },
    Model {
        name: "counter/window-lost-disk",
        size: Size::Gate,
        purpose: "answers to what a replica knew before it lost its disk",
        faults: "any loss, duplication and reordering; 1 crash, 1 disk lost",
        bounds: "2 nodes, push-pull alone; 1 client, 1 increment; 1 read of the window",
        states: Some(20_966),
        reaches: &[
            "an increment is acknowledged",
            "a bucket has expired",
            "what a crashed node has counted is known elsewhere",
            "the component of a node that is gone still counts",
        ],
        scenario: scenarios::window_lost_disk,
    },
    Model {
        name: "counter/leaving-window",
        size: Size::Gate,
        purpose: "a bucket that a node passes on when it leaves, to one that has lost the total",
        faults: "1 message lost, 1 crash, 1 disk lost",
        bounds: "channels in order, messages beat timers; 3 nodes, n0 and n1 send deltas, n0 begins \
                 push-pull; n1 is to leave",
        states: Some(31_478),
        reaches: &["the component of a node that is gone still counts"],
        scenario: scenarios::leaving_window,
    },
    Model {
        name: "counter/leaving-expiry",
        size: Size::Gate,
        purpose: "a bucket that a node is to pass on as it leaves, and that expires meanwhile",
        faults: "none",
        bounds: "channels in order, messages beat timers; 3 nodes, n0 and n1 send deltas, n0 begins \
                 push-pull; n1 is to leave; the window read there at 35",
        states: Some(1_521),
        reaches: &["a node is told that it may leave"],
        scenario: scenarios::leaving_expiry,
    },
    Model {
        name: "counter/identities",
        size: Size::Gate,
        purpose: "names for empty disks, and for those that replace lost ones",
        faults: "any loss and reordering; 1 crash, 1 disk lost",
        bounds: "2 nodes, n0 begins push-pull; 1 client, 2 increments; 2 incarnations drawn",
        states: Some(66_236),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
            "a node counts again under a new name after its disk was lost",
            "the component of a node that is gone still counts",
        ],
        scenario: || scenarios::identities(2, 2, &[2], Limits::new(0, 1)),
    },
    Model {
        name: "counter/set-back",
        size: Size::Gate,
        purpose: "a disk that was set back, and a name of which others know more",
        faults: "any loss, duplication and reordering; 1 disk set back before",
        bounds: "2 nodes, no push-pull; 1 client of n0, 2 increments; 2 incarnations drawn, one of them used \
                 before",
        states: Some(1_836),
        reaches: &[
            "an increment is acknowledged",
            "a node counts under a new name after its disk was set back",
            "what was counted under a name that was set back is lost",
        ],
        scenario: scenarios::set_back,
    },
    Model {
        name: "counter/membership",
        size: Size::Gate,
        purpose: "a node that is gone, as far as its peers know, and back again",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; 2 clients, 1 increment each; n1 is gone and back",
        states: Some(3_509),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "the component of a node that is gone still counts",
        ],
        scenario: || {
            scenarios::membership(2, 1, &[1, 1], Limits::DELTAS)
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/leaving",
        size: Size::Gate,
        purpose: "a node that leaves for good, and takes its disk with it",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes, no push-pull; 2 clients, 1 increment each; one node is to leave",
        states: Some(35_136),
        reaches: &[
            "an increment is acknowledged",
            "two replicas count under their own names",
            "replicas differ",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "what a crashed node has counted is known elsewhere",
            "a node has told all that it knows and may leave",
        ],
        scenario: || {
            scenarios::leaving(2, &[1, 1], Limits::DELTAS)
                .with_alike_clients(parties(&[&[0], &[1]]))
        },
    },
    Model {
        name: "counter/leaving-3",
        size: Size::Gate,
        purpose: "a node that leaves and has counted nothing: it may know what no other has heard",
        faults: "none",
        bounds: "channels in order, messages beat timers; 3 nodes, no push-pull; 1 client, 1 increment \
                 at n0; n1 is to leave",
        states: Some(64),
        reaches: &[
            "an increment is acknowledged",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "a node has told all that it knows and may leave",
        ],
        scenario: scenarios::leaving_3,
    },
    Model {
        name: "counter/leaving-retries",
        size: Size::Gate,
        purpose: "a client that hears no answer, and asks again when the node is about to leave",
        faults: "any loss, duplication and reordering; 1 crash, also within a step; 1 answer lost",
        bounds: "2 nodes, no push-pull; 1 client, 1 increment, asked up to 2 times; one node is to \
                 leave",
        states: Some(50_044),
        reaches: &[
            "an increment is acknowledged",
            "a retry is not counted again",
            "a node has told all that it knows and may leave",
        ],
        scenario: scenarios::leaving_retries,
    },
    Model {
        name: "counter/leaving-alone",
        size: Size::Gate,
        purpose: "a node that is to leave, and thinks that there is nobody else",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; 1 client, 1 increment; n1 is gone and back; one node is \
                 to leave",
        states: Some(1_365),
        reaches: &[
            "an increment is acknowledged",
            "all replicas agree on what all clients have counted",
            "nobody owes anything any more",
            "a node has told all that it knows and may leave",
            "a node that wants to leave knows of nobody",
        ],
        scenario: scenarios::leaving_alone,
    },
];

/// Those that take minutes, or more memory than there is.
const LARGE: &[Model<Counter>] =
    &[
        Model {
            name: "counter/large-2",
            size: Size::Large,
            purpose: "deltas and push-pull side by side, and two that count",
            faults: LOSSY_AND_CRASH,
            bounds: "2 nodes; 2 clients, 1 increment each",
            states: None,
            reaches: &[
                "an increment is acknowledged",
                "two replicas count under their own names",
                "replicas differ",
            ],
            scenario: || {
                scenarios::counting(2, &[1, 1], Limits::ALL, 1)
                    .with_alike_clients(parties(&[&[0], &[1]]))
            },
        },
        Model {
            name: "counter/large-3",
            size: Size::Large,
            purpose: "three that count, lose connections and crash",
            faults: "1 crash, also within a step; 1 cut",
            bounds: "channels in order, messages beat timers; 3 nodes; 2 clients, 1 increment each",
            states: None,
            reaches: &[
                "an increment is acknowledged",
                "two replicas count under their own names",
                "replicas differ",
            ],
            scenario: || {
                scenarios::connected(3, &[1, 1], Limits::ALL, 1, 1, 0)
                    .with_alike_clients(parties(&[&[0], &[1]]))
            },
        },
        Model {
            name: "counter/large-4",
            size: Size::Large,
            purpose: "four nodes in two data centres, and three clients",
            faults: LOSSY_AND_CRASH,
            bounds: "4 nodes, n0 begins push-pull; 3 clients, 1 increment each",
            states: None,
            reaches: &[
                "an increment is acknowledged",
                "two replicas count under their own names",
                "replicas differ",
            ],
            scenario: || {
                scenarios::counting(4, &[1, 1, 1], Limits::new(4, 1), 1)
                    .with_alike_clients(parties(&[&[0], &[1], &[2]]))
            },
        },
    ];
