//! ZAB as it is meant to run: Bully names the leaders. What holds under an election that may
//! name anybody holds here too; these worlds are there to show that the two fit together, and
//! that a leader comes of it.

use alloc::vec::Vec;

use crate::bully::election::{Standing, State, Timer};
use crate::bully::{Message as Election, Number};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox};
use crate::raft::spec::Adder;
use crate::specification::{Model, Mutant, Size};
use crate::world::{Delivery, Duplicates, Faults, Scenario, Timing};
use crate::zab::bully::Bully;
use crate::zab::history::Recency;
use crate::zab::message::Message;
use crate::zab::zxid::Epoch;
use crate::zab::{self, Zab};

pub use super::live::{MODELS as LIVE, MUTANTS as LIVE_MUTANTS};
use super::mutants::{reigns_without_promises, step_and_rewrite};
use super::scenarios::writes;
use super::{Bounded, Bounds};

type Z = Zab<Adder, Bully>;

impl Bounded for Bully {
    /// The last election that anybody may win. Who has lost patience begins none beyond it.
    type Bounds = Number;

    fn may_look(last: &Number, state: &State<Recency>) -> bool {
        state.election < *last
    }

    fn outlasts(timer: &Timer, other: &Timer) -> bool {
        timer.outlasts(*other)
    }

    fn rank(message: &Election<Recency>) -> Option<Recency> {
        match message {
            Election::Election { rank, .. } | Election::Coordinator { rank, .. } => Some(*rank),
            Election::Okay { .. } | Election::Stale { .. } => None,
        }
    }

    fn goes_on(state: &State<Recency>, runs: impl Fn(Timer) -> bool) -> bool {
        match state.standing {
            Standing::Candidate => runs(Timer::Okay),
            Standing::Waiting => runs(Timer::Coordinator),
            Standing::Elected { .. } => false,
        }
    }

    fn permits(last: &Number, _: NodeId, _: Epoch, state: &State<Recency>, timer: &Timer) -> bool {
        match timer {
            Timer::Okay => state.election <= *last,
            Timer::Coordinator => state.election < *last,
        }
    }
}

/// Every model of ZAB with Bully.
pub const MODELS: &[Model<Z>] = &[
    Model {
        name: "zab-bully/cold-start",
        size: Size::Gate,
        purpose: "the leader that Bully names is established and commits, where messages beat timers",
        faults: "none",
        bounds: "2 elections; 1 client, 1 write",
        states: Some(1_464),
        reaches: &[
            "a leader is established",
            "all nodes broadcast",
            "a transaction is delivered",
            "a write is answered",
        ],
        scenario: || Scenario {
            scripts: writes(&[1]),
            ..cold_start(3, Delivery::Fifo, Timing::Quiescent, 2)
        },
    },
    Model {
        name: "zab-bully/leader-fails",
        size: Size::Gate,
        purpose: "who has lost the leader finds another, where messages beat timers",
        faults: "1 crash",
        bounds: "3 elections; nodes lose patience",
        states: Some(202_476),
        reaches: &["a leader is established", "the leader changes"],
        scenario: || leader_fails(3),
    },
    Model {
        name: "zab-bully/two-leaders",
        size: Size::Large,
        purpose: "Bully names two leaders at once, for delays are not bounded",
        faults: "timers that run out too early",
        bounds: "1 election",
        states: Some(795_269),
        reaches: &["a leader is established", "two nodes try to lead at once"],
        scenario: || cold_start(3, Delivery::Fifo, Timing::Any, 1),
    },
];

/// Models of ZAB with Bully that are too large to walk, and are sampled instead.
pub const FUZZED: &[Model<Z>] = &[Model {
    name: "zab-bully/fuzz",
    size: Size::Large,
    purpose: "three nodes, two clients and every fault, messages in order",
    faults: "drops, duplicates, cuts, lost replies, crashes, also within a step",
    bounds: "40 elections; 2 clients, 4 requests each, asked up to 3 times",
    states: None,
    reaches: &[
        "a leader is established",
        "the leader changes",
        "two nodes try to lead at once",
        "a transaction is delivered",
        "a write is answered",
    ],
    scenario: at_large,
}];

