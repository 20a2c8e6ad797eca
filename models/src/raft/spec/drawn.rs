//! Worlds of Raft that are drawn: which features are on, which faults happen, how many nodes and
//! clients there are, and what these ask.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Bounds;
use super::machine::{Add, Adder, Total};
use super::scenarios::{self, Checked, request};
use crate::draw::Draw;
use crate::protocol::NodeId;
use crate::raft::log::Term;
use crate::raft::membership::Change;
use crate::raft::session::RequestId;
use crate::raft::{Command, Raft};
use crate::world::{Delivery, Disk, Scenario};

/// The term beyond which nobody stands.
const LAST_TERM: Term = Term(40);

/// The world of this number.
pub(super) fn scenario(number: u64) -> Checked {
    let mut draw = Draw::from(number);
    let founders = draw.u16(2..=4);
    let joining = draw.u16(0..=2).min(5 - founders);
    let size = founders + joining;
    let mut nodes = scenarios::nodes(founders, joining);
    let delivery = draw.delivery();
    let (pre_vote, check_quorum) = (draw.bool(), draw.bool());
    let early_heartbeats = draw.bool();
    for node in &mut nodes {
        node.pre_vote = pre_vote;
        node.check_quorum = check_quorum;
        node.early_heartbeats = early_heartbeats;
        node.ordered_delivery = delivery == Delivery::Fifo;
        limit(node, &mut draw);
    }
    // A cluster of one commits what its disk has yet to get, and tells nobody until it has: what the
    // properties take for committed may then be lost in a crash. So no voter leaves on such disks.
    let disk = draw.any(&[Disk::WriteThrough, Disk::Buffered]);
    let may_shrink = matches!(disk, Disk::WriteThrough);
    let bounds = Bounds {
        candidates: (0..size).map(|id| (NodeId(id), LAST_TERM)).collect(),
        in_time: BTreeSet::new(),
    };
    Scenario {
        delivery,
        timing: draw.timing(),
        faults: draw.faults(),
        scripts: scripts((founders, size), may_shrink, &mut draw),
        tries: draw.u8(1..=3),
        disk,
        // Laws see the delivery of what changes nothing, too; and while leadership is transferred
        // an old answer has one more effect: the target is told again to stand.
        drop_inert: false,
        ..Scenario::new(nodes, bounds)
    }
}

/// What a node takes at a time, and keeps.
fn limit(node: &mut Raft<Adder>, draw: &mut Draw) {
    node.max_append_weight = draw.any(&[1, 2, usize::MAX]);
    node.window.appends = draw.any(&[1, 2, 3]);
    node.compaction.snapshot_after = draw.any(&[1, 2, 3, usize::MAX]);
    node.compaction.trailing = draw.any(&[0, 1, 2]);
    node.max_chunk_bytes = draw.any(&[8, 16, usize::MAX]);
    node.max_sessions = draw.any(&[1, 2, usize::MAX]);
    node.max_pending_reads = draw.any(&[1, usize::MAX]);
}

/// What each client asks. Every write adds another power of two.
fn scripts(
    (founders, size): (u16, u16),
    may_shrink: bool,
    draw: &mut Draw,
) -> Vec<Vec<Command<Adder>>> {
    let mut bit = 1u8;
    let mut scripts = Vec::new();
    for client in 0..draw.usize(1..=5) {
        let asks = draw.any(&[
            Asks::Writes,
            Asks::Reads,
            Asks::Both,
            Asks::Changes,
            Asks::Leads,
        ]);
        // A newcomer, if there is one, first learns, and then votes.
        let newcomer = draw.u16(founders..=size) % size;
        let script = (0..draw.usize(1..=4)).map(|sequence| {
            let request = request(client, sequence);
            match asks {
                Asks::Writes => write(request, &mut bit),
                Asks::Reads => read(request, draw),
                Asks::Both if draw.bool() => write(request, &mut bit),
                Asks::Both => read(request, draw),
                Asks::Changes => Command::ChangeMembership {
                    request,
                    change: match sequence {
                        0 => Change::add(NodeId(newcomer)),
                        1 => Change::promote(NodeId(newcomer)),
                        _ => change(size, may_shrink, draw),
                    },
                },
                Asks::Leads => Command::TransferLeadership {
                    request,
                    to: NodeId(draw.u16(..size)),
                },
            }
        });
        scripts.push(script.collect());
    }
    scripts
}

#[derive(Clone, Copy)]
enum Asks {
    Writes,
    Reads,
    Both,
    Changes,
    Leads,
}

fn write(request: RequestId, bit: &mut u8) -> Command<Adder> {
    let command = Add(*bit);
    *bit = bit.rotate_left(1);
    Command::Propose { request, command }
}

fn read(request: RequestId, draw: &mut Draw) -> Command<Adder> {
    let query = Total;
    match draw.bool() {
        true => Command::Read { request, query },
        false => Command::ReadHere { request, query },
    }
}

fn change(size: u16, may_shrink: bool, draw: &mut Draw) -> Change {
    let mut node = || NodeId(draw.u16(..size));
    let (one, other) = (node(), node());
    match draw.u8(..if may_shrink { 4 } else { 2 }) {
        0 => Change::add(one),
        1 => Change::promote(one),
        2 => Change::remove(one),
        _ => Change::replace(one, other),
    }
}
