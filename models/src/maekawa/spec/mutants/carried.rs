//! Defects in what becomes of the locks that are held when an epoch ends.

use alloc::vec::Vec;

use crate::maekawa::Maekawa;
use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Held, HeldLocks, Message, Token};
use crate::maekawa::spec::carrying::forges_what_it_holds;
use crate::maekawa::spec::{local_of, membership_of};
use crate::maekawa::state::{Arbiter, Grant, Orchestration, Standing, View, Volatile};
use crate::protocol::{Effect, Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, delivered, local_mut, member_mut, step_and_rewrite};

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-HELD-NOT-CARRIED",
        defect: "the next epoch begins with nothing that is held",
        source: "§2: who has entered is in the critical section until it leaves",
        model: "maekawa/join",
        inject: |scenario| scenario.step = carries_nothing,
    },
    Mutant {
        id: "MAE-HELD-UNLOCKED",
        defect: "an arbiter of a holder's new quorum is not locked for it",
        source: "§2: others may have the lock",
        model: "maekawa/join",
        inject: |scenario| scenario.step = is_not_locked,
    },
    Mutant {
        id: "MAE-HELD-LOCKED-BY-ALL",
        defect: "all members are locked for a holder, also those that it does not count in its quorum",
        source: "§4: nobody would release them",
        model: "maekawa/four-become-five",
        inject: |scenario| scenario.step = is_always_locked,
    },
    Mutant {
        id: "MAE-HELD-OLD-QUORUM",
        defect: "a holder counts in the new epoch on the arbiters of its old quorum",
        source: "§2 (a) is a property of one assignment of quorums",
        model: "maekawa/four-become-five",
        inject: |scenario| scenario.step = keeps_its_quorum,
    },
    Mutant {
        id: "MAE-HELD-LESSER",
        defect: "of two that say that they hold a lock the one with the lesser token is believed",
        source: "the first has released the lock before the second entered",
        model: "maekawa/held-twice",
        inject: |scenario| {
            scenario.step =
                |m, n, i, o| believes_one(m, n, i, o, |one, other| one.token < other.token);
        },
    },
    Mutant {
        id: "MAE-HELD-LATER-REQUEST",
        defect: "of two that say that they hold a lock the one with the later request is believed",
        source: "the order of the requests is not that of entering: a token tells who has entered later",
        model: "maekawa/held-earlier-request",
        inject: |scenario| {
            scenario.step =
                |m, n, i, o| believes_one(m, n, i, o, |one, other| one.request > other.request);
        },
    },
    Mutant {
        id: "MAE-HELD-EARLIER-REQUEST",
        defect: "of two that say that they hold a lock the one with the earlier request is believed",
        source: "the order of the requests is not that of entering: a token tells who has entered later",
        model: "maekawa/held-twice",
        inject: |scenario| {
            scenario.step =
                |m, n, i, o| believes_one(m, n, i, o, |one, other| one.request < other.request);
        },
    },
    Mutant {
        id: "MAE-HELD-BY-THE-GONE",
        defect: "what a member has said that it holds is carried over though it has crashed since",
        source: "who has forgotten the epoch holds nothing",
        model: "maekawa/orchestrator",
        inject: |scenario| scenario.step = carries_for_the_gone,
    },
    Mutant {
        id: "MAE-HELD-LATE",
        defect: "a late word brings back what a member held that has crashed",
        source: "who has forgotten the epoch holds nothing",
        model: "maekawa/held-late",
        inject: |scenario| scenario.step = hears_late_holders,
    },
    Mutant {
        id: "MAE-HELD-BY-WHO-LEAVES",
        defect: "what is held at a node that leaves is carried over",
        source: "nobody in the next epoch would release it",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = carries_for_who_leaves,
    },
    Mutant {
        id: "MAE-HELD-THEN-LEFT",
        defect: "a member that has said what it holds, and is told to leave then, is not waited for",
        source: "nobody in the next epoch would release it",
        model: "maekawa/held-and-left",
        inject: |scenario| scenario.step = keeps_what_who_leaves_has_said,
    },
    Mutant {
        id: "MAE-HELD-IN-MEMORY",
        defect: "the orchestrator tells what is held, and does not put it on disk",
        source: "an Install may be told again, after a crash",
        model: "maekawa/orchestrator",
        inject: |scenario| scenario.step = remembers_in_memory,
    },
    Mutant {
        id: "MAE-HELD-FORGOTTEN",
        defect: "a holder forgets with the epoch that it holds a lock, and nobody is told",
        source: "§2: who has entered is in the critical section until it leaves",
        model: "maekawa/join",
        inject: |scenario| scenario.step = forgets_what_it_holds,
    },
    Mutant {
        id: "MAE-HELD-UNRELEASED",
        defect: "who has released a lock before the epoch began that it is carried over to says nothing",
        source: "the new arbiters are locked for it",
        model: "maekawa/join",
        inject: |scenario| scenario.step = releases_nothing,
    },
    Mutant {
        id: "MAE-HELD-ONE-OF-TWO",
        defect: "a node that holds two locks says that it holds the first",
        source: "another may have the second",
        model: "maekawa/locks-join",
        inject: |scenario| scenario.step = says_one,
    },
    Mutant {
        id: "MAE-HELD-AWAITED-LOCKS",
        defect: "a node says that it holds what it waits for",
        source: "a lock that nobody holds would be kept for nobody",
        model: "maekawa/join",
        inject: |scenario| scenario.step = says_what_it_waits_for,
    },
    Mutant {
        id: "MAE-HELD-SILENT",
        defect: "a holder does not answer when it is asked to freeze",
        source: "who holds a lock for long keeps nobody from becoming a member",
        model: "maekawa/join",
        inject: |scenario| scenario.step = does_not_answer,
    },
    Mutant {
        id: "MAE-HELD-CLOCK",
        defect: "a clock does not follow the requests that hold locks when an epoch begins",
        source: "what a node asks before one of its requests that is over is taken for over",
        model: "maekawa/join",
        inject: |scenario| scenario.step = ignores_the_clocks_of_holders,
    },
    Mutant {
        id: "MAE-HELD-BELIEVED",
        defect: "the orchestrator believes of a member that it holds what it cannot",
        source: "one message, and nobody else can have the lock",
        model: "maekawa/forged-held",
        inject: |scenario| scenario.step = believes_any_holder,
    },
    Mutant {
        id: "MAE-LEAVES-COUNTED",
        defect: "a node that asks to leave, and is told of the epoch, is counted on from before",
        source: "a member's lease begins with the Install; it would be given up while it has it",
        model: "maekawa/leave-late",
        inject: |scenario| scenario.step = counts_on,
    },
];

