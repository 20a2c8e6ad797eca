//! Worlds of Bully that are drawn: how many nodes there are and of which ranks, what goes wrong, and
//! who asks how often who leads.

use alloc::vec;
use alloc::vec::Vec;

use fastrand::Rng;

use super::scenarios::ranked;
use crate::bully::{Bully, Command};
use crate::draw::{self, any};
use crate::world::{Delivery, Faults, Scenario, Timing};

/// The last election that anybody stands in.
const LAST_ELECTION: u64 = 40;

/// The world of this number.
pub(super) fn scenario(number: u64) -> Scenario<Bully<u8>> {
    let mut rng = Rng::with_seed(number);
    let size = rng.usize(2..=5);
    let ranks: Vec<u8> = (0..size).map(|_| rng.u8(0..=2)).collect();
    // Under bounded delay nothing fails but nodes, and much more is promised.
    let is_bounded = any(&mut rng, &[true, false, false]);
    let (delivery, timing, faults) = if is_bounded {
        let faults = Faults {
            crashes: 20,
            ..Faults::default()
        };
        (Delivery::Fifo, Timing::Quiescent, faults)
    } else {
        let (delivery, timing) = (draw::delivery(&mut rng), draw::timing(&mut rng));
        (delivery, timing, draw::faults(&mut rng))
    };
    Scenario {
        delivery,
        timing,
        faults,
        scripts: vec![vec![Command::WhoLeads; 4]; rng.usize(0..=3)],
        tries: rng.u8(1..=3),
        ..ranked(&ranks, LAST_ELECTION)
    }
}
