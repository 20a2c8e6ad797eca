//! Defects in what clients are told.

use alloc::vec::Vec;

use crate::maekawa::ended::Ended;
use crate::maekawa::message::Token;
use crate::maekawa::state::{Claim, Local};
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, Outbox, Protocol};
use crate::specification::Mutant;

use super::{In, N, Out, held, local_mut, queue_mut, step_and_rewrite};
use crate::maekawa::spec::local_of;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-ENTRY-UNTOLD",
        defect: "who has waited is in the critical section when the last arbiter is locked, and \
                 hears nothing of it",
        source: "§2",
        model: "maekawa/two",
        inject: |scenario| scenario.step = enters_silently,
    },
    Mutant {
        id: "MAE-LOSS-UNTOLD",
        defect: "who has the lock when its node's lease runs out hears nothing of it",
        source: "a slow holder cannot be told from a dead one",
        model: "maekawa/suspicions",
        inject: |scenario| scenario.step = leaves_without_a_word,
    },
    Mutant {
        id: "MAE-TOLD-EARLY",
        defect: "a claim is told that it has the lock when it is requested",
        source: "§2",
        model: "maekawa/two",
        inject: |scenario| scenario.step = tells_before_entering,
    },
    Mutant {
        id: "MAE-TOLD-NEXT",
        defect: "who asks again while another client of its node has the lock is told that it has it",
        source: "§4: clients of a node queue there, one at a time is requested for",
        model: "maekawa/asked-behind",
        inject: |scenario| scenario.step = tells_whoever_asks,
    },
    Mutant {
        id: "MAE-QUEUE-JUMPED",
        defect: "who claims the lock last of a node's clients has it first",
        source: "§4: clients of a node queue there",
        model: "maekawa/clients",
        inject: |scenario| scenario.step = serves_the_last_first,
    },
    Mutant {
        id: "MAE-ENDED-GRANTED",
        defect: "a session that has ended is forgotten altogether: what its client had asked before, \
                 and comes later, is granted to nobody",
        source: "granted then, the claim would hold the lock with nobody there to release it",
        model: "maekawa/clients",
        inject: |scenario| scenario.step = forgets_who_is_gone,
    },
    Mutant {
        id: "MAE-END-UNTOLD",
        defect: "the claims that wait at a node that is to be no member are dropped without a word",
        source: "nobody waits for a lock that nobody requests any more",
        model: "maekawa/leave",
        inject: |scenario| scenario.step = drops_those_who_wait,
    },
    Mutant {
        id: "MAE-LATE-WORD",
        defect: "a late word that an earlier claim is over ends the claim that its session has now",
        source: "§2: a client's words may be overtaken",
        model: "maekawa/sessions",
        inject: |scenario| scenario.step = ends_what_there_is,
    },
    Mutant {
        id: "MAE-OVER-FORGOTTEN",
        defect: "with the end of a session what is over in earlier ones is forgotten: of a client that \
                 goes on there a late claim is granted to nobody",
        source: "granted then, the claim would hold the lock with nobody there to release it",
        model: "maekawa/sessions",
        inject: |scenario| scenario.step = forgets_earlier_sessions,
    },
    Mutant {
        id: "MAE-GAP-ENDED",
        defect: "a session that goes on between two that have ended counts as ended, too: what it \
                 claims is refused",
        source: "`ended`: there is a gap for each session that goes on",
        model: "maekawa/three-sessions",
        inject: |scenario| scenario.step = ends_what_is_between,
    },
    Mutant {
        id: "MAE-NEXT-OVER",
        defect: "with a claim the next of its session is over, too, and refused when it is made",
        source: "a claim is over that was released or revoked, or whose session has ended",
        model: "maekawa/sessions",
        inject: |scenario| scenario.step = releases_the_next_too,
    },
    Mutant {
        id: "MAE-QUEUE-KEPT",
        defect: "where one has the lock at a node that is to leave, those that wait behind it are not \
                 turned away",
        source: "nobody waits for a lock that nobody requests any more",
        model: "maekawa/leave-queue",
        inject: |scenario| scenario.step = keeps_those_behind,
    },
];

fn ends_what_there_is(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let late = match &input {
        Input::Ask(Command::Release { claim }) => local_mut(node).and_then(|local| {
            let mut claims = local.all_claims();
            let is_later =
                |now: &&Claim| now.session == claim.session && now.sequence > claim.sequence;
            claims.find(is_later).cloned()
        }),
        _ => None,
    };
    if let Some(claim) = late {
        maekawa.step(node, Input::Ask(Command::Release { claim }), out);
    }
    maekawa.step(node, input, out);
}

