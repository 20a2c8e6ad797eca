//! The worlds in which ZAB is checked.

mod late_snaps;
mod later_epochs;

pub(super) use self::late_snaps::*;
pub use self::later_epochs::*;

use alloc::vec;
use alloc::vec::Vec;

use crate::protocol::{Durable, NodeId};
use crate::raft::spec::{Add, Adder, Total};
use crate::session::{ClientId, RequestId, Sequence};
use crate::world::{Action, Delivery, Disk, Duplicates, Faults, Scenario, Timing};
use crate::zab::history::{Content, Transaction};
use crate::zab::state::{Persistent, Record};
use crate::zab::zxid::{Epoch, Zxid};
use crate::zab::{Command, Zab};

use super::oracle::Oracle;
use super::prologue::{Prologue, after};
use super::{Bounds, Nominations};

type Z = Zab<Adder, Oracle>;
type Checked = Scenario<Z>;

/// A node for each of `times`, which is told so often whom to follow. Each of `leaders` may be
/// named a leader until it has accepted that epoch.
pub fn cluster(times: &[u8], leaders: &[(u16, u64)]) -> Checked {
    let times = times.to_vec();
    let ids: Vec<NodeId> = (0u16..).map(NodeId).take(times.len()).collect();
    let nodes = ids.iter().map(|&id| {
        let nodes = ids.clone();
        Zab::new(id, ids.clone(), Oracle { nodes })
    });
    let leaders = leaders.iter().map(|&(id, last)| (NodeId(id), Epoch(last)));
    let leaders = leaders.collect();
    let bounds = Bounds {
        election: Nominations { leaders, times },
        pings: false,
        impatient: false,
    };
    Scenario::new(nodes.collect(), bounds)
}

/// With `crashes` crashes, on disks that may keep any part of what a step has written, in
/// order: ZAB needs no more of its disk than that.
fn crashing(crashes: u8, scenario: Checked) -> Checked {
    Scenario {
        disk: Disk::TornFrame,
        faults: Faults {
            crashes,
            ..Faults::default()
        },
        ..scenario
    }
}

/// Discovery and synchronisation alone: nodes that are named leaders at the same time.
pub fn discovery(times: &[u8], leaders: &[(u16, u64)], crashes: u8) -> Checked {
    crashing(crashes, cluster(times, leaders))
}

/// Of five nodes three take part, so that the leader needs the promises of both others; n1 crashes,
/// and is told again whom to follow.
pub(super) fn promise_stands() -> Checked {
    Scenario {
        delivery: Delivery::Fifo,
        faults: Faults {
            crashes: 1,
            ..Faults::default()
        },
        ..cluster(&[1, 2, 1, 0, 0], &[(0, 1)])
    }
}

/// n0 leads from a cold start, and a client writes.
pub fn start(delivery: Delivery) -> Checked {
    Scenario {
        delivery,
        scripts: writes(&[1]),
        ..cluster(&[1, 1, 1], &[(0, 1)])
    }
}

/// n0 leads n1 from a cold start, and a client writes twice. Any message comes any number of times.
pub(super) fn duplicates() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[2]),
        ..cluster(&[1, 1], &[(0, 1)])
    };
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// The id of the `sequence`th request of the `client`th script.
pub fn request(client: usize, sequence: usize) -> RequestId {
    RequestId {
        client: ClientId::new(client as u64),
        sequence: Sequence(sequence as u64 + 1),
    }
}

/// Scripts of writes: a client for each of `commands`, which asks so many. Every one adds
/// another power of two.
pub fn writes(commands: &[usize]) -> Vec<Vec<Command<Adder>>> {
    let mut bit = 1u8;
    let mut write = |client, sequence| {
        let command = Add(bit);
        bit = bit.rotate_left(1);
        Command::Write {
            request: request(client, sequence),
            command,
        }
    };
    let mut scripts = Vec::new();
    for (client, &length) in commands.iter().enumerate() {
        scripts.push(
            (0..length)
                .map(|sequence| write(client, sequence))
                .collect(),
        );
    }
    scripts
}

/// A script of one synced read.
fn synced_read(client: usize) -> Vec<Command<Adder>> {
    vec![Command::SyncedRead {
        request: request(client, 0),
        query: Total,
    }]
}

/// The steps by which `leader` is established with `followers`, from the start of `scenario`.
pub fn establish(scenario: &Checked, leader: u16, followers: &[u16]) -> Vec<Action<Z>> {
    let mut prologue = Prologue::of(scenario);
    prologue.establish(leader, followers);
    prologue.steps
}