fn orchestration_mut(node: &mut N) -> Option<&mut Orchestration> {
    match &mut node.volatile {
        Volatile::Orchestrator(orchestration) => Some(orchestration),
        Volatile::Node(_) => None,
    }
}

/// Whether the node hears of an epoch's beginning.
fn begins(input: &In) -> bool {
    matches!(delivered(input), Some((_, Message::Install { .. })))
}

/// Takes the step with a message that says that this is held.
fn step_with_held(
    maekawa: &Maekawa,
    node: &mut N,
    mut input: In,
    out: &mut Out,
    change: impl FnOnce(&mut HeldLocks),
) {
    if let Input::Deliver {
        message: Message::Frozen { held, .. } | Message::Install { held, .. },
        ..
    } = &mut input
    {
        change(held);
    }
    maekawa.step(node, input, out);
}

fn carries_nothing(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    match delivered(&input) {
        Some((_, Message::Frozen { .. })) => {
            step_with_held(maekawa, node, input, out, HeldLocks::clear);
        }
        _ => maekawa.step(node, input, out),
    }
}

/// It follows their clocks.
fn is_not_locked(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let id = maekawa.id();
    if let Some((_, Message::Install { epoch, held, .. })) = delivered(&input)
        && *epoch > node.durable().epoch
        && let Some(local) = local_mut(node)
    {
        let clocks = held.values().map(|held| held.request.clock);
        local.clock = clocks.fold(local.clock, u64::max);
        let is_own = |held: &Held| held.request.node == id;
        return step_with_held(maekawa, node, input, out, |held| {
            held.retain(|_, held| is_own(held));
        });
    }
    maekawa.step(node, input, out);
}

