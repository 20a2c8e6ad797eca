//! Timers: each runs for what a node is about, and no message gives an attempt more time than it
//! has.

use crate::machine::StateMachine;
use crate::protocol::NodeId;
use crate::specification::{Invariant, Law};
use crate::world::{Action, Done, Host, Scenario, World};
use crate::zab::state::{Phase, Role};
use crate::zab::{Timer, Zab};

use super::Bounded;
use super::invariants::due;

impl<M: StateMachine, E: Bounded> Zab<M, E> {
    pub(super) const NO_TIMER_RUNS_ON: Invariant<Self> = Invariant {
        name: "No timer runs on for what is over",
        source: "Medeiros 2012, §3.5: who has lost its leader begins anew; a time-out of what was \
                 before must not end what comes after",
        holds: |_, world| {
            world.all_hosts().all(|(_, host)| match host.node() {
                Some(node) => {
                    let due = due(&node.volatile.role);
                    let mut armed = host.armed();
                    armed.all(|timer| matches!(timer, Timer::Election(_)) || due.contains(timer))
                }
                None => true,
            })
        },
    };

    pub(super) const ONE_TIME_FOR_EACH_ATTEMPT: Law<Self> = Law {
        name: "An attempt to follow or to lead has its time once →",
        source: "Medeiros 2012, §3.5: an iteration that does not end in time is followed by \
                 another; ZooKeeper's initLimit counts from its beginning",
        holds: one_time_for_each_attempt,
    };
}

/// Whom the node follows, itself if it leads.
fn leader(id: NodeId, role: &Role) -> Option<NodeId> {
    match role {
        Role::Looking => None,
        Role::Following(following) => Some(following.leader),
        Role::Leading(_) => Some(id),
    }
}

/// A follower begins anew with its leader only where that has begun anew: with a later epoch, when
/// this node has had one of it before. A leader's pings are due whatever happens between them.
fn one_time_for_each_attempt<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    before: &World<Zab<M, E>>,
    action: &Action<Zab<M, E>>,
    after: &World<Zab<M, E>>,
) -> bool {
    let Some((id, Done { renewed, .. })) = before.done(scenario, action, after) else {
        return true;
    };
    if !renewed.contains(&Timer::Init) && !renewed.contains(&Timer::Ping) {
        return true;
    }
    let node = |world| World::host(world, id).and_then(Host::node);
    let (Some(old), Some(new)) = (node(before), node(after)) else {
        return true;
    };
    let is_anew = match old.volatile.role {
        Role::Following(following) => {
            following.phase != Phase::Discovery
                && new.durable().accepted_epoch > old.durable().accepted_epoch
        }
        Role::Looking | Role::Leading(_) => false,
    };
    let other = leader(id, &old.volatile.role) != leader(id, &new.volatile.role);
    !renewed.contains(&Timer::Ping) && (other || is_anew)
}
