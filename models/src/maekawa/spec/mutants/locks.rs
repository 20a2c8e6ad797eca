//! Defects in what several locks have in common, and in which are forgotten.

use alloc::vec::Vec;

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{HeldLocks, Message};
use crate::maekawa::state::{Arbiter, Membership, Standing};
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, delivered, local_mut, member_mut, step_and_rewrite};
use crate::maekawa::spec::live::has_one_at_a_time;
use crate::maekawa::spec::several::forges_names;
use crate::maekawa::spec::{local_of, membership_of};

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-LOCKS-RELEASED-TOGETHER",
        defect: "the RELEASE of one lock frees the arbiter of another that it is locked for the same \
                 node",
        source: "locks have nothing in common but the members",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = releases_together,
    },
    Mutant {
        id: "MAE-LOCKS-GRANTED-TOGETHER",
        defect: "a node that hears that an arbiter is locked for it takes that for every lock",
        source: "locks have nothing in common but the members",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = grants_together,
    },
    Mutant {
        id: "MAE-LOCKS-ONE-ARBITER",
        defect: "an arbiter that is locked does not hear of requests for other locks: who holds one keeps \
                 the others waiting",
        source: "locks have nothing in common but the members",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = hears_of_one_lock,
    },
    Mutant {
        id: "MAE-LOCKS-ONE-HELD",
        defect: "a node that holds one lock overlooks the LOCKED by which it would have another",
        source: "locks have nothing in common but the members",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = has_one_at_a_time,
    },
    Mutant {
        id: "MAE-LOCKS-GIVES-WAY",
        defect: "a node that is asked to give way gives back the arbiter of another lock as well",
        source: "§4: RELINQUISH is the answer to an INQUIRE",
        model: "maekawa/locks-four",
        inject: |scenario| scenario.step = gives_way_elsewhere,
    },
    Mutant {
        id: "MAE-LOCKS-SAME-TIME",
        defect: "requests that a node makes for different locks bear the same time",
        source: "§4; Lamport 1978, IR1",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = stops_the_clock,
    },
    Mutant {
        id: "MAE-LOCKS-TOKEN-LATEST",
        defect: "a RELEASE bears the token that its node has had last, which was of another lock and is \
                 less",
        source: "fencing tokens: an arbiter numbers its grants on from there",
        model: "maekawa/locks-three",
        inject: |scenario| scenario.step = tells_of_the_latest,
    },
    Mutant {
        id: "MAE-LOCKS-RETRY-STOPPED",
        defect: "a node that enters lets nobody ask again, though it waits for another lock",
        source: "what it waits for may be lost",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = stops_asking,
    },
    Mutant {
        id: "MAE-LOCKS-RETRY-PUT-OFF",
        defect: "the timer of those that wait begins anew with each request",
        source: "where requests are frequent it never runs out",
        model: "maekawa/locks",
        inject: |scenario| scenario.step = puts_asking_off,
    },
    Mutant {
        id: "MAE-LOCKS-RETRY-OF-ONE",
        defect: "when it is time a node asks again for one of the locks that it waits for",
        source: "it may not be the one that has not been heard",
        model: "maekawa/locks-lossy",
        inject: |scenario| scenario.step = asks_for_one_again,
    },
    Mutant {
        id: "MAE-LOCKS-FROZEN-EARLY",
        defect: "a node that leaves says that it holds nothing when the first of its two holders leaves",
        source: "an epoch change freezes, drains, installs",
        model: "maekawa/locks-leave",
        inject: |scenario| scenario.step = freezes_early,
    },
    Mutant {
        id: "MAE-LOCKS-ONE-REVOKED",
        defect: "of two that have a lock when the lease runs out one is told",
        source: "each has lost its lock, and others may have it",
        model: "maekawa/locks-lease",
        inject: |scenario| scenario.step = tells_one,
    },
    Mutant {
        id: "MAE-LOCKS-ONE-TURNED-AWAY",
        defect: "a node that is to leave turns those away that wait for the first of its locks",
        source: "nobody waits at a node that will not ask for it again",
        model: "maekawa/locks-leave",
        inject: |scenario| scenario.step = turns_one_away,
    },
    Mutant {
        id: "MAE-FORGETS-LOCKED",
        defect: "an arbiter forgets a lock that is locked or waited for when that becomes too many",
        source: "§4: what it is locked for it is locked for until the RELEASE",
        model: "maekawa/forgetting",
        inject: |scenario| scenario.step = forgets_what_is_locked,
    },
    Mutant {
        id: "MAE-FORGETS-NUMBER",
        defect: "with the lock an arbiter forgets how far it has numbered its grants",
        source: "fencing tokens: of each lock they increase, whatever else is forgotten of it",
        model: "maekawa/forgetting",
        inject: |scenario| scenario.step = forgets_the_number,
    },
    Mutant {
        id: "MAE-FORGETS-NOTHING",
        defect: "an arbiter remembers every lock that there ever was",
        source: "a node's memory is finite",
        model: "maekawa/forgetting",
        inject: |scenario| scenario.step = forgets_nothing,
    },
    Mutant {
        id: "MAE-FORGETS-LATEST",
        defect: "an arbiter forgets the lock that has become idle last",
        source: "about that one most is still under way",
        model: "maekawa/forgetting-in-turn",
        inject: |scenario| scenario.step = forgets_the_latest,
    },
    Mutant {
        id: "MAE-NAME-BELIEVED",
        defect: "an arbiter notes a request for what cannot be the name of a lock",
        source: "a name has a length",
        model: "maekawa/forged-names",
        inject: |scenario| scenario.step = believes_any_name,
    },
];

