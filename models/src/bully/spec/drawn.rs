//! Worlds of Bully that are drawn: how many nodes there are and of which ranks, what goes wrong, and
//! who asks how often who leads.

use alloc::vec;
use alloc::vec::Vec;

use super::scenarios::ranked;
use crate::bully::{Bully, Command};
use crate::draw::Draw;
use crate::world::{Delivery, Faults, Scenario, Timing};

/// The last election that anybody stands in.
const LAST_ELECTION: u64 = 40;

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Bully<u8>> {
    let mut draw = Draw::from(number);
    let size = draw.usize(2..=5);
    let ranks: Vec<u8> = (0..size).map(|_| draw.u8(0..=2)).collect();
    // Under bounded delay nothing fails but nodes, and much more is promised.
    let is_bounded = draw.any(&[true, false, false]);
    let (delivery, timing, faults) = if is_bounded {
        let faults = Faults {
            crashes: 20,
            ..Faults::default()
        };
        (Delivery::Fifo, Timing::Quiescent, faults)
    } else {
        let (delivery, timing) = (draw.delivery(), draw.timing());
        (delivery, timing, draw.faults())
    };
    Scenario {
        delivery,
        timing,
        faults,
        scripts: vec![vec![Command::WhoLeads; 4]; draw.usize(0..=3)],
        tries: draw.u8(1..=3),
        ..ranked(&ranks, LAST_ELECTION)
    }
}
