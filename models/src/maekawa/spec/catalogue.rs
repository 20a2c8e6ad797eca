//! The models of Maekawa's algorithm that `checks` verifies.

use crate::maekawa::Maekawa;
use crate::maekawa::quorum::Construction;
use crate::specification::{Drawn, Model, Size};
use crate::world::{Delivery, Timing};

use super::{drawn, scenarios};

/// Every model that can be walked: of the algorithm proper, and of epoch changes.
pub const MODELS: &[&[Model<Maekawa>]] = &[EXCLUSION, EPOCHS];

/// Models that are too large to walk, and are sampled instead.
pub const FUZZED: &[&[Model<Maekawa>]] = &[AT_LARGE];

const NONE: &str = "none; messages in any order";
const LOSSY: &str = "any loss, duplication and reordering";

const EXCLUSION: &[Model<Maekawa>] = &[
    Model {
        name: "maekawa/two",
        size: Size::Gate,
        purpose: "two nodes that want to enter at once, again and again",
        faults: NONE,
        bounds: "2 members, 3 claims each",
        states: Some(4_247),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests wait at an arbiter",
            "two requests bear the same time",
        ],
        scenario: || scenarios::contention(2, Construction::Plane, &[(1, 3), (2, 3)]),
    },
    Model {
        name: "maekawa/three",
        size: Size::Gate,
        purpose: "quorums of two, each two of which share one arbiter",
        faults: NONE,
        bounds: "3 members, 2 claims each",
        states: Some(43_012),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests bear the same time",
        ],
        scenario: || scenarios::contention(3, Construction::Plane, &[(1, 2), (2, 2), (3, 2)]),
    },
    Model {
        name: "maekawa/four",
        size: Size::Gate,
        purpose: "three requesters at one arbiter: Sanders' case",
        faults: NONE,
        bounds: "4 members of which 3 claim, once each",
        states: Some(19_378),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests wait at an arbiter",
            "two requests bear the same time",
        ],
        scenario: || scenarios::contention(4, Construction::Plane, &[(1, 1), (3, 1), (4, 1)]),
    },
    Model {
        name: "maekawa/five",
        size: Size::Gate,
        purpose: "three requesters at an arbiter that wants nothing itself",
        faults: NONE,
        bounds: "5 members on a grid, of which 3 claim, once each",
        states: Some(71_709),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests wait at an arbiter",
            "two requests bear the same time",
        ],
        scenario: || scenarios::contention(5, Construction::Grid, &[(2, 1), (3, 1), (4, 1)]),
    },
    Model {
        name: "maekawa/grid",
        size: Size::Gate,
        purpose: "quorums of different sizes, from a grid",
        faults: NONE,
        bounds: "3 members, 2, 2 and 1 claims",
        states: Some(58_387),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests wait at an arbiter",
            "two requests bear the same time",
        ],
        scenario: || scenarios::contention(3, Construction::Grid, &[(1, 2), (2, 2), (3, 1)]),
    },
    Model {
        name: "maekawa/duplicates",
        size: Size::Gate,
        purpose: "late copies of all that was ever said",
        faults: LOSSY,
        bounds: "4 members of which 3 claim, once each",
        states: Some(72_206),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests bear the same time",
        ],
        scenario: || scenarios::duplicated(4, Construction::Plane, &[(1, 1), (3, 1), (4, 1)]),
    },
    Model {
        name: "maekawa/clients",
        size: Size::Gate,
        purpose: "clients that queue at a node, and give up",
        faults: NONE,
        bounds: "2 members; 2 clients at one that may give up, 1 at the other that may vanish",
        states: Some(50_482),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
        ],
        scenario: || {
            scenarios::clients().with_alike_clients(scenarios::parties(&[&[0, 3], &[2, 4]]))
        },
    },
    Model {
        name: "maekawa/asked-again",
        size: Size::Gate,
        purpose: "clients that have not heard that they have the lock",
        faults: "1 answer lost; messages in any order",
        bounds: "2 members, 1 claim each, asked up to 2 times",
        states: Some(439),
        reaches: &["a node enters", "the lock changes hands"],
        scenario: scenarios::asked_again,
    },
    Model {
        name: "maekawa/asked-behind",
        size: Size::Gate,
        purpose: "a client that asks again while another of its node has the lock",
        faults: "1 answer lost; messages in any order",
        bounds: "2 members; 2 clients at one, 1 at the other; 1 claim each, asked up to 2 times",
        states: Some(7_395),
        reaches: &["a node enters", "the lock changes hands"],
        scenario: scenarios::asked_behind,
    },
    Model {
        name: "maekawa/forged",
        size: Size::Gate,
        purpose: "numbers out of reach, others' requests and the orchestrator's words, forged",
        faults: "1 member says what it has no right to; channels in order",
        bounds: "2 members, 1 claim each",
        states: Some(259),
        reaches: &["a node enters", "the lock changes hands"],
        scenario: scenarios::forged,
    },
    Model {
        name: "maekawa/lossy",
        size: Size::Gate,
        purpose: "lost messages are made up for",
        faults: "2 messages lost",
        bounds: "channels in order, messages beat timers; 3 members, 2, 1 and 1 claims",
        states: Some(60_889),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
        ],
        scenario: || scenarios::lossy(3, &[(1, 2), (2, 1), (3, 1)], 2),
    },
    Model {
        name: "maekawa/lossy-four",
        size: Size::Gate,
        purpose: "an arbiter that is given back by another node, and does not hear of it",
        faults: "1 message lost",
        bounds: "channels in order, messages beat timers; 4 members of which 3 claim, once each",
        states: Some(159_818),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "two requests wait at an arbiter",
        ],
        scenario: || scenarios::lossy(4, &[(1, 1), (3, 1), (4, 1)], 1),
    },
    Model {
        name: "maekawa/misconfigured",
        size: Size::Gate,
        purpose: "a node that is configured with quorums of another construction",
        faults: NONE,
        bounds: "7 members of which 2 claim, once each",
        states: Some(231),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "two requests bear the same time",
        ],
        scenario: scenarios::misconfigured,
    },
    Model {
        name: "maekawa/twenty-one",
        size: Size::Gate,
        purpose: "a plane of order 4, and two quorums that share one arbiter of five",
        faults: NONE,
        bounds: "21 members of which 2 claim, once each",
        states: Some(13_168),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
        ],
        scenario: || scenarios::contention(21, Construction::Plane, &[(2, 1), (4, 1)]),
    },
    Model {
        name: "maekawa/four-all",
        size: Size::Large,
        purpose: "four nodes that want to enter at once, and late copies of all that is said",
        faults: LOSSY,
        bounds: "4 members, 2, 1, 1 and 1 claims",
        states: None,
        reaches: &["a node enters", "the lock changes hands"],
        scenario: || {
            scenarios::duplicated(4, Construction::Plane, &[(1, 2), (2, 1), (3, 1), (4, 1)])
        },
    },
    Model {
        name: "maekawa/seven",
        size: Size::Large,
        purpose: "the Fano plane: quorums of three, any two of which share one arbiter",
        faults: NONE,
        bounds: "7 members of which 4 claim, once each",
        states: None,
        reaches: &["a node enters"],
        scenario: || {
            scenarios::contention(7, Construction::Plane, &[(1, 1), (2, 1), (4, 1), (7, 1)])
        },
    },
];