fn forgets_earlier_sessions(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let ended = match input {
        Input::Ask(Command::End { session }) => Some(session),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some(ended), Some(local)) = (ended, local_mut(node)) {
        local.over.retain(|other, _| other.number > ended.number);
    }
}

fn ends_what_is_between(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let ended = match input {
        Input::Ask(Command::End { session }) => Some(session.number),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some(number), Some(local)) = (ended, local_mut(node)) {
        if local.ended.contains(number + 2) {
            local.ended.insert(number + 1);
        }
        if number >= 2 && local.ended.contains(number - 2) {
            local.ended.insert(number - 1);
        }
    }
}

fn releases_the_next_too(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let released = match &input {
        Input::Ask(Command::Release { claim }) => Some(claim.clone()),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some(claim), Some(local)) = (released, local_mut(node))
        && local.over.get(&claim.session) == Some(&claim.sequence)
    {
        local.over.insert(claim.session, claim.sequence + 1);
    }
}

/// It asks to be made none all the same.
fn keeps_those_behind(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let leaves = matches!(input, Input::Ask(Command::Deregister));
    let waited = local_mut(node).map(|local| local.claims.clone());
    let mut right = Outbox::new();
    maekawa.step(node, input, &mut right);
    let Some(local) = local_mut(node) else {
        return right.drain().for_each(|effect| out.push(effect));
    };
    let member = local.membership.as_ref();
    let keeps = leaves && member.is_some_and(|member| member.all_held().next().is_some());
    for effect in right.drain() {
        if !keeps || !matches!(effect, Effect::Emit(Event::Refused { .. })) {
            out.push(effect);
        }
    }
    if let (true, Some(waited)) = (keeps, waited) {
        local.claims = waited;
    }
}

fn enters_silently(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let has_waited = matches!(input, Input::Deliver { .. });
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        let enters = matches!(effect, Effect::Emit(Event::Granted { .. }));
        (!has_waited || !enters).then_some(effect)
    });
}

fn leaves_without_a_word(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let runs_out = matches!(input, Input::Fire(Timer::Lease));
    step_and_rewrite(maekawa, node, input, out, |_, effect| {
        let is_said = matches!(effect, Effect::Emit(Event::Revoked { .. }));
        (!runs_out || !is_said).then_some(effect)
    });
}

/// The token is one that it may well get.
fn tells_before_entering(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let asks = asked(&input);
    maekawa.step(node, input, out);
    let Some(local) = local_of(node) else {
        return;
    };
    let waits = asks.filter(|claim| local.all_claims().next() == Some(claim));
    let member = local.membership.as_ref();
    if let (Some(claim), Some(member), None) = (waits, member, held(node)) {
        let token = Token {
            epoch: member.epoch,
            counter: member.counter + 1,
        };
        out.emit(Event::Granted { claim, token });
    }
}

/// The claim that is made.
fn asked(input: &In) -> Option<Claim> {
    match input {
        Input::Ask(Command::Acquire { claim }) => Some(claim.clone()),
        _ => None,
    }
}

fn tells_whoever_asks(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let asks = asked(&input);
    let waits = |local: &Local| {
        local
            .all_claims()
            .skip(1)
            .any(|other| asks.as_ref() == Some(other))
    };
    let asks_again = local_of(node).is_some_and(waits);
    maekawa.step(node, input, out);
    if let (true, Some(claim), Some(token)) = (asks_again, asks, held(node)) {
        out.emit(Event::Granted { claim, token });
    }
}

fn drops_those_who_wait(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_asked = matches!(input, Input::Ask(_));
    let waited = local_of(node).map_or(Vec::new(), |local| local.all_claims().cloned().collect());
    step_and_rewrite(maekawa, node, input, out, |_, effect| match &effect {
        Effect::Emit(Event::Refused {
            command: Command::Acquire { claim },
            ..
        }) if is_asked && waited.contains(claim) => None,
        _ => Some(effect),
    });
}

fn serves_the_last_first(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let claims = matches!(input, Input::Ask(Command::Acquire { .. }));
    maekawa.step(node, input, out);
    let is_held = held(node).is_some();
    let queue = local_mut(node).and_then(queue_mut);
    if let Some(queue) = queue.filter(|_| claims && !is_held) {
        queue.rotate_right(1);
    }
}

fn forgets_who_is_gone(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    if let Some(local) = local_mut(node) {
        local.ended = Ended::default();
    }
}
