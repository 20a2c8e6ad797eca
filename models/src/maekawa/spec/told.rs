//! What a node's clients are told of their claims. They know nothing but that: exclusion among
//! nodes is worth as much as the words in which it is handed on.
//!
//! Verifies: of each step, that it says what it does to claims, and does what it says. So whoever has
//! been told that it has the lock, and not yet that it has lost it, is a holder, and exclusion among
//! holders is exclusion among them. Not verified: that the host passes it on, and that it tells the
//! clients of a node that has crashed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::maekawa::lock::LockName;
use crate::maekawa::message::{Message, Token};
use crate::maekawa::state::{Claim, Local, Membership, Session};
use crate::maekawa::{Command, Event, Maekawa, Timer};
use crate::protocol::Node;
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};

use super::disks::is_blank;
use super::{claims_of, local_of};

pub(super) const WHAT_IS_HELD_IS_TOLD: Law<Maekawa> = Law {
    name: "Who is told that it has the lock has it, and who has it is told →",
    source: "§2: exclusion is of those who believe that they are in the critical section, and \
             they are told when they enter and when they have lost it",
    holds: |scenario, before, action, after| {
        said(scenario, before, action, after)
            .is_none_or(|(old, events, new)| held_when_told(held(old), &events) == Some(held(new)))
    },
};

pub(super) const A_CLAIM_ENDS_WITH_A_WORD: Law<Maekawa> = Law {
    name: "A claim that ends is told so, and one that is told so has ended →",
    source: "nobody waits for a lock that nobody requests any more, or gives up what goes on",
    holds: |scenario, before, action, after| {
        let Some((old, events, new)) = said(scenario, before, action, after) else {
            return true;
        };
        let ended: Vec<&Claim> = events.iter().filter_map(ended).collect();
        let goes_on = |claim: &Claim| new.claims_to(&claim.lock).any(|other| other == claim);
        let mut gone = claims_of(old).filter(|claim| !goes_on(claim));
        gone.all(|claim| ended.contains(&claim)) && !ended.iter().any(|claim| goes_on(claim))
    },
};

pub(super) const A_CLAIM_ENDS_FOR_A_REASON: Law<Maekawa> = Law {
    name: "A claim ends because its client says so, its node leaves, or the lock is lost →",
    source: "§2: who has entered is in the critical section until it leaves; a late word about an \
             earlier claim, or another client's, says nothing of this one",
    holds: |scenario, before, action, after| {
        said(scenario, before, action, after).is_none_or(|(_, events, _)| {
            let asked = before.asked(scenario, action);
            { events.iter() }.all(|event| is_a_reason(event, asked, action))
        })
    },
};

pub(super) const OVER_IS_OVER: Law<Maekawa> = Law {
    name: "What is over stays over →",
    source: "a client's words may arrive late, and a claim that is granted once more has nobody to \
             release it; what another session does is no reason to forget",
    holds: |scenario, before, action, after| {
        let Some((old, new)) = locals(before, action, after) else {
            return true;
        };
        let gone = |local: &Local, session: &Session| local.ended.contains(session.number);
        let sessions = scenario.scripts.iter().flatten().filter_map(session_of);
        let here = sessions.filter(|session| action.node() == Some(session.node));
        let mut ended = here.filter(|session| gone(old, session));
        let is_as_it_was = (&old.over, &old.ended) == (&new.over, &new.ended);
        let mut over = old.over.iter();
        is_as_it_was
            || over.all(|(session, last)| new.over.get(session) >= Some(last) || gone(new, session))
                && ended.all(|session| gone(new, &session))
    },
};

pub(super) const ONLY_WHAT_HAS_ENDED_IS_OVER: Law<Maekawa> = Law {
    name: "Only what has ended is over →",
    source: "a session that its client has not ended goes on, whichever others have; and a claim that \
             has not been made yet is not over with the one before it",
    holds: |scenario, before, action, after| {
        let Some((old, new)) = locals(before, action, after) else {
            return true;
        };
        if (&old.over, &old.ended) == (&new.over, &new.ended) {
            return true;
        }
        let asked = before.asked(scenario, action);
        let is_ended = |number: u64| {
            asked.is_some_and(
                |command| matches!(command, Command::End { session } if session.number == number),
            )
        };
        let sessions = scenario.scripts.iter().flatten().filter_map(session_of);
        let here = sessions.filter(|session| action.node() == Some(session.node));
        // Those beside it may be of clients that are yet to come.
        let mut numbers = here.flat_map(|Session { number, .. }| {
            [number.saturating_sub(1), number, number.saturating_add(1)]
        });
        numbers.all(|number| {
            !new.ended.contains(number) || old.ended.contains(number) || is_ended(number)
        }) && said(scenario, before, action, after).is_none_or(|(old, events, new)| {
            let mut grown =
                { new.over.iter() }.filter(|&(session, last)| old.over.get(session) != Some(last));
            grown.all(|(session, last)| {
                let is_it = |claim: &Claim| (&claim.session, &claim.sequence) == (session, last);
                events.iter().any(|event| match event {
                    Event::Refused { .. } => {
                        claims_of(old).any(|claim| is_it(claim) && ended(event) == Some(claim))
                    }
                    _ => ended(event).is_some_and(is_it),
                })
            })
        })
    },
};

