//! What a node tells its host of its part: whether it serves, in which epoch, and under whom. A host
//! knows nothing else of it, and turns clients away, or lets them come, by that.

use crate::machine::StateMachine;
use crate::protocol::{Node, NodeId};
use crate::specification::Law;
use crate::world::{Action, Done, Host, Scenario, World};
use crate::zab::election::Election;
use crate::zab::state::Role;
use crate::zab::zxid::Epoch;
use crate::zab::{Event, Zab};

use super::Bounded;
use super::invariants::serves;

type W<M, E> = World<Zab<M, E>>;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const PARTS_ARE_TOLD: Law<Self> = Law {
        name: "A host is told what part its node has, and when that ends →",
        source: "DSN 2011, §III.A: the application is told when a process is ready to broadcast, and \
                 of which epoch it is; Medeiros 2012, §3.5: who has lost its leader serves nobody",
        holds: parts_are_told,
    };
}

/// Of which epoch a node serves its clients, and under which leader.
type Part = Option<(Epoch, NodeId)>;

fn part<M: StateMachine, E: Election>(id: NodeId, node: &Node<Zab<M, E>>) -> Part {
    let role = &node.volatile.role;
    let leader = match role {
        Role::Looking => return None,
        Role::Following(following) => following.leader,
        Role::Leading(_) => id,
    };
    serves(role).then_some((node.durable().accepted_epoch, leader))
}

fn parts_are_told<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &W<M, E>,
    action: &Action<Zab<M, E>>,
    after: &W<M, E>,
) -> bool {
    let Some(id) = action.node() else {
        return true;
    };
    let node = |world| World::host(world, id).and_then(Host::node);
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let (was, is) = (part(id, old), part(id, new));
    let Some((_, Done { emitted, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    let told = emitted.iter().fold(was, |part, event| match event {
        Event::Leading { epoch } => Some((*epoch, id)),
        Event::Following { epoch, leader } => Some((*epoch, *leader)),
        Event::Looking | Event::Halted { .. } => None,
        Event::Delivered { .. }
        | Event::Restored { .. }
        | Event::Reply { .. }
        | Event::Refused { .. }
        | Event::Abandoned { .. }
        | Event::Superseded { .. } => part,
    });
    told == is
}
