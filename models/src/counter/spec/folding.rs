//! The worlds in which components are folded, and their models.

use alloc::vec;

use crate::counter::counts::Counts;
use crate::counter::fold::ballot::Ballot;
use crate::counter::fold::dead::DeadNames;
use crate::counter::fold::folded::Folded;
use crate::counter::g_counter::{GCounter, Incarnation, ReplicaId};
use crate::counter::state::Record;
use crate::counter::window::{Buckets, Window};
use crate::counter::{Command, Counter};
use crate::protocol::{Durable, NodeId};
use crate::specification::{Model, Size};
use crate::world::{Delivery, Duplicates, Faults, Scenario, Timing};

use super::scenarios::{self, Limits, increment, named, names, replica};

type Checked = Scenario<Counter>;

const LOSSY: &str = "any loss, duplication and reordering";
const LOSSY_AND_CRASH: &str = "any loss, duplication and reordering; 1 crash, also within a step";

/// How dead names are folded.
pub(super) const MODELS: &[Model<Counter>] = &[
    Model {
        name: "counter/fold",
        size: Size::Gate,
        purpose: "a name that is dead is folded, and an acceptor crashes between promise and acceptance",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes, no push-pull, n0 sends deltas, n1 has had a disk before; 1 client, 1 increment at n0",
        states: Some(11_638),
        reaches: &[
            "an increment is acknowledged",
            "all have folded what was dead",
            "an acceptor is down between promise and acceptance, and the others wait for it",
            "a count of a name that is folded is under way",
        ],
        scenario: || scenarios::crashing(fold()),
    },
    Model {
        name: "counter/fold-departed",
        size: Size::Gate,
        purpose: "a node that is gone for good, and what is heard of it late",
        faults: LOSSY,
        bounds: "3 nodes, no push-pull, n0 and n2 send deltas; 1 client, 2 increments at n2, which is then \
                 gone for good, as n0 is told",
        states: Some(961),
        reaches: &[
            "an increment is acknowledged",
            "the name of a node that is gone for good is folded",
            "what nobody knew of a name that is gone for good is not in its fold",
            "a delta about a frozen name comes",
            "a count of a name that is folded is under way",
        ],
        scenario: departed,
    },
    Model {
        name: "counter/fold-proposers",
        size: Size::Gate,
        purpose: "a proposer that is gone for good, or thought to be, and another that goes on",
        faults: LOSSY_AND_CRASH,
        bounds: "3 nodes, no deltas, no push-pull, n1 has had a disk before; n0 is gone for good, as n1 is told",
        states: Some(4_024),
        reaches: &[
            "two propose a fold of one number",
            "what one has proposed another proposes again",
        ],
        scenario: || scenarios::crashing(proposers()),
    },
    Model {
        name: "counter/fold-lost-disk",
        size: Size::Gate,
        purpose: "the name of a disk that was lost, and what is heard of it late",
        faults: "any loss and reordering; 1 crash, 1 disk lost",
        bounds: "2 nodes, no push-pull, n1 sends deltas; 1 client, 2 increments at n1; 1 incarnation drawn",
        states: Some(21_994),
        reaches: &[
            "an increment is acknowledged",
            "the name of a lost disk is folded",
            "a delta about a frozen name comes",
            "a count of a name that is folded is under way",
        ],
        scenario: lost_disk,
    },
    Model {
        name: "counter/fold-lost-promise",
        size: Size::Gate,
        purpose: "a disk that is lost with what it has promised and accepted",
        faults: "any loss and reordering; 1 crash, 1 disk lost",
        bounds: "2 nodes, no deltas, no push-pull, n1 has had a disk before",
        states: Some(2_205),
        reaches: &["an acceptor has accepted a fold"],
        scenario: lost_promise,
    },
    Model {
        name: "counter/fold-behind",
        size: Size::Gate,
        purpose: "a proposer that has not heard of a fold",
        faults: LOSSY,
        bounds: "2 nodes, no deltas, no push-pull; n1 has folded its former name, and n0 not",
        states: Some(4),
        reaches: &["all have folded what was dead"],
        scenario: behind,
    },
    Model {
        name: "counter/fold-twice",
        size: Size::Gate,
        purpose: "a second fold, while what was said of the first is still under way",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull, n1 has had two disks before, of which n0 knows one",
        states: Some(1_904),
        reaches: &["all have folded what was dead", "there is a second fold"],
        scenario: twice,
    },
    Model {
        name: "counter/fold-rejoined",
        size: Size::Gate,
        purpose: "a node that is gone for good and comes back: it is not let in",
        faults: LOSSY_AND_CRASH,
        bounds: "2 nodes, no push-pull; 1 client, 1 increment at n1, which is then gone for good, as n0 is told, \
                 and said to be back",
        states: Some(128),
        reaches: &[
            "an increment is acknowledged",
            "the name of a node that is gone for good is folded",
        ],
        scenario: rejoined,
    },
    Model {
        name: "counter/fold-strangers",
        size: Size::Gate,
        purpose: "a node that is not on the list of nodes",
        faults: LOSSY,
        bounds: "3 nodes, n0 and n1 do not have n2 on their lists; n2 sends deltas and begins push-pull; n1 has \
                 had a disk before",
        states: Some(392),
        reaches: &["an acceptor has accepted a fold"],
        scenario: strangers,
    },
    Model {
        name: "counter/fold-set-back",
        size: Size::Gate,
        purpose: "a node that counts under a name that is taken for dead",
        faults: LOSSY,
        bounds: "2 nodes, no deltas, n1 begins push-pull; n0 knows of a later name of n1; 1 client, 1 increment \
                 at n1; incarnations 1 and 3 drawn",
        states: Some(11_139),
        reaches: &[
            "an increment is acknowledged",
            "all have folded what was dead",
            "a node gives up a name that has been taken for dead",
        ],
        scenario: set_back,
    },
    Model {
        name: "counter/fold-restored",
        size: Size::Gate,
        purpose: "a node that counts under a name that has been folded",
        faults: LOSSY,
        bounds: "2 nodes, no deltas, n1 begins push-pull; n0 has folded n1's name, of which n1 knows no more; \
                 incarnations 1 and 3 drawn",
        states: Some(39),
        reaches: &["all have folded what was dead"],
        scenario: restored,
    },
    Model {
        name: "counter/fold-gone",
        size: Size::Gate,
        purpose: "a node that cannot be reached: no fold begins",
        faults: LOSSY,
        bounds: "2 nodes, no deltas, no push-pull, n1 has had a disk before; n1 is gone and back, as n0 is told",
        states: Some(21),
        reaches: &["an acceptor has accepted a fold"],
        scenario: gone,
    },
    Model {
        name: "counter/fold-leaving",
        size: Size::Gate,
        purpose: "a node that leaves and knows more of a name than is frozen elsewhere",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; n1 has had a disk before, and is to leave",
        states: Some(3_362),
        reaches: &[
            "a node is told that it may leave",
            "all have folded what was dead",
            "a delta about a frozen name comes",
        ],
        scenario: leaving,
    },
    Model {
        name: "counter/fold-window",
        size: Size::Gate,
        purpose: "the buckets of a name that is folded",
        faults: LOSSY,
        bounds: "2 nodes, no push-pull; a window of 2 buckets of 10; n1 has had a disk before; the window read \
                 at 5",
        states: Some(5_670),
        reaches: &[
            "all have folded what was dead",
            "a delta about a frozen name comes",
        ],
        scenario: window,
    },
];

