//! The worlds in which the counter is checked.

use alloc::vec;
use alloc::vec::Vec;

use crate::counter::counts::Counts;
use crate::counter::g_counter::{DataCentre, GCounter, Incarnation, ReplicaId};
use crate::counter::state::{Persistent, Record};
use crate::counter::window::{Buckets, Window};
use crate::counter::{Command, Counter, Increment};
use crate::protocol::{Durable, NodeId};
use crate::session::{ClientId, RequestId, Sequence};
use crate::world::{Delivery, Disk, Duplicates, Faults, Parties, Scenario, Timing};

use super::Bounds;

type Checked = Scenario<Counter>;

/// Whose timers run out: those of the first so many nodes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    broadcasters: u16,
    push_pullers: u16,
}

impl Limits {
    /// Everybody's.
    pub const ALL: Self = Self::new(u16::MAX, u16::MAX);
    /// Everybody sends deltas, and nobody begins push-pull.
    pub const DELTAS: Self = Self::new(u16::MAX, 0);
    /// Everybody begins push-pull, and nobody sends deltas.
    pub const PUSH_PULL: Self = Self::new(0, u16::MAX);

    /// So many nodes send deltas, and so many begin push-pull.
    pub const fn new(broadcasters: u16, push_pullers: u16) -> Self {
        Self {
            broadcasters,
            push_pullers,
        }
    }
}

/// So many replicas in two data centres, each with a disk that has a name.
pub fn cluster(size: u16, limits: Limits) -> Checked {
    let ids = || (0..size).map(NodeId);
    let nodes = ids().map(|id| Counter::new(id, data_centre(id), ids()));
    let first = |count: u16| (0..count.min(size)).map(NodeId).collect();
    let bounds = Bounds {
        broadcasters: first(limits.broadcasters),
        push_pullers: first(limits.push_pullers),
        proposers: first(0),
    };
    Scenario {
        disks: ids().map(|id| disk(id.0, 0)).collect(),
        ..Scenario::new(nodes.collect(), bounds)
    }
}

/// The same with any loss, duplication and reordering.
pub(super) fn lossy(size: u16, limits: Limits) -> Checked {
    Scenario {
        faults: Faults {
            duplicates: Duplicates::Unlimited,
            ..Faults::default()
        },
        ..cluster(size, limits)
    }
}

/// Clients that count at replicas, of which `crashes` crash; any loss, duplication and
/// reordering.
pub fn counting(size: u16, clients: &[usize], limits: Limits, crashes: u8) -> Checked {
    let mut scenario = lossy(size, limits);
    scenario.scripts = increments(clients);
    scenario.faults.crashes = crashes;
    scenario.faults.crash_within_step = true;
    scenario
}

/// The same, and a node crashes, also within a step.
pub(super) fn crashing(mut scenario: Checked) -> Checked {
    scenario.faults.crashes = 1;
    scenario.faults.crash_within_step = true;
    scenario
}

/// Connections instead of datagrams, and messages that beat timers.
pub fn connected(
    size: u16,
    clients: &[usize],
    limits: Limits,
    crashes: u8,
    cuts: u8,
    drops: u8,
) -> Checked {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            crashes,
            cuts,
            drops,
            crash_within_step: true,
            ..Faults::default()
        },
        scripts: increments(clients),
        ..cluster(size, limits)
    }
}

/// Two replicas on disks that may keep any part of what a step has written.
pub fn torn_frames() -> Checked {
    Scenario {
        disk: Disk::TornFrame,
        ..counting(2, &[2], Limits::DELTAS, 1)
    }
}

/// A client whose first answer may be lost, and who asks up to three times.
pub fn retries() -> Checked {
    let mut scenario = counting(2, &[2], Limits::DELTAS, 1);
    scenario.faults.lost_replies = 1;
    scenario.tries = 3;
    scenario
}

/// A client whose second request may come before its first, and be asked again.
pub fn overtaken() -> Checked {
    let mut scenario = lossy(2, Limits::DELTAS);
    scenario.scripts = vec![vec![increment(0, 0, 1, 0)], vec![increment(0, 1, 2, 0)]];
    scenario.faults.lost_replies = 1;
    scenario.tries = 2;
    scenario
}

/// Replicas that remember one client each, and two clients. Nobody asks again: a request that is
/// forgotten is counted a second time.
pub fn sessions() -> Checked {
    let mut scenario = counting(2, &[1, 1], Limits::DELTAS, 0);
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
    }
    scenario
}

