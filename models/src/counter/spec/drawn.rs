//! Worlds of the counter that are drawn: which faults happen, how many replicas and clients there are,
//! and what these ask.

use super::scenarios::{Limits, identities_of_hosts, increment, request};
use crate::counter::window::Window;
use crate::counter::{Command, Counter};
use crate::draw::Draw;
use crate::protocol::NodeId;
use crate::world::Scenario;

/// How many names each replica can be given.
const NAMES: u64 = 6;

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Counter> {
    let mut draw = Draw::from(number);
    let size = draw.u16(2..=4);
    let mut scenario = Scenario {
        delivery: draw.delivery(),
        timing: draw.timing(),
        tries: draw.u8(1..=3),
        ..identities_of_hosts(size, NAMES, &[], Limits::ALL)
    };
    scenario.faults = draw.faults();
    for node in &mut scenario.nodes {
        node.window = Some(Window::new(10, 2));
    }
    let mut amount = 1;
    for _ in 0..draw.usize(1..=4) {
        let client = scenario.scripts.len();
        let mut now = 0;
        let script = (0..4).map(|sequence| {
            now += draw.u64(1..=15);
            match draw.u8(..8) {
                0 => Command::Read {
                    request: request(client, sequence),
                },
                1 => Command::ReadWindow {
                    request: request(client, sequence),
                    now,
                    latest: draw.u64(1..=2),
                },
                _ => {
                    // Another power of two, so that a sum names the increments that made it.
                    amount *= 2;
                    increment(client, sequence, amount, now)
                }
            }
        });
        let script = script.collect();
        scenario.scripts.push(script);
    }
    if draw.bool() {
        let node = NodeId(draw.u16(..size));
        let changes = [Command::PeerGone(node), Command::PeerJoined(node)];
        scenario.scripts.push(changes.into());
    }
    if draw.u8(..4) == 0 {
        scenario.scripts.push([Command::Leave].into());
    }
    scenario
}