/// Changes what the node knows as the arbiter of the lock.
fn amend(node: &mut N, lock: &LockName, change: impl FnOnce(&mut Arbiter)) {
    if let Some(member) = member_mut(node) {
        change(member.arbiters.entry(lock.clone()).or_default());
        member.settle(lock, usize::MAX);
    }
}

/// The locks of the node's requests other than this one.
fn others(node: &N, lock: &LockName) -> Vec<LockName> {
    let attempts = membership_of(node).into_iter();
    let locks = attempts.flat_map(|member| member.attempts.keys());
    locks.filter(|other| *other != lock).cloned().collect()
}

fn releases_together(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let released = match delivered(&input) {
        Some((from, Message::Release { lock, .. })) => Some((from, lock.clone())),
        _ => None,
    };
    maekawa.step(node, input, out);
    let Some((from, released)) = released else {
        return;
    };
    let arbiters = membership_of(node).into_iter().flat_map(|it| &it.arbiters);
    let is_of = |arbiter: &Arbiter| arbiter.locked.is_some_and(|it| it.request.node == from);
    let of_others = arbiters.filter(|(lock, arbiter)| **lock != released && is_of(arbiter));
    let locks: Vec<LockName> = of_others.map(|(lock, _)| lock.clone()).collect();
    for lock in locks {
        amend(node, &lock, |arbiter| arbiter.locked = None);
    }
}

/// The numbers of an arbiter's grants are those of all its locks.
fn grants_together(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let heard = match delivered(&input) {
        Some((
            from,
            Message::Locked {
                epoch,
                lock,
                number,
                clock,
                ..
            },
        )) => Some((from, *epoch, lock.clone(), *number, *clock)),
        _ => None,
    };
    maekawa.step(node, input, out);
    let Some((from, epoch, lock, number, clock)) = heard else {
        return;
    };
    for lock in others(node, &lock) {
        let made = membership_of(node).and_then(|member| member.attempts.get(&lock));
        if let Some(request) = made.map(|made| made.request) {
            let message = Message::Locked {
                epoch,
                lock,
                request,
                number,
                clock,
            };
            maekawa.step(node, Input::Deliver { from, message }, out);
        }
    }
}

fn hears_of_one_lock(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((_, Message::Request { lock, .. })) = delivered(&input)
        && let Some(member) = membership_of(node)
        && { member.arbiters.iter() }.any(|(other, it)| other != lock && it.locked.is_some())
    {
        return;
    }
    maekawa.step(node, input, out);
}

fn gives_way_elsewhere(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let inquiry = match delivered(&input) {
        Some((from, Message::Inquire { epoch, lock, .. })) => Some((from, *epoch, lock.clone())),
        _ => None,
    };
    maekawa.step(node, input, out);
    let Some((from, epoch, lock)) = inquiry else {
        return;
    };
    for lock in others(node, &lock) {
        let attempt = member_mut(node).and_then(|member| member.attempts.get_mut(&lock));
        let Some(attempt) = attempt.filter(|attempt| attempt.held.is_none()) else {
            continue;
        };
        let request = attempt.request;
        let view = attempt.arbiters.get_mut(&from);
        if let Some(view) = view.filter(|view| view.standing == Standing::Locked) {
            view.standing = Standing::Failed;
            let message = Message::Relinquish {
                epoch,
                lock,
                request,
                number: view.number,
            };
            out.send(from, message);
        }
    }
}

