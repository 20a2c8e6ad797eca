//! Worlds in which a SNAP comes late: its receiver has got by another way what is in it, and more.

use super::{Checked, cluster, duplicates, writes};
use crate::world::Scenario;
use crate::zab::spec::prologue::after;

/// n0 leads n1 from a cold start, and takes a snapshot of each transaction; a client writes twice. Any
/// message comes any number of times: what n1 has said of itself at first comes again when it has both.
pub(in crate::zab::spec) fn snap_late() -> Checked {
    let mut scenario = duplicates();
    scenario.nodes[0].snapshot_every = 1;
    scenario
}

/// n0 leads epoch 1, and has delivered two transactions with n2, of which it has the first in a snapshot
/// alone; n1 has heard of nothing. It may follow n0, and n2, which may lead epoch 2. What is inert arrives
/// all the same.
pub(in crate::zab::spec) fn snap_of_an_earlier_epoch() -> Checked {
    let mut scenario = Scenario {
        drop_inert: false,
        scripts: writes(&[2]),
        ..cluster(&[1, 2, 2], &[(0, 1), (2, 2)])
    };
    scenario.nodes[0].snapshot_every = 1;
    after(scenario, |prologue| {
        prologue.establish(0, &[2]);
        for _ in 0..2 {
            prologue.ask(0, 0);
            prologue.settle(&[0, 2]);
        }
    })
}