/// n0 leads n1, and a client writes for longer than histories get before a snapshot is taken.
pub(super) fn snapshots() -> Checked {
    let mut scenario = broadcast(2, &[5], 1);
    for node in &mut scenario.nodes {
        node.snapshot_every = 2;
        node.retained = 1;
    }
    scenario
}

/// n0 leads all of `size` nodes; a client for each of `commands` writes so often.
pub fn broadcast(size: u16, commands: &[usize], tries: u8) -> Checked {
    let scenario = Scenario {
        scripts: writes(commands),
        tries,
        ..cluster(&vec![1; usize::from(size)], &[(0, 1)])
    };
    let others: Vec<u16> = (1..size).collect();
    after(scenario, |prologue| prologue.establish(0, &others))
}

/// n0 leads epoch 1 with n1, and n2 joins them while a client writes.
pub fn join() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1, 1]),
        ..cluster(&[1, 1, 1], &[(0, 1)])
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.settle(&[0, 1]);
    })
}

/// Of five nodes n0 leads n1 and n2, and n3 joins them while a client of n0 writes.
pub(super) fn five_join() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1]),
        asks_at: |_, node| node == NodeId(0),
        ..cluster(&[1, 1, 1, 1, 0], &[(0, 1)])
    };
    after(scenario, |prologue| prologue.establish(0, &[1, 2]))
}

/// n0 leads all. A client of n2 waits for a command that the two others have delivered, and have in a
/// snapshot alone, for another has come since; n2 has heard of neither.
pub(super) fn snap_waiting() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[1, 1]),
        ..cluster(&[1, 1, 1], &[(0, 1)])
    };
    scenario.bounds.pings = true;
    for node in &mut scenario.nodes {
        node.snapshot_every = 1;
    }
    after(scenario, |prologue| {
        prologue.establish(0, &[1, 2]);
        prologue.ask(0, 2);
        prologue.deliver(2, 0);
        prologue.settle(&[0, 1]);
        prologue.ask(1, 0);
        prologue.settle(&[0, 1]);
    })
}

/// n0 leads epoch 1 with n1, and a client writes there. Both may lose each other to n2, which leads
/// nobody; n0 leads again, and n1 follows. What comes late arrives, to whoever knows that it is late.
pub(super) fn late_acks() -> Checked {
    let mut scenario = late_pings();
    scenario.bounds.pings = false;
    Scenario {
        scripts: writes(&[1]),
        asks_at: |_, node| node == NodeId(0),
        ..scenario
    }
}

/// The same with pings, and without a client.
pub(super) fn late_pings() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        ..cluster(&[3, 3, 0], &[(0, 2), (2, 1)])
    };
    scenario.bounds.pings = true;
    after(scenario, |prologue| prologue.establish(0, &[1]))
}

/// n0 leads epoch 2 with n1, and pings it. In epoch 1 a client has asked n0 for the latest, and both
/// have crashed when the sync for it was on both disks: it is delivered by now, and nobody waits for
/// it. The client asks again, at either node, up to twice. A message may be lost.
pub(super) fn reads_again() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: vec![synced_read(0)],
        tries: 3,
        faults: Faults {
            drops: 1,
            crashes: 2,
            ..Faults::default()
        },
        ..cluster(&[1, 1], &[(0, 2)])
    };
    scenario.bounds.pings = true;
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.deliver(0, 1);
        for node in [0, 1].map(NodeId) {
            prologue.act(Action::Crash(node));
            prologue.act(Action::Restart(node));
        }
        prologue.establish(0, &[1]);
    })
}

/// The disk of n0 is damaged: the epoch that it says to have accepted is the last but one that there is.
/// n0 and n1 may be named leaders.
pub(super) fn forged_epochs() -> Checked {
    let mut damaged = Persistent::default();
    damaged.apply(&Record::AcceptedEpoch(Epoch(u64::MAX - 1)));
    Scenario {
        disks: vec![damaged],
        ..cluster(&[1, 1, 1], &[(0, u64::MAX), (1, u64::MAX)])
    }
}

/// n1 introduces itself twice to n0, which leads, gives up for n2, which leads nobody, and leads again:
/// by the second word it takes n1 for a follower, which follows still.
pub(super) fn restarted() -> Checked {
    cluster(&[3, 2, 0], &[(0, 2), (2, 1)])
}

/// n0 leads epoch 1 with n1, and has proposed what nobody else has heard of. n1 may lead now,
/// and n0 follow: its transaction must go. Its client may ask again.
pub fn trunc(tries: u8, crashes: u8) -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1]),
        tries,
        ..crashing(crashes, cluster(&[2, 2, 1], &[(0, 1), (1, 2)]))
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
    })
}

