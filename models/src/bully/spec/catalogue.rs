//! The models of Bully that `checks` verifies.

use crate::bully::Bully;
use crate::specification::{Drawn, Model, Size};
use crate::world::{Faults, Scenario, Timing};

use super::drawn;
use super::scenarios;

const CHANNELS: &str = "channels in order, messages beat timers";

/// Every model of Bully that can be walked.
pub const MODELS: &[&[Model<Bully<u8>>]] = &[&[
    Model {
        name: "bully/cold-start",
        size: Size::Gate,
        purpose: "three nodes that come up together, and suspect each other for no reason",
        faults: "none",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 4",
        states: Some(525),
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
        ],
        scenario: || scenarios::cold_start(3, 4),
    },
    Model {
        name: "bully/forged",
        size: Size::Gate,
        purpose: "elections out of reach, said by the winner of one and by a node that is asked",
        faults: "both nodes say what cannot be",
        bounds: "2 nodes; channels in order, messages beat timers; nobody waits beyond election 2",
        states: Some(23),
        reaches: &[
            "a leader is elected",
            "all name the highest node that is up",
        ],
        scenario: || scenarios::forged(2),
    },
    Model {
        name: "bully/cold-start-4",
        size: Size::Gate,
        purpose: "four nodes that come up together",
        faults: "none",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2",
        states: Some(118_767),
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
        ],
        scenario: || scenarios::cold_start(4, 2),
    },
    Model {
        name: "bully/crashes",
        size: Size::Gate,
        purpose: "leaders and candidates that fail, and come up again in the middle of it",
        faults: "3 crashes",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 3",
        states: Some(159_762),
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
            "another is elected when the leader has failed",
            "all are up again after a crash, and name the highest",
            "a higher node comes up while a lower one leads",
        ],
        scenario: || scenarios::crashes(3, 3, 3),
    },
    Model {
        name: "bully/crashes-4",
        size: Size::Gate,
        purpose: "one of four fails, and comes up again",
        faults: "1 crash",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 1",
        states: Some(182_713),
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
            "all are up again after a crash, and name the highest",
            "a higher node comes up while a lower one leads",
        ],
        scenario: || scenarios::crashes(4, 1, 1),
    },
    Model {
        name: "bully/ranks",
        size: Size::Gate,
        purpose: "nodes ordered by rank, and those of equal rank by id",
        faults: "1 crash",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2; n0 and \
                 n1 share the higher rank",
        states: Some(4_300),
        reaches: &["a leader is elected", "a rank outdoes an id"],
        scenario: || Scenario {
            faults: Faults {
                crashes: 1,
                ..Faults::default()
            },
            ..scenarios::ranked(&[1, 1, 0], 2)
        },
    },
    Model {
        name: "bully/questions",
        size: Size::Gate,
        purpose: "a client that asks who leads",
        faults: "none",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 1; 2 \
                 questions",
        states: Some(694),
        reaches: &["a client is answered"],
        scenario: || scenarios::questions(3, 1),
    },
    Model {
        name: "bully/asynchronous",
        size: Size::Gate,
        purpose: "delays that are not bounded: two nodes lead at once",
        faults: "any delay and reordering",
        bounds: "channels in order; nobody waits beyond election 1, none beyond it is won, and \
                 leaders don't repeat themselves",
        states: Some(229_668),
        reaches: &[
            "two nodes lead at once",
            "two nodes have won the same election",
            "all name the highest node that is up",
        ],
        scenario: || scenarios::asynchronous(3, 1, 1),
    },
    Model {
        name: "bully/lossy",
        size: Size::Gate,
        purpose: "a message that is lost: two nodes may lead at once, until one says so again",
        faults: "1 drop",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2",
        states: Some(933),
        reaches: &[
            "two nodes lead at once",
            "all name the highest although messages were lost",
        ],
        scenario: || scenarios::lossy(3, 2, 1),
    },
    Model {
        name: "bully/unheard",
        size: Size::Gate,
        purpose: "a leader that comes up again unheard, and wins an election that is over",
        faults: "1 crash, 1 drop",
        bounds: "2 nodes; channels in order, messages beat timers; nobody waits beyond election 2",
        states: Some(212),
        reaches: &["a leader is followed in a later election than it has won"],
        scenario: || scenarios::unheard(2),
    },
    Model {
        name: "bully/partition",
        size: Size::Gate,
        purpose: "links that are cut: two nodes lead at once, until the links are whole again",
        faults: "1 cut",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2",
        states: Some(50_545),
        reaches: &[
            "two nodes lead at once",
            "all name the highest although messages were lost",
        ],
        scenario: || scenarios::partitioned(3, 2, 1),
    },
    Model {
        name: "bully/elections-4",
        size: Size::Large,
        purpose: "four nodes that fail and come up again",
        faults: "2 crashes",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2",
        states: None,
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
            "another is elected when the leader has failed",
            "all are up again after a crash, and name the highest",
            "a higher node comes up while a lower one leads",
        ],
        scenario: || scenarios::crashes(4, 2, 2),
    },
    Model {
        name: "bully/elections-5",
        size: Size::Large,
        purpose: "five nodes that fail and come up again",
        faults: "2 crashes",
        bounds: "channels in order, messages beat timers; nobody waits beyond election 2",
        states: None,
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
            "another is elected when the leader has failed",
        ],
        scenario: || scenarios::crashes(5, 2, 2),
    },
]];

/// Models of Bully that are too large to walk, and are sampled instead.
pub const FUZZED: &[&[Model<Bully<u8>>]] = &[&[
    Model {
        name: "bully/fuzz-bounded",
        size: Size::Large,
        purpose: "five nodes that fail and come up again, under bounded delay",
        faults: "crashes",
        bounds: CHANNELS,
        states: None,
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "all name the highest node that is up",
            "another is elected when the leader has failed",
            "all are up again after a crash, and name the highest",
            "a higher node comes up while a lower one leads",
            "a rank outdoes an id",
            "a client is answered",
        ],
        scenario: || scenarios::at_large(5, Timing::Quiescent),
    },
    Model {
        name: "bully/fuzz-unbounded",
        size: Size::Large,
        purpose: "four nodes and every fault, without any bound on delays",
        faults: "drops, duplicates, cuts, crashes",
        bounds: "channels in order, any timing",
        states: None,
        reaches: &[
            "a leader is elected",
            "two nodes lead at once",
            "two nodes have won the same election",
            "all name the highest although messages were lost",
        ],
        scenario: || scenarios::at_large(4, Timing::Any),
    },
]];

/// Families of worlds, each drawn by its number.
pub const DRAWN: &[Drawn<Bully<u8>>] = &[Drawn {
    model: Model {
        name: "bully/drawn",
        size: Size::Large,
        purpose: "nodes, ranks, clients and faults that are drawn, so that any of them meet",
        faults: "any, as drawn",
        bounds: "elections ≤ 40; up to 5 nodes; up to 3 clients with 4 questions each, asked up to 3 times",
        states: None,
        reaches: &[
            "a leader is elected",
            "a lower node gives way",
            "another is elected when the leader has failed",
            "two nodes lead at once",
            "a rank outdoes an id",
            "a client is answered",
        ],
        scenario: || drawn::scenario(0),
    },
    scenario: drawn::scenario,
}];
