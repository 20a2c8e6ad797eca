//! What must hold of every transition.

use crate::bully::election::{self, Standing};
use crate::bully::{Bully, Message, Number, Timer};
use crate::protocol::{Data, Node};
use crate::specification::Law;
use crate::world::{Action, Done, Envelope, Host, Scenario, World};

use super::{answers, delays_are_bounded, highest_up, leaders};

impl<R: Data> Bully<R> {
    pub(super) const TRANSITION_PROPERTIES: &'static [Law<Self>] = &[
        Law {
            name: "The highest takes office →",
            source: "under bounded delay, who takes office is the highest node that is up",
            holds: |scenario, before, _, after| {
                !delays_are_bounded(scenario) || the_highest_takes_office(scenario, before, after)
            },
        },
        Law {
            name: "Election numbers increase",
            source: "a node that is up never goes back to an earlier election",
            holds: |_, before, _, after| {
                let hosts = before.all_hosts().zip(after.all_hosts());
                hosts
                    .filter_map(|((_, old), (_, new))| old.node().zip(new.node()))
                    .all(|(old, new)| number(old) <= number(new))
            },
        },
        Law {
            name: "Who follows waits anew for its leader alone →",
            source: "the leader that is followed shows that it is up; nobody else's word, and no \
                     earlier election's, says so",
            holds: waits_anew_for_its_leader,
        },
        Law {
            name: "Each wait has its own time →",
            source: "a time-out is of one candidacy, and of one candidate that is waited for: it is \
                     longer than that one takes to answer, or to win; no answer prolongs it",
            holds: each_wait_has_its_time,
        },
        Law {
            name: "An old election is over",
            source: "a message of an earlier election than the receiver's changes nothing there",
            holds: |_, before, action, after| old_messages_change_nothing(before, action, after),
        },
        Law {
            name: "An election out of reach is not heeded →",
            source: "elections are numbered: one message that names the last number would leave none to \
                     come",
            holds: |_, before, action, after| out_of_reach_is_not_heeded(before, action, after),
        },
        Law {
            name: "Candidates are answered →",
            source: "who stands is given way to or told why it must not win, also when the one \
                     that was given way to is outdone",
            holds: |_, before, action, after| {
                answers::candidates_are_answered(before, action, after)
            },
        },
        Law {
            name: "Winners are followed or told →",
            source: "who has won is followed by all that are lower; who leads in an election \
                     that is over is told",
            holds: |_, before, action, after| {
                answers::winners_are_followed_or_told(before, action, after)
            },
        },
        Law {
            name: "Winners are followed without a word →",
            source: "Assertion 2: an election ends; a winner that is told to stand again by those \
                     who follow it begins the next",
            holds: |_, before, action, after| {
                answers::winners_are_followed_silently(before, action, after)
            },
        },
        Law {
            name: "Leaders say so →",
            source: "to a lower candidate the leader simply says that it leads",
            holds: |_, before, action, after| answers::leaders_say_so(before, action, after),
        },
        Law {
            name: "The highest known is followed →",
            source: "if two win the same election, for delays are not bounded, the higher one counts",
            holds: |_, before, action, after| {
                answers::the_highest_known_is_followed(before, action, after)
            },
        },
        Law {
            name: "Who has missed an election stands again →",
            source: "the highest node must lead, also one that was away",
            holds: |_, before, action, after| answers::the_stale_stand_again(before, action, after),
        },
        Law {
            name: "Who waits does not stand for having missed an election →",
            source: "a higher one that takes part sees to it: elections are not begun in vain",
            holds: |_, before, action, after| answers::who_waits_waits_on(before, action, after),
        },
        Law {
            name: "Heartbeats go to all →",
            source: "a leader shows that it is up, and makes good for a Coordinator that was lost",
            holds: |_, _, action, after| answers::heartbeats_go_to_all(action, after),
        },
        Law {
            name: "Who asks who leads is told →",
            source: "a client is told whom its node follows, or that an election is under way: one \
                     that has not been won yet leads nobody",
            holds: answers::who_asks_is_told_who_leads,
        },
        Law {
            name: "A host is told who leads, and when an election begins →",
            source: "§II: a coordinator is there to coordinate; while an election is under way nobody \
                     may go on with the last",
            holds: answers::hosts_are_told_who_leads,
        },
        Law {
            name: "A node stands once for each cause",
            source: "to be asked is no cause to begin another election, nor to stand again in the \
                     same: else elections go on for ever",
            holds: |_, before, action, after| asking_begins_nothing(before, action, after),
        },
        Law {
            name: "Who stands again stands in another election",
            source: "an answer to the last candidacy must not be one to this: the higher node that \
                     gave it has failed since",
            holds: |_, before, _, after| stands_anew_in_another(before, after),
        },
    ];
}

fn number<R: Data>(node: &Node<Bully<R>>) -> Number {
    node.volatile.election
}

fn the_highest_takes_office<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &World<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    let mut new = leaders(after).filter(|id| leaders(before).all(|old| old != *id));
    new.all(|leader| Some(leader) == highest_up(scenario, after))
}

/// A message, and its receiver before and after.
pub(super) struct Delivered<'a, R: Data> {
    pub(super) envelope: &'a Envelope<Message<R>>,
    pub(super) old: &'a Node<Bully<R>>,
    pub(super) new: &'a Node<Bully<R>>,
}

