//! The beginning, and discovery: what is promised, and whose history is the most recent.

use crate::raft::spec::Adder;
use crate::specification::{Model, Size};
use crate::world::Delivery;
use crate::zab::Zab;
use crate::zab::spec::{Oracle, scenarios};

use super::{LOSSY, LOSSY_AND_CRASH};

pub(super) const MODELS: &[Model<Zab<Adder, Oracle>>] = &[
    Model {
        name: "zab/start",
        size: Size::Gate,
        purpose: "from a cold start to the first commit",
        faults: LOSSY,
        bounds: "n0 is named leader; 1 client, 1 write",
        states: Some(1_308),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
        ],
        scenario: || scenarios::start(Delivery::Bag),
    },
    Model {
        name: "zab/lost-disk",
        size: Size::Gate,
        purpose: "a member that crashes, loses its disk and starts again on an empty one, and one \
                  that lacks what the two others have delivered",
        faults: "1 crash, also between any two records of a step; 1 disk lost",
        bounds: "channels in order; n0 leads epoch 1 from the start, n2 up to 2; n1 and n2 are told once more whom \
                 to follow; 1 client, 1 write",
        states: Some(26_102),
        reaches: &[
            "a write is answered",
            "a disk is lost",
            "a node starts on a blank disk",
            "a transaction is delivered beside a lost disk by all the others",
        ],
        scenario: scenarios::lost_disk,
    },
    Model {
        name: "zab/two-ensembles",
        size: Size::Gate,
        purpose: "a leader of another ensemble, with another history",
        faults: "any loss and reordering; 1 crash, also between any two records of a step; a disk \
                 of another ensemble",
        bounds: "2 nodes; from a prepared state; n1 leads up to epoch 3",
        states: Some(1_579),
        reaches: &["a node halts"],
        scenario: scenarios::two_ensembles,
    },
    Model {
        name: "zab/two-ensembles-later",
        size: Size::Gate,
        purpose: "a leader of another ensemble, and what it lets stay bears the larger counter and the earlier \
                  epoch",
        faults: "any loss and reordering; 1 crash, also between any two records of a step; a disk \
                 of another ensemble",
        bounds: "2 nodes; from a prepared state; n1 leads up to epoch 4",
        states: Some(1_579),
        reaches: &["a node halts"],
        scenario: scenarios::two_ensembles_later,
    },
    Model {
        name: "zab/discovery",
        size: Size::Gate,
        purpose: "two nodes are named leaders at once, by an election that is no help",
        faults: LOSSY,
        bounds: "n0 leads up to epoch 1, n2 up to 2; nodes are told 2, 3 and 2 times whom to follow",
        states: Some(176_602),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "the leader changes",
            "two nodes try to lead at once",
            "two leaders are established at once, in different epochs",
            "a node stands down for one with a more recent history",
        ],
        scenario: || scenarios::discovery(&[2, 3, 2], &[(0, 1), (2, 2)], 0),
    },
    Model {
        name: "zab/discovery-crash",
        size: Size::Gate,
        purpose: "promises and epochs that a crash may not undo",
        faults: LOSSY_AND_CRASH,
        bounds: "n0 leads up to epoch 2; nodes are told 2 times whom to follow",
        states: Some(63_859),
        reaches: &["a leader is established", "all nodes broadcast"],
        scenario: || scenarios::discovery(&[2, 2, 2], &[(0, 2)], 1),
    },
    Model {
        name: "zab/promise-stands",
        size: Size::Gate,
        purpose: "a follower that has promised an epoch, and says it again",
        faults: "1 crash",
        bounds: "5 nodes, channels in order; n0 leads epoch 1; nodes are told 1, 2, 1, 0 and 0 times whom \
                 to follow",
        states: Some(1_420),
        reaches: &["a leader is established"],
        scenario: scenarios::promise_stands,
    },
    Model {
        name: "zab/recency",
        size: Size::Gate,
        purpose: "a leader whose history is longer, and of an epoch that came to nothing",
        faults: LOSSY,
        bounds: "from a prepared state; n0 leads up to epoch 3; nodes are told 2, 1 and 2 times whom to follow",
        states: Some(18_126),
        reaches: &[
            "a leader is established",
            "the leader changes",
            "two nodes try to lead at once",
            "a node stands down for one with a more recent history",
            "a transaction is delivered",
            "histories diverge",
            "DIFF",
            "TRUNC",
        ],
        scenario: scenarios::recency,
    },
];
