//! The worlds in which Raft is checked.

mod disks;
mod membership;
mod sessions;

pub(super) use self::disks::*;
pub(super) use self::membership::*;
pub(super) use self::sessions::*;

pub(super) mod leadership;

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::protocol::{Durable, Input, Node, NodeId, Outbox, Protocol};
use crate::raft::log::{Content, Entry, Index, Term};
use crate::raft::message::{AppendOutcome, Message};
use crate::raft::session::{ClientId, Position, RequestId, Sequence};
use crate::raft::state::{Persistent, Record};
use crate::raft::{Command, Raft, Timer};
use crate::world::{Action, Delivery, Disk, Duplicates, Faults, Scenario, Timing, World};

use super::Bounds;
use super::machine::{Add, Adder, Total};
use super::prologue::Prologue;

pub(super) type Checked = Scenario<Raft<Adder>>;

fn cluster(size: u16, max_term: u64) -> Checked {
    let ids: Vec<NodeId> = (0..size).map(NodeId).collect();
    let nodes = ids.iter().map(|&id| Raft::new(id, ids.clone()));
    let nodes = nodes.map(one_append_at_a_time).collect();
    let bounds = Bounds {
        candidates: ids.into_iter().map(|id| (id, Term(max_term))).collect(),
        in_time: BTreeSet::new(),
    };
    Scenario::new(nodes, bounds)
}

/// The node, which sends a peer the next append when the last one has been answered. That
/// appends overtake each other has models of its own ([`compacted`](super::compacted)).
fn one_append_at_a_time(mut node: Raft<Adder>) -> Raft<Adder> {
    node.window.appends = 1;
    node
}

/// Lets only these nodes stand for election, each up to its term.
pub(super) fn candidates(scenario: &mut Checked, last_terms: &[(u16, u64)]) {
    scenario.bounds.candidates = last_terms
        .iter()
        .map(|&(id, term)| (NodeId(id), Term(term)))
        .collect();
}

/// Elections alone: `size` nodes that stand in terms up to `max_term`, any message lost,
/// duplicated any number of times and reordered, and `crashes` crashes.
pub fn election(size: u16, max_term: u64, crashes: u8) -> Checked {
    Scenario {
        faults: Faults {
            duplicates: Duplicates::Unlimited,
            crashes,
            crash_within_step: true,
            ..Faults::default()
        },
        ..cluster(size, max_term)
    }
}

/// Two nodes, of which n0 stands: it also asks for a vote in a term as far away as one can be named, and
/// n1 says to be in that when it hears an append.
pub(super) fn forged_terms() -> Checked {
    let mut scenario = Scenario {
        step: forges_terms,
        ..election(2, 1, 0)
    };
    candidates(&mut scenario, &[(0, 1)]);
    scenario
}

pub(super) fn forges_terms(
    raft: &Raft<Adder>,
    node: &mut Node<Raft<Adder>>,
    input: Input<Raft<Adder>>,
    out: &mut Outbox<Raft<Adder>>,
) {
    const FAR: Term = Term(u64::MAX);
    let stands = input == Input::Fire(Timer::Election);
    let heard = match &input {
        Input::Deliver {
            from,
            message: Message::AppendEntries { term, round, .. },
        } => Some((*from, *term, *round)),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    raft.step(node, input, out);
    if stands {
        for peer in raft.peers(node) {
            let question = Message::RequestVote {
                term: FAR,
                last_log_index: Index(0),
                last_log_term: Term(0),
                leadership_transfer: false,
            };
            out.send(peer, question);
        }
    }
    if let Some((leader, term, round)) = heard {
        let outcome = AppendOutcome::StaleTerm { current_term: FAR };
        let refusal = Message::AppendEntriesResponse {
            term,
            outcome,
            round,
        };
        out.send(leader, refusal);
    }
}

/// Five nodes of which two stand in the same term.
pub fn election_of_five() -> Checked {
    let mut scenario = election(5, 1, 0);
    candidates(&mut scenario, &[(0, 1), (4, 1)]);
    scenario
}

/// As [`election`], and a client for each of `commands`, which asks so many.
pub fn replication(size: u16, max_term: u64, crashes: u8, commands: &[usize]) -> Checked {
    Scenario {
        scripts: client_commands(commands),
        ..election(size, max_term, crashes)
    }
}

/// As [`replication`], with a crash and two clients that ask a command each, and appends that
/// carry one entry at a time: all that it takes for Figure 8, and nothing has happened yet.
pub fn from_the_start(size: u16, max_term: u64) -> Checked {
    let mut scenario = replication(size, max_term, 1, &[1, 1]);
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
    }
    scenario
}