const EPOCHS: &[Model<Maekawa>] = &[
    Model {
        name: "maekawa/join",
        size: Size::Gate,
        purpose: "a node joins while the lock is held and waited for",
        faults: "none",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 4 claims",
        states: Some(40_427),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node joins",
        ],
        scenario: scenarios::join,
    },
    Model {
        name: "maekawa/four-become-five",
        size: Size::Gate,
        purpose: "a new quorum that has no arbiter in common with the holder's old one",
        faults: "none",
        bounds: "channels in order, messages beat timers; 4 members and 1 to be, 2 claims",
        states: Some(6_411),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node joins",
        ],
        scenario: scenarios::four_become_five,
    },
    Model {
        name: "maekawa/join-datagrams",
        size: Size::Gate,
        purpose: "late copies of what was said in an earlier epoch",
        faults: LOSSY,
        bounds: "2 members and 1 to be, 2 claims; no health check",
        states: Some(382),
        reaches: &[
            "a node enters",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node joins",
        ],
        scenario: scenarios::join_datagrams,
    },
    Model {
        name: "maekawa/leave",
        size: Size::Gate,
        purpose: "a node leaves while the lock is held and waited for",
        faults: "none",
        bounds: "channels in order, messages beat timers; 3 members, 2 claims",
        states: Some(3_452),
        reaches: &[
            "a node enters",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node leaves",
        ],
        scenario: scenarios::leave,
    },
    Model {
        name: "maekawa/come-back",
        size: Size::Gate,
        purpose: "a node that has left is a member again",
        faults: "none",
        bounds: "channels in order, messages beat timers; 2 members, 1 claim, epochs ≤ 3",
        states: Some(806),
        reaches: &[
            "a node enters",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node leaves",
        ],
        scenario: scenarios::come_back,
    },
    Model {
        name: "maekawa/restart",
        size: Size::Gate,
        purpose: "a node that crashes comes back as another",
        faults: "any loss, duplication and reordering; 1 crash",
        bounds: "2 members, 1 claim each; no health check",
        states: Some(1_423),
        reaches: &[
            "a node enters",
            "a node enters in a later epoch",
            "a crashed node is a member again",
        ],
        scenario: scenarios::restart,
    },
    Model {
        name: "maekawa/lost-disk",
        size: Size::Gate,
        purpose: "a node that crashes loses its disk and stays out; another takes its place",
        faults: "1 crash, 1 lost disk",
        bounds: "channels in order, messages beat timers; 2 members and 1 that joins and claims \
                 the lock; epochs ≤ 2",
        states: Some(7_039),
        reaches: &[
            "a node enters",
            "a node starts on a blank disk",
            "a node that has lost its disk is out, and another enters in the next epoch",
        ],
        scenario: scenarios::lost_disk,
    },
    Model {
        name: "maekawa/death",
        size: Size::Gate,
        purpose: "a member dies, a holder or not, or the orchestrator does",
        faults: "1 crash",
        bounds: "channels in order, messages beat timers; 3 members, 2 claims, epochs ≤ 3",
        states: Some(230_621),
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a dead node's lock is free",
            "a crashed node is a member again",
        ],
        scenario: || scenarios::death(3, 3, 1),
    },
    Model {
        name: "maekawa/orchestrator",
        size: Size::Gate,
        purpose: "the orchestrator, or another, crashes in the middle of an epoch change",
        faults: "1 crash, also within a step",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 2 claims, \
                 epochs ≤ 3",
        states: Some(67_191),
        reaches: &[
            "a node enters",
            "an epoch ends while the lock is held",
            "a node enters in a later epoch",
            "a node joins",
            "the orchestrator restarts while an epoch ends",
        ],
        scenario: scenarios::orchestrator_crash,
    },
    Model {
        name: "maekawa/suspicion",
        size: Size::Gate,
        purpose: "living nodes are taken for dead: tokens fence off what they still do",
        faults: "the health check errs",
        bounds: "messages in any order, timers at any time; 2 members, 1 claim each, epochs ≤ 2",
        states: Some(14_263),
        reaches: &[
            "a node enters",
            "a node enters in a later epoch",
            "a holder that was given up meets its successor",
        ],
        scenario: || scenarios::suspicion(2, 2, false),
    },
    Model {
        name: "maekawa/leave-and-crash",
        size: Size::Gate,
        purpose: "a node that is told to leave, and crashes before anybody hears of it",
        faults: "1 crash, 1 message lost",
        bounds: "channels in order, messages beat timers; 2 members, 2 misses, epochs ≤ 2",
        states: Some(5_691),
        reaches: &[
            "a node leaves",
            "a node that is to be none is still counted on",
        ],
        scenario: scenarios::leave_and_crash,
    },
    Model {
        name: "maekawa/health",
        size: Size::Gate,
        purpose: "health checks and answers that are lost, and what a lease may be counted from",
        faults: "3 messages lost",
        bounds: "channels in order, messages beat timers; 2 members and 1 to be, 2 misses, \
                 epochs ≤ 3",
        states: Some(9_480),
        reaches: &["a node joins", "a health check is missed, and not for good"],
        scenario: scenarios::health,
    },
    Model {
        name: "maekawa/deaths",
        size: Size::Large,
        purpose: "two nodes die, at once or one after the other",
        faults: "2 crashes, also within a step",
        bounds: "channels in order, messages beat timers; 3 members, 2 claims, epochs ≤ 4",
        states: None,
        reaches: &["a node enters", "a dead node's lock is free"],
        scenario: || scenarios::death(3, 4, 2),
    },
    Model {
        name: "maekawa/suspicions",
        size: Size::Large,
        purpose: "living nodes are taken for dead and give up, time and again",
        faults: "the health check errs",
        bounds: "messages in any order, timers at any time; 3 members, 1 claim of two, epochs ≤ 3",
        states: None,
        reaches: &[
            "a node enters",
            "a holder that was given up meets its successor",
        ],
        scenario: || scenarios::suspicion(3, 3, true),
    },
];

