//! Disks that take their time, and heartbeats that do not wait for them
//! ([`heartbeat`](crate::raft::heartbeat)).
//!
//! Verified here: that nothing which such a disk may still lose is relied upon, whatever has been
//! said early.
//!
//! Not verified: a cluster of one voter. It knows of itself what is committed, before its disk does
//! and anybody else hears of it, and the properties would take its word for it; that it sends
//! nothing early is a test of the step function.

use alloc::vec::Vec;

use crate::protocol::NodeId;
use crate::raft::machine::StateMachine;
use crate::raft::message::Message;
use crate::raft::state::Role;
use crate::raft::{Command, Raft, Timer};
use crate::specification::{Law, Reachable};
use crate::world::{Action, Delivery, Disk, Faults, Scenario, Timing, World};

use super::machine::Adder;
use super::prologue::Prologue;
use super::said;
use super::scenarios::{self, Checked, candidates, leadership};

impl<M: StateMachine> Raft<M> {
    pub(super) const BALLOT_IS_THERE: Law<Self> = Law {
        name: "Who shows early that it leads has its ballot on disk →",
        source: "§5.2: or it could lead the same term again, and take old answers for new ones",
        holds: |_, before, action, after| ballot_is_there(before, action, after),
    };

    pub(super) const DISKS_DEPOSE_NOBODY: Law<Self> = Law {
        name: "No disk deposes a leader that all hear →",
        source: "§5.2; thesis §6.2: heartbeats are there to prevent elections",
        holds: disks_depose_nobody,
    };

    pub(super) const HEARTBEAT_OVERTAKES: Reachable<Self> = Reachable {
        name: "a heartbeat overtakes what waits for the disk",
        seen: |_, world| heartbeat_has_overtaken(world),
    };
}

fn ballot_is_there<M: StateMachine>(
    before: &World<Raft<M>>,
    action: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    said(before, action, after).all(|said| match said.message {
        Message::Heartbeat { term, .. } => {
            let disk = after.host(said.from).map(|host| host.on_disk());
            disk.is_some_and(|disk| disk.current_term >= *term)
        }
        _ => true,
    })
}

/// In the synchronous period, and where nothing else goes wrong: once all follow a leader, it leads
/// on, and no term begins, however long disks take.
fn disks_depose_nobody<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    before: &World<Raft<M>>,
    _: &Action<Raft<M>>,
    after: &World<Raft<M>>,
) -> bool {
    let applies = matches!(scenario.disk, Disk::Buffered)
        && scenario.timing == Timing::Synchronous
        && scenario.faults == Faults::default();
    if !applies {
        return true;
    }
    let led = |world: &World<Raft<M>>| {
        let mut hosts = world.all_hosts();
        hosts.find_map(|(id, host)| Some((id, super::leadership(host)?.0)))
    };
    let Some((leader, term)) = led(before) else {
        return true;
    };
    let follows = |world: &World<Raft<M>>| {
        world.running().all(|(id, node)| {
            let follower = Role::Follower {
                leader: Some(leader),
            };
            node.durable().current_term == term && (id == leader || node.volatile.role == follower)
        })
    };
    !follows(before) || led(after) == Some((leader, term)) && follows(after)
}

/// Some node follows a leader whose disk does not have the first entry of its term: no append has
/// left it.
fn heartbeat_has_overtaken<M: StateMachine>(world: &World<Raft<M>>) -> bool {
    world.all_hosts().any(|(id, host)| {
        let Some((term, leads)) = super::leadership(host) else {
            return false;
        };
        let follows = |node: &crate::Node<Raft<M>>| {
            node.durable().current_term == term
                && node.volatile.role == Role::Follower { leader: Some(id) }
        };
        host.on_disk().log.last_index() < leads.term_start
            && world.running().any(|(_, node)| follows(node))
    })
}

/// The scenario on disks that take their time, with heartbeats that do not wait for them.
pub(super) fn buffered(scenario: Checked) -> Checked {
    let faults = Faults {
        crash_within_step: false,
        ..scenario.faults
    };
    let mut scenario = Scenario {
        disk: Disk::Buffered,
        faults,
        ..scenario
    };
    for node in &mut scenario.nodes {
        node.early_heartbeats = true;
    }
    scenario
}

/// Elections of three, of which these stand.
pub(super) fn election(last_terms: &[(u16, u64)]) -> Checked {
    let mut scenario = buffered(scenarios::election(3, 1, 1));
    candidates(&mut scenario, last_terms);
    scenario
}

/// n0 has been elected by n1, which hears it, and what it writes in office is not on its disk yet; a
/// client asks it one command.
pub(super) fn replication() -> Checked {
    let mut scenario = buffered(scenarios::replication(3, 1, 1, &[1]));
    candidates(&mut scenario, &[(0, 1)]);
    scenario.asks_at = |_, node| node == NodeId(0);
    scenario.prologue = in_office(&scenario).steps;
    scenario
}

