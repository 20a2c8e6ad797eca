//! The models of the log's two ends: what is compacted away, and what is under way.

use crate::raft::Raft;
use crate::specification::{Model, Size};

use super::super::compacted;
use super::super::machine::{Adder, parties};
use super::{LOSSY, LOSSY_AND_CRASH};

pub(super) const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/compaction",
        size: Size::Gate,
        purpose: "snapshots taken at any time, and what is left after a crash",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes; n0 stands, terms ≤ 2; 1 command, asked up to 2 times; a snapshot an entry",
        states: Some(61_361),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "a command is committed",
            "a command is answered",
            "a retried command is in the log twice",
            "a snapshot is taken",
            "a log is discarded",
            "a node starts from a snapshot and catches up",
        ],
        scenario: compacted::compaction,
    },
    Model {
        name: "raft/trailing",
        size: Size::Gate,
        purpose: "snapshots that are due now and then, and entries that stay behind them",
        faults: "1 message lost",
        bounds: "2 nodes; channels in order, messages beat timers; n0 leads term 1 from the start; \
                 3 commands; a snapshot each 2 entries, 1 entry trails it",
        states: Some(504),
        reaches: &[
            "a command is answered",
            "a snapshot is taken",
            "a log is discarded",
        ],
        scenario: compacted::trailing,
    },
    Model {
        name: "raft/install",
        size: Size::Gate,
        purpose: "a follower behind a compacted log, and crashes on either side",
        faults: LOSSY_AND_CRASH,
        bounds: "n0 leads term 2 from the start, its log compacted; 1 command, in the log twice",
        states: Some(6_698),
        reaches: &[
            "a snapshot is taken",
            "a log is discarded",
            "a leader's snapshot is installed",
            "a crashed node recovers and catches up",
        ],
        scenario: compacted::install,
    },
    Model {
        name: "raft/install-guarded",
        size: Size::Gate,
        purpose: "a snapshot for a node that stands by its leader, and counts for it",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, its log compacted; n1 \
                 stands for term 3; 1 command",
        states: Some(4_328),
        reaches: &[
            "a leader's snapshot is installed",
            "the leader changes",
            "a leader steps down of itself",
        ],
        scenario: compacted::install_guarded,
    },
    Model {
        name: "raft/install-overtaken",
        size: Size::Gate,
        purpose: "a follower that has what a snapshot replaces when that comes, and more",
        faults: LOSSY,
        bounds: "n0 leads term 2 from the start, and compacts its log; 1 command",
        states: Some(39_198),
        reaches: &[
            "a snapshot is taken",
            "a log is discarded",
            "a snapshot comes to who has more",
        ],
        scenario: compacted::install_overtaken,
    },
    Model {
        name: "raft/install-chunks",
        size: Size::Gate,
        purpose: "a snapshot in chunks, while the leader takes another",
        faults: LOSSY,
        bounds: "n0, the only voter, leads term 2 from the start, its log compacted; n1 learns; another command; 7 bytes a chunk",
        states: Some(98_065),
        reaches: &[
            "a part of a snapshot has arrived",
            "a leader's snapshot is installed",
        ],
        scenario: compacted::install_chunks,
    },
    Model {
        name: "raft/install-member",
        size: Size::Gate,
        purpose: "a node joins a compacted cluster, and votes, while its leader compacts on",
        faults: LOSSY_AND_CRASH,
        bounds: "n0 alone, n0 stands, terms ≤ 2; n1 learns, and votes; a snapshot an entry",
        states: Some(38_959),
        reaches: &[
            "a leader's snapshot is installed",
            "a crashed node recovers and catches up",
            "a learner is promoted",
        ],
        scenario: compacted::install_member,
    },
    Model {
        name: "raft/install-sessions",
        size: Size::Gate,
        purpose: "sessions that expire, and a learner that has them from a snapshot",
        faults: "1 answer lost",
        bounds: "channels in order, messages beat timers; n0, the only voter, leads term 2 from \
                 the start, a snapshot an entry, 1 session kept; n1 learns; 2 clients, 1 command each, \
                 and 1 read at n1, asked up to twice",
        states: Some(214_949),
        reaches: &[
            "a session expires",
            "a leader's snapshot is installed",
            "a retry finds its session expired",
        ],
        scenario: compacted::sessions_installed,
    },
    Model {
        name: "raft/install-reads",
        size: Size::Gate,
        purpose: "a learner that is sent a snapshot, and a client that reads there",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; n0, the only voter, leads term 2 from \
                 the start, its log compacted; n1 learns; 1 read there, asked up to \
                 2 times; 6 bytes a chunk",
        states: Some(1_463),
        reaches: &[
            "a part of a snapshot has arrived",
            "a leader's snapshot is installed",
            "a follower has yet to apply what a read needs",
            "a follower answers a read",
        ],
        scenario: compacted::install_reads,
    },
    Model {
        name: "raft/install-counted",
        size: Size::Gate,
        purpose: "a learner that takes snapshots of its own, and is sent one when the next is not due",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; n0, the only voter, leads term 2 from \
                 the start, a snapshot an entry; n1 learns, 1 entry an append, a snapshot each 3; \
                 1 command",
        states: Some(421),
        reaches: &[
            "a command is answered",
            "a snapshot is taken",
            "a log is discarded",
        ],
        scenario: compacted::install_counted,
    },
    Model {
        name: "raft/install-deposed",
        size: Size::Large,
        purpose: "a snapshot in chunks, while the leader changes",
        faults: LOSSY,
        bounds: "n0 leads term 2 from the start, n1 stands for term 3; another command; 12 bytes a chunk",
        states: None,
        reaches: &[
            "the leader changes",
            "a part of a snapshot has arrived",
            "a leader's snapshot is installed",
        ],
        scenario: compacted::install_deposed,
    },
    Model {
        name: "raft/pipelining",
        size: Size::Gate,
        purpose: "appends that overtake each other and get lost",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes; n0 leads term 1 from the start; 3 commands; 1 entry an append, 2 at a time",
        states: Some(115_270),
        reaches: &[
            "a command is answered",
            "an append is sent while another is under way",
            "a lost append is noticed",
        ],
        scenario: || {
            compacted::pipelining(&[1, 1, 1], 1).with_alike_clients(parties(&[&[0], &[1], &[2]]))
        },
    },
    Model {
        name: "raft/pipelining-by-weight",
        size: Size::Gate,
        purpose: "appends that are held back by what is under way",
        faults: "any loss and reordering",
        bounds: "2 nodes; n0 leads term 1 from the start; 3 commands; 1 entry an append, 3 at a \
                 time, of the weight of 2 entries",
        states: Some(66_704),
        reaches: &[
            "a command is answered",
            "an append is sent while another is under way",
            "a lost append is noticed",
        ],
        scenario: || {
            compacted::pipelining_by_weight().with_alike_clients(parties(&[&[0], &[1], &[2]]))
        },
    },
    Model {
        name: "raft/pipelined-clients",
        size: Size::Gate,
        purpose: "a client that asks again and a reader, while appends overtake each other",
        faults: LOSSY,
        bounds: "2 nodes; n0 leads term 1 from the start; 1 command, 1 read, each asked up to 2 \
                 times; 1 entry an append, 2 at a time",
        states: Some(12_264),
        reaches: &[
            "a command is answered",
            "a read is answered",
            "a retried command is in the log twice",
            "an append is sent while another is under way",
            "a lost append is noticed",
        ],
        scenario: compacted::pipelined_clients,
    },
];
