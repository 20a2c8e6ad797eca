//! What a message must bring about: whoever is wrong about an election hears so. That all are
//! right in the end is a matter of liveness.

use alloc::vec::Vec;

use crate::bully::election::{self, Candidate, Standing};
use crate::bully::{Bully, Command, Event, Message, Number, Timer};
use crate::protocol::{Data, NodeId};
use crate::world::{Action, Done, Host, Scenario, World};

use super::laws::{Delivered, heard};

type W<R> = World<Bully<R>>;

/// Whether a message is under way from one to the other, or none can be.
fn tells<R: Data>(
    world: &W<R>,
    from: NodeId,
    to: NodeId,
    is_it: impl Fn(&Message<R>) -> bool,
) -> bool {
    let is_up = world.host(to).and_then(Host::node).is_some();
    let in_flight = world.network.in_flight();
    let mut said = in_flight
        .iter()
        .filter(|said| (said.from, said.to) == (from, to));
    !is_up || !world.network.connects(from, to) || said.any(|said| is_it(&said.message))
}

/// Who stands is given way to or answered. So is, then, whoever was given way to before.
pub(super) fn candidates_are_answered<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = heard(before, action, after) else {
        return true;
    };
    let (from, to) = (envelope.from, envelope.to);
    let (old, new) = (&old.volatile, &new.volatile);
    let asker = match envelope.message {
        Message::Election { .. } => Some(from),
        Message::Okay { .. } | Message::Coordinator { .. } | Message::Stale { .. } => None,
    };
    let gave_way = old.standing == Standing::Waiting && old.highest.id != to;
    let waits_or_follows = new.standing != Standing::Candidate;
    let outdone = (gave_way && waits_or_follows).then_some(old.highest.id);
    let mut candidates = asker.into_iter().chain(outdone);
    candidates.all(|candidate| new.highest.id == candidate || tells(after, to, candidate, |_| true))
}

/// A lower node that stands in an election that is over hears so from who leads: if it only heard
/// that a higher one takes part, it would wait for a winner that has won long ago.
pub(super) fn leaders_say_so<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, .. }) = heard(before, action, after) else {
        return true;
    };
    let (from, to) = (envelope.from, envelope.to);
    let old = &old.volatile;
    let Message::Election { election, rank } = &envelope.message else {
        return true;
    };
    let candidate = Candidate {
        rank: rank.clone(),
        id: from,
    };
    let must_know =
        old.leader() == Some(to) && *election <= old.election && candidate < old.highest;
    let says_so = |said: &Message<R>| match said {
        Message::Coordinator { election, .. } => *election == old.election,
        Message::Election { .. } | Message::Okay { .. } | Message::Stale { .. } => false,
    };
    !must_know || tells(after, to, from, says_so)
}

/// Of the same election a winner is not followed where a higher candidate is known.
pub(super) fn the_highest_known_is_followed<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = heard(before, action, after) else {
        return true;
    };
    let (old, new) = (&old.volatile, &new.volatile);
    let Message::Coordinator { election, rank } = &envelope.message else {
        return true;
    };
    let winner = Candidate {
        rank: rank.clone(),
        id: envelope.from,
    };
    let is_outdone = *election == old.election && winner < old.highest;
    !is_outdone || new.leader() != Some(envelope.from)
}

/// A winner that is higher than the receiver and than all that it knows of in that election is
/// followed. One of an old election, or one that is lower, hears better, if only from who leads;
/// the highest of all hears it from everybody.
pub(super) fn winners_are_followed_or_told<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = heard(before, action, after) else {
        return true;
    };
    let (from, to) = (envelope.from, envelope.to);
    let (old, new) = (&old.volatile, &new.volatile);
    let Message::Coordinator { election, rank } = &envelope.message else {
        return true;
    };
    let winner = Candidate {
        rank: rank.clone(),
        id: from,
    };
    if *election < old.election {
        let must_know = winner > old.highest || old.leader() == Some(to);
        let better = |said: &Message<R>| match said {
            Message::Stale { current, .. } => *current == old.election,
            Message::Coordinator { election, .. } => *election == old.election,
            Message::Election { .. } | Message::Okay { .. } => false,
        };
        return !must_know || tells(after, to, from, better);
    }
    let is_highest = *election > old.election || winner >= old.highest;
    let is_bullied = new.standing == Standing::Candidate && new.election > *election;
    is_bullied || !is_highest || new.leader() == Some(from)
}