/// A replica that remembers two clients, and three of them. With room for two there is one that has
/// been silent for longer. Nobody asks again, as in [`sessions`].
pub fn crowded() -> Checked {
    let mut scenario = cluster(1, Limits::DELTAS);
    scenario.scripts = increments(&[2, 2, 2]);
    for node in &mut scenario.nodes {
        node.max_sessions = 2;
    }
    scenario
}

/// A replica that remembers one client: one counts, one asks it to count nothing, which it refuses,
/// and another counts as well.
pub(super) fn crowded_refused() -> Checked {
    let mut scenario = crowded();
    scenario.scripts = [1, 0, 2]
        .into_iter()
        .enumerate()
        .map(|(client, amount)| vec![increment(client, 0, amount, 0)])
        .collect();
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
    }
    scenario
}

fn data_centre(id: NodeId) -> DataCentre {
    DataCentre(id.0 % 2)
}

/// The name under which a node counts that has had one disk all along.
pub fn replica(node: u16) -> ReplicaId {
    named(node, 1)
}

pub(super) fn named(node: u16, incarnation: u64) -> ReplicaId {
    ReplicaId {
        data_centre: data_centre(NodeId(node)),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

/// A disk on which the node has counted so far.
fn disk(node: u16, count: u64) -> Persistent {
    let mut disk = Persistent::default();
    disk.apply(&Record::Identified(replica(node)));
    let counts = Counts {
        total: GCounter::from_iter([(replica(node), count)]),
        ..Counts::default()
    };
    disk.apply(&Record::Learned { counts });
    disk
}

/// The id of the `sequence`th request of the `client`th script.
pub fn request(client: usize, sequence: usize) -> RequestId {
    RequestId {
        client: ClientId::new(client as u64),
        sequence: Sequence(sequence as u64 + 1),
    }
}

pub(super) fn increment(client: usize, sequence: usize, amount: u64, now: u64) -> Command {
    Command::Increment(Increment {
        request: request(client, sequence),
        amount,
        now,
    })
}

/// Scripts of increments: a client for each of `clients`, which asks so many. Every amount is
/// another power of two, so that a sum names the increments that made it.
pub fn increments(clients: &[usize]) -> Vec<Vec<Command>> {
    let mut bit = 0;
    let mut next = |client, sequence| {
        let amount = 1 << (bit % 64);
        bit += 1;
        increment(client, sequence, amount, 0)
    };
    let mut scripts = Vec::new();
    for (client, &length) in clients.iter().enumerate() {
        scripts.push((0..length).map(|sequence| next(client, sequence)).collect());
    }
    scripts
}

/// Clients that are alike but for their sessions and what they count.
pub(super) fn parties(clients: &'static [&'static [usize]]) -> Parties {
    Parties {
        clients,
        names: &["ClientId"],
        payloads: &["Count"],
    }
}

/// A window of two buckets of ten, clients that count at these times, and one that reads the
/// window at `read_at`.
pub fn windowed(size: u16, times: &[&[u64]], read_at: u64, limits: Limits) -> Checked {
    let mut scenario = lossy(size, limits);
    for node in &mut scenario.nodes {
        node.window = Some(Window::new(10, 2));
    }
    let mut amount = 1;
    for (client, times) in times.iter().enumerate() {
        let mut script = Vec::new();
        for (sequence, &now) in times.iter().enumerate() {
            script.push(increment(client, sequence, amount, now));
            amount *= 2;
        }
        scenario.scripts.push(script);
    }
    let reader = times.len();
    scenario.scripts.push(vec![Command::ReadWindow {
        request: request(reader, 0),
        now: read_at,
        latest: 2,
    }]);
    scenario
}

/// As [`windowed`], but that the running bucket alone is read, which is a part of the window.
pub(super) fn window_part() -> Checked {
    let mut scenario = windowed(2, &[&[5], &[15]], 15, Limits::DELTAS);
    for command in scenario.scripts.iter_mut().flatten() {
        if let Command::ReadWindow { latest, .. } = command {
            *latest = 1;
        }
    }
    scenario
}

/// A replica that lets a bucket expire, says what it knows without it, and loses its disk before
/// the answer comes.
pub(super) fn window_lost_disk() -> Checked {
    let mut scenario = windowed(2, &[&[1]], 35, Limits::PUSH_PULL);
    scenario.faults.crashes = 1;
    scenario.faults.lost_disks = 1;
    // A disk that is lost unsays what made a message inert.
    scenario.drop_inert = false;
    scenario
}

/// n0 knows of a bucket of its own; n1, which may be asked to leave, knows its total alone, as from a
/// node with another window; n2 knows nothing, and may lose its disk.
pub(super) fn leaving_window() -> Checked {
    let mut scenario = cluster(3, Limits::new(2, 1));
    for node in &mut scenario.nodes {
        node.window = Some(Window::new(10, 2));
    }
    let total = || GCounter::from_iter([(replica(0), 1)]);
    let bucket = Window::new(10, 2).bucket_at(1);
    let mut told = |node: usize, buckets| {
        let counts = Counts {
            total: total(),
            buckets,
            ..Counts::default()
        };
        scenario.disks[node].apply(&Record::Learned { counts });
    };
    told(0, [(bucket, total())].into_iter().collect());
    told(1, Buckets::default());
    scenario.scripts = vec![vec![Command::Leave]];
    scenario.asks_at = |_, node| node == NodeId(1);
    scenario.delivery = Delivery::Fifo;
    scenario.timing = Timing::Quiescent;
    scenario.drop_inert = false;
    scenario.faults.crashes = 1;
    scenario.faults.lost_disks = 1;
    scenario.faults.drops = 1;
    scenario
}

/// As [`leaving_window`], without faults; a client reads the window at n1 when the bucket has expired.
pub(super) fn leaving_expiry() -> Checked {
    let mut scenario = leaving_window();
    scenario.faults = Faults::default();
    scenario.scripts.push(vec![Command::ReadWindow {
        request: request(1, 0),
        now: 35,
        latest: 2,
    }]);
    scenario
}

/// Two nodes that were configured differently: their buckets are of ten, and of four.
pub(super) fn mixed_windows() -> Checked {
    let mut scenario = windowed(2, &[&[1], &[5]], 5, Limits::DELTAS);
    scenario.nodes[1].window = Some(Window::new(4, 2));
    scenario
}

/// Nodes whose disks are empty at first and may be lost, and hosts that draw an incarnation
/// whenever one is needed, each number once.
pub fn identities(size: u16, draws: u64, clients: &[usize], limits: Limits) -> Checked {
    let mut scenario = Scenario {
        disks: Vec::new(),
        scripts: increments(clients),
        // A disk that is lost unsays what made a message inert.
        drop_inert: false,
        faults: Faults {
            crashes: 1,
            lost_disks: 1,
            ..Faults::default()
        },
        // A host that has heard nothing draws anew: by then the disk may be another.
        asks_again: |command| !matches!(command, Command::Identify { .. }),
        ..cluster(size, limits)
    };
    scenario.scripts.push(names(1..=draws));
    scenario
}

/// Two nodes, of which n0's disk has been set back: n1 knows of two increments that n0 has forgotten. A
/// client counts at n0, and its host draws two incarnations at any time: the one that n0 has had, and
/// another.
pub(super) fn set_back() -> Checked {
    let mut scenario = counting(2, &[2], Limits::DELTAS, 0);
    let counts = Counts {
        total: GCounter::from_iter([(replica(0), 2)]),
        ..Counts::default()
    };
    scenario.disks[1].apply(&Record::Learned { counts });
    let Incarnation(had) = replica(0).incarnation;
    scenario.scripts.extend([names(had..=had), names(2..=2)]);
    scenario.asks_at = |_, node| node == NodeId(0);
    scenario
}

/// What a host asks that draws these incarnations, one after the other.
pub(super) fn names(incarnations: impl Iterator<Item = u64>) -> Vec<Command> {
    let names = incarnations.map(|incarnation| Command::Identify {
        incarnation: Incarnation(incarnation),
    });
    names.collect()
}

/// As [`identities`], with as many hosts as nodes: one that has heard nothing keeps no other waiting.
pub(super) fn identities_of_hosts(
    size: u16,
    draws: u64,
    clients: &[usize],
    limits: Limits,
) -> Checked {
    let mut scenario = identities(size, 0, clients, limits);
    scenario.scripts.pop();
    for host in 0..u64::from(size) {
        let drawn = (1..=draws).filter(|name| name % u64::from(size) == host);
        scenario.scripts.push(names(drawn));
    }
    scenario
}

/// Nodes that are told of a node's end by their hosts, and that it is back.
pub fn membership(size: u16, gone: u16, clients: &[usize], limits: Limits) -> Checked {
    let mut scenario = Scenario {
        scripts: increments(clients),
        ..lossy(size, limits)
    };
    scenario.scripts.push(vec![
        Command::PeerGone(NodeId(gone)),
        Command::PeerJoined(NodeId(gone)),
    ]);
    scenario
}

/// Nodes of which one is asked to leave.
pub fn leaving(size: u16, clients: &[usize], limits: Limits) -> Checked {
    let mut scenario = counting(size, clients, limits, 1);
    scenario.scripts.push(vec![Command::Leave]);
    scenario
}

/// A node that counts, and is asked to leave, and its client, whose answer may be lost and who asks
/// again.
pub(super) fn leaving_retries() -> Checked {
    let mut scenario = leaving(2, &[1], Limits::DELTAS);
    scenario.faults.lost_replies = 1;
    scenario.tries = 2;
    scenario
}

/// Three nodes: n0 counts, and n1, which counts nothing, is asked to leave. What it has heard of n0,
/// n2 need not have heard.
pub(super) fn leaving_3() -> Checked {
    let mut scenario = connected(3, &[1], Limits::DELTAS, 0, 0, 0);
    scenario.scripts.push(vec![Command::Leave]);
    scenario.asks_at = |command, node| {
        let leaves = matches!(command, Command::Leave);
        node == NodeId(if leaves { 1 } else { 0 })
    };
    scenario
}

/// As [`connected`], and one of the nodes is asked to leave.
pub fn leaving_connected(crashes: u8, drops: u8) -> Checked {
    let mut scenario = connected(2, &[1], Limits::ALL, crashes, 0, drops);
    scenario.scripts.push(vec![Command::Leave]);
    scenario
}

/// Two nodes, either of which may be asked to leave, and told that the other is gone and back.
pub fn leaving_alone() -> Checked {
    let mut scenario = membership(2, 1, &[1], Limits::DELTAS);
    scenario.scripts.push(vec![Command::Leave]);
    scenario
}

/// Two replicas that have both counted nearly as far as 64 bits go; a client that counts on,
/// by two, by nothing and by two.
pub fn overflowing(limits: Limits) -> Checked {
    let mut scenario = lossy(2, limits);
    scenario.disks = vec![disk(0, u64::MAX - 2), disk(1, u64::MAX - 2)];
    let amounts = [2, 0, 2];
    let script = amounts.iter().enumerate();
    scenario.scripts = vec![
        script
            .map(|(sequence, &amount)| increment(0, sequence, amount, 0))
            .collect(),
    ];
    scenario.scripts.push(vec![Command::Read {
        request: request(1, 0),
    }]);
    scenario
}

/// A world too large to walk: `size` nodes, four clients that count and one that reads, a
/// node that is gone and comes back, and all faults but lost disks, with budgets that a run
/// rarely exhausts.
pub fn at_large(size: u16, delivery: Delivery) -> Checked {
    let times: [&[u64]; 4] = [
        &[1, 12, 23, 34],
        &[5, 15, 25, 45],
        &[11, 21, 22, 33],
        &[9, 19, 29, 39],
    ];
    let mut scenario = Scenario {
        delivery,
        faults: Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            crashes: 10,
            crash_within_step: true,
            cuts: 10,
            lost_replies: 10,
            ..Faults::default()
        },
        tries: 3,
        ..windowed(size, &times, 35, Limits::ALL)
    };
    scenario.scripts.push(vec![
        Command::Read {
            request: request(5, 0),
        },
        Command::PeerGone(NodeId(0)),
        Command::PeerJoined(NodeId(0)),
        Command::Read {
            request: request(5, 1),
        },
    ]);
    scenario
}

