//! The worlds in which Raft is checked.

use alloc::vec;
use alloc::vec::Vec;

use crate::protocol::{Durable, NodeId};
use crate::raft::log::{Content, Entry, Term};
use crate::raft::session::{ClientId, RequestId, Sequence};
use crate::raft::state::{Persistent, Record};
use crate::raft::{Command, Raft};
use crate::world::{Duplicates, Faults, Scenario};

use super::Bounds;
use super::machine::{Add, Adder, Total};

type Checked = Scenario<Raft<Adder>>;

fn cluster(size: u16, max_term: u64) -> Checked {
    let ids: Vec<NodeId> = (0..size).map(NodeId).collect();
    let nodes = ids.iter().map(|&id| Raft::new(id, ids.clone())).collect();
    let bounds = Bounds {
        candidates: ids.into_iter().map(|id| (id, Term(max_term))).collect(),
    };
    Scenario::new(nodes, bounds)
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

/// The id of the `sequence`th request of the `client`th script.
pub fn request(client: usize, sequence: usize) -> RequestId {
    RequestId {
        client: ClientId(client as u64),
        sequence: Sequence(sequence as u64 + 1),
    }
}

/// Scripts of commands: one per client, so many commands each. Every command adds another
/// power of two.
pub fn client_commands(commands: &[usize]) -> Vec<Vec<Command<Adder>>> {
    let mut bit = 1u8;
    let mut script = |client: usize, length: usize| {
        let mut propose = |sequence| {
            let command = Add(bit);
            bit = bit.rotate_left(1);
            Command::Propose {
                request: request(client, sequence),
                command,
            }
        };
        (0..length).map(&mut propose).collect()
    };
    commands
        .iter()
        .enumerate()
        .map(|(client, &length)| script(client, length))
        .collect()
}

/// Replication: as [`election`], and one client each for `commands` commands.
pub fn replication(size: u16, max_term: u64, crashes: u8, commands: &[usize]) -> Checked {
    Scenario {
        scripts: client_commands(commands),
        ..election(size, max_term, crashes)
    }
}

/// Clients that may ask `tries` times, each command of its own session.
pub fn clients(max_term: u64, tries: u8, commands: &[usize]) -> Checked {
    Scenario {
        scripts: client_commands(commands),
        tries,
        ..election(3, max_term, 0)
    }
}

/// A writer and a reader.
pub fn reads(max_term: u64) -> Checked {
    let mut scripts = client_commands(&[1]);
    scripts.push(vec![Command::Read {
        request: request(1, 0),
        query: Total,
    }]);
    Scenario {
        scripts,
        ..election(3, max_term, 0)
    }
}

/// Figure 8, from the moment between (b) and (c): S1 and S2 hold an entry of term 2 at index
/// 2, S5 one of term 3, and all five have just been started. S1 and S5 may stand once more
/// each; appends carry one entry at a time.
pub fn figure_8() -> Checked {
    let terms: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let mut scenario = cluster(5, 5);
    scenario.bounds.candidates = [(NodeId(0), Term(4)), (NodeId(4), Term(5))].into();
    for node in &mut scenario.nodes {
        node.max_append_weight = 1;
    }
    scenario.disks = terms.iter().map(|terms| disk(3, terms)).collect();
    scenario.faults.duplicates = Duplicates::Unlimited;
    scenario
}

/// A disk at `term` whose log holds an entry of each of `entries`.
fn disk(term: u64, entries: &[u64]) -> Persistent<Add> {
    let mut disk = Persistent::default();
    disk.apply(&Record::Ballot {
        term: Term(term),
        voted_for: None,
    });
    for &term in entries {
        disk.apply(&Record::Append(Entry {
            term: Term(term),
            content: Content::Noop,
        }));
    }
    disk
}
