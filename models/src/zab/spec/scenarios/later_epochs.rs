//! Worlds in which an epoch has come after one, or two: counters begin anew, and a zxid of a later
//! epoch may bear the smaller one.

use super::{Checked, cluster, crashing, writes};
use crate::protocol::NodeId;
use crate::world::{Action, Delivery, Faults, Scenario, Timing};
use crate::zab::spec::prologue::after;

/// n0 has led epoch 1 with n1, and two transactions were delivered; n1 leads epoch 2 with n0, and
/// pings it. The client writes for the third time: what n0 has last bears the larger counter, and the
/// earlier epoch. Two messages may be lost: the proposal, and what is sent again in its place.
pub(in crate::zab::spec) fn later_epoch() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: writes(&[3]),
        asks_at: |_, node| node == NodeId(1),
        faults: Faults {
            drops: 2,
            ..Faults::default()
        },
        ..cluster(&[2, 2], &[(0, 1), (1, 2)])
    };
    scenario.bounds.pings = true;
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        for _ in 0..2 {
            prologue.ask(0, 1);
            prologue.settle(&[0, 1]);
        }
        prologue.establish(1, &[0]);
    })
}

/// n0 has led epoch 1 with n1, and both have a transaction of it; both have started again, and n1 leads
/// epoch 2 with n0, which delivers it then. Two clients of n1 write, whose transactions bear the counters 1
/// and 2 again. Both nodes take a snapshot of each.
pub(in crate::zab::spec) fn broadcast_later_epoch() -> Checked {
    let mut scenario = Scenario {
        scripts: writes(&[2, 1]),
        asks_at: |_, node| node == NodeId(1),
        ..crashing(2, cluster(&[2, 2], &[(0, 1), (1, 2)]))
    };
    for node in &mut scenario.nodes {
        node.snapshot_every = 1;
    }
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 1);
        prologue.settle(&[0, 1]);
        for node in [0, 1].map(NodeId) {
            prologue.act(Action::Crash(node));
            prologue.act(Action::Restart(node));
        }
        prologue.establish(1, &[0]);
    })
}

/// n0 has led epoch 1, and all have two transactions of it; n1 leads epoch 2, and n2 has joined it, and
/// has heard of nothing since: `settled` more, that n0 and n1 have delivered. The counters of epoch 1
/// went further.
fn behind_in_a_later_epoch(scenario: Checked, settled: usize) -> Checked {
    after(scenario, |prologue| {
        let all = [0, 1, 2];
        prologue.establish(0, &[1]);
        prologue.name(0, 2);
        prologue.settle(&all);
        for _ in 0..2 {
            prologue.ask(0, 0);
            prologue.settle(&all);
        }
        prologue.establish(1, &[0]);
        prologue.name(1, 2);
        prologue.settle(&all);
        for _ in 0..settled {
            prologue.ask(0, 1);
            prologue.settle(&[0, 1]);
        }
    })
}

/// n2 is behind by what n1, which leads and pings it, has in a snapshot alone.
pub(in crate::zab::spec) fn snap_later_epoch() -> Checked {
    let mut scenario = Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        scripts: writes(&[4]),
        ..cluster(&[2, 2, 2], &[(0, 1), (1, 2)])
    };
    scenario.bounds.pings = true;
    scenario.nodes[1].snapshot_every = 1;
    behind_in_a_later_epoch(scenario, 2)
}

/// n2, which lacks what the others have delivered of epoch 2, is named a leader, to whomever.
pub(in crate::zab::spec) fn recency_later_epoch() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[3]),
        ..cluster(&[3, 3, 3], &[(0, 1), (1, 2), (2, 3)])
    };
    behind_in_a_later_epoch(scenario, 1)
}

/// n0 has led epoch 1 with n1, and both have a transaction of it; both have started again, n0 has led
/// epoch 2 with n1, and has proposed what nobody else has heard of. n1 leads epoch 3 with n2, and n0 may
/// follow: what it has of epoch 2 must go, and what it has of epoch 1 stay, though nothing of epoch 2
/// does.
pub(in crate::zab::spec) fn trunc_later_epoch() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[2]),
        ..crashing(2, cluster(&[3, 3, 1], &[(0, 2), (1, 3)]))
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.settle(&[0, 1]);
        for node in [0, 1].map(NodeId) {
            prologue.act(Action::Crash(node));
            prologue.act(Action::Restart(node));
        }
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.establish(1, &[2]);
    })
}

/// n0 has proposed two transactions in epoch 1 that nobody else has; since then n1 and n2 have
/// committed one of epoch 2. n0's history is the longer. It is named to lead epoch 3.
pub fn recency() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1, 1, 1]),
        ..cluster(&[3, 3, 3], &[(0, 3), (1, 2)])
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.ask(1, 0);
        prologue.establish(1, &[2]);
        prologue.ask(2, 1);
        prologue.settle(&[1, 2]);
    })
}

/// n0 has led epoch 1 and n1 epoch 2, and a transaction of each is on the disks of n1 and n2.
/// All have since crashed and started again, and nobody knows any to be committed. n2 may lead
/// next, and the clients ask again.
pub fn two_epochs() -> Checked {
    let scenario = Scenario {
        scripts: writes(&[1, 1]),
        tries: 2,
        ..crashing(3, cluster(&[1, 2, 1], &[(0, 1), (1, 2), (2, 3)]))
    };
    after(scenario, |prologue| {
        prologue.establish(0, &[1]);
        prologue.ask(0, 0);
        prologue.deliver(0, 1);
        prologue.establish(1, &[2]);
        prologue.ask(1, 1);
        prologue.deliver(1, 2);
        for node in [0, 1, 2].map(NodeId) {
            prologue.act(Action::Crash(node));
            prologue.act(Action::Restart(node));
        }
    })
}
