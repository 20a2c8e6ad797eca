//! Defects of a requester: when it asks, enters and gives way.

use crate::maekawa::message::Message;
use crate::maekawa::state::{Session, Standing, View};
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::{Effect, Input, NodeId, Protocol};
use crate::specification::Mutant;

use super::{
    In, N, Out, attempt_mut, attempt_of, delivered, enter, enter_if_all_look_locked, held,
    local_mut, step_and_rewrite,
};
use crate::maekawa::spec::local_of;
use crate::maekawa::spec::scenarios::the_lock;

pub(super) const MUTANTS: &[Mutant<Maekawa>] = &[
    Mutant {
        id: "MAE-TOLD-ONCE",
        defect: "a claim that has the lock, and is made again, is not answered",
        source: "the answer may be lost",
        model: "maekawa/asked-again",
        inject: |scenario| scenario.step = tells_once,
    },
    Mutant {
        id: "MAE-GONE-REMEMBERED",
        defect: "a client that is gone keeps what it holds and waits for",
        source: "nobody is left to release it",
        model: "maekawa/clients",
        inject: |scenario| scenario.step = keeps_the_gone,
    },
    Mutant {
        id: "MAE-1",
        defect: "a node grants itself unconditionally",
        source: "a seed program; §4",
        model: "maekawa/three",
        inject: |scenario| scenario.step = grants_itself,
    },
    Mutant {
        id: "MAE-2",
        defect: "the grants are not cleared after the critical section",
        source: "a seed program; §4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = keeps_its_grants,
    },
    Mutant {
        id: "MAE-YIELD-HELD",
        defect: "a node in the critical section gives way",
        source: "§4",
        model: "maekawa/four",
        inject: |scenario| scenario.step = gives_way_in_the_critical_section,
    },
    Mutant {
        id: "MAE-FAILED-FORGOTTEN",
        defect: "a requester that is granted one arbiter forgets that another has failed",
        source: "§4",
        model: "maekawa/four",
        inject: |scenario| {
            scenario.step = forgets_what_failed;
            scenario.drop_inert = false;
        },
    },
    Mutant {
        id: "MAE-ALL-BUT-ONE",
        defect: "a node enters before its last arbiter is locked",
        source: "§4",
        model: "maekawa/two",
        inject: |scenario| scenario.step = enters_early,
    },
    Mutant {
        id: "MAE-CLOCK",
        defect: "a node's clock does not learn from the requests that it sees",
        source: "Lamport 1978",
        model: "maekawa/two",
        inject: |scenario| scenario.step = learns_no_time,
    },
    Mutant {
        id: "MAE-ASKS-ONCE",
        defect: "a node that waits asks again once at most",
        source: "messages may be lost",
        model: "maekawa/lossy",
        inject: |scenario| scenario.step = asks_again_once,
    },
    Mutant {
        id: "MAE-GIVEN-UP-TOO-SOON",
        defect: "a claim that is given up before it is made is made all the same",
        source: "what a client asks may be overtaken by what it asks next",
        model: "maekawa/clients",
        inject: |scenario| scenario.step = forgets_who_gave_up,
    },
    Mutant {
        id: "MAE-TOKEN-UNTOLD",
        defect: "who gives up before it has the lock says that it has had no token: if the RELEASE \
                 that has told of the last is lost, the next holder has a lesser one",
        source: "fencing tokens: a RELEASE stands for those before it",
        model: "maekawa/clients",
        inject: |scenario| scenario.step = tells_of_no_token,
    },
];

fn grants_itself(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    let own = maekawa.id();
    if let Some(attempt) = attempt_mut(node)
        && let Some(view) = attempt.arbiters.get_mut(&own)
        && view.standing != Standing::Locked
    {
        view.standing = Standing::Locked;
        enter_if_all_look_locked(node, out);
    }
}

