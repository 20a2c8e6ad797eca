//! The models of disks that take their time, and of heartbeats that do not wait for them.

use super::super::buffered;
use super::super::machine::Adder;
use super::LOSSY;
use crate::raft::Raft;
use crate::specification::{Model, Size};

const SLOW_AND_CRASH: &str = "any loss, duplication and reordering; disks as slow as they will, 1 \
                              crash, which loses what is not on disk";

pub(super) const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/buffered-election",
        size: Size::Gate,
        purpose: "elections, while heartbeats overtake what waits for the disks",
        faults: SLOW_AND_CRASH,
        bounds: "n0 and n1 may stand for term 1",
        states: Some(10_513),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "a heartbeat overtakes what waits for the disk",
            "a crashed node recovers and catches up",
        ],
        scenario: || buffered::election(&[(0, 1), (1, 1)]),
    },
    Model {
        name: "raft/buffered-replication",
        size: Size::Gate,
        purpose: "a command is replicated, while heartbeats overtake what waits for the disks",
        faults: SLOW_AND_CRASH,
        bounds: "n0 leads term 1 from the start, 1 command, asked at n0",
        states: Some(45_851),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "a command is committed",
            "a command is answered",
            "a heartbeat overtakes what waits for the disk",
            "a crashed node recovers and catches up",
        ],
        scenario: buffered::replication,
    },
    Model {
        name: "raft/buffered-divergence",
        size: Size::Gate,
        purpose: "a heartbeat reaches a node whose log has parted from the leader's",
        faults: LOSSY,
        bounds: "from a prepared state; n1 stands for term 2",
        states: Some(255),
        reaches: &["a leader is elected", "an entry is committed"],
        scenario: buffered::divergence,
    },
    Model {
        name: "raft/buffered-reads",
        size: Size::Gate,
        purpose: "a read is confirmed by answers to heartbeats, which no disk has, while the leader \
                  changes",
        faults: "disks as slow as they will",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, and n1 \
                 stands for term 2; 1 command at n1, 1 read at n0",
        states: Some(187_122),
        reaches: &[
            "the leader changes",
            "two nodes lead at once, in different terms",
            "a command is answered",
            "a read is answered",
        ],
        scenario: buffered::reads,
    },
    Model {
        name: "raft/buffered-reads-deposed",
        size: Size::Gate,
        purpose: "a leader that has been deposed reads, while those who have voted may crash",
        faults: "disks as slow as they will, 1 crash, which loses what is not on disk",
        bounds: "channels in order, messages beat timers; n0 leads term 1 and n1 term 2 from the \
                 start; 1 command at n1, 1 read at n0",
        states: Some(209_635),
        reaches: &[
            "two nodes lead at once, in different terms",
            "a command is answered",
            "a crashed node recovers and catches up",
        ],
        scenario: buffered::reads_deposed,
    },
    Model {
        name: "raft/buffered-check-quorum",
        size: Size::Gate,
        purpose: "who counts answers which no disk has, with PreVote and CheckQuorum",
        faults: SLOW_AND_CRASH,
        bounds: "n0 leads term 1 from the start, and nobody else may stand",
        states: Some(12_854),
        reaches: &["an entry is committed", "a leader steps down of itself"],
        scenario: buffered::check_quorum,
    },
];
