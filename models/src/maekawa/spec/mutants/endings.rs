//! Defects in what an epoch waits for, and in what ends with a request.

use crate::maekawa::message::Message;
use crate::maekawa::state::Volatile;
use crate::maekawa::{Command, Maekawa, Timer};
use crate::protocol::{Effect, Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, attempt_of, delivered, local_mut, member_mut, step_and_rewrite};
use crate::maekawa::spec::scenarios::the_lock;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-HOLDER-SILENT",
        defect: "who leaves, and was in the critical section when it was to freeze, does not say that it is \
                 so no more: the epoch waits until the next health check",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = leaves_silently,
    },
    Mutant {
        id: "MAE-DEAD-AWAITED",
        defect: "the answer of a member that is dead is waited for",
        source: "§5: the lock of a node that answers no more",
        model: "maekawa/leave-and-crash",
        inject: |scenario| scenario.step = awaits_the_dead,
    },
    Mutant {
        id: "MAE-STRANGER-AWAITED",
        defect: "a member that says that it has forgotten the epoch is waited for all the same",
        source: "§5: a crashed node has left its critical section",
        model: "maekawa/restart",
        inject: |scenario| scenario.step = awaits_strangers,
    },
    Mutant {
        id: "MAE-REQUEST-KEPT",
        defect: "the clients are turned away, and what was requested for them still waits: it is \
                 granted to nobody",
        source: "§4",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = keeps_requesting,
    },
    Mutant {
        id: "MAE-CLOCK-BEHIND",
        defect: "LOCKED does not move the clock: who has just had the lock comes before those who \
                 have waited",
        source: "§4; Lamport 1978, IR2",
        model: "maekawa/join-datagrams",
        inject: |scenario| scenario.step = ignores_clocks,
    },
];

fn leaves_silently(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let leaves = matches!(input, Input::Ask(_));
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        let is_said = matches!(
            effect,
            Effect::Send {
                message: Message::Frozen { .. },
                ..
            }
        );
        (!leaves || !is_said).then_some(effect)
    });
}

/// Takes the step, and counts these as not frozen, unless the epoch is over.
fn step_and_await(
    maekawa: &Maekawa,
    node: &mut N,
    input: In,
    out: &mut Out,
    awaited: impl Fn(&NodeId) -> bool,
) {
    let epoch = node.durable().epoch;
    maekawa.step(node, input, out);
    let goes_on = node.durable().epoch == epoch;
    if let Volatile::Orchestrator(orchestration) = &mut node.volatile
        && goes_on
    {
        orchestration.frozen.retain(|node, _| !awaited(node));
    }
}

fn awaits_the_dead(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let mut dead = alloc::collections::BTreeSet::new();
    if let Volatile::Orchestrator(orchestration) = &node.volatile
        && input == Input::Fire(Timer::HealthCheck)
    {
        let silent = orchestration.silent.iter();
        let silent = silent.filter(|(_, checks)| **checks >= maekawa.misses);
        dead.extend(silent.map(|(node, _)| *node));
    }
    step_and_await(maekawa, node, input, out, |node| dead.contains(node));
}

fn awaits_strangers(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let stranger = match delivered(&input) {
        Some((from, Message::Register { .. })) => Some(from),
        _ => None,
    };
    step_and_await(maekawa, node, input, out, |node| Some(*node) == stranger);
}

fn keeps_requesting(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let turns_away = input == Input::Ask(Command::Deregister);
    let made = attempt_of(node).cloned();
    maekawa.step(node, input, out);
    if let (true, Some(made), Some(member)) = (turns_away, made, member_mut(node)) {
        member.attempts.insert(the_lock(), made);
    }
}

fn ignores_clocks(maekawa: &Maekawa, node: &mut N, mut input: In, out: &mut Out) {
    let known = local_mut(node).map_or(0, |local| local.clock);
    if let Input::Deliver {
        message: Message::Locked { clock, .. },
        ..
    } = &mut input
    {
        *clock = known.min(*clock);
    }
    maekawa.step(node, input, out);
}
