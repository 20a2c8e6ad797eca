//! What Stateright's `eventually` says of the same graphs: that is why no verdict rests on it.
//!
//! It looks at each state once, with what was seen on the way there first, and reports a way that
//! ends. So it misses a way that joins one which has seen what should come, or never ends; and it
//! takes a way for ended that its boundary cuts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use checks::engine::liveness::{Decision, check};
use checks::progress::Progress;
use stateright::{Checker as _, Model, Property};

use crate::support::maze::maze;
use crate::support::on;

const EVENTUALLY: &str = "eventually 9";

/// The maze once more, as a model of Stateright's.
struct Walk {
    edges: &'static [(u8, u8)],
    /// The vertex beyond the boundary, if there is one.
    beyond: Option<u8>,
}

impl Model for Walk {
    type State = u8;
    /// Where to go.
    type Action = u8;

    fn init_states(&self) -> Vec<u8> {
        vec![0]
    }

    fn actions(&self, state: &u8, actions: &mut Vec<u8>) {
        let ways = self.edges.iter().filter(|(from, _)| from == state);
        actions.extend(ways.map(|(_, to)| to));
    }

    fn next_state(&self, _: &u8, to: u8) -> Option<u8> {
        Some(to)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::eventually(EVENTUALLY, |_, state| *state == 9)]
    }

    fn within_boundary(&self, state: &u8) -> bool {
        self.beyond != Some(*state)
    }
}

/// What Stateright says, and what is so.
#[derive(Debug, PartialEq)]
struct Said {
    stateright: bool,
    ours: Decision,
}

fn say(edges: &'static [(u8, u8)], beyond: &'static [(u8, u8)]) -> Said {
    let walk = Walk {
        edges,
        beyond: beyond.first().map(|(_, to)| *to),
    };
    let checker = walk.checker().spawn_bfs().join();
    let progress = Progress::new(Arc::new(AtomicBool::new(false)));
    let findings = check(&maze(edges, beyond), &[EVENTUALLY], &on(1), &progress);
    Said {
        stateright: checker.discovery(EVENTUALLY).is_none(),
        ours: findings.decisions[EVENTUALLY],
    }
}

#[test]
fn both_see_a_way_that_ends() {
    let said = say(&[(0, 1), (0, 9)], &[]);
    assert!(!said.stateright);
    assert_eq!(said.ours, Decision::Violated);
    let said = say(&[(0, 1), (1, 9)], &[]);
    assert!(said.stateright);
    assert_eq!(said.ours, Decision::Holds);
}

#[test]
fn stateright_misses_joins_cycles_and_self_loops() {
    let missed = Said {
        stateright: true,
        ours: Decision::Violated,
    };
    let join = &[(0, 9), (0, 1), (9, 2), (1, 2)];
    assert_eq!(say(join, &[]), missed, "a join");
    assert_eq!(say(&[(0, 1), (1, 0)], &[]), missed, "a cycle");
    assert_eq!(say(&[(0, 1), (1, 1)], &[]), missed, "a self-loop");
    let behind = &[(0, 1), (1, 2), (2, 1), (0, 9)];
    assert_eq!(say(behind, &[]), missed, "a cycle beside the way there");
}

#[test]
fn stateright_takes_what_the_boundary_cuts_for_ended() {
    let mistaken = Said {
        stateright: false,
        ours: Decision::Holds,
    };
    let one_way_cut = &[(0, 1), (1, 8), (8, 9), (0, 9)];
    assert_eq!(say(one_way_cut, &[(1, 8)]), mistaken);
}