/// Mutants of ZAB with Bully.
pub const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-BULLY-MINORITY",
        defect: "an epoch that a minority has promised is used",
        source: "DSN 2011, step l.1.2",
        model: "zab-bully/two-leaders",
        inject: |scenario| scenario.step = reigns_without_promises,
    },
    Mutant {
        id: "ZAB-BULLY-NO-TIMER",
        defect: "who gives way to a higher node sets no timer: that may fail",
        source: "Garcia-Molina 1982: the node that answered may fail before it wins",
        model: "zab-bully/cold-start",
        inject: |scenario| scenario.step = gives_way_for_ever,
    },
    Mutant {
        id: "ZAB-BULLY-RANK",
        defect: "who stands for leader ranks by the epoch that it has accepted, and not by that of its \
                 history: of two one is named that must stand down for the other, again and again",
        source: "Medeiros 2012, §3.2: a node with a most recent history is named",
        model: "zab-bully/leader-fails",
        inject: |scenario| scenario.step = ranks_by_its_promise,
    },
    Mutant {
        id: "ZAB-BULLY-PATIENT",
        defect: "a node that has lost its leader waits for others to begin an election",
        source: "Medeiros 2012, §3.5",
        model: "zab-bully/leader-fails",
        inject: |scenario| scenario.step = looks_in_vain,
    },
];

fn gives_way_for_ever(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let arms = matches!(
            effect,
            Effect::Arm(zab::Timer::Election(Timer::Coordinator))
        );
        (!arms).then_some(effect)
    });
}

fn ranks_by_its_promise(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    step_and_rewrite(zab, node, input, out, |node, mut effect| {
        if let Effect::Send {
            message:
                Message::Election(Election::Election { rank, .. } | Election::Coordinator { rank, .. }),
            ..
        } = &mut effect
        {
            rank.current_epoch = node.durable().accepted_epoch;
        }
        Some(effect)
    });
}

fn looks_in_vain(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let election = node.volatile.election.clone();
    let is_patience = matches!(input, Input::Fire(zab::Timer::Init | zab::Timer::Sync));
    step_and_rewrite(zab, node, input, out, |_, effect| {
        let is_elections = match &effect {
            Effect::Send { message, .. } | Effect::SendEarly { message, .. } => {
                matches!(message, Message::Election(_))
            }
            Effect::Arm(timer) | Effect::Disarm(timer) => {
                matches!(timer, zab::Timer::Election(_))
            }
            Effect::Emit(_) => false,
        };
        (!(is_patience && is_elections)).then_some(effect)
    });
    if is_patience {
        node.volatile.election = election;
    }
}

/// `size` nodes that have just come up for the first time. Who waits in vain for a coordinator
/// may go beyond all elections before `last`.
pub fn cold_start(size: u16, delivery: Delivery, timing: Timing, last: u64) -> Scenario<Z> {
    let ids: Vec<NodeId> = (0..size).map(NodeId).collect();
    let nodes = ids.iter().map(|&id| {
        let election = Bully::new(id, ids.clone());
        Zab::new(id, ids.clone(), election)
    });
    let bounds = Bounds {
        election: Number(last),
        pings: false,
        impatient: false,
    };
    Scenario {
        delivery,
        timing,
        ..Scenario::new(nodes.collect(), bounds)
    }
}

/// Three nodes from a cold start, of which one may crash. Nodes lose patience, and begin no
/// election beyond `last`.
pub fn leader_fails(last: u64) -> Scenario<Z> {
    let mut scenario = Scenario {
        faults: Faults {
            crashes: 1,
            ..Faults::default()
        },
        ..cold_start(3, Delivery::Fifo, Timing::Quiescent, last)
    };
    scenario.bounds.impatient = true;
    scenario
}

/// A world too large to walk: everything may go wrong, and everybody loses patience.
pub fn at_large() -> Scenario<Z> {
    let mut scenario = Scenario {
        faults: Faults {
            drops: 20,
            duplicates: Duplicates::UpTo(20),
            crashes: 10,
            crash_within_step: true,
            cuts: 5,
            lost_replies: 5,
            lost_disks: 0,
        },
        scripts: writes(&[4, 4]),
        tries: 3,
        ..cold_start(3, Delivery::Fifo, Timing::Any, 40)
    };
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    for node in &mut scenario.nodes {
        node.max_diff_weight = 2;
        node.snapshot_every = 3;
        node.retained = 1;
    }
    scenario
}