fn keeps_its_grants(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before = attempt_of(node).filter(|attempt| attempt.held.is_some());
    let before = before.cloned();
    let releases = matches!(input, Input::Ask(Command::Release { .. }));
    maekawa.step(node, input, out);
    if let Some(before) = before
        && releases
        && let Some(local) = local_mut(node)
    {
        // What is forgotten here is remembered in the place where the next attempt will look.
        local.over.insert(REMEMBERED, before.request.clock);
    }
    let remembers = local_of(node).is_some_and(|local| local.over.contains_key(&REMEMBERED));
    if let Some(local) = local_mut(node)
        && let Some(membership) = local.membership.as_mut()
        && let Some(attempt) = membership.attempts.get_mut(&the_lock())
        && remembers
    {
        local.over.remove(&REMEMBERED);
        for view in attempt.arbiters.values_mut() {
            view.standing = Standing::Locked;
        }
        enter_if_all_look_locked(node, out);
    }
}

/// No client's session.
const REMEMBERED: Session = Session {
    node: NodeId(u16::MAX),
    number: u64::MAX,
};

fn gives_way_in_the_critical_section(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let inquiry = match delivered(&input) {
        Some((from, Message::Inquire { number, .. })) => Some((from, *number)),
        _ => None,
    };
    let about = delivered(&input).and_then(|(_, message)| {
        let (epoch, lock, request) = message.subject()?;
        Some((epoch, lock.clone(), request))
    });
    maekawa.step(node, input, out);
    if let Some((from, number)) = inquiry
        && let Some((epoch, lock, request)) = about
        && let Some(attempt) = attempt_mut(node)
        && attempt.request == request
        && attempt.held.is_some()
        && let Some(view) = attempt.arbiters.get_mut(&from)
    {
        view.standing = Standing::Failed;
        out.send(
            from,
            Message::Relinquish {
                epoch,
                lock,
                request,
                number,
            },
        );
    }
}

fn forgets_what_failed(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let is_locked = matches!(delivered(&input), Some((_, Message::Locked { .. })));
    maekawa.step(node, input, out);
    if let Some(attempt) = attempt_mut(node)
        && is_locked
    {
        for view in attempt.arbiters.values_mut() {
            if view.standing == Standing::Failed {
                view.standing = Standing::Awaited;
            }
        }
    }
}

fn enters_early(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    maekawa.step(node, input, out);
    let attempt = attempt_of(node);
    let is_missing = |view: &&View| !view.standing.is_locked();
    if attempt.is_some_and(|made| made.arbiters.values().filter(is_missing).count() == 1) {
        enter(node, out);
    }
}

fn learns_no_time(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let before = local_of(node).map(|local| local.clock);
    let is_request = matches!(delivered(&input), Some((_, Message::Request { .. })));
    maekawa.step(node, input, out);
    if let (true, Some(before), Some(local)) = (is_request, before, local_mut(node)) {
        local.clock = before;
    }
}

fn asks_again_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let retries = matches!(input, Input::Fire(Timer::Retry));
    step_and_rewrite(maekawa, node, input, out, |_, effect| match effect {
        Effect::Arm(Timer::Retry) if retries => None,
        effect => Some(effect),
    });
}

fn forgets_who_gave_up(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let unknown = match (&input, local_of(node)) {
        (Input::Ask(Command::Release { claim }), Some(local)) => { local.all_claims() }
            .all(|other| other != claim)
            .then_some(claim.session),
        _ => None,
    };
    maekawa.step(node, input, out);
    if let (Some(session), Some(local)) = (unknown, local_mut(node)) {
        local.over.remove(&session);
    }
}

fn tells_once(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let first = local_of(node).and_then(|local| local.all_claims().next());
    let again = matches!(&input, Input::Ask(Command::Acquire { claim }) if Some(claim) == first);
    if !(held(node).is_some() && again) {
        maekawa.step(node, input, out);
    }
}

fn keeps_the_gone(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    match input {
        Input::Ask(Command::End { session }) => out.emit(Event::Ended { session }),
        input => maekawa.step(node, input, out),
    }
}

fn tells_of_no_token(maekawa: &Maekawa, node: &mut N, input: In, out: &mut Out) {
    let gives_up = matches!(input, Input::Ask(_)) && held(node).is_none();
    step_and_rewrite(maekawa, node, input, out, |_, mut effect| {
        if let Effect::Send {
            message: Message::Release { counter, .. },
            ..
        } = &mut effect
            && gives_up
        {
            *counter = 0;
        }
        Some(effect)
    });
}