/// A winner that is followed, or waited for, has nothing to hear. It was told when it stood if a later
/// election was known; to be told once more would make it stand again, over a leader on whom both agree.
pub(super) fn winners_are_followed_silently<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, new, .. }) = heard(before, action, after) else {
        return true;
    };
    let (from, to) = (envelope.from, envelope.to);
    let has_won = matches!(envelope.message, Message::Coordinator { .. });
    let mut sent = after.network.sent();
    !has_won
        || new.volatile.highest.id != from
        || sent.all(|said| (said.from, said.to) != (to, from))
}

/// Who stands or leads, and hears that its election is over, stands beyond all that it hears of.
pub(super) fn the_stale_stand_again<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = heard(before, action, after) else {
        return true;
    };
    let Message::Stale { election, current } = &envelope.message else {
        return true;
    };
    let (old, new) = (&old.volatile, &new.volatile);
    let is_current = *election == old.election && current >= election;
    let stands_or_leads = old.standing == Standing::Candidate || old.leader() == Some(envelope.to);
    let stands_beyond = new.standing == Standing::Candidate && new.election > *current;
    !(is_current && stands_or_leads) || stands_beyond
}

/// Who waits, or follows another, and hears that its election is over, does nothing.
pub(super) fn who_waits_waits_on<R: Data>(
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = heard(before, action, after) else {
        return true;
    };
    let (old, new) = (&old.volatile, &new.volatile);
    let stands_or_leads = old.standing == Standing::Candidate || old.leader() == Some(envelope.to);
    let is_stale = matches!(envelope.message, Message::Stale { .. });
    !is_stale || stands_or_leads || (old.standing, old.election) == (new.standing, new.election)
}

/// A leader's heartbeat goes to all.
pub(super) fn heartbeats_go_to_all<R: Data>(action: &Action<Bully<R>>, after: &W<R>) -> bool {
    let Action::Fire {
        node: leader,
        timer: Timer::Heartbeat,
    } = action
    else {
        return true;
    };
    let mut others = after.all_hosts().filter(|(id, _)| id != leader);
    others.all(|(id, _)| {
        tells(after, *leader, id, |said| {
            matches!(said, Message::Coordinator { .. })
        })
    })
}

/// Who leads, and in which election, for all that a node knows.
type Known = (Option<NodeId>, Number);

/// What the node that takes the step knows before and after it, and what it says meanwhile.
fn said<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> Option<(Known, Vec<Event>, Known)> {
    let known = |world: &W<R>| -> Option<Known> {
        let state = &world.host(action.node()?)?.node()?.volatile;
        Some((state.leader(), state.election))
    };
    let (was, is) = (known(before)?, known(after)?);
    let (_, Done { emitted, .. }) = before.done(scenario, action, after)?;
    Some((was, emitted, is))
}

pub(super) fn who_asks_is_told_who_leads<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    let Some(Command::WhoLeads) = before.asked(scenario, action) else {
        return true;
    };
    said(scenario, before, action, after).is_none_or(|(_, events, (leader, election))| {
        let answer = Event::Leads { leader, election };
        events == [answer]
    })
}

/// What the host has been told by all that is said is what the node knows.
pub(super) fn hosts_are_told_who_leads<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &W<R>,
    action: &Action<Bully<R>>,
    after: &W<R>,
) -> bool {
    said(scenario, before, action, after).is_none_or(|(was, events, is)| {
        let told = events.iter().fold(was, |known, event| match *event {
            Event::Election(election::Event::Electing { election }) => (None, election),
            Event::Election(election::Event::Elected { leader, election }) => {
                (Some(leader), election)
            }
            Event::Leads { .. } => known,
        });
        told == is
    })
}