pub(super) const CLAIMS_QUEUE: Law<Maekawa> = Law {
    name: "Claims wait in the order in which they are made →",
    source: "§4: a node requests a lock once at a time; of its clients that claim it, who has waited \
             for longest has it next",
    holds: |scenario, before, action, after| {
        let host = action.node().and_then(|id| before.host(id));
        let takes_part = host.is_some_and(|host| !is_blank(host.durable()));
        let asked = match before.asked(scenario, action) {
            Some(Command::Acquire { claim }) if takes_part => Some(claim),
            _ => None,
        };
        let is_as_it_was =
            |(old, new): (&Local, &Local)| asked.is_none() && old.claims == new.claims;
        locals(before, action, after).is_none_or(is_as_it_was)
            || said(scenario, before, action, after).is_none_or(|(old, events, new)| {
                let goes_on = |claim: &&Claim| events.iter().all(|one| ended(one) != Some(claim));
                let is_new = |claim: &&Claim| old.claims_to(&claim.lock).all(|it| it != *claim);
                let made = asked.filter(is_new);
                let mut locks = old.claims.keys().chain(new.claims.keys());
                locks.all(|lock| {
                    let made = made.filter(|claim| claim.lock == *lock);
                    let expected = old.claims_to(lock).chain(made).filter(goes_on);
                    new.claims_to(lock).eq(expected)
                }) && made
                    .filter(goes_on)
                    .is_none_or(|made| new.claims.contains_key(&made.lock))
            })
    },
};

/// The session that a client speaks of.
fn session_of(command: &Command) -> Option<Session> {
    match command {
        Command::Acquire { claim } | Command::Release { claim } => Some(claim.session),
        Command::End { session } => Some(*session),
        Command::Register | Command::Deregister => None,
    }
}

/// Whether what happens is a reason for what is said of the end of a claim.
fn is_a_reason(event: &Event, asked: Option<&Command>, action: &Action<Maekawa>) -> bool {
    match event {
        Event::Released { claim } => match asked {
            Some(Command::Release { claim: asked }) => asked == claim,
            Some(Command::End { session }) => *session == claim.session,
            _ => false,
        },
        Event::Refused {
            command: Command::Acquire { claim },
            ..
        } => match asked {
            Some(Command::Acquire { claim: asked }) => asked == claim,
            asked => asked == Some(&Command::Deregister),
        },
        Event::Revoked { .. } => match action.delivered() {
            Some(Message::Freeze { .. } | Message::Install { .. }) => true,
            _ => action.fired() == Some(&Timer::Lease),
        },
        _ => true,
    }
}

/// What the node that takes the step knows before and after it, if it is one that locks.
fn locals<'a>(
    before: &'a World<Maekawa>,
    action: &Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<(&'a Local, &'a Local)> {
    let id = action.node()?;
    let local = |world: &'a World<Maekawa>| -> Option<&'a Local> {
        let node: &Node<Maekawa> = world.host(id).and_then(Host::node)?;
        local_of(node)
    };
    Some((local(before)?, local(after)?))
}

/// The same, and what is said in the step.
fn said<'a>(
    scenario: &Scenario<Maekawa>,
    before: &'a World<Maekawa>,
    action: &Action<Maekawa>,
    after: &'a World<Maekawa>,
) -> Option<(&'a Local, Vec<Event>, &'a Local)> {
    let (old, new) = locals(before, action, after)?;
    let (_, done) = before.done(scenario, action, after)?;
    Some((old, done.emitted, new))
}

/// Who has which lock, and under which token.
type Held<'a> = BTreeMap<&'a LockName, (&'a Claim, Token)>;

/// The claims that have a lock.
fn held(local: &Local) -> Held<'_> {
    let members = local.membership.iter();
    let held = members.flat_map(Membership::all_held);
    held.filter_map(|(lock, token)| Some((lock, (local.claims_to(lock).next()?, token))))
        .collect()
}

/// Who has which lock for all that is told by these words, with whom it was before; `None` if they
/// give one to a second claim, or under a second token.
fn held_when_told<'a>(before: Held<'a>, events: &'a [Event]) -> Option<Held<'a>> {
    events.iter().try_fold(before, |mut held, event| {
        if let Event::Granted { claim, token } = event {
            let now = (claim, *token);
            return (*held.entry(&claim.lock).or_insert(now) == now).then_some(held);
        }
        held.retain(|_, (claim, _)| ended(event) != Some(claim));
        Some(held)
    })
}

/// The claim that is over by this.
fn ended(event: &Event) -> Option<&Claim> {
    match event {
        Event::Released { claim }
        | Event::Revoked { claim, .. }
        | Event::Refused {
            command: Command::Acquire { claim },
            ..
        } => Some(claim),
        _ => None,
    }
}
