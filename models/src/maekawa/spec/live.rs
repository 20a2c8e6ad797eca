//! The worlds in which the liveness of Maekawa's algorithm is decided. Nodes that wait ask
//! again and again in them, so that nothing ever comes to rest: a deadlock is seen by liveness
//! alone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::maekawa::message::{Epoch, Message};
use crate::maekawa::state::Volatile;
use crate::maekawa::{Command, Event, Maekawa};
use crate::protocol::{Effect, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::{LiveModel, Model, Mutant, Size};
use crate::world::{Action, Scenario, Timing, World};

use super::{carrying, membership_of, scenarios};

/// Every model in which the liveness of Maekawa's algorithm is decided.
pub const MODELS: &[LiveModel<Maekawa>] = &[
    LiveModel {
        model: Model {
            name: "maekawa/live",
            size: Size::Gate,
            purpose: "every request is granted, while health checks go on",
            faults: "none",
            bounds: "3 members, 1 claim each; channels in order, time-outs that are chosen well",
            states: Some(16_516),
            reaches: &["a node enters", "the lock changes hands"],
            scenario: || contention(3, [1, 2, 3]),
        },
        decides: &["Every request is granted", "Nobody starves"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-four",
            size: Size::Large,
            purpose: "three requesters in a cycle of which none holds its own arbiter",
            faults: "none",
            bounds: "4 members of which 3 claim, once each; channels in order, time-outs that are \
                     chosen well",
            states: Some(827_214),
            reaches: &[
                "a node enters",
                "an arbiter inquires",
                "a request gives way",
            ],
            scenario: || contention(4, [1, 3, 4]),
        },
        decides: &["Every request is granted", "Nobody starves"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-cycle",
            size: Size::Gate,
            purpose: "each of three requesters holds the arbiter that the next one waits for",
            faults: "all other requests have been lost",
            bounds: "4 members of which 3 claim, once each; channels in order, time-outs that are \
                     chosen well",
            states: None,
            reaches: &[
                "a node enters",
                "an arbiter inquires",
                "a request gives way",
            ],
            scenario: cycle,
        },
        decides: &["Every request is granted", "Nobody starves"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-join",
            size: Size::Gate,
            purpose: "three requesters, of which one becomes a member meanwhile: all are granted the lock, \
                      in whichever epoch",
            faults: "none",
            bounds: "2 members and 1 to be, 1 claim each, epochs ≤ 3; channels in order, time-outs that \
                     are chosen well",
            states: Some(91_269),
            reaches: &[
                "a node enters",
                "the lock changes hands",
                "an epoch ends while the lock is held",
                "a node enters in a later epoch",
                "a node joins",
            ],
            scenario: join,
        },
        decides: &[
            "Every request is granted",
            "Nobody starves",
            "An epoch change ends",
            "Who is registered becomes a member",
        ],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-held",
            size: Size::Gate,
            purpose: "a lock is held for ever, and a node becomes a member in spite of that",
            faults: "none",
            bounds: "2 members and 1 to be, 1 client that keeps the lock, epochs ≤ 3; channels in order, \
                     time-outs that are chosen well",
            states: Some(371),
            reaches: &[
                "a node enters",
                "a node joins",
                "a lock is held over a change",
            ],
            scenario: held,
        },
        decides: &["An epoch change ends", "Who is registered becomes a member"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-locks",
            size: Size::Gate,
            purpose: "one lock is held for ever, and everybody gets the other in spite of that",
            faults: "none",
            bounds: "2 members; 1 client that keeps a lock, 2 that claim the other; channels in order, \
                     time-outs that are chosen well",
            states: Some(3_934),
            reaches: &[
                "a node enters",
                "a node holds two locks",
                "two nodes hold a lock each",
                "a node holds one lock and waits for another",
            ],
            scenario: one_is_kept,
        },
        decides: &["Every request is granted", "Nobody starves"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-death-of-two",
            size: Size::Gate,
            purpose: "one of two members dies, or the orchestrator, and the epoch changes end",
            faults: "1 crash, also of the orchestrator",
            bounds: "2 members that claim, epochs ≤ 3; channels in order, time-outs that are chosen \
                     well",
            states: Some(82_653),
            reaches: &["a node enters", "a dead node's lock is free"],
            scenario: || death(2, 3),
        },
        decides: &["An epoch change ends", "Who is registered becomes a member"],
    },
    LiveModel {
        model: Model {
            name: "maekawa/live-death",
            size: Size::Large,
            purpose: "the dead are found out, and the rest go on in a new epoch",
            faults: "1 crash, also of the orchestrator",
            bounds: "3 members of which 2 claim, epochs ≤ 4; channels in order, time-outs that are \
                     chosen well",
            states: Some(1_046_695),
            reaches: &["a node enters"],
            scenario: || death(3, 4),
        },
        decides: &["An epoch change ends", "Who is registered becomes a member"],
    },
];

