//! Worlds of Maekawa's algorithm that are drawn: which faults happen, how many members, newcomers and
//! clients there are, which locks these ask for, and how many idle ones are remembered.

use alloc::vec::Vec;

use super::Bounds;
use super::scenarios::{acquire_and_release, claim_to, founded};
use crate::draw::Draw;
use crate::maekawa::message::Epoch;
use crate::maekawa::quorum::Construction;
use crate::maekawa::state::Session;
use crate::maekawa::{Command, Maekawa};
use crate::protocol::NodeId;
use crate::world::Scenario;

/// The last epoch that is installed.
const LAST_EPOCH: Epoch = Epoch(40);

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Maekawa> {
    let mut draw = Draw::from(number);
    let (founders, others) = (draw.u16(2..=5), draw.u16(0..=2));
    let construction = draw.any(&[Construction::Plane, Construction::Grid]);
    let mut scenario = Scenario {
        delivery: draw.delivery(),
        timing: draw.timing(),
        scripts: scripts(founders + others, &mut draw),
        tries: draw.u8(1..=3),
        // A disk that is lost, or a lock that is forgotten, unsays what made a message inert.
        drop_inert: false,
        ..founded(founders, others, construction)
    };
    scenario.faults = draw.faults();
    scenario.bounds = Bounds {
        retries: draw.bool(),
        leases: draw.bool(),
        last_epoch: LAST_EPOCH,
        // Nothing says that the health check is right.
        accurate: false,
    };
    let max_idle_locks = draw.any(&[0, 1, 4096, 4096]);
    for node in &mut scenario.nodes {
        node.misses = 2;
        node.max_idle_locks = max_idle_locks;
    }
    scenario
}

/// What each client asks: it claims locks and lets them go, gives up before it is its turn, ends
/// its session, or, one of them, lets the first member leave and come back.
fn scripts(nodes: u16, draw: &mut Draw) -> Vec<Vec<Command>> {
    let mut scripts = Vec::new();
    let locks = draw.any(&[&["A"][..], &["A"], &["A", "B"], &["A", "B", "C"]]);
    for number in 0..draw.u64(1..=5) {
        let node = draw.u16(1..=nodes);
        let mut script = Vec::new();
        for sequence in 1..=draw.u64(1..=3) {
            let claim = claim_to(draw.any(locks).into(), node, number, sequence);
            script.extend(acquire_and_release(claim));
        }
        let session = Session {
            node: NodeId(node),
            number,
        };
        if draw.bool() {
            script.push(Command::End { session });
        }
        scripts.push(script);
        // Another that ends the session while it waits, as a host does whose connection has broken.
        if draw.u8(..4) == 0 {
            scripts.push([Command::End { session }].into());
        }
    }
    if draw.bool() {
        let leaves = [Command::Deregister, Command::Register, Command::Deregister];
        scripts.push(leaves.into());
    }
    scripts
}
