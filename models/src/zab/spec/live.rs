//! The worlds in which ZAB's liveness is decided: with Bully, for it needs an election that
//! ends. Under the oracle nothing says that it ever leaves a leader in office.

use alloc::vec::Vec;

use crate::bully::Message as Election;
use crate::bully::election::{Standing, Timer as Patience};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::spec::Adder;
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::{Action, Delivery, Faults, Scenario, Timing, World};
use crate::zab::bully::Bully;
use crate::zab::message::Message;
use crate::zab::zxid::Zxid;
use crate::zab::{Command, Event, Timer, Zab};

use super::bully::cold_start;
use super::mutants::{does_not_count_itself, step_and_rewrite};
use super::scenarios::writes;

type Z = Zab<Adder, Bully>;

/// Every model in which the liveness of ZAB with Bully is decided.
pub const MODELS: &[LiveModel<Z>] = &[
    LiveModel {
        model: Model {
            name: "zab-bully/live-crash",
            size: Size::Large,
            purpose: "who leads fails, another is elected and established, and the client is answered",
            faults: "1 crash",
            bounds: "elections ≤ 6; channels in order, time-outs that are chosen well; 1 write",
            states: None,
            reaches: &["a leader is established", "a write is answered"],
            scenario: || synchronous(3, 6, 1),
        },
        decides: ALL,
    },
    LiveModel {
        model: Model {
            name: "zab-bully/live-fail-over",
            size: Size::Gate,
            purpose: "an established leader, or a follower, fails",
            faults: "1 crash",
            bounds: "3 nodes, elections ≤ 3; channels in order, time-outs that are chosen well",
            states: Some(88_689),
            reaches: &["the leader changes"],
            scenario: || {
                let scenario = Scenario {
                    scripts: Vec::new(),
                    ..synchronous(3, 3, 1)
                };
                after_a_cold_start(scenario)
            },
        },
        decides: &[
            "An election ends in a synchronised quorum, for ever",
            "Every node catches up",
            SILENT,
        ],
    },
    LiveModel {
        model: Model {
            name: "zab-bully/live-office",
            size: Size::Gate,
            purpose: "a leader is established, and leads on: what it says is answered, and no more",
            faults: "none",
            bounds: "2 nodes, elections ≤ 2; channels in order, time-outs that are chosen well",
            states: Some(23),
            reaches: &["a leader is established", "all nodes broadcast"],
            scenario: || Scenario {
                scripts: Vec::new(),
                ..synchronous(2, 2, 0)
            },
        },
        decides: &[
            "An election ends in a synchronised quorum, for ever",
            SILENT,
        ],
    },
    LiveModel {
        model: Model {
            name: "zab-bully/live-pair",
            size: Size::Gate,
            purpose: "of two nodes both are a quorum",
            faults: "1 crash",
            bounds: "2 nodes, elections ≤ 6; channels in order, time-outs that are chosen well; \
                     1 write",
            states: Some(161_417),
            reaches: &["a leader is established", "a write is answered"],
            scenario: || synchronous(2, 6, 1),
        },
        decides: ALL,
    },
];

const ALL: &[&str] = &[
    "An election ends in a synchronised quorum, for ever",
    "Every request is answered",
    "Every node catches up",
    SILENT,
];

const SILENT: &str = "The network falls silent again and again";