/// n0 has led epoch 1 with n1, and has two transactions: one that both have, and that is
/// committed, and a later one that nobody else has heard of. It has crashed since, so that it
/// knows neither. n1 may lead now, and n0 follow: the later one must go, and no more.
pub fn tail() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1, 1]),
        ..crashing(1, cluster(&[1, 2, 1], &[(0, 1), (1, 2)]))
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.deliver(0, 1);
        prologue.deliver(1, 0);
        prologue.ask(1, 0);
        prologue.act(Action::Crash(NodeId(0)));
        prologue.act(Action::Restart(NodeId(0)));
    })
}

/// n0 leads n1, and both have a transaction that n2, which is away, knows nothing of. A node may
/// crash and lose its disk. n0 leads on, n2 may want to lead, and another client writes.
pub(super) fn lost_disk() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        scripts: writes(&[1, 1]),
        ..crashing(1, cluster(&[1, 2, 1], &[(0, 1), (2, 2)]))
    };
    scenario.faults.lost_disks = 1;
    after(scenario, |prologue| without_n2(prologue, 1))
}

/// Two nodes of two ensembles that take each other for one: n0 has delivered a transaction of epoch
/// 1, by its snapshot; n1 has one of epoch 2 in its place, and is named leader. A node may crash.
pub(super) fn two_ensembles() -> Checked {
    let scenario = crashing(1, cluster(&[3, 2], &[(1, 3)]));
    Scenario {
        disks: vec![delivered(zxid(1, 1)), holding(2, &[zxid(2, 1)])],
        ..scenario
    }
}

/// The same, where n0 has delivered the first transaction of epoch 2, and n1 has two of epoch 1 and one of
/// epoch 3: what n0 may keep bears the larger counter, and the earlier epoch.
pub(super) fn two_ensembles_later() -> Checked {
    let history = [zxid(1, 1), zxid(1, 2), zxid(3, 1)];
    let scenario = crashing(1, cluster(&[3, 2], &[(1, 4)]));
    Scenario {
        disks: vec![delivered(zxid(2, 1)), holding(3, &history)],
        ..scenario
    }
}

fn zxid(epoch: u64, counter: u64) -> Zxid {
    let epoch = Epoch(epoch);
    Zxid { epoch, counter }
}

/// A disk of this transaction's epoch, whose node has delivered it.
fn delivered(zxid: Zxid) -> Persistent<Adder> {
    let mut disk = holding(zxid.epoch.0, &[zxid]);
    disk.apply(&Record::Compact {
        snapshot: zxid,
        forgotten: Zxid::default(),
    });
    disk
}

/// A disk of this epoch whose history holds these transactions, each of which does nothing.
fn holding(epoch: u64, history: &[Zxid]) -> Persistent<Adder> {
    let mut disk = Persistent::default();
    disk.apply(&Record::AcceptedEpoch(Epoch(epoch)));
    for &zxid in history {
        let content = Content::Sync {
            request: request(0, 0),
        };
        disk.apply(&Record::Append(Transaction { zxid, content }));
    }
    disk.apply(&Record::CurrentEpoch(Epoch(epoch)));
    disk
}

/// n0 and n1 have two transactions that n2 lacks; n2 joins, one transaction a DIFF. n1 may
/// lead next.
pub fn diff(crashes: u8) -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[2]),
        ..crashing(crashes, cluster(&[1, 2, 2], &[(0, 1), (1, 2)]))
    };
    for node in &mut scenario.nodes {
        node.max_diff_weight = 1;
    }
    after(scenario, |prologue| without_n2(prologue, 2))
}

/// n0 and n1 have three transactions that n2 lacks, and the first two in a snapshot alone: n2
/// needs a SNAP, and a DIFF behind it.
pub fn snap(crashes: u8) -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[3]),
        ..crashing(crashes, cluster(&[1, 2, 1], &[(0, 1), (1, 2)]))
    };
    for node in &mut scenario.nodes {
        node.snapshot_every = 2;
    }
    after(scenario, |prologue| without_n2(prologue, 3))
}

/// From the moment on at which n0 leads n1, both have so many transactions of the first client's that
/// all others lack, and n0 has one more that nobody else has heard of.
pub(super) fn ahead(scenario: Checked, settled: usize) -> Checked {
    after(scenario, |prologue| {
        without_n2(prologue, settled);
        prologue.ask(0, 0);
    })
}

fn without_n2(prologue: &mut Prologue<'_>, writes: usize) {
    prologue.establish(0, &[1]);
    for _ in 0..writes {
        prologue.ask(0, 0);
        prologue.settle(&[0, 1]);
    }
}

/// n0 has led epoch 1, and delivered a transaction that n1 has and does not know to be
/// committed. n1 may lead next, while another client writes.
pub fn succession() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1, 1]),
        ..cluster(&[1, 2, 1], &[(0, 1), (1, 2)])
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.deliver(0, 1);
        prologue.deliver(1, 0);
    })
}

