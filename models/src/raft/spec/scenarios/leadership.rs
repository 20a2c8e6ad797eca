//! Worlds with PreVote and CheckQuorum.

use alloc::vec;
use alloc::vec::Vec;

use super::{
    Checked, candidates, client_commands, connected, disk, elected, election, is_read_here,
    read_here, reads, request,
};
use crate::protocol::NodeId;
use crate::raft::spec::machine::Adder;
use crate::raft::{Command, Raft, Timer};
use crate::world::{Action, Delivery, Faults, Host, Scenario, Timing, World};

/// The same world, with PreVote and CheckQuorum on every node.
pub fn guarded(mut scenario: Checked) -> Checked {
    for node in &mut scenario.nodes {
        node.pre_vote = true;
        node.check_quorum = true;
    }
    scenario
}

/// Three nodes with PreVote alone, of which two stand, as far as term 2.
pub fn pre_vote() -> Checked {
    let mut scenario = election(3, 2, 0);
    for node in &mut scenario.nodes {
        node.pre_vote = true;
    }
    candidates(&mut scenario, &[(0, 2), (1, 1)]);
    scenario
}

/// n0 leads term 1 and n1 hears it, both in time; n2, which has heard of neither, may stand as
/// far as term 3.
pub fn disruption() -> Checked {
    let mut scenario = guarded(election(3, 1, 0));
    candidates(&mut scenario, &[(0, 1), (2, 3)]);
    scenario.bounds.in_time.extend([NodeId(0), NodeId(1)]);
    scenario.prologue = take_office(&scenario);
    scenario
}

/// n0 leads term 1, n1 has just answered it, and now n0 is cut off, until the links heal: n1
/// may stand for term 2. One client writes, another reads.
pub fn check_quorum() -> Checked {
    let scripts = reads(&[]).scripts;
    let mut scenario = Scenario {
        scripts,
        ..guarded(connected(2, 0, 1, 1))
    };
    candidates(&mut scenario, &[(0, 1), (1, 2)]);
    scenario.prologue = take_office(&scenario);
    scenario.prologue.push(Action::Isolate(NodeId(0)));
    scenario
}

/// n0 leads term 1 and n1 hears it; a link is cut, or a node cut off, and healed. n1 and n2
/// may stand for term 2.
pub fn returning() -> Checked {
    let mut scenario = guarded(connected(2, 0, 1, 1));
    scenario.scripts.clear();
    candidates(&mut scenario, &[(0, 1), (1, 2), (2, 2)]);
    scenario.prologue = take_office(&scenario);
    scenario
}

/// n0 leads term 1 and n1 hears it; one client writes, another wants n1 to lead. A message may
/// be lost, and n1 does not stand unless it is told to.
pub fn transfer() -> Checked {
    let mut scenario = Scenario {
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        ..guarded(connected(1, 0, 0, 1))
    };
    scenario.scripts.push(vec![Command::TransferLeadership {
        request: request(1, 0),
        to: NodeId(1),
    }]);
    candidates(&mut scenario, &[(0, 1)]);
    scenario.prologue = take_office(&scenario);
    scenario
}

/// n0 leads n1, and a client wants n1 to lead, which does not stand unless it is told to, and may crash and
/// have heard of no leader when it is.
///
/// No message is dropped as inert: an old answer of n1's makes n0 tell it again to stand.
pub(in crate::raft::spec) fn transfer_to_restarted() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        scripts: vec![vec![Command::TransferLeadership {
            request: request(0, 0),
            to: NodeId(1),
        }]],
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            crashes: 1,
            ..Faults::default()
        },
        asks_at: |_, node| node == NodeId(0),
        ..election(2, 0, 0)
    };
    candidates(&mut scenario, &[(0, 1)]);
    elected(scenario)
}

/// n0 leads n1; one client writes at n0, another reads at n1, and a third wants n1 to lead, which does not
/// stand unless it is told to. A message may be lost.
///
/// No message is dropped as inert: an old answer of n1's makes n0 tell it again to stand.
pub(in crate::raft::spec) fn transfer_to_reader() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        scripts: client_commands(&[1]),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        asks_at: |command, node| node == NodeId(if is_read_here(command) { 1 } else { 0 }),
        ..election(2, 0, 0)
    };
    scenario.scripts.push(read_here(1));
    scenario.scripts.push(vec![Command::TransferLeadership {
        request: request(2, 0),
        to: NodeId(1),
    }]);
    candidates(&mut scenario, &[(0, 1)]);
    elected(scenario)
}

/// Two nodes that keep one session. n0 leads term 1; two clients write, and a third wants n1 to
/// lead, which does not stand unless it is told to. A message may be lost.
///
/// No message is dropped as inert: an old answer of n1's makes n0 tell it again to stand.
pub(in crate::raft::spec) fn transfer_amid_expiry() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        scripts: client_commands(&[1, 1]),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        ..election(2, 0, 0)
    };
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
    }
    scenario.scripts.push(vec![Command::TransferLeadership {
        request: request(2, 0),
        to: NodeId(1),
    }]);
    scenario.asks_at = |_, node| node == NodeId(0);
    candidates(&mut scenario, &[(0, 1)]);
    elected(scenario)
}

/// Three nodes of different terms, as before PreVote was switched on: n2 has stood for terms
/// that nobody has heard of, and its log is behind.
pub fn mixed_terms() -> Checked {
    let mut scenario = election(3, 4, 0);
    for node in &mut scenario.nodes {
        node.pre_vote = true;
    }
    scenario.disks = vec![disk(1, &[1]), disk(1, &[1]), disk(3, &[])];
    candidates(&mut scenario, &[(1, 4)]);
    scenario
}

/// The steps from the start of `scenario` by which n0 is elected for term 1 by n1, and heard
/// by it.
pub(super) fn take_office(scenario: &Checked) -> Vec<Action<Raft<Adder>>> {
    let (leader, follower) = (NodeId(0), NodeId(1));
    let mut world = World::initial(scenario);
    let mut steps = vec![Action::Fire {
        node: leader,
        timer: Timer::Election,
    }];
    loop {
        let last = &steps[steps.len() - 1];
        let played = world.apply(scenario, last);
        assert!(played.is_ok(), "not possible: {last:?}");
        let hears = |world: &World<Raft<Adder>>| {
            let node = world.host(follower).and_then(Host::node);
            node.is_some_and(|node| node.volatile.hears_leader)
        };
        if hears(&world) {
            break;
        }
        let mut messages = world.network.in_flight();
        messages.retain(|message| {
            [(leader, follower), (follower, leader)].contains(&(message.from, message.to))
        });
        let mut next = messages.into_iter().map(Action::Deliver);
        let Some(next) = next.find(|action| !steps.contains(action)) else {
            break;
        };
        steps.push(next);
    }
    steps
}
