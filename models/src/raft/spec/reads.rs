//! What must be true of reads that wait (§8; thesis §6.4), beside that their answers are
//! linearizable.

use crate::raft::machine::StateMachine;
use crate::raft::state::Role;
use crate::raft::{Command, Raft};
use crate::specification::{Invariant, Reachable};
use crate::world::{Host, Scenario, World};

use super::reachable::answers;

impl<M: StateMachine> Raft<M> {
    pub(super) const READS_ARE_BOUNDED: Invariant<Self> = Invariant {
        name: "Reads that wait are bounded",
        source: "thesis §6.4: a leader that is cut off can confirm none, and does not know it",
        holds: reads_are_bounded,
    };

    pub(super) const READS_HAVE_A_LEADER: Invariant<Self> = Invariant {
        name: "A follower's reads wait for its leader",
        source: "thesis §6.4; etcd 10392: none outlives the leader that it was asked of",
        holds: |_, world| reads_have_a_leader(world),
    };

    pub(super) const FOLLOWER_ANSWERS: Reachable<Self> = Reachable {
        name: "a follower answers a read",
        seen: |scenario, world| {
            // Who never led when all is over has answered as a follower.
            let has_led = |id| world.ghost.leaders.iter().any(|&(_, leader)| leader == id);
            let mut read = answers(scenario, world);
            read.any(|command| {
                matches!(command, Command::ReadHere { .. })
                    && world
                        .all_hosts()
                        .all(|(id, _)| !(scenario.asks_at)(command, id) || !has_led(id))
            })
        },
    };

    pub(super) const FOLLOWER_WAITS: Reachable<Self> = Reachable {
        name: "a follower has yet to apply what a read needs",
        seen: |_, world| {
            world.running().any(|(_, node)| {
                let mut reads = node.volatile.follower_reads.iter();
                reads.any(|read| read.read_index.is_some())
            })
        },
    };

    pub(super) const READ_IS_REFUSED: Reachable<Self> = Reachable {
        name: "more reads wait than may",
        seen: |scenario, world| {
            world.all_hosts().any(|(id, host)| {
                let limit = scenario.nodes[usize::from(id.0)].max_pending_reads;
                let asked = world.clients.iter().zip(&scenario.scripts);
                let asked = asked.filter(|(client, script)| {
                    client.asking
                        && matches!(
                            script.get(client.next),
                            Some(Command::Read { .. } | Command::ReadHere { .. })
                        )
                });
                waiting(host) >= limit && asked.count() > limit
            })
        },
    };
}

/// How many reads wait at the host.
fn waiting<M: StateMachine>(host: &Host<Raft<M>>) -> usize {
    let Some(node) = host.node() else {
        return 0;
    };
    let led = match &node.volatile.role {
        Role::Leader(leadership) => leadership.reads.len(),
        Role::Follower { .. } | Role::PreCandidate { .. } | Role::Candidate { .. } => 0,
    };
    led + node.volatile.follower_reads.len()
}

fn reads_are_bounded<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    world
        .all_hosts()
        .all(|(id, host)| waiting(host) <= scenario.nodes[usize::from(id.0)].max_pending_reads)
}

fn reads_have_a_leader<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.running().all(|(_, node)| {
        node.volatile.follower_reads.is_empty()
            || matches!(node.volatile.role, Role::Follower { leader: Some(_) })
    })
}