/// n0 leads n1. A client gives a request up, and goes on to its next.
pub fn given_up() -> Checked {
    let at_once = writes(&[2]).concat().into_iter();
    let scenario = Scenario {
        scripts: at_once.map(|command| vec![command]).collect(),
        ..cluster(&[1, 1], &[(0, 1)])
    };
    after(scenario, |prologue| prologue.establish(0, &[1]))
}

/// n0 leads all. One client writes, another reads and wants the latest.
pub fn reads() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cluster(&[1, 1, 1], &[(0, 1)])
    };
    scenario.scripts.push(synced_read(1));
    after(scenario, |prologue| prologue.establish(0, &[1, 2]))
}

/// n0 leads all. One client writes, another reads, of whichever node, what that has delivered.
pub(super) fn local_reads() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cluster(&[1, 1, 1], &[(0, 1)])
    };
    scenario.scripts.push(vec![Command::Read {
        request: request(1, 0),
        query: Total,
    }]);
    after(scenario, |prologue| prologue.establish(0, &[1, 2]))
}

/// n0 has led epoch 1 with n1 and n2, and believes in itself; n1 leads epoch 2 with n2. One
/// client writes, another reads and wants the latest.
pub fn deposed() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cluster(&[1, 2, 2], &[(0, 1), (1, 2)])
    };
    scenario.scripts.push(synced_read(1));
    after(scenario, |prologue| {
        prologue.establish(0, &[1, 2]);
        prologue.establish(1, &[2]);
    })
}

/// n0 leads epoch 1 with n1 and n2; n1 may lead epoch 2, while a client writes and another
/// reads and wants the latest.
pub fn handover() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[1]),
        ..cluster(&[1, 2, 2], &[(0, 1), (1, 2)])
    };
    scenario.scripts.push(synced_read(1));
    after(scenario, |prologue| prologue.establish(0, &[1, 2]))
}

/// Three nodes that may all lead, from a cold start, and a client; a crash.
pub fn everything() -> Checked {
    let leaders = [(0, 3), (1, 3), (2, 3)];
    let mut scenario = Scenario {
        scripts: writes(&[2]),
        ..crashing(1, cluster(&[3, 3, 3], &leaders))
    };
    for node in &mut scenario.nodes {
        node.snapshot_every = 1;
        node.retained = 1;
    }
    scenario
}

/// Connections, messages that beat timers, and nodes that lose patience: a link is cut, and
/// pings make up for what is lost.
pub fn contact(cuts: u8) -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: writes(&[1]),
        faults: Faults {
            cuts,
            ..Faults::default()
        },
        ..cluster(&[2, 2], &[(0, 2)])
    };
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    scenario
}

/// Pings and their answers that come late: n0 crashes and leads again.
pub(super) fn late_pong() -> Checked {
    let mut scenario = discovery(&[2, 2], &[(0, 2)], 1);
    scenario.bounds.pings = true;
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// n0 leads n1 and n2, and pings them. Who loses patience looks for another leader, and finds none.
pub(super) fn heard() -> Checked {
    let mut scenario = broadcast(3, &[], 1);
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    scenario
}

/// As [`heard`], of five nodes, of which two have never heard of n0: with one follower it has no quorum.
pub(super) fn heard_five() -> Checked {
    let mut scenario = cluster(&[1, 1, 1, 0, 0], &[(0, 1)]);
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    after(scenario, |prologue| prologue.establish(0, &[1, 2]))
}

/// A world too large to walk: `size` nodes that may all lead, two clients that write and one
/// that reads, and all faults, with budgets that a run rarely exhausts.
pub fn at_large(size: u16, delivery: Delivery) -> Checked {
    let leaders: Vec<(u16, u64)> = (0..size).map(|id| (id, 40)).collect();
    let mut scenario = Scenario {
        delivery,
        faults: Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            crashes: 10,
            crash_within_step: true,
            cuts: 10,
            lost_replies: 5,
            lost_disks: 0,
        },
        scripts: writes(&[4, 4]),
        tries: 3,
        ..cluster(&vec![u8::MAX; usize::from(size)], &leaders)
    };
    scenario.bounds.pings = true;
    scenario.bounds.impatient = true;
    let reads = (0..4).map(|sequence| Command::SyncedRead {
        request: request(2, sequence),
        query: Total,
    });
    scenario.scripts.push(reads.collect());
    for node in &mut scenario.nodes {
        node.max_diff_weight = 2;
        node.snapshot_every = 3;
        node.retained = 1;
    }
    scenario
}