/// A world too large to walk, about names and hosts: nodes whose disks are empty at first and
/// may be lost, hosts that draw incarnations and let a node leave, clients of which two count
/// nearly as far as 64 bits go, and one that reads; and all faults, with budgets that a run
/// rarely exhausts.
pub fn hosts_at_large(size: u16, delivery: Delivery) -> Checked {
    let mut scenario = Scenario {
        delivery,
        faults: Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            crashes: 5,
            crash_within_step: true,
            cuts: 5,
            lost_disks: 1,
            lost_replies: 5,
        },
        tries: 3,
        ..identities_of_hosts(size, 10, &[3, 3], Limits::ALL)
    };
    let amounts: [&[u64]; 2] = [&[u64::MAX - 9, 9, 1], &[u64::MAX - 3, 4]];
    for amounts in amounts {
        let client = scenario.scripts.len();
        let script = amounts.iter().enumerate();
        let script = script.map(|(sequence, &amount)| increment(client, sequence, amount, 0));
        scenario.scripts.push(script.collect());
    }
    let reader = scenario.scripts.len();
    let reads = (0..4).map(|sequence| Command::Read {
        request: request(reader, sequence),
    });
    scenario.scripts.push(reads.collect());
    scenario.scripts.push(vec![Command::Leave]);
    scenario
}