/// So many nodes that fold, of which the first so many propose to.
fn folding(size: u16, proposers: u16, limits: Limits) -> Checked {
    let mut scenario = scenarios::lossy(size, limits);
    for node in &mut scenario.nodes {
        node.fold = Some((0..size).map(NodeId).collect());
    }
    scenario.bounds.proposers = (0..proposers).map(NodeId).collect();
    scenario
}

/// A power of four: an increment, or what was counted before.
fn digit(exponent: u32) -> u64 {
    4u64.pow(exponent)
}

/// The name that n1 had on a disk before.
fn former() -> ReplicaId {
    named(1, 0)
}

/// What the node knows of this name.
fn knows(scenario: &mut Checked, node: usize, name: ReplicaId, count: u64) {
    let counts = Counts {
        total: GCounter::from_iter([(name, count)]),
        ..Counts::default()
    };
    scenario.disks[node].apply(&Record::Learned { counts });
}

/// Each node knows so much of n1's former name, and that it counts under another now.
fn with_former(scenario: &mut Checked, known: &[u64]) {
    for (node, &count) in known.iter().enumerate() {
        knows(scenario, node, replica(1), digit(4));
        if count > 0 {
            knows(scenario, node, former(), count);
        }
    }
}

fn asks(scenario: &mut Checked, exponents: &[u32]) {
    let client = scenario.scripts.len();
    let script = exponents.iter().enumerate();
    let script =
        script.map(|(sequence, &exponent)| increment(client, sequence, digit(exponent), 0));
    scenario.scripts.push(script.collect());
}

