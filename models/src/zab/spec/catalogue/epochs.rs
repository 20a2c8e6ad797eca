//! Later epochs, and everything together.

use crate::raft::spec::Adder;
use crate::specification::{Model, Size};
use crate::zab::Zab;
use crate::zab::spec::{Oracle, scenarios};

use super::{LOSSY, LOSSY_AND_CRASH};

pub(super) const MODELS: &[Model<Zab<Adder, Oracle>>] = &[
    Model {
        name: "zab/pings-later-epoch",
        size: Size::Gate,
        purpose: "a follower that is behind, and whose last transaction bears the larger counter",
        faults: "2 messages lost",
        bounds: "2 nodes, channels in order, messages beat timers; n0 has led epoch 1, n1 leads epoch 2 \
                 from the start; 1 client of n1, 1 write more",
        states: Some(140),
        reaches: &["a transaction is delivered", "a write is answered", "DIFF"],
        scenario: scenarios::later_epoch,
    },
    Model {
        name: "zab/broadcast-later-epoch",
        size: Size::Gate,
        purpose: "proposals and snapshots where counters have begun anew",
        faults: "any loss and reordering; both nodes have crashed before",
        bounds: "2 nodes; n0 has led epoch 1, n1 leads epoch 2 from the start; 2 clients of n1, 1 write more each; a \
                 snapshot of every transaction",
        states: Some(134),
        reaches: &[
            "a transaction is delivered",
            "a write is answered",
            "two proposals are under way",
        ],
        scenario: scenarios::broadcast_later_epoch,
    },
    Model {
        name: "zab/snap-later-epoch",
        size: Size::Gate,
        purpose: "a follower that needs a snapshot whose last transaction bears the smaller counter",
        faults: "none but what was lost before",
        bounds: "channels in order, messages beat timers; n0 has led epoch 1, n1 leads epoch 2 from the \
                 start; n2 has joined it, and lacks 2 transactions",
        states: Some(45),
        reaches: &["SNAP"],
        scenario: scenarios::snap_later_epoch,
    },
    Model {
        name: "zab/recency-later-epoch",
        size: Size::Gate,
        purpose: "a leader that has joined the last epoch and lacks what was delivered in it, and whose \
                  last transaction bears the larger counter",
        faults: LOSSY,
        bounds: "n0 has led epoch 1, n1 epoch 2; n2 may lead epoch 3; each is told once whom to follow",
        states: Some(66),
        reaches: &["a node stands down for one with a more recent history"],
        scenario: scenarios::recency_later_epoch,
    },
    Model {
        name: "zab/trunc-later-epoch",
        size: Size::Gate,
        purpose: "a tail of an epoch of which the leader has nothing, behind a transaction of an earlier one \
                  that both have",
        faults: LOSSY,
        bounds: "n0 has led epochs 1 and 2, n1 leads epoch 3 from the start; n0 is told once whom to follow",
        states: Some(54),
        reaches: &["TRUNC"],
        scenario: scenarios::trunc_later_epoch,
    },
    Model {
        name: "zab/duplicates",
        size: Size::Gate,
        purpose: "messages that come twice, in every phase",
        faults: "any loss, duplication and reordering",
        bounds: "2 nodes; n0 is named leader; 1 client, 2 writes",
        states: Some(4_425),
        reaches: &[
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
        ],
        scenario: scenarios::duplicates,
    },
    Model {
        name: "zab/reads-again",
        size: Size::Gate,
        purpose: "a reader who wants the latest, and asks again when a sync for it was delivered before; \
                  what is passed on for it is lost",
        faults: "1 message lost; both nodes have crashed before",
        bounds: "2 nodes, channels in order, messages beat timers; n0 has led epoch 1, and leads epoch \
                 2 from the start; 1 synced read, asked up to 2 times more",
        states: Some(649),
        reaches: &["a read is answered"],
        scenario: scenarios::reads_again,
    },
    Model {
        name: "zab/forged-epochs",
        size: Size::Gate,
        purpose: "epochs out of reach, said by a follower and by a leader",
        faults: "any loss and reordering; a disk that says what cannot be",
        bounds: "n0 has accepted the last epoch but one; n0 and n1 may lead; each is told once whom to \
                 follow",
        states: Some(122),
        reaches: &["a leader is established"],
        scenario: scenarios::forged_epochs,
    },
    Model {
        name: "zab/restarted",
        size: Size::Gate,
        purpose: "a leader that begins anew with one who follows it still",
        faults: LOSSY,
        bounds: "2 of 3 nodes; n0 leads up to epoch 2; they are told 3 and 2 times whom to follow",
        states: Some(899),
        reaches: &["a leader is established"],
        scenario: scenarios::restarted,
    },
    Model {
        name: "zab/asked-again",
        size: Size::Gate,
        purpose: "the old leader's tail, and the same command again in its place",
        faults: LOSSY,
        bounds: "n0 has led epoch 1; n1 leads epoch 2; the client of the tail asks again",
        states: Some(10_622),
        reaches: &[
            "a leader is established",
            "the leader changes",
            "a later leader broadcasts a command again",
            "histories diverge",
            "TRUNC",
        ],
        scenario: || scenarios::trunc(2, 0),
    },
    Model {
        name: "zab/overwrite",
        size: Size::Large,
        purpose: "the old leader's tail, and new transactions in its place",
        faults: LOSSY_AND_CRASH,
        bounds: "n0 has led epoch 1; n1 leads epoch 2; the client of the tail asks again",
        states: None,
        reaches: &[
            "a leader is established",
            "the leader changes",
            "a later leader broadcasts a command again",
            "histories diverge",
            "TRUNC",
        ],
        scenario: || scenarios::trunc(2, 1),
    },
    Model {
        name: "zab/handover",
        size: Size::Large,
        purpose: "the leader changes under a writer and a reader",
        faults: LOSSY,
        bounds: "n0 leads epoch 1 from the start; n1 leads epoch 2; 1 write, 1 synced read",
        states: None,
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "the leader changes",
            "two nodes try to lead at once",
            "two leaders are established at once, in different epochs",
            "a transaction is delivered",
            "a transaction of an earlier epoch is delivered in a later",
            "a write is answered",
            "a read is answered",
            "two proposals are under way",
        ],
        scenario: scenarios::handover,
    },
    Model {
        name: "zab/everything",
        size: Size::Large,
        purpose: "all phases, from a cold start",
        faults: LOSSY_AND_CRASH,
        bounds: "all three may lead up to epoch 3; nodes are told 3 times whom to follow; 1 client, 2 writes",
        states: None,
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "two nodes try to lead at once",
        ],
        scenario: scenarios::everything,
    },
];
