//! Worlds in which logs are compacted, and appends pipelined.

use alloc::vec;

use super::prologue::Prologue;
use super::scenarios::{
    Checked, candidates, client_commands, clients, disk, is_read_here, join, one_learner, read,
    read_here,
};
use crate::protocol::NodeId;
use crate::raft::Timer;
use crate::world::{Delivery, Duplicates, Faults, Scenario, Timing};

/// The scenario, from the state that `story` tells. It is told in a network that keeps the order of
/// messages: in any other it is possible too.
fn begun(scenario: Checked, story: impl FnOnce(Prologue<'_>) -> Prologue<'_>) -> Checked {
    let in_order = Scenario {
        delivery: Delivery::Fifo,
        faults: Faults::default(),
        ..scenario.clone()
    };
    let prologue = story(Prologue::of(&in_order)).steps;
    Scenario {
        prologue,
        ..scenario
    }
}

/// n0 is elected by n1, which acknowledges the no-op.
fn established(prologue: Prologue<'_>) -> Prologue<'_> {
    let [n0, n1] = [0, 1].map(NodeId);
    prologue
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
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
    discarded(scenario, 2)
}

/// n0 leads term 2, elected by n1, and takes a snapshot of two entries; all have one of term 1. A client of
/// n0 asks one command. What n2 is sent before it is committed may arrive before the snapshot of a part of
/// it, which it is sent then.
pub(super) fn install_overtaken() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = clients(3, 1, &[1]);
    scenario.asks_at = |_, node| node == NodeId(0);
    scenario.disks = vec![disk(1, &[1]); 3];
    candidates(&mut scenario, &[(0, 2)]);
    scenario.nodes[0].compaction.snapshot_after = 2;
    begun(scenario, |prologue| {
        prologue
            .fire(n0, Timer::Election)
            .deliver(n0, n1)
            .deliver(n1, n0)
    })
}

/// As [`install`], with CheckQuorum on every node and without the repeated command and the crash: n1 may
/// stand for term 3. The network keeps the order of messages, and may lose one.
pub(super) fn install_guarded() -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            drops: u8::MAX,
            ..Faults::default()
        },
        ..behind(1, &[1])
    };
    for node in &mut scenario.nodes {
        node.check_quorum = true;
    }
    let told = established(Prologue::of(&scenario))
        .ask(0, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .lose_all()
        .fire(n0, Timer::Snapshot);
    let (steps, lost) = (told.steps, told.world.faults.drops);
    scenario.faults.drops = lost + 1;
    scenario.prologue = steps;
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
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
    in_chunks(&mut scenario, 7);
    let n0 = NodeId(0);
    begun(scenario, |prologue| {
        let elected = prologue.fire(n0, Timer::Election);
        elected.ask(0, n0).fire(n0, Timer::Snapshot)
    })
}

/// n0 alone votes, and takes a snapshot of each entry; n1 has nothing, and learns. Snapshots travel
/// in chunks.
pub(super) fn learning() -> Checked {
    let mut scenario = one_learner();
    scenario.scripts.clear();
    in_chunks(&mut scenario, 16);
    scenario
}

/// n0, the only voter, takes a snapshot of each entry and keeps one session; n1 has nothing, and
/// learns. Two clients ask a command each, up to twice, and one reads at n1. The network keeps the
/// order of messages; one answer may be lost.
pub(super) fn sessions_installed() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: client_commands(&[1, 1]),
        tries: 2,
        faults: Faults {
            lost_replies: 1,
            ..Faults::default()
        },
        asks_at: |command, node| (node == NodeId(1)) == is_read_here(command),
        ..learning()
    };
    scenario.scripts.push(read_here(2));
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
        node.max_chunk_bytes = usize::MAX;
    }
    begun(scenario, |prologue| {
        prologue.fire(NodeId(0), Timer::Election)
    })
}

/// As [`learning`], from the moment at which n0's log is compacted, and n1 has heard of nothing: a
/// client reads there, and asks up to twice. The network keeps the order of messages, and may
/// lose one.
pub(super) fn install_reads() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: vec![read_here(0)],
        asks_at: |_, node| node == NodeId(1),
        tries: 2,
        ..learning()
    };
    in_chunks(&mut scenario, 6);
    scenario.faults = Faults {
        drops: u8::MAX,
        ..Faults::default()
    };
    let n0 = NodeId(0);
    let told = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .lose_all()
        .fire(n0, Timer::Snapshot);
    let (steps, lost) = (told.steps, told.world.faults.drops);
    scenario.faults.drops = lost + 1;
    scenario.prologue = steps;
    scenario
}

/// As [`install`], but for the repeated command and the crash: snapshots travel in chunks, n0
/// takes another meanwhile, for another client asks another command, and n1, which has all
/// entries still, stands for term 3.
pub fn install_deposed() -> Checked {
    let mut scenario = behind(1, &[1, 1]);
    in_chunks(&mut scenario, 12);
    scenario = discarded(scenario, 1);
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario
}

/// As [`learning`], but that n1 takes a snapshot of each three entries, and is sent one entry at a
/// time; a client asks a command. The network keeps the order of messages, and may lose one.
pub(super) fn install_counted() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: client_commands(&[1]),
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        ..learning()
    };
    for node in &mut scenario.nodes {
        node.max_chunk_bytes = usize::MAX;
        node.max_append_weight = 1;
    }
    scenario.nodes[1].compaction.snapshot_after = 3;
    begun(scenario, |prologue| {
        prologue.fire(NodeId(0), Timer::Election)
    })
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

/// n0 is elected, and asked the first client's command so often; it is committed, and n0's log
/// compacted.
fn discarded(scenario: Checked, asked: u8) -> Checked {
    let [n0, n1] = [0, 1].map(NodeId);
    begun(scenario, |prologue| {
        let asked = (0..asked).fold(established(prologue), |told, _| told.ask(0, n0));
        asked
            .deliver(n0, n1)
            .deliver(n1, n0)
            .fire(n0, Timer::Snapshot)
    })
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
    begun(scenario, established)
}

/// n0 leads n1, which is known to follow; each takes a snapshot when two entries are new, and keeps
/// one behind it. A client asks three commands. The network keeps the order of messages, and may
/// lose one.
pub(super) fn trailing() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..clients(2, 1, &[3])
    };
    scenario.faults = Faults {
        drops: 1,
        ..Faults::default()
    };
    for node in &mut scenario.nodes {
        node.compaction.snapshot_after = 2;
        node.compaction.trailing = 1;
    }
    begun(scenario, established)
}

/// n0 leads n1, which is known to follow. Three clients ask a command each; one entry an append,
/// and appends are sent as long as less than the weight of two entries is under way.
pub(super) fn pipelining_by_weight() -> Checked {
    let mut scenario = pipelining(&[1, 1, 1], 0);
    scenario.faults = Faults::default();
    for node in &mut scenario.nodes {
        node.window.appends = 3;
        node.window.weight = 2;
    }
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
