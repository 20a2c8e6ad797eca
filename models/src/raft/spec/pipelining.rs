//! What must be true of a leader's flow control (thesis §10.2).
//!
//! Verifies: the window counts what is under way and nothing else, in each world and step by step
//! against what was sent and acknowledged; nothing waits that might be
//! sent; whoever waits for an answer has a timer that will ask again. So an append that is
//! lost delays replication and cannot stop it. Not verified here: that the messages arrive in
//! the end ([`liveness`](super::liveness)).

use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};
use crate::raft::log::{Content, Entry, Index};
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::progress::{InFlight, Mode, Progress, Window};
use crate::raft::state::Leadership;
use crate::raft::{Raft, Timer};
use crate::specification::{Invariant, Law, Reachable};
use crate::world::{Action, Host, Scenario, World};

use super::quorums::peers;
use super::{Step, leadership, said};

impl<M: StateMachine> Raft<M> {
    pub(super) const WINDOW_IS_TRUE: Invariant<Self> = Invariant {
        name: "The window counts what is under way",
        source: "thesis §10.2: and opens again when that is acknowledged",
        holds: |scenario, world| windows_are_true(scenario, world),
    };

    pub(super) const NOTHING_WAITS: Invariant<Self> = Invariant {
        name: "Nothing waits beside an open window",
        source: "§5.3: the leader sends what a follower lacks",
        holds: |scenario, world| nothing_waits(scenario, world),
    };

    pub(super) const LEADERS_ASK_AGAIN: Invariant<Self> = Invariant {
        name: "A leader's heartbeat timer runs",
        source: "§5.2, §5.3: what is lost is asked for again, indefinitely",
        holds: |_, world| leaders_ask_again(world),
    };

    pub(super) const REFUSALS_LEAD_BACK: Law<Self> = Law {
        name: "A refusal leads back",
        source: "§5.3: after a rejection the leader decrements nextIndex and retries",
        holds: |_, before, action, after| refusal_leads_back(before, action, after),
    };

    pub(super) const APPENDS_ARE_FULL: Law<Self> = Law {
        name: "An append carries what it may →",
        source: "thesis §10.2.2: entries are batched, as far as the limit on an append allows",
        holds: appends_are_full,
    };

    pub(super) const WINDOW_IS_WHAT_WAS_SENT: Law<Self> = Law {
        name: "The window is what was sent and is not acknowledged →",
        source: "thesis §10.2: an acknowledgement frees what it acknowledges, once, and every append \
                 under way counts with all its entries",
        holds: window_is_what_was_sent,
    };

    pub(super) const LOST_IS_SENT_AGAIN: Law<Self> = Law {
        name: "What is not acknowledged between two heartbeats is sent again →",
        source: "§5.3: the leader retries indefinitely; thesis §10.2.1: what is pipelined may be lost",
        holds: lost_is_sent_again,
    };

    pub(super) const APPENDS_ARE_PIPELINED: Reachable<Self> = Reachable {
        name: "an append is sent while another is under way",
        seen: |_, world| {
            some_peer(world, |progress| match &progress.mode {
                Mode::Replicate { in_flight, .. } => in_flight.len() > 1,
                Mode::Probe | Mode::Snapshot(_) => false,
            })
        },
    };

    pub(super) const REPLICATION_FALLS_BACK: Reachable<Self> = Reachable {
        name: "a lost append is noticed",
        seen: |_, world| {
            some_peer(world, |progress| {
                progress.mode == Mode::Probe && progress.match_index > Index(0)
            })
        },
    };
}

fn some_peer<M: StateMachine>(world: &World<Raft<M>>, holds: impl Fn(&Progress) -> bool) -> bool {
    let mut leaders = world.all_hosts().filter_map(|(_, host)| leadership(host));
    leaders.any(|(_, leadership)| leadership.progress.values().any(&holds))
}

type Leads<'a, M> = (&'a Raft<M>, NodeId, &'a Node<Raft<M>>, &'a Leadership<M>);

