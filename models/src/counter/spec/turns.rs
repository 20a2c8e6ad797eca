//! What a replica tells of a window, when it says that it may leave, and whose turn it is.
//!
//! Verified here, step by step: that the window is the one that was asked for, that who leaves says
//! so as soon as it may, and that push-pull goes round.

use crate::counter::message::Message;
use crate::counter::{Command, Counter, Event, Timer};
use crate::protocol::Node;
use crate::specification::Law;
use crate::world::{Action, Scenario, World};

use super::duties::{running, says};
use super::running_at;

type W = World<Counter>;

pub(super) const WINDOW_IS_AS_ASKED: Law<Counter> = Law {
    name: "A window is told from its oldest bucket to the time at which it was asked for →",
    source: "the latest so many buckets, the running one included: as many as were asked for, also \
             where a clock was set back",
    holds: window_is_as_asked,
};

pub(super) const WHO_MAY_LEAVE_IS_TOLD: Law<Counter> = Law {
    name: "Who leaves is told so as soon as it may →",
    source: "a node's disk is needed until every member knows what is on it, and no longer",
    holds: |scenario, before, action, after| {
        running(before, action, after).is_none_or(|(_, old, new)| {
            let is_told = || {
                let is_it = |event: &Event| *event == Event::Drained;
                says(scenario, before, action, after, is_it)
            };
            may_leave(old) || !may_leave(new) || is_told()
        })
    },
};

pub(super) const PUSH_PULL_GOES_ROUND: Law<Counter> = Law {
    name: "Push-pull goes round →",
    source: "Demers et al. 1987, §1.3: with every other site, sooner or later",
    holds: push_pull_goes_round,
};

/// It leaves, there is somebody, and nobody is to be told anything any more.
fn may_leave(node: &Node<Counter>) -> bool {
    let members = &node.volatile.members;
    let mut owed = members.values().map(|peer| &peer.pending);
    node.volatile.leaving && !members.is_empty() && owed.all(|counts| counts.is_empty())
}

fn window_is_as_asked(
    scenario: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    let Some(Command::ReadWindow { now, latest, .. }) = before.asked(scenario, action) else {
        return true;
    };
    let Some((position, ..)) = running(before, action, after) else {
        return true;
    };
    let begins = scenario.nodes[position].window.map_or(*now, |window| {
        let asked = window.buckets().min(*latest).max(1);
        let older = window.width() * (asked - 1);
        running_at(window, *now).start.saturating_sub(older)
    });
    !says(scenario, before, action, after, |event| match event {
        Event::WindowValue { since, until, .. } => (*since, *until) != (begins, *now),
        _ => false,
    })
}

/// From each member to the next by name, and from the last to the first.
fn push_pull_goes_round(
    _: &Scenario<Counter>,
    before: &W,
    action: &Action<Counter>,
    after: &W,
) -> bool {
    let Some((_, old, new)) = running(before, action, after) else {
        return true;
    };
    if action.fired() != Some(&Timer::PushPull) {
        return true;
    }
    let members = || old.volatile.members.keys().copied();
    let later = members().find(|member| {
        let last = old.volatile.last_partner;
        last.is_none_or(|last| last < *member)
    });
    let turn = later.or_else(|| members().next());
    let mut asked = after.network.sent().filter(|sent| {
        action.node() == Some(sent.from) && matches!(sent.message, Message::PushPull { .. })
    });
    (turn.is_none() || new.volatile.last_partner == turn) && asked.all(|sent| Some(sent.to) == turn)
}
