//! Worlds in which logs are compacted, and appends pipelined.

use alloc::vec;
use alloc::vec::Vec;

use super::machine::Adder;
use super::scenarios::{Checked, candidates, clients, disk, join, one_learner, read};
use crate::protocol::NodeId;
use crate::raft::{Raft, Timer};
use crate::world::{Action, Delivery, Duplicates, Faults, Scenario, World};

/// A step on the way to the state in which a model begins.
#[derive(Clone, Copy)]
enum Move {
    /// A timer runs out.
    Fire(u16, Timer),
    /// The oldest message from one node to another arrives.
    Deliver(u16, u16),
    /// A client asks a node.
    Ask(usize, u16),
}

/// n0 is elected by n1, which acknowledges the no-op.
const ESTABLISHED: [Move; 5] = [
    Move::Fire(0, Timer::Election),
    Move::Deliver(0, 1),
    Move::Deliver(1, 0),
    Move::Deliver(0, 1),
    Move::Deliver(1, 0),
];

/// The actions that the moves are, in a network that keeps the order of messages: in any other
/// they are possible too.
fn play(scenario: &Checked, moves: &[Move]) -> Vec<Action<Raft<Adder>>> {
    let in_order = Scenario {
        delivery: Delivery::Fifo,
        faults: Faults::default(),
        ..scenario.clone()
    };
    let mut world = World::initial(&in_order);
    let mut actions = Vec::new();
    for &step in moves {
        let Some(action) = action(&world, step) else {
            return actions;
        };
        if world.apply(&in_order, &action).is_err() {
            return actions;
        }
        actions.push(action);
    }
    actions
}

fn action(world: &World<Raft<Adder>>, step: Move) -> Option<Action<Raft<Adder>>> {
    match step {
        Move::Fire(node, timer) => Some(Action::Fire {
            node: NodeId(node),
            timer,
        }),
        Move::Ask(client, node) => Some(Action::Ask {
            client,
            node: NodeId(node),
        }),
        Move::Deliver(from, to) => {
            let (from, to) = (NodeId(from), NodeId(to));
            let mut under_way = world.network.in_flight().into_iter();
            let next = under_way.find(|message| message.from == from && message.to == to);
            next.map(Action::Deliver)
        }
    }
}

/// Two nodes that take a snapshot of each entry, and keep none behind it. n0 stands for
/// election again after a crash; a client asks one command up to twice.
pub fn compaction() -> Checked {
    let mut scenario = clients(2, 2, &[1]);
    candidates(&mut scenario, &[(0, 2)]);
    scenario.faults.crashes = 1;
    for node in &mut scenario.nodes {
        node.compaction.snapshot_after = 1;
    }
    scenario
}

/// n0 leads term 2 and has discarded the first two entries, which n1 has as well: its no-op, and
/// a command. Behind them it has the same command again, for the client has asked twice. n2 has
/// three entries of term 1 in their place, and must be sent a snapshot. Only n0 takes any.
pub fn install() -> Checked {
    let mut scenario = behind(2, &[1]);
    scenario.faults.crashes = 1;
    discard(&mut scenario, &[Move::Ask(0, 0), Move::Ask(0, 0)]);
    scenario
}

/// n0, the only voter, leads term 2 and has discarded its log: a configuration in which n1
/// learns, a no-op and a command. n1 has nothing, and must be sent a snapshot, in chunks; the
/// client asks another command, so that n0 takes another snapshot meanwhile.
///
/// It is one client, so that the two snapshots are of equal length, and a chunk ends amid its
/// session: of chunks of both would come a snapshot that is of neither, and reads like one.
pub fn install_chunks() -> Checked {
    let mut scenario = one_learner();
    in_chunks(&mut scenario, 6);
    let compacted = [
        Move::Fire(0, Timer::Election),
        Move::Ask(0, 0),
        Move::Fire(0, Timer::Snapshot),
    ];
    scenario.prologue = play(&scenario, &compacted);
    scenario
}

/// As [`install`], but for the repeated command and the crash: snapshots travel in chunks, n0
/// takes another meanwhile, for another client asks another command, and n1, which has all
/// entries still, stands for term 3.
pub fn install_deposed() -> Checked {
    let mut scenario = behind(1, &[1, 1]);
    in_chunks(&mut scenario, 12);
    discard(&mut scenario, &[Move::Ask(0, 0)]);
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario
}

/// A cluster of one that takes snapshots of each entry takes another node in.
pub(super) fn install_member() -> Checked {
    let mut scenario = join();
    scenario.nodes[0].compaction.snapshot_after = 1;
    scenario
}

/// n0 takes a snapshot of each entry; snapshots travel in chunks of so many bytes.
fn in_chunks(scenario: &mut Checked, bytes: usize) {
    scenario.nodes[0].compaction.snapshot_after = 1;
    for node in &mut scenario.nodes {
        node.max_chunk_bytes = bytes;
    }
}

/// Three nodes of which n2 has three entries that are not committed. n0 stands for term 2, and
/// takes snapshots.
fn behind(tries: u8, commands: &[usize]) -> Checked {
    let mut scenario = clients(3, tries, commands);
    scenario.disks = vec![disk(1, &[]), disk(1, &[]), disk(1, &[1, 1, 1])];
    candidates(&mut scenario, &[(0, 2)]);
    scenario.nodes[0].compaction.snapshot_after = 1;
    scenario
}

/// n0 is elected, and asked; the first thing that it was asked is committed, and n0's log
/// compacted.
fn discard(scenario: &mut Checked, asked: &[Move]) {
    let compacted = [
        Move::Deliver(0, 1),
        Move::Deliver(1, 0),
        Move::Fire(0, Timer::Snapshot),
    ];
    scenario.prologue = play(scenario, &[&ESTABLISHED[..], asked, &compacted].concat());
}

/// n0 leads n1, which is known to follow. Clients ask a command each; one entry an append, two
/// appends at a time.
pub fn pipelining(commands: &[usize], crashes: u8) -> Checked {
    let mut scenario = clients(2, 1, commands);
    scenario.faults = Faults {
        duplicates: Duplicates::Unlimited,
        crashes,
        crash_within_step: true,
        ..Faults::default()
    };
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
        node.window.appends = 2;
    }
    scenario.prologue = play(&scenario, &ESTABLISHED);
    scenario
}

/// As [`pipelining`], without the crash, and with one command, which is asked up to twice as a
/// reader's question is.
pub(super) fn pipelined_clients() -> Checked {
    let mut scenario = pipelining(&[1], 0);
    scenario.tries = 2;
    scenario.scripts.push(vec![read(1, 0)]);
    scenario
}
