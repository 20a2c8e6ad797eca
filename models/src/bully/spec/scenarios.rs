//! The worlds in which Bully is checked.

use alloc::vec;
use alloc::vec::Vec;

use crate::bully::election::{self, Candidate};
use crate::bully::{Bully, Command, Message, Number, Timer};
use crate::protocol::{Input, Node, NodeId, Outbox, Protocol};
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

/// Two nodes that come up together. Whenever the higher has waited for an Okay in vain, it also says that
/// it stands in an election as far away as one can be named, and has won it; and the lower, whenever
/// it is asked, that such a one has begun.
pub(super) fn forged(elections: u64) -> Checked {
    Scenario {
        step: forges_elections,
        ..cold_start(2, elections)
    }
}

pub(super) fn forges_elections(
    bully: &Bully<u8>,
    node: &mut Node<Bully<u8>>,
    input: Input<Bully<u8>>,
    out: &mut Outbox<Bully<u8>>,
) {
    const FAR: Number = Number(u64::MAX);
    const LOWER: NodeId = NodeId(0);
    const HIGHER: NodeId = NodeId(1);
    let wins = input == Input::Fire(Timer::Election(election::Timer::Okay));
    let asked = match &input {
        Input::Deliver {
            message: Message::Election { election, .. },
            ..
        } if *election != FAR => Some(*election),
        Input::Deliver { .. } | Input::Fire(_) | Input::Ask(_) => None,
    };
    bully.step(node, input, out);
    let Candidate { rank, id } = *bully.candidate();
    if wins && id == HIGHER {
        let election = FAR;
        out.send(LOWER, Message::Election { election, rank });
        out.send(LOWER, Message::Coordinator { election, rank });
    }
    if let Some(election) = asked.filter(|_| id == LOWER) {
        let current = FAR;
        out.send(HIGHER, Message::Stale { election, current });
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