/// n0 has an entry that it alone has, and n1 stands for the next term.
pub(super) fn divergence() -> Checked {
    let mut scenario = buffered(scenarios::divergence());
    candidates(&mut scenario, &[(1, 2)]);
    scenario
}

/// n0 has been elected by n1, which hears it, with PreVote and CheckQuorum; the votes are on disk,
/// and what n0 has written since is not. Nobody else may stand.
pub(super) fn check_quorum() -> Checked {
    let mut scenario = buffered(leadership::guarded(scenarios::election(3, 1, 1)));
    candidates(&mut scenario, &[(0, 1)]);
    scenario.prologue = in_office(&scenario).steps;
    scenario
}

/// n0 leads term 1, which all have heard, and n1 stands for term 2: what it asks for waits for its
/// disk. A client writes at n1, another reads at n0. Messages beat timers, but disks do not.
pub(super) fn reads() -> Checked {
    let mut scenario = reading(0);
    scenario.prologue = standing(&scenario);
    scenario
}

/// n0 leads, and n1 stands for the term after.
pub(super) fn standing(scenario: &Checked) -> Vec<Action<Raft<Adder>>> {
    let stands = established(scenario).fire(NodeId(1), Timer::Election);
    stands.steps
}

/// As [`reads`], when n1 has been elected by n2, of which n0 has heard nothing. A node may crash.
pub(super) fn reads_deposed() -> Checked {
    let (n1, n2) = (NodeId(1), NodeId(2));
    let mut scenario = reading(1);
    let elected = established(&scenario)
        .fire(n1, Timer::Election)
        .sync(n1)
        .deliver(n1, n2)
        .sync(n2)
        .deliver(n2, n1);
    scenario.prologue = elected.steps;
    scenario
}

/// A writer at n1 and a reader at n0, over connections.
fn reading(crashes: u8) -> Checked {
    let mut scenario = buffered(scenarios::reads(&[(0, 1), (1, 2)]));
    scenario.faults = Faults {
        crashes,
        ..Faults::default()
    };
    scenario.delivery = Delivery::Fifo;
    scenario.timing = Timing::Quiescent;
    scenario.asks_at = |command, node| match command {
        Command::Read { .. } => node == NodeId(0),
        _ => node == NodeId(1),
    };
    scenario
}

/// n0 has been elected by both others, and the first entry of its term is on all disks.
fn established(scenario: &Checked) -> Prologue<'_> {
    let n0 = NodeId(0);
    let mut prologue = Prologue::of(scenario).fire(n0, Timer::Election).sync(n0);
    for id in [1, 2].map(NodeId) {
        // Its vote.
        prologue = prologue.deliver(n0, id).sync(id);
    }
    for id in [1, 2].map(NodeId) {
        prologue = prologue.deliver(id, n0);
    }
    prologue = prologue.sync(n0);
    for id in [1, 2].map(NodeId) {
        // The heartbeat and the append, and what it says to them.
        prologue = prologue.deliver(n0, id).sync(id).deliver(id, n0);
    }
    prologue
}

/// Three nodes in the synchronous period, with PreVote and CheckQuorum: n0 leads, both others hear
/// it, and no disk has what came after the votes. A client asks one command.
pub(super) fn slow_disks() -> Checked {
    let mut scenario = buffered(leadership::guarded(scenarios::replication(3, 3, 0, &[1])));
    scenario.faults = Faults::default();
    scenario.delivery = Delivery::Fifo;
    scenario.timing = Timing::Synchronous;
    scenario.asks_at = |_, node| node == NodeId(0);
    let (n0, n1, n2) = (NodeId(0), NodeId(1), NodeId(2));
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n2)
        .deliver(n2, n0)
        .sync(n0)
        .deliver(n0, n1)
        .deliver(n0, n2)
        .sync(n1)
        .sync(n2)
        .deliver(n1, n0)
        .deliver(n2, n0)
        .deliver(n0, n1)
        .deliver(n0, n2)
        .deliver(n1, n0)
        .deliver(n2, n0)
        .steps;
    scenario
}

/// n0 is elected for term 1 by n1, which hears it; the votes are on disk, and what n0 writes in
/// office is not yet.
fn in_office(scenario: &Checked) -> Prologue<'_> {
    let (n0, n1) = (NodeId(0), NodeId(1));
    let mut prologue = Prologue::of(scenario).fire(n0, Timer::Election);
    if scenario.nodes[0].pre_vote {
        prologue = prologue.deliver(n0, n1).deliver(n1, n0);
    }
    prologue
        .sync(n0)
        .deliver(n0, n1)
        .sync(n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
}