fn is_always_locked(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let held = match delivered(&input) {
        Some((_, Message::Install { held, .. })) => held.clone(),
        _ => HeldLocks::new(),
    };
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node) {
        for (lock, Held { request, .. }) in held {
            member.arbiters.entry(lock).or_insert_with(|| Arbiter {
                locked: Some(Grant {
                    request,
                    number: 0,
                    inquired: false,
                }),
                ..Arbiter::default()
            });
        }
    }
}

fn keeps_its_quorum(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let begins = begins(&input);
    let quorum = membership_of(node).map(|member| member.quorum.clone());
    maekawa.step(node, input, out);
    if let (true, Some(quorum), Some(member)) = (begins, quorum, member_mut(node)) {
        let locked = View {
            number: 0,
            standing: Standing::Locked,
        };
        let kept = member.attempts.values_mut();
        for attempt in kept.filter(|attempt| attempt.held.is_some()) {
            attempt.arbiters = quorum.iter().map(|&arbiter| (arbiter, locked)).collect();
        }
    }
}

/// When the last that is waited for has frozen, it forgets, of two that have said that they hold a lock,
/// what the one has said that is not believed before the other.
fn believes_one(
    maekawa: &Maekawa,
    node: &mut N,
    mut input: In,
    out: &mut Out,
    is_believed: fn(&Held, &Held) -> bool,
) {
    let members = node.durable().members.clone();
    if let (
        Input::Deliver {
            from,
            message: Message::Frozen { held: last, .. },
        },
        Some(orchestration),
    ) = (&mut input, orchestration_mut(node))
    {
        let frozen = &mut orchestration.frozen;
        let is_last =
            { members.iter() }.all(|member| member == from || frozen.contains_key(member));
        for said in frozen.values_mut().filter(|_| is_last) {
            let other = last.clone();
            last.retain(|lock, held| said.get(lock).is_none_or(|said| is_believed(held, said)));
            said.retain(|lock, said| other.get(lock).is_none_or(|held| is_believed(said, held)));
        }
    }
    maekawa.step(node, input, out);
}

fn carries_for_the_gone(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let gone = match delivered(&input) {
        Some((from, Message::Register { .. })) => Some(from),
        _ => None,
    };
    put_back(maekawa, node, input, out, gone);
}

fn keeps_what_who_leaves_has_said(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let leaves = match delivered(&input) {
        Some((from, Message::Deregister { .. })) => Some(from),
        _ => None,
    };
    put_back(maekawa, node, input, out, leaves);
}

/// What the member has said is what it has said before the step.
fn put_back(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out, member: Option<NodeId>) {
    let epoch = node.durable().epoch;
    let said = orchestration_mut(node).and_then(|orchestration| {
        let (member, held) = orchestration.frozen.get_key_value(&member?)?;
        Some((*member, held.clone()))
    });
    maekawa.step(node, input, out);
    if node.durable().epoch == epoch
        && let (Some((member, held)), Some(orchestration)) = (said, orchestration_mut(node))
    {
        orchestration.frozen.insert(member, held);
    }
}

fn hears_late_holders(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let epoch = node.durable().epoch;
    if let Some((from, Message::Frozen { epoch: of, held })) = delivered(&input)
        && *of == epoch
        && let Some(orchestration) = orchestration_mut(node)
        && let Some(known) = orchestration.frozen.get_mut(&from)
    {
        known.extend(held.clone());
    }
    maekawa.step(node, input, out);
}

fn carries_for_who_leaves(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let durable = node.durable();
    if let Some((from, Message::Frozen { epoch, held })) = delivered(&input)
        && *epoch == durable.epoch
        && durable.members.contains(&from)
        && let Some(orchestration) = orchestration_mut(node)
    {
        orchestration.frozen.insert(from, held.clone());
    }
    maekawa.step(node, input, out);
}