/// Connections instead of datagrams, and messages that beat timers: `crashes` crashes and as
/// many one-way cuts, with a client that asks one command up to `tries` times.
pub fn connected(max_term: u64, crashes: u8, cuts: u8, tries: u8) -> Checked {
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            crashes,
            cuts,
            crash_within_step: true,
            ..Faults::default()
        },
        tries,
        ..replication(3, max_term, crashes, &[1])
    }
}

/// One node of `size` that may lead, and clients that may ask each command `tries` times.
pub fn clients(size: u16, tries: u8, commands: &[usize]) -> Checked {
    let mut scenario = replication(size, 1, 0, commands);
    candidates(&mut scenario, &[(0, 1)]);
    scenario.tries = tries;
    scenario
}

/// The scenario, from the moment at which n0 has been elected by n1.
pub(super) fn elected(mut scenario: Checked) -> Checked {
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1)]);
    scenario
}

/// Two nodes that keep one session. n0 has led term 1, and has replicated to n1 what the first
/// client has asked of it; now n1 leads term 2, and the client has no answer yet. When it has
/// one it begins another session. A second client has a session of its own. All ask up to twice.
pub(super) fn session_expiry() -> Checked {
    let (n0, n1) = (NodeId(0), NodeId(1));
    let mut scenario = Scenario {
        scripts: client_commands(&[2, 1]),
        tries: 2,
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..cluster(2, 0)
    };
    candidates(&mut scenario, &[(0, 1), (1, 2)]);
    for node in &mut scenario.nodes {
        node.max_sessions = 1;
    }
    let client = request(0, 0).client.anew(Position(1));
    let begun = RequestId {
        client,
        ..request(0, 0)
    };
    ask_as(&mut scenario, (0, 1), begun);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .ask(0, n0)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .lose(n1, n0)
        .fire(n1, Timer::Election)
        .deliver(n1, n0)
        .deliver(n0, n1)
        .steps;
    scenario
}

/// Two clients that share a session: one asks its first request, the other its second, as a
/// client does that has given the first up.
pub(super) fn shared_session() -> Checked {
    let mut scenario = clients(2, 1, &[1, 1]);
    ask_as(&mut scenario, (1, 0), request(0, 1));
    scenario
}

/// Gives a command of a script, `at` which client's and which of theirs, another id.
fn ask_as(scenario: &mut Checked, at: (usize, usize), id: RequestId) {
    let (client, position) = at;
    if let Command::Propose { request, .. } = &mut scenario.scripts[client][position] {
        *request = id;
    }
}

/// A writer and a reader. The nodes of `last_terms` stand for election.
pub fn reads(last_terms: &[(u16, u64)]) -> Checked {
    let mut scenario = replication(3, 1, 0, &[1]);
    scenario.scripts.push(vec![read(1, 0)]);
    candidates(&mut scenario, last_terms);
    scenario
}

/// A client's read.
pub(super) fn read(client: usize, sequence: usize) -> Command<Adder> {
    Command::Read {
        request: request(client, sequence),
        query: Total,
    }
}

/// n0 leads n1, and lets one read wait; two clients read.
pub(super) fn pending_reads() -> Checked {
    let mut scenario = Scenario {
        scripts: (0..2).map(|client| vec![read(client, 0)]).collect(),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..cluster(2, 0)
    };
    candidates(&mut scenario, &[(0, 1)]);
    for node in &mut scenario.nodes {
        node.max_pending_reads = 1;
    }
    elected(scenario)
}

/// As [`pending_reads`], and all may wait.
pub(super) fn reads_together() -> Checked {
    let mut scenario = pending_reads();
    for node in &mut scenario.nodes {
        node.max_pending_reads = usize::MAX;
    }
    scenario
}

/// n0 leads; one client writes, two read at n2, which follows and has heard from n0.
pub(super) fn follower_reads() -> Checked {
    let (n0, n2) = (NodeId(0), NodeId(2));
    let mut scenario = Scenario {
        scripts: client_commands(&[1]),
        asks_at: |command, node| node == NodeId(if is_read_here(command) { 2 } else { 0 }),
        ..connected(1, 0, 0, 1)
    };
    scenario.scripts.extend((1..=2).map(read_here));
    candidates(&mut scenario, &[(0, 1)]);
    scenario.prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n2)
        .deliver(n2, n0)
        .deliver(n0, n2)
        .deliver(n2, n0)
        .steps;
    scenario
}

/// n0 leads n1, and lets one read wait; two clients read at n1.
pub(super) fn follower_reads_busy() -> Checked {
    let mut scenario = follower_reads_again();
    scenario.scripts = (0..2).map(read_here).collect();
    scenario.faults = Faults::default();
    scenario.tries = 1;
    scenario.nodes[0].max_pending_reads = 1;
    scenario
}

