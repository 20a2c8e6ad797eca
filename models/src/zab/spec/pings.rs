//! What a ping must bring about: whatever was lost between leader and follower is asked for
//! again. That it is answered in the end is a matter of liveness.

use crate::machine::StateMachine;
use crate::protocol::Node;
use crate::session::RequestId;
use crate::world::{Action, Envelope, Host, World};
use crate::zab::Zab;
use crate::zab::message::Message;
use crate::zab::state::{Phase, Role};

use super::messages::epoch_of;
use super::{Bounded, behind};

/// Who has joined a leader and hears its ping broadcasts with it, delivers what it has of what
/// is committed, and, unless the answer can't get through, says that it lives, and asks for what it
/// lacks. It says so in this very step: what was said before and is under way yet may be lost.
pub(super) fn make_up<M: StateMachine, E: Bounded>(
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let (Action::Deliver(ping) | Action::Duplicate(ping)) = action else {
        return true;
    };
    let Message::Ping { committed, .. } = ping.message else {
        return true;
    };
    let node = |world| node(world, ping);
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let delivered = new.volatile.delivered.zxid;
    let mut due = behind(&new.durable().history, delivered);
    let is_up = after
        .host(ping.from)
        .is_some_and(|host| host.node().is_some());
    let gets_through = is_up && after.network.connects(ping.to, ping.from);
    !has_joined(old, ping)
        || broadcasts(new)
            && due.all(|next| next.zxid > committed)
            && (!gets_through || answers(new, ping, after))
}

fn node<'a, M: StateMachine, E: Bounded>(
    world: &'a World<Zab<M, E>>,
    ping: &Envelope<Message<M, E>>,
) -> Option<&'a Node<Zab<M, E>>> {
    world.host(ping.to).and_then(Host::node)
}

fn has_joined<M: StateMachine, E: Bounded>(
    node: &Node<Zab<M, E>>,
    ping: &Envelope<Message<M, E>>,
) -> bool {
    let disk = node.durable();
    let epochs = [disk.accepted_epoch, disk.current_epoch];
    matches!(node.volatile.role, Role::Following(following)
        if following.leader == ping.from && following.phase != Phase::Discovery)
        && epochs.map(Some) == [epoch_of(&ping.message); 2]
}

fn broadcasts<M: StateMachine, E: Bounded>(node: &Node<Zab<M, E>>) -> bool {
    matches!(node.volatile.role, Role::Following(following)
        if following.phase == Phase::Broadcast)
}

/// Says that it lives, and asks for transactions or, if it lacks none, for what its clients wait
/// for and nobody has proposed.
fn answers<M: StateMachine, E: Bounded>(
    node: &Node<Zab<M, E>>,
    ping: &Envelope<Message<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let last = node.durable().history.last_zxid();
    let says = |is_it: &dyn Fn(&Message<M, E>) -> bool| {
        let sent = after.network.sent();
        let mut said = sent.filter(|said| (said.from, said.to) == (ping.to, ping.from));
        said.any(|said| is_it(&said.message))
    };
    let is_proposed = |request: RequestId| {
        let delivered = node.volatile.delivered.zxid;
        let mut proposed = behind(&node.durable().history, delivered);
        proposed.any(|next| next.content.request() == request)
    };
    let lacks = matches!(ping.message, Message::Ping { last_zxid, .. } if last < last_zxid);
    let asks = if lacks {
        says(&|said| matches!(said, Message::AckEpoch { .. }))
    } else {
        let mut waiting = node.volatile.waiting.keys();
        waiting.all(|&request| {
            is_proposed(request)
                || says(&|said| {
                    matches!(said, Message::Request { content, .. } if content.request() == request)
                })
        })
    };
    asks && says(&|said| matches!(said, Message::Pong { last_zxid, .. } if *last_zxid == last))
}
