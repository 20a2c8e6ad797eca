//! What comes once more than it is needed changes nothing, and what a leader sends whole is taken
//! whole.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::Law;
use crate::world::{Action, Host, World};
use crate::zab::history::Snapshot;
use crate::zab::message::Message;
use crate::zab::state::{Phase, Role};
use crate::zab::zxid::Epoch;
use crate::zab::{Timer, Zab};

use super::{Bounded, goes_through, takes_part};

type W<M, E> = World<Zab<M, E>>;
type H<M, E> = Host<Zab<M, E>>;
/// A node's host before a step and after.
type Both<'a, M, E> = (&'a H<M, E>, &'a H<M, E>);

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const EPOCH_IS_HEEDED_ONCE: Law<Self> = Law {
        name: "An epoch is heeded once →",
        source: "DSN 2011, §IV.B, step f.1.2: NEWEPOCH counts if it is later than the last promise; \
                 here it may come twice, and is answered until the leader is heard",
        holds: |_, before, action, after| epoch_is_heeded_once(before, action, after),
    };

    pub(super) const NAMED_AGAIN_GOES_ON: Law<Self> = Law {
        name: "Who is named a leader again goes on with it →",
        source: "Medeiros 2012, §3.2: an iteration ends when its leader is lost; a leader that did \
                 not know yet that it is one is told again who follows",
        holds: |_, before, action, after| named_again_goes_on(before, action, after),
    };

    pub(super) const SNAP_IS_TAKEN_WHOLE: Law<Self> = Law {
        name: "A SNAP is taken whole, or not at all →",
        source: "Medeiros 2012, §4.2: it takes the place of the follower's history, state and \
                 sessions; what is delivered is not delivered again",
        holds: |_, before, action, after| snap_is_taken_whole(before, action, after),
    };

    pub(super) const TRUNC_TAKES_THE_TAIL: Law<Self> = Law {
        name: "A TRUNC takes the tail and nothing else, or contradicts what is delivered →",
        source: "Medeiros 2012, §4.2: what the leader does not have; a history that goes on beyond it would \
                 be sent the same again. DSN 2011, §III.B: what is delivered stays",
        holds: |_, before, action, after| trunc_takes_the_tail(before, action, after),
    };
}

/// The hosts of a node before and after, where it runs.
fn both<'a, M: StateMachine, E: Bounded>(
    before: &'a W<M, E>,
    after: &'a W<M, E>,
    id: NodeId,
) -> Option<Both<'a, M, E>> {
    let running = |host: &&H<M, E>| host.node().is_some();
    let old = before.host(id).filter(running)?;
    Some((old, after.host(id).filter(running)?))
}

/// The role of a host whose node runs.
fn role<M: StateMachine, E: Bounded>(host: &H<M, E>) -> Option<&Role> {
    host.node().map(|node| &node.volatile.role)
}

fn epoch_is_heeded_once<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::NewEpoch { epoch } = envelope.message else {
        return true;
    };
    let Some((old, new)) = both(before, after, envelope.to) else {
        return true;
    };
    let accepted = old.durable().accepted_epoch;
    let awaits = matches!(role(old), Some(Role::Following(following))
        if following.phase == Phase::Discovery);
    epoch > accepted || epoch == accepted && awaits || role(old) == role(new)
}

/// By the election. It may say so again, and say so to who is well on the way.
fn named_again_goes_on<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let is_elections = match action {
        Action::Deliver(envelope) | Action::Duplicate(envelope) => {
            matches!(envelope.message, Message::Election(_))
        }
        Action::Fire { timer, .. } => matches!(timer, Timer::Election(_)),
        _ => false,
    };
    let hosts = action.node().and_then(|id| both(before, after, id));
    let (true, Some((old, new))) = (is_elections, hosts) else {
        return true;
    };
    match (role(old), role(new)) {
        (Some(was @ Role::Following(old)), Some(is @ Role::Following(new))) => {
            old.leader != new.leader || was == is
        }
        (Some(was @ Role::Leading(_)), Some(is @ Role::Leading(_))) => was == is,
        _ => true,
    }
}

fn snap_is_taken_whole<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::Snap { epoch, snapshot } = &envelope.message else {
        return true;
    };
    let Some((old, new)) = both(before, after, envelope.to) else {
        return true;
    };
    let awaits = matches!(role(old), Some(Role::Following(following))
        if following.leader == envelope.from && following.phase != Phase::Discovery);
    if awaits && brings_news(old, *epoch, snapshot) {
        has_taken(new, snapshot)
    } else {
        let delivered = |host: &H<M, E>| host.node().map(|node| node.volatile.delivered.clone());
        old.durable() == new.durable() && delivered(old) == delivered(new)
    }
}

/// Of a history that ends as the TRUNC says, and has what is to stay.
fn trunc_takes_the_tail<M: StateMachine, E: Bounded>(
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let Message::Trunc { epoch, from, to } = envelope.message else {
        return true;
    };
    let Some((old, new)) = both(before, after, envelope.to) else {
        return true;
    };
    let (had, has) = (&old.durable().history, &new.durable().history);
    let delivered = old.node().map(|node| node.volatile.delivered.zxid);
    let awaits = matches!(role(old), Some(Role::Following(following))
        if following.leader == envelope.from && following.phase != Phase::Discovery);
    let heeds = awaits
        && takes_part(old.durable())
        && old.durable().accepted_epoch == epoch
        && had.last_zxid() == from;
    if heeds && delivered > Some(to) {
        return had == has && new.durable().halted.is_some();
    }
    if !heeds || !goes_through(had, to) {
        return had == has;
    }
    let stays = had.transactions().iter().filter(|next| next.zxid <= to);
    has.transactions().iter().eq(stays)
}

/// Whether the snapshot, of this reign, has what the node has not delivered, or, once it has joined
/// the leader, does not even have.
fn brings_news<M: StateMachine, E: Bounded>(
    host: &H<M, E>,
    epoch: Epoch,
    snapshot: &Snapshot<M>,
) -> bool {
    let disk = host.durable();
    let delivered = host.node().map(|node| node.volatile.delivered.zxid);
    let has_joined = disk.current_epoch == epoch;
    takes_part(disk)
        && disk.accepted_epoch == epoch
        && Some(snapshot.zxid) > delivered
        && (!has_joined || snapshot.zxid > disk.history.last_zxid())
}

/// Whether the snapshot is all that the node has.
fn has_taken<M: StateMachine, E: Bounded>(host: &H<M, E>, snapshot: &Snapshot<M>) -> bool {
    let history = &host.durable().history;
    host.node()
        .is_some_and(|node| node.volatile.delivered == *snapshot)
        && history.snapshot() == snapshot
        && history.begins_after() == snapshot.zxid
        && history.transactions().is_empty()
}
