//! Worlds of ZAB that are drawn: which faults happen, how many nodes and clients there are, and what
//! these ask.

use alloc::vec;
use alloc::vec::Vec;

use super::Oracle;
use super::scenarios::{ahead, cluster, request};
use crate::draw::Draw;
use crate::raft::spec::{Add, Adder, Total};
use crate::world::Scenario;
use crate::zab::{Command, Zab};

/// The epoch beyond which nobody is named a leader.
const LAST_EPOCH: u64 = 40;

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Zab<Adder, Oracle>> {
    let mut draw = Draw::from(number);
    let size = draw.u16(2..=5);
    // Histories that differ from the start, in half of the worlds: else they rarely come to.
    let begins = draw.bool().then(|| draw.usize(..=3));
    let leaders: Vec<(u16, u64)> = (0..size).map(|id| (id, LAST_EPOCH)).collect();
    let mut scenario = Scenario {
        delivery: draw.delivery(),
        timing: draw.timing(),
        faults: draw.faults(),
        scripts: scripts(begins, &mut draw),
        tries: draw.u8(1..=3),
        // A disk that is lost unsays what made a message inert.
        drop_inert: false,
        ..cluster(&vec![u8::MAX; usize::from(size)], &leaders)
    };
    scenario.bounds.pings = draw.bool();
    scenario.bounds.impatient = draw.bool();
    for node in &mut scenario.nodes {
        node.max_diff_weight = draw.any(&[1, 2, usize::MAX]);
        node.snapshot_every = draw.any(&[1, 2, 3, usize::MAX]);
        node.retained = draw.any(&[0, 1, 2]);
    }
    match begins {
        Some(settled) => {
            // A disk that is lost meets a TRUNC or a SNAP hardly anywhere else.
            scenario.faults.lost_disks = 1;
            scenario.faults.crashes = scenario.faults.crashes.max(3);
            ahead(scenario, settled)
        }
        None => scenario,
    }
}

/// What each client asks: the first begins with as many writes as a prologue takes, and one. Every
/// write adds another power of two.
fn scripts(begins: Option<usize>, draw: &mut Draw) -> Vec<Vec<Command<Adder>>> {
    let mut bit = 1u8;
    let mut scripts = Vec::new();
    for client in 0..draw.usize(1..=4) {
        let ask = |sequence| {
            let request = request(client, sequence);
            let is_write = client == 0 && begins.is_some_and(|settled| sequence <= settled);
            match draw.u8(..4) {
                0 if !is_write => Command::Read {
                    request,
                    query: Total,
                },
                1 if !is_write => Command::SyncedRead {
                    request,
                    query: Total,
                },
                _ => {
                    let command = Add(bit);
                    bit = bit.rotate_left(1);
                    Command::Write { request, command }
                }
            }
        };
        let length = 4;
        scripts.push((0..length).map(ask).collect());
    }
    scripts
}
