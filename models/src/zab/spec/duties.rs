//! What a node that hears something does at once: a request that is passed on is proposed, what is
//! committed is delivered, and an epoch is proposed to those who have said what they have accepted.

use alloc::collections::BTreeMap;

use crate::machine::StateMachine;
use crate::protocol::Node;
use crate::specification::Law;
use crate::world::{Action, Envelope, Host, Scenario, World};
use crate::zab::Zab;
use crate::zab::history::{Content, Transaction};
use crate::zab::message::Message;
use crate::zab::state::{Leading, Phase, Role};

use super::laws::changed;
use super::messages::epoch_of;
use super::{Bounded, is_quorum, primary};

type W<M, E> = World<Zab<M, E>>;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const PASSED_ON_IS_PROPOSED: Law<Self> = Law {
        name: "What is passed on is proposed →",
        source: "Medeiros 2012, §2: a follower forwards what a client asks, and the leader \
                 broadcasts it",
        holds: |_, before, action, after| {
            heard(action).is_none_or(|heard| is_proposed(before, heard, after))
        },
    };

    pub(super) const COMMITTED_IS_DELIVERED: Law<Self> = Law {
        name: "What is committed is delivered where that is heard →",
        source: "DSN 2011, §IV.B, steps f.2.2 and f.3.3",
        holds: |_, before, action, after| {
            heard(action).is_none_or(|heard| is_delivered(before, heard, after))
        },
    };

    pub(super) const DELIVERED_IS_COMMITTED: Law<Self> = Law {
        name: "What a follower delivers it has just heard to be committed →",
        source: "DSN 2011, §IV.B, step f.3.3: once it receives a commit for it; a transaction of an \
                 earlier epoch is none of a later, whatever their counters",
        holds: |_, before, action, after| {
            heard(action).is_none_or(|heard| is_committed(before, heard, after))
        },
    };

    pub(super) const EPOCH_IS_NEW_TO_A_QUORUM: Law<Self> = Law {
        name: "An epoch is new to a quorum that has been asked →",
        source: "DSN 2011, §IV.B, step l.1.1: upon CEPOCH from a quorum, an epoch later than any \
                 that these have accepted",
        holds: epoch_is_new_to_a_quorum,
    };
}

/// The message that arrives, if one does.
fn heard<M: StateMachine, E: Bounded>(
    action: &Action<Zab<M, E>>,
) -> Option<&Envelope<Message<M, E>>> {
    match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => Some(envelope),
        _ => None,
    }
}

/// An established leader proposes what followers of its epoch pass on, unless it has done so, or
/// has delivered it, or a later one of that session. It may be delivered by the same step.
fn is_proposed<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    heard: &Envelope<Message<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Message::Request { epoch, content } = &heard.message else {
        return true;
    };
    let (Some(old), Some(new)) = (before.host(heard.to), after.host(heard.to)) else {
        return true;
    };
    let Some((reign, office)) = primary(old) else {
        return true;
    };
    let Some(node) = new.node() else {
        return true;
    };
    if reign != *epoch || !office.established {
        return true;
    }
    let request = content.request();
    let delivered = node.volatile.delivered.zxid;
    let is_done = match content {
        Content::Command { .. } => after.ghost.has_passed(request, delivered),
        Content::Sync { .. } => false,
    };
    let had = old.durable().history.last_zxid();
    let delivered_before = old.node().map(|node| node.volatile.delivered.zxid);
    let is_of_it = |new: &&Transaction<M::Command>| {
        new.content.request() == request && Some(new.zxid) > delivered_before
    };
    let mut history = new.durable().history.transactions().iter();
    let proposed = history.find(is_of_it);
    is_done || proposed.is_some_and(|new| new.zxid <= had || new.content == *content)
}

/// Who has joined a leader delivers, of what that says is committed, all that it has; and takes
/// UPTODATE for leave to serve.
fn is_delivered<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    heard: &Envelope<Message<M, E>>,
    after: &W<M, E>,
) -> bool {
    let (committed, serves) = match heard.message {
        Message::UpToDate { committed, .. } => (committed, true),
        Message::Commit { zxid } => (zxid, false),
        _ => return true,
    };
    let node = |world| World::host(world, heard.to).and_then(Host::node);
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    if !has_joined(old, heard) {
        return true;
    }
    let delivered = new.volatile.delivered.zxid;
    let mut history = new.durable().history.transactions().iter();
    let has_leave = matches!(new.volatile.role, Role::Following(following)
        if following.phase == Phase::Broadcast);
    (has_leave || !serves) && history.all(|next| next.zxid <= delivered || next.zxid > committed)
}

/// A leader commits by what it counts: that is another matter.
fn is_committed<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    heard: &Envelope<Message<M, E>>,
    after: &W<M, E>,
) -> bool {
    let node = |world| World::host(world, heard.to).and_then(Host::node);
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let (had, has) = (old.volatile.delivered.zxid, new.volatile.delivered.zxid);
    let committed = match &heard.message {
        Message::UpToDate { committed, .. } | Message::Ping { committed, .. } => Some(*committed),
        Message::Commit { zxid } => Some(*zxid),
        Message::Snap { snapshot, .. } => Some(snapshot.zxid),
        _ => None,
    };
    has == had || matches!(new.volatile.role, Role::Leading(_)) || Some(has) <= committed
}

fn has_joined<M: StateMachine, E: Bounded>(
    node: &Node<Zab<M, E>>,
    heard: &Envelope<Message<M, E>>,
) -> bool {
    let disk = node.durable();
    let epochs = [disk.accepted_epoch, disk.current_epoch];
    matches!(node.volatile.role, Role::Following(following)
        if following.leader == heard.from && following.phase != Phase::Discovery)
        && epochs.map(Some) == [epoch_of(&heard.message); 2]
}

fn epoch_is_new_to_a_quorum<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    changed(before, after).all(|(id, old, new)| {
        let (Some(was), Some(is)) = (old.node(), new.node()) else {
            return true;
        };
        let accepted = match &was.volatile.role {
            Role::Leading(Leading::Elected { accepted }) => Some(accepted),
            Role::Leading(Leading::Prospective { .. } | Leading::Primary(_)) => return true,
            // It has just been elected, and asks others first.
            Role::Looking | Role::Following(_) => None,
        };
        let Role::Leading(Leading::Prospective { .. } | Leading::Primary(_)) = is.volatile.role
        else {
            return true;
        };
        let now = heard(action).filter(|heard| heard.to == id);
        let now = now.and_then(|heard| match heard.message {
            Message::FollowerInfo { accepted_epoch } => Some((heard.from, accepted_epoch)),
            _ => None,
        });
        let known = |follower| accepted.is_some_and(|accepted| accepted.contains_key(&follower));
        let news = now.is_some_and(|(follower, _)| !known(follower));
        let asked = accepted.map_or(0, BTreeMap::len) + usize::from(news);
        let epoch = is.durable().accepted_epoch;
        let own = was.durable().accepted_epoch;
        let theirs = accepted.into_iter().flat_map(|accepted| accepted.values());
        let mut theirs = theirs.copied().chain(now.map(|(_, epoch)| epoch));
        let is_enough = is_quorum(&scenario.nodes[usize::from(id.0)], asked + 1);
        is_enough && epoch > own && theirs.all(|accepted| accepted < epoch)
    })
}