/// Mutants in the worlds in which liveness is decided.
pub const MUTANTS: &[Mutant<Z>] = &[
    Mutant {
        id: "ZAB-BULLY-3",
        defect: "the leader does not count itself",
        source: "a seed program; DSN 2011, §IV.C: a leader accepts its own proposals",
        model: "zab-bully/live-pair",
        inject: |scenario| scenario.step = does_not_count_itself,
    },
    Mutant {
        id: "ZAB-BULLY-PING-PONG",
        defect: "who is asked by a higher node gives way and asks back, and is asked again: no \
                 election ends",
        source: "DSN 2011, §V, liveness: a leader is elected in the end",
        model: "zab-bully/live-pair",
        inject: |scenario| scenario.step = asks_back,
    },
    Mutant {
        id: "ZAB-BULLY-REFUSED",
        defect: "who broadcasts refuses what clients ask, as if it were looking for a leader",
        source: "DSN 2011, §V, liveness: what a primary with a live quorum broadcasts commits",
        model: "zab-bully/live-pair",
        inject: |scenario| scenario.step = refuses,
    },
    Mutant {
        id: "ZAB-BULLY-COMMIT-UNTOLD",
        defect: "the leader commits, answers its client and tells nobody",
        source: "DSN 2011, §IV.B, step l.3.2: a commit to all followers",
        model: "zab-bully/live-pair",
        inject: |scenario| scenario.step = tells_nobody_what_is_committed,
    },
    Mutant {
        id: "ZAB-BULLY-PONG-ANSWERED",
        defect: "a leader answers each answer to its ping by the next ping: the two never fall silent, \
                 and no time-out is ever due",
        source: "Medeiros 2012, §3.5: pings are a matter of time",
        model: "zab-bully/live-office",
        inject: |scenario| scenario.step = pings_back,
    },
];

/// `size` nodes in the synchronous period; leaders ping, nodes lose patience, a client writes.
fn synchronous(size: u16, last: u64, crashes: u8) -> Scenario<Z> {
    let mut scenario = Scenario {
        faults: Faults {
            crashes,
            ..Faults::default()
        },
        scripts: writes(&[1]),
        tries: 3,
        ..cold_start(size, Delivery::Fifo, Timing::Synchronous, last)
    };
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    scenario
}

/// The same from where the last of the nodes leads all others: all messages of a cold start have
/// arrived, and nobody higher has answered it.
fn after_a_cold_start(mut scenario: Scenario<Z>) -> Scenario<Z> {
    let highest = u16::try_from(scenario.nodes.len()).map_or(0, |count| count - 1);
    let mut wins = Some(Action::Fire {
        node: NodeId(highest),
        timer: Timer::Election(Patience::Okay),
    });
    let mut world = World::initial(&scenario);
    loop {
        let under_way = world.network.in_flight().into_iter().next();
        let Some(action) = under_way.map(Action::Deliver).or_else(|| wins.take()) else {
            return scenario;
        };
        let played = world.apply(&scenario, &action);
        assert!(played.is_ok(), "not possible in the prologue: {action:?}");
        scenario.prologue.push(action);
    }
}

fn asks_back(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let asker = match &input {
        Input::Deliver {
            from,
            message: Message::Election(Election::Election { election, .. }),
        } if *election == node.volatile.election.election => Some((*from, *election)),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    zab.step(node, input, out);
    if let Some((to, election)) = asker
        && node.volatile.election.standing == Standing::Waiting
    {
        let rank = node.durable().recency();
        out.send(to, Message::Election(Election::Election { election, rank }));
    }
}

fn refuses(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    match input {
        Input::Ask(Command::Write { request, .. }) => out.emit(Event::Refused { request }),
        input => zab.step(node, input, out),
    }
}

/// Neither at once nor later, in UPTODATE and pings.
fn tells_nobody_what_is_committed(
    zab: &Z,
    node: &mut Node<Z>,
    input: Input<Z>,
    out: &mut Outbox<Z>,
) {
    step_and_rewrite(zab, node, input, out, |_, mut effect| {
        if let Effect::Send { message, .. } = &mut effect {
            match message {
                Message::Commit { .. } => return None,
                Message::UpToDate { committed, .. } | Message::Ping { committed, .. } => {
                    *committed = Zxid::default();
                }
                _ => {}
            }
        }
        Some(effect)
    });
}

fn pings_back(zab: &Z, node: &mut Node<Z>, input: Input<Z>, out: &mut Outbox<Z>) {
    let follower = match &input {
        Input::Deliver {
            from,
            message: Message::Pong { .. },
        } => Some(*from),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    zab.step(node, input, out);
    if let Some(follower) = follower.filter(|_| zab.leads_established(node)) {
        let ping = Message::Ping {
            epoch: node.durable().accepted_epoch,
            last_zxid: node.durable().history.last_zxid(),
            committed: node.volatile.delivered.zxid,
        };
        out.send(follower, ping);
    }
}