/// Mutants in the worlds in which liveness is decided.
pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-NO-YIELD",
        defect: "a request never gives way: it leaves every INQUIRE without an answer",
        source: "§3.3 without RELINQUISH: a cycle of nodes that wait for each other",
        model: "maekawa/live-cycle",
        inject: |scenario| scenario.step = never_gives_way,
    },
    Mutant {
        id: "MAE-LOCKED-OVERLOOKED",
        defect: "a node overlooks the LOCKED that it would enter by, and asks for ever",
        source: "§4: once all members of its set are locked for it, the node enters",
        model: "maekawa/live",
        inject: |scenario| scenario.step = overlooks_the_last_locked,
    },
    Mutant {
        id: "MAE-LOCKS-ONE-BY-ONE",
        defect: "while its node has a lock, it overlooks the LOCKED by which it would have another, and asks for ever",
        source: "locks have nothing in common but the members",
        model: "maekawa/live-locks",
        inject: |scenario| scenario.step = has_one_at_a_time,
    },
    Mutant {
        id: "MAE-CUT-SHORT",
        defect: "a request that the end of an epoch has cut short is not made again in the next",
        source: "§4: whoever waits is granted the lock in the end",
        model: "maekawa/live-join",
        inject: |scenario| scenario.step = requests_nothing_again,
    },
    Mutant {
        id: "MAE-HOLDER-AWAITED",
        defect: "the orchestrator begins no epoch while a member says that it holds a lock",
        source: "who holds a lock for long keeps nobody from becoming a member",
        model: "maekawa/live-held",
        inject: |scenario| scenario.step = awaits_holders,
    },
    Mutant {
        id: "MAE-FROZEN-UNHEARD",
        defect: "the orchestrator counts the dead, and not who has frozen",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/live-death-of-two",
        inject: |scenario| scenario.step = overlooks_who_has_frozen,
    },
    Mutant {
        id: "MAE-EXPELLED-FOR-EVER",
        defect: "the orchestrator takes nobody in again that it has expelled",
        source: "a node that is told to register asks until it is one",
        model: "maekawa/live-death-of-two",
        inject: |scenario| scenario.step = takes_nobody_in,
    },
];

/// `members` of whom these want the lock at once.
fn contention<const N: usize>(members: u16, who: [u16; N]) -> Scenario<Maekawa> {
    let claims = who.map(|member| (member, 1));
    let mut scenario = scenarios::lossy(members, &claims, 0);
    scenario.timing = Timing::Synchronous;
    scenario.bounds.leases = true;
    scenario.bounds.last_epoch = Epoch(2);
    scenario
}

/// Two members that want a lock. The first has another, and keeps it.
fn one_is_kept() -> Scenario<Maekawa> {
    let mut scenario = contention(2, [1, 2]);
    let claim = scenarios::claim_to("B".into(), 1, 1, 1);
    scenario.scripts.push([Command::Acquire { claim }].into());
    scenario
}

/// As [`contention`], from the state on in which a cycle has come about (§3.3).
fn cycle() -> Scenario<Maekawa> {
    let mut scenario = contention(4, [1, 3, 4]);
    let mut world = World::initial(&scenario);
    let mut steps = Vec::new();
    for (client, (node, arbiter)) in [(1, 2), (3, 4), (4, 1)].into_iter().enumerate() {
        let (node, arbiter) = (NodeId(node), NodeId(arbiter));
        let mut next = Some(Action::Ask { client, node });
        while let Some(action) = next {
            let played = world.apply(&scenario, &action);
            assert!(played.is_ok(), "not possible: {action:?}");
            steps.push(action);
            let mut in_flight = world.network.in_flight().into_iter();
            let between = in_flight.find(|envelope| {
                [(node, arbiter), (arbiter, node)].contains(&(envelope.from, envelope.to))
            });
            next = between.map(Action::Deliver);
        }
    }
    scenario.prologue.extend(steps);
    scenario
}

/// Two members and a third node that joins them, and all want the lock.
fn join() -> Scenario<Maekawa> {
    let mut scenario = scenarios::join();
    scenario.scripts = [1, 2, 3].map(|node| scenarios::claims(node, 0, 1)).to_vec();
    scenario.timing = Timing::Synchronous;
    scenario.bounds.leases = true;
    scenario.bounds.last_epoch = Epoch(3);
    scenario
}

