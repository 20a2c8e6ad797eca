//! The models of who leads, and for how long: PreVote and CheckQuorum.

use super::super::machine::{Adder, parties};
use super::super::scenarios::{self, leadership};
use super::LOSSY;
use crate::raft::Raft;
use crate::specification::{Model, Size};
use crate::world::Delivery;

pub(super) const MODELS: &[Model<Raft<Adder>>] = &[
    Model {
        name: "raft/pre-vote",
        size: Size::Gate,
        purpose: "elections with PreVote",
        faults: LOSSY,
        bounds: "n0 may stand as far as term 2, n1 for term 1",
        states: Some(29_135),
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "two nodes lead at once, in different terms",
            "an entry is committed",
            "an entry of an earlier term is committed",
            "logs diverge",
        ],
        scenario: leadership::pre_vote,
    },
    Model {
        name: "raft/disruption",
        size: Size::Gate,
        purpose: "a node that cannot win, beside a leader and a quorum that hears it",
        faults: LOSSY,
        bounds: "n0 leads term 1 from the start, n1 hears it; n2 may stand as far as term 3",
        states: Some(402),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "a node asks for pre-votes while a quorum hears the leader",
        ],
        scenario: leadership::disruption,
    },
    Model {
        name: "raft/mixed-terms",
        size: Size::Gate,
        purpose: "nodes of different terms that need each other's pre-votes",
        faults: LOSSY,
        bounds: "from a prepared state; n1 may stand as far as term 4",
        states: Some(4_635),
        reaches: &[
            "a leader is elected",
            "an entry is committed",
            "an entry of an earlier term is committed",
        ],
        scenario: leadership::mixed_terms,
    },
    Model {
        name: "raft/check-quorum",
        size: Size::Gate,
        purpose: "a leader that is cut off, and who writes and reads meanwhile",
        faults: "1 cut, around the leader from the start",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, n1 may \
                 stand for term 2; 1 command, 1 read",
        states: Some(90_873),
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "two nodes lead at once, in different terms",
            "an entry is committed",
            "a command is committed",
            "an entry of an earlier term is committed",
            "logs diverge",
            "a command is answered",
            "a read is answered",
            "a leader steps down of itself",
        ],
        scenario: leadership::check_quorum,
    },
    Model {
        name: "raft/check-quorum-learner",
        size: Size::Gate,
        purpose: "a leader whom a learner answers, and no other voter",
        faults: "1 cut, around n1 from the start",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, n1 votes, n2 \
                 learns",
        states: Some(117),
        reaches: &["an entry is committed", "a leader steps down of itself"],
        scenario: scenarios::heard_by_a_learner,
    },
    Model {
        name: "raft/returning",
        size: Size::Gate,
        purpose: "a node that was cut off and returns",
        faults: "1 cut",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, n1 and \
                 n2 may stand for term 2",
        states: Some(104_734),
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "two nodes lead at once, in different terms",
            "an entry is committed",
            "an entry of an earlier term is committed",
            "a leader steps down of itself",
            "a node asks for pre-votes while a quorum hears the leader",
        ],
        scenario: leadership::returning,
    },
    Model {
        name: "raft/transfer",
        size: Size::Gate,
        purpose: "leadership that is handed over, while a client writes",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, n1 is \
                 to lead term 2; 1 command, 1 transfer",
        states: Some(45_355),
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "two nodes lead at once, in different terms",
            "a command is committed",
            "a command is answered",
            "leadership is transferred",
            "a transfer is given up",
        ],
        scenario: leadership::transfer,
    },
    Model {
        name: "raft/transfer-to-restarted",
        size: Size::Gate,
        purpose: "leadership that is handed over to a node that has just started",
        faults: "1 crash",
        bounds: "2 nodes, channels in order, messages beat timers; n0 leads term 1 from the start, n1 is to lead term \
                 2; 1 transfer",
        states: Some(182),
        reaches: &["leadership is transferred", "the leader changes"],
        scenario: leadership::transfer_to_restarted,
    },
    Model {
        name: "raft/transfer-to-reader",
        size: Size::Gate,
        purpose: "leadership that is handed over to a node at which a client waits to read",
        faults: "1 message lost",
        bounds: "2 nodes, channels in order, messages beat timers; n0 leads term 1 from the start, n1 is to lead term \
                 2; 1 command, 1 read at n1, 1 transfer",
        states: Some(10_083),
        reaches: &[
            "leadership is transferred",
            "a follower answers a read",
            "a node at which reads wait is told to stand",
        ],
        scenario: leadership::transfer_to_reader,
    },
    Model {
        name: "raft/transfer-to-learner",
        size: Size::Gate,
        purpose: "a client that wants a learner to lead",
        faults: "none",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start; 1 \
                 transfer, to the learner n3",
        states: Some(129),
        reaches: &["a transfer to a node without a vote is refused"],
        scenario: scenarios::transfer_to_learner,
    },
    Model {
        name: "raft/transfer-amid-change",
        size: Size::Gate,
        purpose: "leadership that is handed over in the middle of a change of membership",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; n0 leads term 2 from the start, with a \
                 joint configuration that is not committed; 1 transfer, to n1; 1 change, by which \
                 n1 leaves",
        states: Some(28_495),
        reaches: &[
            "the leader changes",
            "a joint configuration is committed",
            "leadership is transferred",
            "a transfer is given up",
            "one leader begins a change, another ends it",
        ],
        scenario: scenarios::transfer_amid_change,
    },
    Model {
        name: "raft/transfer-asked-twice",
        size: Size::Gate,
        purpose: "two clients that want two nodes to lead, while a third waits for a change of \
                  membership",
        faults: "none",
        bounds: "channels in order, messages beat timers; 3 nodes, n0 leads term 1 from the start; 2 \
                 transfers, to n1 and n2; 1 change, by which n2 leaves",
        states: Some(31_983),
        reaches: &[
            "the leader changes",
            "leadership is transferred",
            "a transfer is refused for another that is under way",
        ],
        scenario: scenarios::transfer_asked_twice,
    },
    Model {
        name: "raft/transfer-amid-expiry",
        size: Size::Gate,
        purpose: "leadership that is handed over when there are more sessions than are kept",
        faults: "1 message lost",
        bounds: "2 nodes that keep 1 session; channels in order, messages beat timers; n0 leads \
                 term 1 from the start, n1 is to lead term 2; 2 clients, 1 command each; 1 \
                 transfer",
        states: Some(4_972),
        reaches: &[
            "the leader changes",
            "a session expires",
            "leadership is transferred",
            "a transfer is given up",
        ],
        scenario: || leadership::transfer_amid_expiry().with_alike_clients(parties(&[&[0], &[1]])),
    },
    Model {
        name: "raft/removed",
        size: Size::Gate,
        purpose: "a node that has been removed without hearing of it, and stands",
        faults: "1 cut, around n2 from the start",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, n1 hears \
                 it; n2 has no PreVote and may stand as far as term 3; 1 change",
        states: Some(1_811),
        reaches: &[
            "a joint configuration is committed",
            "a change of voters is done",
        ],
        scenario: scenarios::removed,
    },
    Model {
        name: "raft/removed-cut-off",
        size: Size::Large,
        purpose: "a node that is removed while links are cut, and returns",
        faults: "1 cut",
        bounds: "channels in order, messages beat timers; n0 leads term 1 from the start, n1 may \
                 stand for term 2, n2 for 3; 1 change",
        states: None,
        reaches: &[
            "a change of voters is done",
            "a leader steps down of itself",
        ],
        scenario: scenarios::removed_and_cut_off,
    },
    Model {
        name: "raft/guarded-partition",
        size: Size::Large,
        purpose: "raft/partition with PreVote and CheckQuorum",
        faults: "1 cut",
        bounds: "channels in order, messages beat timers; terms ≤ 2, 1 command",
        states: None,
        reaches: &[
            "a leader is elected",
            "the leader changes",
            "an entry is committed",
            "a command is committed",
            "a command is answered",
            "a leader steps down of itself",
            "a node asks for pre-votes while a quorum hears the leader",
        ],
        scenario: || leadership::guarded(scenarios::connected(2, 0, 1, 1)).with_alike(&[0, 1, 2]),
    },
];

pub(super) const FUZZED: &[Model<Raft<Adder>>] = &[Model {
    name: "raft/fuzz-guarded",
    size: Size::Large,
    purpose: "five nodes, three clients and every fault, with PreVote and CheckQuorum",
    faults: super::fuzzed::EVERYTHING,
    bounds: "terms ≤ 40; 3 clients, 4 requests each, asked up to 3 times; 2 entries an append, \
             a snapshot each 3",
    states: None,
    reaches: &[
        "a leader is elected",
        "the leader changes",
        "two nodes lead at once, in different terms",
        "an entry is committed",
        "a command is committed",
        "an entry of an earlier term is committed",
        "logs diverge",
        "a command is answered",
        "a read is answered",
        "a leader steps down of itself",
        "a node asks for pre-votes while a quorum hears the leader",
    ],
    scenario: || leadership::guarded(scenarios::at_large(5, Delivery::Fifo)),
}];