const EVERYTHING: &str = "drops, duplicates, cuts, crashes, also within a step; the health check \
                          errs";

const AT_LARGE_BOUNDS: &str = "5 members and 2 to be, one that leaves and comes back; 5 clients, \
                               3 claims each, asked up to 3 times; epochs ≤ 40";

/// What every fuzzer must have shown.
const COMMON: &[&str] = &[
    "a node enters",
    "the lock changes hands",
    "an arbiter inquires",
    "a request gives way",
    "two requests wait at an arbiter",
    "two requests bear the same time",
    "an epoch ends while the lock is held",
    "a node enters in a later epoch",
    "a node joins",
    "a node leaves",
    "a dead node's lock is free",
    "a crashed node is a member again",
    "the orchestrator restarts while an epoch ends",
];

const AT_LARGE: &[Model<Maekawa>] = &[
    Model {
        name: "maekawa/fuzz-datagrams",
        size: Size::Large,
        purpose: "seven nodes and every fault, messages in any order",
        faults: EVERYTHING,
        bounds: AT_LARGE_BOUNDS,
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(Delivery::Bag, Timing::Any),
    },
    Model {
        name: "maekawa/fuzz-connections",
        size: Size::Large,
        purpose: "seven nodes and every fault, messages in order",
        faults: EVERYTHING,
        bounds: AT_LARGE_BOUNDS,
        states: None,
        reaches: COMMON,
        scenario: || scenarios::at_large(Delivery::Fifo, Timing::Any),
    },
    Model {
        name: "maekawa/fuzz-crashes",
        size: Size::Large,
        purpose: "seven nodes that crash, and a health check that is right",
        faults: "crashes, also within a step",
        bounds: AT_LARGE_BOUNDS,
        states: None,
        reaches: COMMON,
        scenario: scenarios::at_large_accurate,
    },
];

/// Worlds that are drawn, and sampled.
pub const DRAWN: &[Drawn<Maekawa>] = &[Drawn {
    model: Model {
        name: "maekawa/drawn",
        size: Size::Large,
        purpose: "members, newcomers, sessions that end and faults that are drawn, so that any of them meet",
        faults: "any, as drawn",
        bounds: "epochs ≤ 40; up to 5 founders, 2 that join; up to 5 clients with up to 3 claims each, asked up to 3 times",
        states: None,
        reaches: &[
            "a node enters",
            "the lock changes hands",
            "an arbiter inquires",
            "a request gives way",
            "a node joins",
        ],
        scenario: || drawn::scenario(0),
    },
    scenario: drawn::scenario,
}];
