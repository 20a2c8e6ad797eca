//! What must be true of a node's timers.
//!
//! Verifies: which timers run follows from what a node is. Whoever waits has a timer that ends
//! the waiting, and none is left over from an earlier role, to run out in a later one. Not
//! verified here: that a step starts a timer *anew*, for there is no time.

use alloc::collections::BTreeSet;

use crate::machine::StateMachine;
use crate::protocol::Node;
use crate::raft::state::Role;
use crate::raft::{Raft, Timer};
use crate::specification::{Invariant, Law};
use crate::world::{Action, Host, Scenario, World};

impl<M: StateMachine> Raft<M> {
    pub(super) const TIMERS_FOLLOW_ROLES: Invariant<Self> = Invariant {
        name: "The timers of its role run",
        source: "§5.2; thesis §3.10, §4.2.3, §6.2: an election timer on who does not lead, a \
                 heartbeat on who does, a lease on who has one, and no others; none on who takes \
                 no part",
        holds: timers_follow_roles,
    };

    pub(super) const SNAPSHOTS_ARE_TAKEN: Invariant<Self> = Invariant {
        name: "A snapshot that is due is taken",
        source: "§7: once the log reaches a fixed size; as a safety property, its timer runs",
        holds: snapshots_are_taken,
    };

    pub(super) const SNAPSHOTS_WAIT: Law<Self> = Law {
        name: "No snapshot is begun before it is due →",
        source: "§7: \"when the log reaches a fixed size\", for it costs as much as what it replaces",
        holds: |scenario, before, _, after| snapshots_wait(scenario, before, after),
    };

    pub(super) const NO_LEADER_IS_THERE: Law<Self> = Law {
        name: "Who has waited for a leader believes in none →",
        source: "§5.2: \"it assumes there is no viable leader\", whether it may stand or not",
        holds: |_, _, action, after| no_leader_is_there(action, after),
    };
}

fn no_leader_is_there<M: StateMachine>(action: &Action<Raft<M>>, after: &World<Raft<M>>) -> bool {
    let Action::Fire {
        node,
        timer: Timer::Election,
    } = action
    else {
        return true;
    };
    { after.host(*node).and_then(Host::node) }
        .is_none_or(|node| !matches!(node.volatile.role, Role::Follower { leader: Some(_) }))
}

fn snapshots_wait<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let hosts = before.all_hosts().zip(after.all_hosts());
    { scenario.nodes.iter().zip(hosts) }.all(|(raft, ((_, old), (_, new)))| {
        let (Host::Up { armed: ran, .. }, Host::Up { node, armed, .. }) = (old, new) else {
            return true;
        };
        let begins = armed.contains(&Timer::Snapshot) && !ran.contains(&Timer::Snapshot);
        !begins || node.volatile.unsaved >= raft.compaction.snapshot_after.max(1)
    })
}

fn timers_follow_roles<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    each_that_is_up(scenario, world, |raft, node, armed| {
        let mut due = BTreeSet::new();
        if !node.durable().takes_part() {
            return armed.is_empty();
        }
        match &node.volatile.role {
            Role::Leader(leadership) => {
                due.insert(Timer::Heartbeat);
                due.extend(raft.check_quorum.then_some(Timer::Lease));
                due.extend(leadership.transfer.map(|_| Timer::Transfer));
            }
            Role::Follower { .. } => {
                due.insert(Timer::Election);
                let leases = raft.pre_vote || raft.check_quorum;
                let hears = leases && node.volatile.hears_leader;
                due.extend(hears.then_some(Timer::Lease));
            }
            Role::PreCandidate { .. } | Role::Candidate { .. } => {
                due.insert(Timer::Election);
            }
        }
        let of_roles = armed.iter().filter(|&&timer| timer != Timer::Snapshot);
        of_roles.eq(&due)
    })
}

/// A timer that runs though less is unsaved by now takes a snapshot a little early.
fn snapshots_are_taken<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    each_that_is_up(scenario, world, |raft, node, armed| {
        !node.durable().takes_part()
            || node.volatile.unsaved < raft.compaction.snapshot_after.max(1)
            || armed.contains(&Timer::Snapshot)
    })
}

/// Whether this holds of each node that is up, and the timers that run there.
fn each_that_is_up<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
    holds: impl Fn(&Raft<M>, &Node<Raft<M>>, &BTreeSet<Timer>) -> bool,
) -> bool {
    let mut hosts = scenario.nodes.iter().zip(world.all_hosts());
    hosts.all(|(raft, (_, host))| match host {
        Host::Up { node, armed, .. } => holds(raft, node, armed),
        Host::Down { .. } => true,
    })
}