fn stops_the_clock(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let claims = matches!(input, Input::Ask(Command::Acquire { .. }));
    let waits = membership_of(node).is_some_and(Membership::waits);
    if let (true, Some(local)) = (claims && waits, local_mut(node)) {
        local.clock -= 1;
    }
    maekawa.step(node, input, out);
}

fn tells_of_the_latest(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before: Vec<LockName> = held(node);
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node) {
        let mut entered = member.all_held().filter(|(lock, _)| !before.contains(lock));
        if let Some((_, token)) = entered.next() {
            drop(entered);
            member.counter = token.counter;
        }
    }
}

/// The locks that the node holds.
fn held(node: &N) -> Vec<LockName> {
    let held = membership_of(node)
        .into_iter()
        .flat_map(Membership::all_held);
    held.map(|(lock, _)| lock.clone()).collect()
}

fn stops_asking(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if out.effects().iter().any(is_grant) {
        out.disarm(Timer::Retry);
    }
}

fn is_grant(effect: &Effect<Maekawa>) -> bool {
    matches!(effect, Effect::Emit(Event::Granted { .. }))
}

fn puts_asking_off(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let requests = |node: &N| membership_of(node).map_or(0, |member| member.attempts.len());
    let before = requests(node);
    maekawa.step(node, input, out);
    if requests(node) > before && membership_of(node).is_some_and(Membership::waits) {
        out.arm(Timer::Retry);
    }
}

fn asks_for_one_again(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let fires = matches!(input, Input::Fire(Timer::Retry));
    let mut first = None;
    step_and_rewrite(maekawa, node, input, out, |_, effect| match &effect {
        Effect::Send {
            message: Message::Request { lock, .. },
            ..
        } if fires => {
            let is_first = first.get_or_insert_with(|| lock.clone()) == lock;
            is_first.then_some(effect)
        }
        _ => Some(effect),
    });
}

fn freezes_early(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let (epoch, before) = (node.durable().epoch, held(node));
    maekawa.step(node, input, out);
    let after = held(node);
    let frozen = membership_of(node).is_some_and(|member| member.frozen);
    if frozen && !after.is_empty() && after.len() < before.len() {
        let held = HeldLocks::new();
        out.send(maekawa.orchestrator(), Message::Frozen { epoch, held });
    }
}

fn tells_one(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let runs_out = matches!(input, Input::Fire(Timer::Lease));
    let mut told = false;
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        let is_said = matches!(effect, Effect::Emit(Event::Revoked { .. }));
        let again = runs_out && is_said && told;
        told |= is_said;
        (!again).then_some(effect)
    });
}

fn turns_one_away(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let leaves = matches!(input, Input::Ask(Command::Deregister));
    let claims = local_of(node).map(|local| local.claims.clone());
    let kept = claims.into_iter().flatten().skip(1).filter(|_| leaves);
    let kept: Vec<_> = kept.collect();
    step_and_rewrite(maekawa, node, input, out, |_, effect| match &effect {
        Effect::Emit(Event::Refused {
            command: Command::Acquire { claim },
            ..
        }) if kept.iter().any(|(lock, _)| *lock == claim.lock) => None,
        _ => Some(effect),
    });
    if let Some(local) = local_mut(node) {
        local.claims.extend(kept);
    }
}

/// There is one lock in that world.
fn forgets_what_is_locked(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let hears = matches!(delivered(&input), Some((_, Message::Request { .. })));
    maekawa.step(node, input, out);
    if let (true, Some(member)) = (hears, member_mut(node)) {
        member
            .arbiters
            .retain(|_, arbiter| arbiter.waiting.is_empty());
    }
}

fn forgets_the_number(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let known = membership_of(node).map_or(0, |member| member.arbiters.len());
    maekawa.step(node, input, out);
    if let Some(member) = member_mut(node).filter(|member| member.arbiters.len() < known) {
        member.number = 0;
    }
}

fn forgets_nothing(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let remembering = Maekawa {
        max_idle_locks: usize::MAX,
        ..maekawa.clone()
    };
    remembering.step(node, input, out);
}

fn forgets_the_latest(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    forgets_nothing(maekawa, node, input, out);
    if let Some(member) = member_mut(node) {
        while member.idle.len() > maekawa.max_idle_locks
            && let Some(latest) = member.idle.pop_back()
        {
            member.arbiters.remove(&latest);
        }
    }
}

fn believes_any_name(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    if let Some((from, Message::Request { lock, request, .. })) = delivered(&input)
        && !lock.is_valid()
    {
        let (lock, clock) = (lock.clone(), request.clock);
        amend(node, &lock, |arbiter| {
            arbiter.finished.insert(from, clock);
        });
    }
    forges_names(maekawa, node, input, out);
}