fn fold() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(1, 0));
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    asks(&mut scenario, &[2]);
    scenario.asks_at = |_, node| node == NodeId(0);
    scenario
}

fn departed() -> Checked {
    let mut scenario = folding(3, 2, Limits::DELTAS);
    scenario.bounds.broadcasters = [NodeId(0), NodeId(2)].into();
    asks(&mut scenario, &[0, 1]);
    scenario
        .scripts
        .push(vec![Command::PeerDeparted(NodeId(2))]);
    scenario.asks_at = |command, node| {
        let departs = matches!(command, Command::PeerDeparted(_));
        node == NodeId(if departs { 0 } else { 2 })
    };
    scenario
}

fn proposers() -> Checked {
    let mut scenario = folding(3, 2, Limits::new(0, 0));
    with_former(&mut scenario, &[digit(0), 0, digit(0) + digit(1)]);
    scenario
        .scripts
        .push(vec![Command::PeerDeparted(NodeId(0))]);
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario
}

pub(super) fn live() -> Checked {
    let mut scenario = folding(2, 2, Limits::ALL);
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    in_order(scenarios::crashing(scenario), 1)
}

/// n2, which is gone for good, has begun to fold n1's former name: n0 and n1 have promised it. n0 knows
/// nothing of that name, and n1 does.
pub(super) fn live_departed() -> Checked {
    let mut scenario = folding(2, 2, Limits::ALL);
    with_former(&mut scenario, &[0, digit(0)]);
    let gone = NodeId(2);
    for node in &mut scenario.nodes {
        node.fold.get_or_insert_default().insert(gone);
    }
    let ballot = Ballot {
        round: 1,
        proposer: replica(gone.0),
    };
    let dead = DeadNames::from_iter([(former().node, former().incarnation)]);
    for disk in &mut scenario.disks {
        let dead = dead.clone();
        disk.apply(&Record::Promised { ballot, dead });
    }
    scenario.scripts.push(vec![Command::PeerDeparted(gone)]);
    scenario.asks_at = |_, node| node == NodeId(1);
    in_order(scenario, 1)
}

pub(super) fn live_lost_disk() -> Checked {
    let mut scenario = folding(2, 2, Limits::ALL);
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    scenario.scripts.extend([names(2..=2), names(3..=3)]);
    scenario.asks_at = |command, node| {
        let first = Command::Identify {
            incarnation: Incarnation(2),
        };
        node == NodeId(u16::from(*command != first))
    };
    scenario.faults.crashes = 1;
    scenario.faults.lost_disks = 1;
    scenario.drop_inert = false;
    scenario.asks_again = |_| false;
    in_order(scenario, 0)
}

/// Connections, and messages that beat timers.
fn in_order(mut scenario: Checked, drops: u8) -> Checked {
    scenario.delivery = Delivery::Fifo;
    scenario.timing = Timing::Quiescent;
    scenario.faults.duplicates = Duplicates::default();
    scenario.faults.drops = drops;
    scenario
}

/// n1 is gone and back, as n0 is told.
fn gone() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    let node = NodeId(1);
    scenario
        .scripts
        .push(vec![Command::PeerGone(node), Command::PeerJoined(node)]);
    scenario.asks_at = |_, node| node == NodeId(0);
    scenario
}

/// n0 has folded the name under which n1 counts.
fn restored() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    scenario.bounds.push_pullers = [NodeId(1)].into();
    let name = replica(1);
    knows(&mut scenario, 1, name, digit(0));
    let counts = GCounter::from_iter([(name, digit(0))]);
    let dead = DeadNames::from_iter([(name.node, name.incarnation)]);
    let counts = Counts {
        folded: Folded::none().next(&dead, &counts),
        ..Counts::default()
    };
    scenario.disks[0].apply(&Record::Learned { counts });
    scenario.scripts.extend([names(1..=1), names(3..=3)]);
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario
}

