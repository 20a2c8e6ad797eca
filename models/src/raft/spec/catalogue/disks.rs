//! The models of lost disks, and of clusters that meet.

use crate::raft::Raft;
use crate::specification::{Model, Size};

use super::super::machine::Adder;
use super::super::scenarios;

const CONTACT: &str = "any loss, duplication and reordering; 1 crash, also within a step; a disk of \
                       another cluster";

pub(super) const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/lost-disk",
        size: Size::Gate,
        purpose: "a voter that crashes, loses its disk and starts again on an empty one",
        faults: "1 crash, also within a step; 1 disk lost",
        bounds: "channels in order, messages beat timers; terms ≤ 2, 1 command",
        states: Some(114_889),
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "a command is committed",
            "a command is answered",
            "a disk is lost",
            "a node starts on a blank disk",
            "a command is on a quorum without the lost disk",
        ],
        scenario: || scenarios::lost_disk().with_alike(&[0, 1, 2]),
    },
    Model {
        name: "raft/emptied",
        size: Size::Gate,
        purpose: "a write that two of three have acknowledged, of which one has lost its disk since, \
                  and the third knows nothing",
        faults: "2 crashes and 1 lost disk before the start",
        bounds: "channels in order, messages beat timers; from a prepared state; terms ≤ 3; 2 \
                 clients, 1 command each",
        states: Some(416),
        reaches: &[
            "the leader changes",
            "a command is answered",
            "a disk is lost",
            "a node starts on a blank disk",
            "a command is on a quorum without the lost disk",
        ],
        scenario: scenarios::emptied,
    },
    Model {
        name: "raft/lost-and-replaced",
        size: Size::Gate,
        purpose: "a voter that has lost its disk is replaced by another node at once",
        faults: "1 crash and 1 lost disk before the start",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, n1 stands \
                 for term 3; 1 change, 1 command",
        states: Some(9_468),
        reaches: &[
            "a command is answered",
            "a disk is lost",
            "a node starts on a blank disk",
            "a command is on a quorum without the lost disk",
            "a joint configuration is committed",
            "a change of voters is done",
            "a learner is promoted",
        ],
        scenario: scenarios::lost_and_replaced,
    },
    Model {
        name: "raft/lost-and-readmitted",
        size: Size::Gate,
        purpose: "a voter that has lost its disk is to come back under its own id",
        faults: "1 crash and 1 lost disk before the start",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, n1 stands \
                 for term 3; 2 changes",
        states: Some(220),
        reaches: &[
            "a disk is lost",
            "a node starts on a blank disk",
            "a change of voters is done",
            "a node is refused for its other disk",
        ],
        scenario: scenarios::lost_and_readmitted,
    },
    Model {
        name: "raft/two-clusters",
        size: Size::Gate,
        purpose: "a leader of another cluster that has the same name, and other entries",
        faults: CONTACT,
        bounds: "2 nodes; from a prepared state; n1 stands for term 3",
        states: Some(32),
        reaches: &[
            "a leader is elected",
            "a node halts",
            "a node that has halted starts again",
        ],
        scenario: scenarios::two_clusters,
    },
    Model {
        name: "raft/two-states",
        size: Size::Gate,
        purpose: "a leader with the same log and another state",
        faults: CONTACT,
        bounds: "2 nodes; from a prepared state; n1 stands for term 2",
        states: Some(32),
        reaches: &[
            "a leader is elected",
            "a node halts",
            "a node that has halted starts again",
        ],
        scenario: scenarios::two_states,
    },
];