/// What it tells is what the right one tells, and on disk is nothing.
fn remembers_in_memory(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let epoch = node.durable().epoch;
    let mut right = node.clone();
    maekawa.step(&mut right, input.clone(), &mut Out::new());
    if right.durable().epoch == epoch {
        return maekawa.step(node, input, out);
    }
    let told = right.durable().held.clone();
    if let Some(orchestration) = orchestration_mut(node) {
        orchestration.frozen.values_mut().for_each(HeldLocks::clear);
    }
    let mut said = Out::new();
    step_with_held(maekawa, node, input, &mut said, HeldLocks::clear);
    for effect in said.drain() {
        out.push(tells(effect, &told));
    }
}

fn tells(effect: Effect<Maekawa>, told: &HeldLocks) -> Effect<Maekawa> {
    match effect {
        Effect::Send {
            to,
            message:
                Message::Install {
                    epoch,
                    members,
                    construction,
                    ..
                },
        } => Effect::Send {
            to,
            message: Message::Install {
                epoch,
                members,
                construction,
                held: told.clone(),
            },
        },
        effect => effect,
    }
}

/// Its claims to them are over.
fn forgets_what_it_holds(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let begins = begins(&input);
    let held = membership_of(node).map(|member| member.held_locks());
    maekawa.step(node, input, out);
    let locks = held.into_iter().flatten().map(|(lock, _)| lock);
    for lock in locks.filter(|_| begins) {
        if let Some(local) = local_mut(node)
            && let Some(member) = &mut local.membership
            && member.attempts.remove(&lock).is_some()
        {
            local.claims.remove(&lock);
        }
    }
}

fn releases_nothing(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let begins = begins(&input);
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            message: Message::Release { .. },
            ..
        } if begins => None,
        effect => Some(effect),
    });
}

/// Changes what the node says that it holds.
fn step_and_say(
    maekawa: &Maekawa,
    node: &mut N,
    input: In,
    out: &mut Out,
    mut say: impl FnMut(HeldLocks) -> Option<HeldLocks>,
) {
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Send {
            to,
            message: Message::Frozen { epoch, held },
        } => say(held).map(|held| Effect::Send {
            to,
            message: Message::Frozen { epoch, held },
        }),
        effect => Some(effect),
    });
}

fn says_one(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_say(maekawa, node, input, out, |held| {
        Some(held.into_iter().take(1).collect())
    });
}

fn says_what_it_waits_for(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let waiting: Vec<(LockName, Held)> = membership_of(node)
        .into_iter()
        .flat_map(|member| {
            let waiting = member.attempts.iter();
            let waiting = waiting.filter(|(_, attempt)| attempt.held.is_none());
            waiting.map(|(lock, attempt)| {
                let (request, epoch) = (attempt.request, member.epoch);
                let token = Token { epoch, counter: 1 };
                (lock.clone(), Held { request, token })
            })
        })
        .collect();
    step_and_say(maekawa, node, input, out, |mut held| {
        held.extend(waiting.clone());
        Some(held)
    });
}

fn does_not_answer(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    step_and_say(maekawa, node, input, out, |held| {
        held.is_empty().then_some(held)
    });
}

fn ignores_the_clocks_of_holders(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let clock = local_of(node).map_or(0, |local| local.clock);
    let begins = begins(&input);
    maekawa.step(node, input, out);
    let waits = membership_of(node).is_some_and(|member| member.waits());
    if let (true, false, Some(local)) = (begins, waits, local_mut(node)) {
        local.clock = clock;
    }
}

fn believes_any_holder(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let durable = node.durable();
    if let Some((from, Message::Frozen { epoch, held })) = delivered(&input)
        && (durable.changing, durable.epoch) == (true, *epoch)
        && let Some(orchestration) = orchestration_mut(node)
    {
        orchestration
            .frozen
            .entry(from)
            .or_insert_with(|| held.clone());
    }
    forges_what_it_holds(maekawa, node, input, out);
}

fn counts_on(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let counted = match delivered(&input) {
        Some((from, Message::Deregister { .. })) => orchestration_mut(node)
            .and_then(|orchestration| orchestration.silent.remove_entry(&from)),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some((member, checks)), Some(orchestration)) = (counted, orchestration_mut(node)) {
        orchestration.silent.insert(member, checks);
    }
}