/// Of two nodes one may lose its disk: what is sent to it late the other has sent, and knows.
fn lost_disk() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    scenario.bounds.broadcasters = [NodeId(1)].into();
    knows(&mut scenario, 0, replica(1), digit(0));
    knows(&mut scenario, 1, replica(1), digit(0));
    asks(&mut scenario, &[1, 2]);
    scenario.scripts.push(names(2..=2));
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario.faults = Faults {
        crashes: 1,
        lost_disks: 1,
        ..Faults::default()
    };
    // A disk that is lost unsays what made a message inert.
    scenario.drop_inert = false;
    scenario.asks_again = |command| !matches!(command, Command::Identify { .. });
    scenario
}

/// n1 knows of a fold that n0 has not heard of.
fn behind() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    let counts = GCounter::from_iter([(former(), digit(0) + digit(1))]);
    let dead = DeadNames::from_iter([(former().node, former().incarnation)]);
    let counts = Counts {
        folded: Folded::none().next(&dead, &counts),
        ..Counts::default()
    };
    scenario.disks[1].apply(&Record::Learned { counts });
    scenario
}

/// A disk may be lost when it has promised, or accepted.
fn lost_promise() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    scenario.faults = Faults {
        crashes: 1,
        lost_disks: 1,
        ..Faults::default()
    };
    scenario.drop_inert = false;
    scenario
}

/// n1 has had two names before; n0 knows of one that it has had one.
fn twice() -> Checked {
    let mut scenario = folding(2, 1, Limits::DELTAS);
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    let name = named(1, 2);
    scenario.disks[1].apply(&Record::Identified(name));
    knows(&mut scenario, 1, name, digit(2));
    scenario
}

fn rejoined() -> Checked {
    let mut scenario = scenarios::crashing(folding(2, 1, Limits::DELTAS));
    asks(&mut scenario, &[0]);
    let node = NodeId(1);
    scenario
        .scripts
        .push(vec![Command::PeerDeparted(node), Command::PeerJoined(node)]);
    scenario.asks_at = |command, node| {
        let counts = matches!(command, Command::Increment(_));
        node == NodeId(u16::from(counts))
    };
    scenario
}

fn strangers() -> Checked {
    let mut scenario = folding(3, 1, Limits::new(0, 0));
    for node in 0..2u16 {
        let listed = [0, 1].map(NodeId);
        let data_centre = replica(node).data_centre;
        let counter = Counter::new(NodeId(node), data_centre, listed);
        scenario.nodes[usize::from(node)] = Counter {
            fold: Some(listed.into()),
            ..counter
        };
    }
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    knows(&mut scenario, 2, replica(2), digit(2));
    scenario.bounds.broadcasters = [NodeId(0), NodeId(2)].into();
    scenario.bounds.push_pullers = [NodeId(2)].into();
    scenario
}

fn set_back() -> Checked {
    let mut scenario = folding(2, 1, Limits::new(0, 0));
    scenario.bounds.push_pullers = [NodeId(1)].into();
    knows(&mut scenario, 0, named(1, 1), digit(0));
    knows(&mut scenario, 0, named(1, 2), digit(1));
    knows(&mut scenario, 1, named(1, 1), digit(0));
    asks(&mut scenario, &[2]);
    scenario.scripts.extend([names(1..=1), names(3..=3)]);
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario
}

fn leaving() -> Checked {
    let mut scenario = folding(2, 1, Limits::DELTAS);
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    scenario.scripts.push(vec![Command::Leave]);
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario
}

fn window() -> Checked {
    let mut scenario = folding(2, 1, Limits::DELTAS);
    let window = Window::new(10, 2);
    for node in &mut scenario.nodes {
        node.window = Some(window);
    }
    with_former(&mut scenario, &[digit(0), digit(0) + digit(1)]);
    for (node, count) in [digit(0), digit(0) + digit(1)].into_iter().enumerate() {
        let counter = GCounter::from_iter([(former(), count)]);
        let counts = Counts {
            buckets: Buckets::from_iter([(window.bucket_at(1), counter)]),
            ..Counts::default()
        };
        scenario.disks[node].apply(&Record::Learned { counts });
    }
    scenario.scripts.push(vec![Command::ReadWindow {
        request: scenarios::request(0, 0),
        now: 5,
        latest: 2,
    }]);
    scenario
}
