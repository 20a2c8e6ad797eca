//! What a node's clients are told of their claims. They know nothing but that: exclusion among
//! nodes is worth as much as the words in which it is handed on.
//!
//! Verifies: of each step, that it says what it does to claims, and does what it says. So whoever has
//! been told that it has the lock, and not yet that it has lost it, is a holder, and exclusion among
//! holders is exclusion among them. Not verified: that the host passes it on, and that it tells the
//! clients of a node that has crashed.

use alloc::vec::Vec;

use crate::maekawa::message::Token;
use crate::maekawa::state::{Claim, Local};
use crate::maekawa::{Command, Event, Maekawa};
use crate::protocol::Node;
use crate::specification::Law;
use crate::world::{Action, Host, Scenario, World};

use super::disks::is_blank;
use super::local_of;

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
        let ended: Vec<Claim> = events.iter().filter_map(ended).collect();
        let mut gone = { old.claims.iter() }.filter(|claim| !new.claims.contains(claim));
        gone.all(|claim| ended.contains(claim))
            && ended.iter().all(|claim| !new.claims.contains(claim))
    },
};

pub(super) const CLAIMS_QUEUE: Law<Maekawa> = Law {
    name: "Claims wait in the order in which they are made →",
    source: "§4: a node requests the lock once at a time; of its clients, who has waited for \
             longest has it next",
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
                let goes_on = |claim: &&Claim| events.iter().all(|one| ended(one) != Some(**claim));
                let made = asked.filter(|claim| !old.claims.contains(claim));
                let expected = old.claims.iter().chain(made).filter(goes_on);
                new.claims.iter().eq(expected)
            })
    },
};

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

/// The claim that has the lock, and its token.
fn held(local: &Local) -> Option<(Claim, Token)> {
    let token = local.membership.as_ref()?.held()?;
    Some((*local.claims.front()?, token))
}

/// Who has the lock for all that is told by these words, with whom it was before; `None` if they
/// give it to a second claim, or under a second token.
fn held_when_told(
    before: Option<(Claim, Token)>,
    events: &[Event],
) -> Option<Option<(Claim, Token)>> {
    events.iter().try_fold(before, |held, event| match event {
        Event::Granted { claim, token } => {
            let now = (*claim, *token);
            held.is_none_or(|held| held == now).then_some(Some(now))
        }
        event => Some(held.filter(|(claim, _)| ended(event) != Some(*claim))),
    })
}

/// The claim that is over by this.
fn ended(event: &Event) -> Option<Claim> {
    match event {
        Event::Released { claim }
        | Event::Revoked { claim, .. }
        | Event::Refused {
            command: Command::Acquire { claim },
            ..
        } => Some(*claim),
        _ => None,
    }
}