/// Every running leader: how it is configured, its id, its node, and what it knows of its peers.
fn leaders<'a, M: StateMachine>(
    scenario: &'a Scenario<Raft<M>>,
    world: &'a World<Raft<M>>,
) -> impl Iterator<Item = Leads<'a, M>> {
    let hosts = scenario.nodes.iter().zip(world.all_hosts());
    hosts.filter_map(|(raft, (id, host))| {
        let (_, leadership) = leadership(host)?;
        Some((raft, id, host.node()?, leadership))
    })
}

fn windows_are_true<M: StateMachine>(scenario: &Scenario<Raft<M>>, world: &World<Raft<M>>) -> bool {
    leaders(scenario, world).all(|(raft, _, _, leadership)| {
        let mut progress = leadership.progress.values();
        progress.all(|progress| window_is_true(progress, &raft.window))
    })
}

fn window_is_true(progress: &Progress, window: &Window) -> bool {
    let Mode::Replicate { in_flight, .. } = &progress.mode else {
        return true;
    };
    let under_way = progress.match_index.next()..progress.next_index;
    let last_sent = in_flight
        .last()
        .map_or(progress.match_index, |append| append.last_index);
    // Each was sent while those before it left room.
    let earlier = &in_flight[..in_flight.len().saturating_sub(1)];
    let weights = earlier.iter().map(|append| append.weight);
    let weight = weights.fold(0, usize::saturating_add);
    in_flight.len() <= window.appends.max(1)
        && (earlier.is_empty() || weight < window.weight)
        && in_flight.is_sorted()
        && last_sent.next() == progress.next_index
        && in_flight
            .iter()
            .all(|append| under_way.contains(&append.last_index))
}

/// An append with entries, as the window counts it.
fn counted<M: StateMachine>(message: &Message<M::Command>) -> Option<InFlight> {
    let Message::AppendEntries {
        prev_log_index,
        entries,
        ..
    } = message
    else {
        return None;
    };
    let weights = entries.iter().map(weight::<M>);
    (!entries.is_empty()).then(|| InFlight {
        last_index: Index(prev_log_index.0.saturating_add(entries.len() as u64)),
        weight: weights.fold(0, usize::saturating_add),
    })
}

/// Of each peer that a leader replicates to, before and after the step: of what was under way there
/// still is what reaches further than what is known to match now, and behind it what the step has
/// sent. What goes to a node that is away is not seen, nor how often something was said that waits for
/// the disk.
fn window_is_what_was_sent<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let Some((was, is, _)) = step.leads_on() else {
        return true;
    };
    // What waits for the disk waits once, however often it was said: how often is not seen.
    if after
        .host(step.id)
        .is_some_and(|host| host.held().next().is_some())
    {
        return true;
    }
    is.progress.iter().all(|(&peer, now)| {
        let Mode::Replicate { in_flight, .. } = &now.mode else {
            return true;
        };
        let known = was.progress.get(&peer).map(|progress| &progress.mode);
        let earlier = match known {
            Some(Mode::Replicate { in_flight, .. }) => in_flight.as_slice(),
            Some(Mode::Probe | Mode::Snapshot(_)) | None => &[],
        };
        let unacknowledged = earlier.iter().copied();
        let mut expected = unacknowledged.filter(|append| append.last_index > now.match_index);
        let is_away = !after.network.connects(step.id, peer)
            || after.host(peer).and_then(Host::node).is_none();
        if is_away {
            let mut counted = in_flight.iter();
            return expected.all(|append| counted.next() == Some(&append));
        }
        let sent = said(before, action, after)
            .filter(|said| (said.from, said.to) == (step.id, peer))
            .filter_map(|said| counted::<M>(said.message));
        expected.chain(sent).eq(in_flight.iter().copied())
    })
}

/// With each heartbeat begins anew what a leader notes of what has been acknowledged since the last
/// one; and where appends are under way and none has been, it asks the peer for what it has.
fn lost_is_sent_again<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    if action.fired() != Some(&Timer::Heartbeat) {
        return true;
    }
    let Some(step) = Step::taken(scenario, before, action, after) else {
        return true;
    };
    let Some((was, is, _)) = step.leads_on() else {
        return true;
    };
    let is_noted = |mode: &Mode| {
        matches!(
            mode,
            Mode::Replicate {
                advancing: true,
                ..
            }
        )
    };
    peers(after, step.id, step.new).into_iter().all(|peer| {
        let modes = [was, is].map(|known| known.progress.get(&peer).map(|known| &known.mode));
        let [Some(was), Some(is)] = modes else {
            return true;
        };
        let waited = match was {
            Mode::Replicate { in_flight, .. } => !in_flight.is_empty() && !is_noted(was),
            Mode::Probe | Mode::Snapshot(_) => false,
        };
        !(is_noted(is) || waited && matches!(is, Mode::Replicate { .. }))
    })
}

