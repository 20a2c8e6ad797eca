//! The worlds in which Bully is checked.

use alloc::vec;
use alloc::vec::Vec;

use crate::bully::{Bully, Command, Number};
use crate::protocol::NodeId;
use crate::world::{Delivery, Duplicates, Faults, Scenario, Timing};

use super::Bounds;

type Checked = Scenario<Bully<u8>>;

/// Nodes of these ranks, under bounded delay: messages beat timers, and connections break with
/// the node at either end.
pub fn ranked(ranks: &[u8], elections: u64) -> Checked {
    let ids = || (0u16..).map(NodeId).take(ranks.len());
    let nodes: Vec<Bully<u8>> = ids()
        .zip(ranks)
        .filter_map(|(id, &rank)| Bully::new(id, rank, ids()).ok())
        .collect();
    let bounds = Bounds {
        elections: Number(elections),
        wins: Number(u64::MAX),
        heartbeats: true,
    };
    Scenario {
        delivery: Delivery::Fifo,
        timing: Timing::Quiescent,
        ..Scenario::new(nodes, bounds)
    }
}

/// `size` nodes that come up together, ordered by id alone.
pub fn cold_start(size: usize, elections: u64) -> Checked {
    ranked(&vec![0; size], elections)
}

/// As [`cold_start`], with crashes at any time.
pub fn crashes(size: usize, elections: u64, crashes: u8) -> Checked {
    Scenario {
        faults: Faults {
            crashes,
            ..Faults::default()
        },
        ..cold_start(size, elections)
    }
}

/// As [`cold_start`], with a client that asks who leads.
pub fn questions(size: usize, elections: u64) -> Checked {
    Scenario {
        scripts: vec![vec![Command::WhoLeads; 2]],
        ..cold_start(size, elections)
    }
}

/// The assumption of bounded delay fails: any timer may run out at any time.
pub fn asynchronous(size: usize, elections: u64, wins: u64) -> Checked {
    let mut scenario = Scenario {
        timing: Timing::Any,
        ..cold_start(size, elections)
    };
    scenario.bounds.wins = Number(wins);
    scenario.bounds.heartbeats = false;
    scenario
}

/// The assumption of bounded delay fails: messages get lost.
pub fn lossy(size: usize, elections: u64, drops: u8) -> Checked {
    Scenario {
        faults: Faults {
            drops,
            ..Faults::default()
        },
        ..cold_start(size, elections)
    }
}

/// The assumption of bounded delay fails where a leader has failed and comes up again: its question is
/// lost, and it wins an election that is long over for who follows it.
pub fn unheard(elections: u64) -> Checked {
    Scenario {
        faults: Faults {
            crashes: 1,
            drops: 1,
            ..Faults::default()
        },
        ..cold_start(2, elections)
    }
}

/// The assumption of bounded delay fails: links are cut.
pub fn partitioned(size: usize, elections: u64, cuts: u8) -> Checked {
    Scenario {
        faults: Faults {
            cuts,
            ..Faults::default()
        },
        ..cold_start(size, elections)
    }
}

/// A world too large to walk: `size` nodes of which some share a rank, and every fault that
/// the timing allows.
pub fn at_large(size: usize, timing: Timing) -> Checked {
    let ranks: Vec<u8> = [1, 0, 1, 0, 0].into_iter().cycle().take(size).collect();
    let bounded = Faults {
        crashes: 20,
        ..Faults::default()
    };
    let faults = match timing {
        Timing::Quiescent | Timing::Synchronous => bounded,
        Timing::Any => Faults {
            drops: 30,
            duplicates: Duplicates::UpTo(30),
            cuts: 10,
            ..bounded
        },
    };
    Scenario {
        timing,
        faults,
        scripts: vec![vec![Command::WhoLeads; 4]],
        tries: 3,
        ..ranked(&ranks, 40)
    }
}
