//! What keeps an epoch from ending, and what ends with it.

use crate::maekawa::message::{HeldLocks, Message, is_absurd};
use crate::maekawa::state::{Membership, Volatile};
use crate::maekawa::{Maekawa, Timer};
use crate::protocol::{Node, NodeId};
use crate::world::{Action, Host, Scenario, World};

use super::{local_of, membership_of};

/// Who is to be no member, and has been asked to freeze while it held a lock, says so when it leaves the
/// last of its critical sections: nobody asks again before the next health check.
pub(super) fn the_last_holder_says_so(before: &World<Maekawa>, after: &World<Maekawa>) -> bool {
    let hosts = before.all_hosts().zip(after.all_hosts());
    { hosts }.all(|((id, old), (_, new))| {
        if core::ptr::eq(old, new) {
            return true;
        }
        let (Some(was), Some(is)) = (
            old.node().and_then(membership_of),
            new.node().and_then(membership_of),
        ) else {
            return true;
        };
        let holds = |member: &Membership| member.all_held().next().is_some();
        let leaves = was.epoch == is.epoch && was.frozen && holds(was) && !holds(is);
        let is_awaited = new.node().is_some_and(|node| !node.durable().registered);
        let (epoch, held) = (is.epoch, HeldLocks::new());
        let said = Message::Frozen { epoch, held };
        let mut sent = after.network.sent();
        let orchestrator = NodeId(0);
        !leaves
            || !is_awaited
            || !after.network.connects(id, orchestrator)
            || after
                .host(orchestrator)
                .is_none_or(|host| host.node().is_none())
            || sent.any(|sent| sent.from == id && sent.message == said)
    })
}

/// The orchestrator waits for nobody who will not answer: a member that it has found dead, or that
/// says that it has forgotten the epoch, counts as frozen until the epoch ends.
pub(super) fn the_gone_are_not_waited_for(
    scenario: &Scenario<Maekawa>,
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let (at, told) = match action {
        Action::Fire {
            node,
            timer: Timer::HealthCheck,
        } => (*node, None),
        Action::Deliver(envelope) | Action::Duplicate(envelope) => match envelope.message {
            Message::Register { after } => (envelope.to, Some((envelope.from, after))),
            _ => return true,
        },
        _ => return true,
    };
    let (Some(old), Some(new)) = (
        before.host(at).and_then(Host::node),
        after.host(at).and_then(Host::node),
    ) else {
        return true;
    };
    let (Volatile::Orchestrator(was), Volatile::Orchestrator(is)) = (&old.volatile, &new.volatile)
    else {
        return true;
    };
    let epoch = old.durable().epoch;
    let is_member = |node: &NodeId| old.durable().members.contains(node);
    let misses = scenario.nodes[usize::from(at.0)].misses;
    let is_gone = |node: &NodeId| match told {
        Some((from, after)) => *node == from && after == epoch,
        None => was.silent.get(node).is_some_and(|&checks| checks >= misses),
    };
    let mut gone = old.durable().members.iter().filter(|node| is_gone(node));
    new.durable().epoch > epoch || gone.all(|node| !is_member(node) || is.frozen.contains_key(node))
}

/// A node requests a lock for a client, and for nobody who has gone or been turned away.
pub(super) fn requests_are_for_clients(world: &World<Maekawa>) -> bool {
    world
        .running()
        .filter_map(|(_, node)| local_of(node))
        .all(|local| {
            let members = local.membership.iter();
            let mut requested = members.flat_map(|member| member.attempts.keys());
            requested.all(|lock| local.claims_to(lock).next().is_some())
        })
}

/// Lamport 1978, IR2: who receives a time stamp sets its clock to it at least. In an epoch that ends
/// nothing is requested any more, and in the next no time stamps of this one mean anything but those of
/// the requests that hold locks.
pub(super) fn clocks_follow_what_is_told(
    before: &World<Maekawa>,
    action: &Action<Maekawa>,
    after: &World<Maekawa>,
) -> bool {
    let (Action::Deliver(envelope) | Action::Duplicate(envelope)) = action else {
        return true;
    };
    let node = |world| -> Option<&Node<Maekawa>> { World::host(world, envelope.to)?.node() };
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let (Some(was), Some(is)) = (local_of(old), local_of(new)) else {
        return true;
    };
    let epoch_of = |node| membership_of(node).map(|member| member.epoch);
    let follows = |clock| is_absurd(clock, was.clock) || is.clock >= clock;
    match &envelope.message {
        Message::Locked { epoch, clock, .. } => {
            let heeds = membership_of(old)
                .filter(|member| member.epoch == *epoch && !member.frozen)
                .is_some_and(|member| member.members.contains(&envelope.from));
            !heeds || follows(*clock)
        }
        Message::Install { epoch, held, .. } => {
            let begins = epoch_of(old) != epoch_of(new) && epoch_of(new) == Some(*epoch);
            !begins || { held.values() }.all(|held| follows(held.request.clock))
        }
        _ => true,
    }
}