/// n0 leads n1, where a client reads, and asks up to twice. A message may be lost.
pub(super) fn follower_reads_again() -> Checked {
    let mut scenario = Scenario {
        scripts: vec![read_here(0)],
        asks_at: |_, node| node == NodeId(1),
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        faults: Faults {
            drops: 1,
            ..Faults::default()
        },
        tries: 2,
        ..cluster(2, 0)
    };
    candidates(&mut scenario, &[(0, 1)]);
    elected(scenario)
}

/// n0 leads n1, where a client reads, has given that up and reads again, in the same session. Both
/// questions may be on their way.
pub(super) fn follower_reads_given_up() -> Checked {
    let mut scenario = follower_reads_again();
    let again = Command::ReadHere {
        request: request(0, 1),
        query: Total,
    };
    scenario.scripts.push(vec![again]);
    scenario.tries = 1;
    scenario
}

/// The script of a client that reads at one node.
pub(super) fn read_here(client: usize) -> Vec<Command<Adder>> {
    vec![Command::ReadHere {
        request: request(client, 0),
        query: Total,
    }]
}

pub(super) fn is_read_here(command: &Command<Adder>) -> bool {
    matches!(command, Command::ReadHere { .. })
}

/// n0 leads term 2 with n1, n2 and the learner n3, and has done and answered a command that n1
/// has too, and which n3 has applied or not; then n1 has been elected for term 3 by n2, which n0
/// and n3 have not heard. The writer writes again, at n1, and a reader reads at n3.
pub(super) fn follower_reads_deposed(has_applied: bool) -> Checked {
    let [n0, n1, n2, n3] = [0, 1, 2, 3].map(NodeId);
    let mut scenario = Scenario {
        nodes: membership::nodes(3, 1),
        disks: vec![membership::with_learner(); 4],
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: client_commands(&[2]),
        asks_at: |command, node| match command {
            Command::ReadHere { .. } => node == NodeId(3),
            Command::Propose { request, .. } => node == NodeId(u16::from(request.sequence.0 > 1)),
            _ => true,
        },
        ..cluster(4, 0)
    };
    scenario.scripts.push(read_here(1));
    candidates(&mut scenario, &[(0, 2), (1, 3)]);
    scenario.faults.drops = u8::MAX;
    let mut prologue = Prologue::of(&scenario)
        .fire(n0, Timer::Election)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .deliver(n0, n3)
        .deliver(n0, n1)
        .deliver(n1, n0)
        .ask(0, n0)
        .deliver(n0, n1)
        .deliver(n1, n0);
    if has_applied {
        // It acknowledges the no-op, and is sent the command, committed.
        prologue = prologue.deliver(n3, n0).deliver(n0, n3);
    }
    prologue = prologue
        .lose_all()
        .fire(n1, Timer::Election)
        .deliver(n1, n2)
        .deliver(n2, n1)
        .lose_all();
    let (steps, drops) = (prologue.steps, prologue.world.faults.drops);
    scenario.faults.drops = drops;
    scenario.prologue = steps;
    scenario
}

/// A world too large to walk: `size` nodes that all stand for election, two clients that write
/// and one that reads, and all faults, with budgets that a run rarely exhausts.
pub fn at_large(size: u16, delivery: Delivery) -> Checked {
    let mut scenario = Scenario {
        delivery,
        faults: Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            crashes: 10,
            crash_within_step: true,
            cuts: 10,
            ..Faults::default()
        },
        scripts: client_commands(&[4, 4]),
        tries: 3,
        ..cluster(size, 40)
    };
    scenario
        .scripts
        .push((0..4).map(|sequence| read(2, sequence)).collect());
    for node in &mut scenario.nodes {
        node.max_append_weight = 2;
        node.window.appends = 2;
        node.compaction.snapshot_after = 3;
        node.compaction.trailing = 1;
        node.max_chunk_bytes = 8;
    }
    // One takes no snapshots: one that it has was sent to it.
    if let Some(last) = scenario.nodes.last_mut() {
        last.compaction.snapshot_after = usize::MAX;
    }
    scenario
}

/// As [`reads`], from the moment at which n0 has been elected for term 1; n1 stands for
/// term 2.
pub fn reads_deposed() -> Checked {
    elected(reads(&[(0, 1), (1, 2)]))
}

/// A leader of term 1 has written an entry that it alone has, and lost its office: it stands
/// again for term 3, another for term 2.
pub fn divergence() -> Checked {
    let mut scenario = election(3, 3, 0);
    scenario.disks = vec![disk(1, &[1, 1]), disk(1, &[]), disk(1, &[])];
    candidates(&mut scenario, &[(0, 3), (1, 2)]);
    scenario
}