/// Two members of which one keeps the lock, and a third node that joins them.
fn held() -> Scenario<Maekawa> {
    let mut scenario = carrying::held_for_ever();
    scenario.timing = Timing::Synchronous;
    scenario.bounds.leases = true;
    scenario.bounds.last_epoch = Epoch(3);
    scenario
}

/// Leases count, and are longer than the time between two health checks.
fn death(members: u16, last_epoch: u64) -> Scenario<Maekawa> {
    let mut scenario = scenarios::death(members, last_epoch, 1);
    scenario.timing = Timing::Synchronous;
    scenario.bounds.leases = true;
    scenario.tries = 3;
    scenario
}

/// Neither at once nor later, when another arbiter has failed: it has not heard of it.
fn never_gives_way(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let is_asked_to = matches!(
        input,
        Input::Deliver {
            message: Message::Inquire { .. },
            ..
        }
    );
    if !is_asked_to {
        maekawa.step(node, input, out);
    }
}

/// It forgets what the message has said, but for its clock.
fn overlooks_the_last_locked(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let before = node.volatile.clone();
    let hears = matches!(input, Input::Deliver { .. });
    let mut right = Outbox::new();
    maekawa.step(node, input, &mut right);
    let enters = |effect: &Effect<Maekawa>| matches!(effect, Effect::Emit(Event::Granted { .. }));
    if !hears || !right.effects().iter().any(enters) {
        right.drain().for_each(|effect| out.push(effect));
        return;
    }
    let heard = core::mem::replace(&mut node.volatile, before);
    if let (Volatile::Node(local), Volatile::Node(heard)) = (&mut node.volatile, heard) {
        local.clock = heard.clock;
    }
}

/// It overlooks every LOCKED by which it would have a second.
pub(super) fn has_one_at_a_time(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let has_one = membership_of(node).is_some_and(|member| member.all_held().next().is_some());
    match has_one {
        true => overlooks_the_last_locked(maekawa, node, input, out),
        false => maekawa.step(node, input, out),
    }
}

/// It waits, and asks for nothing: neither at once nor when it is time to ask again.
fn requests_nothing_again(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let begins = matches!(
        input,
        Input::Deliver {
            message: Message::Install { .. },
            ..
        }
    );
    let waiting = match &mut node.volatile {
        Volatile::Node(local) if begins && local.membership.is_some() => {
            core::mem::take(&mut local.claims)
        }
        Volatile::Node(_) | Volatile::Orchestrator(_) => BTreeMap::new(),
    };
    maekawa.step(node, input, out);
    if let Volatile::Node(local) = &mut node.volatile {
        local.claims.extend(waiting);
    }
}

/// It takes each step as if one that holds a lock had not answered yet.
fn awaits_holders(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let current = node.durable().epoch;
    if let Input::Deliver {
        from,
        message: Message::Frozen { epoch, held },
    } = &input
        && let Volatile::Orchestrator(orchestration) = &mut node.volatile
        && *epoch == current
        && !held.is_empty()
    {
        orchestration.frozen.insert(*from, held.clone());
        return;
    }
    let mut awaited = None;
    if let Volatile::Orchestrator(orchestration) = &mut node.volatile {
        let mut said = orchestration.frozen.iter();
        let holder = said.find(|(_, held)| !held.is_empty()).map(|(id, _)| *id);
        awaited = holder.and_then(|holder| orchestration.frozen.remove_entry(&holder));
    }
    maekawa.step(node, input, out);
    if let (Some((holder, held)), Volatile::Orchestrator(orchestration)) =
        (awaited, &mut node.volatile)
    {
        orchestration.frozen.entry(holder).or_insert(held);
    }
}

fn overlooks_who_has_frozen(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    let has_frozen = matches!(
        input,
        Input::Deliver {
            message: Message::Frozen { .. },
            ..
        }
    );
    if !has_frozen {
        maekawa.step(node, input, out);
    }
}

fn takes_nobody_in(
    maekawa: &Maekawa,
    node: &mut Node<Maekawa>,
    input: Input<Maekawa>,
    out: &mut Outbox<Maekawa>,
) {
    if let Input::Deliver {
        from,
        message: Message::Register { .. },
    } = &input
        && maekawa.is_orchestrator()
        && !node.durable().roster.contains(from)
        && !node.durable().members.contains(from)
    {
        return;
    }
    maekawa.step(node, input, out);
}