/// Of the peers that the leader replicates to. "A server that is not part of the cluster" is sent
/// nothing more (thesis §4.2.2): what a node that has left lacks may wait for ever.
fn nothing_waits<M: StateMachine>(scenario: &Scenario<Raft<M>>, world: &World<Raft<M>>) -> bool {
    leaders(scenario, world).all(|(raft, id, node, leadership)| {
        let last_index = node.durable().log.last_index();
        let peers = peers(world, id, node).into_iter();
        let mut known = peers.filter_map(|peer| leadership.progress.get(&peer));
        known.all(|progress| match &progress.mode {
            Mode::Replicate { in_flight, .. } => {
                progress.next_index > last_index || !has_room(&raft.window, in_flight)
            }
            // The heartbeat is the probe, or an empty chunk, and is answered.
            Mode::Probe | Mode::Snapshot(_) => true,
        })
    })
}

/// One may always be under way; another while both limits are kept.
fn has_room(window: &Window, in_flight: &[InFlight]) -> bool {
    let weights = in_flight.iter().map(|append| append.weight);
    let weight = weights.fold(0, usize::saturating_add);
    in_flight.is_empty() || in_flight.len() < window.appends && weight < window.weight
}

/// What the entry counts for in every limit: nothing is for nothing.
pub(super) fn weight<M: StateMachine>(entry: &Entry<M::Command>) -> usize {
    match &entry.content {
        Content::Command { command, .. } if M::weight(command) > 1 => M::weight(command),
        Content::Command { .. }
        | Content::Noop
        | Content::ExpireSessions { .. }
        | Content::Configuration(_) => 1,
    }
}

fn leaders_ask_again<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().all(|(_, host)| match host {
        Host::Up { armed, .. } => leadership(host).is_none() || armed.contains(&Timer::Heartbeat),
        Host::Down { .. } => true,
    })
}

/// Whatever carries entries at all carries all that there were before the step, or as many as
/// reach the limit: not one less, and not one more.
fn appends_are_full<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|envelope| {
        let Message::AppendEntries {
            prev_log_index,
            entries,
            ..
        } = envelope.message
        else {
            return true;
        };
        let Some((last, others)) = entries.split_last() else {
            return true;
        };
        let limit = scenario.nodes[usize::from(envelope.from.0)].max_append_weight;
        let together = |entries: &[Entry<M::Command>]| {
            let weights = entries.iter().map(weight::<M>);
            weights.fold(0, usize::saturating_add)
        };
        let end = Index(prev_log_index.0.saturating_add(entries.len() as u64));
        let sender = before.host(envelope.from).map(Host::durable);
        let is_all = sender.is_none_or(|sender| end >= sender.log.last_index());
        let reached = together(others).saturating_add(weight::<M>(last));
        (is_all || reached >= limit) && (others.is_empty() || together(others) < limit)
    })
}

/// A refusal of what has been sent, which a leader cannot have expected, makes it probe before
/// the place.
fn refusal_leads_back<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::AppendEntriesResponse {
        term,
        outcome: AppendOutcome::Conflict { prev_log_index, .. },
        ..
    } = &envelope.message
    else {
        return true;
    };
    let progress = |world: &World<Raft<M>>| {
        let (led, leadership) = leadership(world.host(envelope.to)?)?;
        (led == *term).then(|| leadership.progress.get(&envelope.from).cloned())?
    };
    let (Some(old), Some(new)) = (progress(before), progress(after)) else {
        return true;
    };
    let is_news = matches!(old.mode, Mode::Replicate { .. })
        && *prev_log_index > old.match_index
        && *prev_log_index < old.next_index;
    !is_news
        || match new.mode {
            Mode::Probe => new.next_index <= *prev_log_index,
            Mode::Replicate { .. } => false,
            Mode::Snapshot(_) => true,
        }
}