/// A follower must give up two entries of term 1 for those of a leader of term 3, one entry
/// an append, and may crash meanwhile.
pub fn catch_up() -> Checked {
    let mut scenario = election(3, 3, 1);
    scenario.disks = vec![disk(2, &[1, 1, 1]), disk(2, &[1, 2]), disk(2, &[1, 2])];
    candidates(&mut scenario, &[(1, 3)]);
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
    }
    scenario
}

/// Two nodes whose logs part behind the first of four entries: n1 leads term 3, and n0 must give
/// up three entries of term 1 for its own of term 2.
pub(super) fn skipped_terms() -> Checked {
    let mut scenario = election(2, 3, 0);
    scenario.disks = vec![disk(2, &[1, 1, 1, 1]), disk(2, &[1, 2, 2, 2])];
    candidates(&mut scenario, &[(1, 3)]);
    scenario
}

/// Two nodes as in [`skipped_terms`], and n0 leads, for its last entry is of term 3: n1 has entries
/// of a term that n0 has none of.
pub(super) fn skipped_unknown_terms() -> Checked {
    let mut scenario = election(2, 4, 0);
    scenario.disks = vec![disk(3, &[1, 1, 1, 3]), disk(3, &[1, 2, 2, 2])];
    candidates(&mut scenario, &[(0, 4)]);
    scenario
}

/// As [`catch_up`], on disks that may keep any part of what a step has written.
pub fn torn_frames() -> Checked {
    Scenario {
        disk: Disk::TornFrame,
        ..catch_up()
    }
}

/// Figure 8, from (c) on: S1 and S2 hold an entry of term 2 at index 2, S5 one of term 3 and
/// a failed candidacy for term 4 behind it; S1 has just been elected for term 4 by S2 and S3
/// and goes on replicating. S5 stands for term 5; appends carry one entry at a time.
pub fn figure_8() -> Checked {
    let terms: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let mut scenario = election(5, 5, 0);
    candidates(&mut scenario, &[(0, 4), (4, 5)]);
    scenario.disks = terms.iter().map(|terms| disk(3, terms)).collect();
    scenario.disks[4].apply(&Record::Ballot {
        term: Term(4),
        voted_for: Some(NodeId(4)),
    });
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
    }
    scenario.prologue = elect(&scenario, NodeId(0), &[NodeId(1), NodeId(2)]);
    scenario
}

/// The steps by which `candidate` is elected by `voters`, from the start of `scenario`.
fn elect(scenario: &Checked, candidate: NodeId, voters: &[NodeId]) -> Vec<Action<Raft<Adder>>> {
    let timer = Timer::Election;
    let mut world = World::initial(scenario);
    let mut steps = vec![Action::Fire {
        node: candidate,
        timer,
    }];
    let requests = voters.iter().map(|&voter| (candidate, voter));
    let answers = voters.iter().map(|&voter| (voter, candidate));
    let mut links = requests.chain(answers);
    loop {
        let last = steps[steps.len() - 1].clone();
        if world.apply(scenario, &last).is_err() {
            return steps;
        }
        let Some((from, to)) = links.next() else {
            return steps;
        };
        let in_flight = world.network.in_flight().into_iter();
        let on_link = in_flight.filter(|message| message.from == from && message.to == to);
        steps.extend(on_link.map(Action::Deliver).take(1));
    }
}

/// The id of the `sequence`th request of the `client`th script.
pub fn request(client: usize, sequence: usize) -> RequestId {
    RequestId {
        client: ClientId::new(client as u64),
        sequence: Sequence(sequence as u64 + 1),
    }
}

/// Scripts of commands: a client for each of `commands`, which asks so many. Every command
/// adds another power of two.
pub fn client_commands(commands: &[usize]) -> Vec<Vec<Command<Adder>>> {
    let mut bit = 1u8;
    let mut propose = |client, sequence| {
        let command = Add(bit);
        bit = bit.rotate_left(1);
        Command::Propose {
            request: request(client, sequence),
            command,
        }
    };
    let mut scripts = Vec::new();
    for (client, &length) in commands.iter().enumerate() {
        scripts.push(
            (0..length)
                .map(|sequence| propose(client, sequence))
                .collect(),
        );
    }
    scripts
}

/// A disk at `term` whose log holds an entry of each of `entries`.
pub(super) fn disk(term: u64, entries: &[u64]) -> Persistent<Adder> {
    let noop = |&term: &u64| (term, Content::Noop);
    disk_holding(term, entries.iter().map(noop))
}

/// A disk at `term` whose log holds these entries, each of its term.
fn disk_holding(
    term: u64,
    entries: impl IntoIterator<Item = (u64, Content<Add>)>,
) -> Persistent<Adder> {
    let mut disk = Persistent::default();
    disk.apply(&Record::Ballot {
        term: Term(term),
        voted_for: None,
    });
    for (term, content) in entries {
        let term = Term(term);
        disk.apply(&Record::Append(Entry { term, content }));
    }
    disk
}