/// What the action delivers.
pub(super) fn delivered<'a, R: Data>(
    before: &'a World<Bully<R>>,
    action: &'a Action<Bully<R>>,
    after: &'a World<Bully<R>>,
) -> Option<Delivered<'a, R>> {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return None;
    };
    Some(Delivered {
        envelope,
        old: before.host(envelope.to).and_then(Host::node)?,
        new: after.host(envelope.to).and_then(Host::node)?,
    })
}

/// The election that the message is of; of an answer, that of what it answers.
fn election_of<R: Data>(message: &Message<R>) -> Number {
    match message {
        Message::Election { election, .. }
        | Message::Coordinator { election, .. }
        | Message::Okay { election }
        | Message::Stale { election, .. } => *election,
    }
}

/// What the action delivers, where that is to be heeded.
pub(super) fn heard<'a, R: Data>(
    before: &'a World<Bully<R>>,
    action: &'a Action<Bully<R>>,
    after: &'a World<Bully<R>>,
) -> Option<Delivered<'a, R>> {
    let delivered = delivered(before, action, after);
    delivered.filter(|it| can_be(it.old, &it.envelope.message))
}

fn old_messages_change_nothing<R: Data>(
    before: &World<Bully<R>>,
    action: &Action<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    delivered(before, action, after).is_none_or(|Delivered { envelope, old, new }| {
        election_of(&envelope.message) >= number(old) || old.volatile == new.volatile
    })
}

/// Whether the node may have missed as many elections as the message tells of: more than there can have
/// been in two weeks, had each taken a microsecond, it has not.
fn can_be<R: Data>(node: &Node<Bully<R>>, message: &Message<R>) -> bool {
    let told = match message {
        Message::Stale { election, current } => *election.max(current),
        message => election_of(message),
    };
    told.0.saturating_sub(number(node).0) <= 1 << 40
}

/// It changes nothing, and is not answered.
fn out_of_reach_is_not_heeded<R: Data>(
    before: &World<Bully<R>>,
    action: &Action<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    delivered(before, action, after).is_none_or(|Delivered { envelope, old, new }| {
        can_be(old, &envelope.message) || old == new && after.network.sent().next().is_none()
    })
}

/// A node that is asked takes part in that election at most, and stands in none in which it
/// has stood before. It may ask the asker in turn, and nobody else.
fn asking_begins_nothing<R: Data>(
    before: &World<Bully<R>>,
    action: &Action<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    let Some(Delivered { envelope, old, new }) = delivered(before, action, after) else {
        return true;
    };
    let Message::Election { election, .. } = envelope.message else {
        return true;
    };
    let asks = |world| asks(world, envelope, number(old));
    number(new) <= number(old).max(election) && asks(after) <= asks(before)
}

/// How often the receiver of that question asks others than its sender, in that election and in
/// messages under way.
fn asks<R: Data>(
    world: &World<Bully<R>>,
    question: &Envelope<Message<R>>,
    number: Number,
) -> usize {
    let under_way = world.network.in_flight();
    let asks = |envelope: &&Envelope<Message<R>>| {
        matches!(envelope.message, Message::Election { election, .. } if election == number)
            && envelope.from == question.to
            && envelope.to != question.from
    };
    under_way.iter().filter(asks).count()
}

fn stands_anew_in_another<R: Data>(before: &World<Bully<R>>, after: &World<Bully<R>>) -> bool {
    let hosts = before.all_hosts().zip(after.all_hosts());
    hosts
        .filter_map(|((_, old), (_, new))| old.node().zip(new.node()))
        .all(|(old, new)| {
            let waited = old.volatile.standing == Standing::Waiting;
            let stands = new.volatile.standing == Standing::Candidate;
            !waited || !stands || number(new) > number(old)
        })
}

/// Of a node that stands, or waits for a coordinator, before and after: its timer begins anew with
/// another election, or another candidate to wait for, and with nothing else.
fn each_wait_has_its_time<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &World<Bully<R>>,
    action: &Action<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    let node = |world| {
        let id = action.node()?;
        World::host(world, id).and_then(Host::node)
    };
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let (old, new) = (&old.volatile, &new.volatile);
    let timer = match (old.standing, new.standing) {
        (Standing::Candidate, Standing::Candidate) => election::Timer::Okay,
        (Standing::Waiting, Standing::Waiting) => election::Timer::Coordinator,
        _ => return true,
    };
    let timer = Timer::Election(timer);
    let Some((_, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let is_another = (old.election, &old.highest) != (new.election, &new.highest);
    action.fired() == Some(&timer) || renewed.contains(&timer) == is_another
}

/// Of a node that waits for its leader's word.
fn waits_anew_for_its_leader<R: Data>(
    scenario: &Scenario<Bully<R>>,
    before: &World<Bully<R>>,
    action: &Action<Bully<R>>,
    after: &World<Bully<R>>,
) -> bool {
    let Some((id, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let (Some(old), Some(node)) = (before.host(id), after.host(id).and_then(Host::node)) else {
        return true;
    };
    let hears = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            let said = match &envelope.message {
                Message::Coordinator { election, .. } => Some(*election),
                _ => None,
            };
            node.volatile.leader() == Some(envelope.from) && said == Some(node.volatile.election)
        }
        _ => false,
    };
    let runs = old.armed().any(|timer| *timer == Timer::Leader);
    renewed.contains(&Timer::Leader) == (hears && runs)
}
