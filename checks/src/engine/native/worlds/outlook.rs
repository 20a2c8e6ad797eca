//! What is known of a core for liveness: what the predicates say, and what the bounds withhold.

use std::sync::Arc;

use models::Specification;
use models::specification::OfState;
use models::world::{Action, Withheld, World};

use super::lab::Lab;
use crate::examine::caught;

/// What is known of a core, whatever is under way.
pub(super) struct Outlook<P: Specification> {
    /// The predicates that hold: bit `i` for number `i`. The message, if one panics.
    pub(super) marks: Result<u64, String>,
    /// The numbers of those that look at what is under way: they are asked again in each world.
    pub(super) look: Box<[u8]>,
    /// The timers that would run out, were it not for the bounds, where timers may at all: each
    /// by what would happen.
    pub(super) timers: Box<[Arc<Action<P>>]>,
    /// The clients that would ask once more.
    pub(super) requests: Box<[usize]>,
}

/// What is to be known of a veiled world.
pub(super) fn of<P: Specification>(
    lab: Lab<'_, P>,
    veiled: &World<P>,
    predicates: &[OfState<P>],
) -> Outlook<P> {
    let (marks, look) = ask(lab, veiled, predicates);
    let (mut timers, mut requests) = (Vec::new(), Vec::new());
    for what in veiled.withheld_while(lab.scenario, true) {
        match what {
            Withheld::Timer { node, timer } => {
                timers.push(lab.tables.action(Action::Fire { node, timer }));
            }
            Withheld::Request { client } => requests.push(client),
        }
    }
    Outlook {
        marks,
        look: look.into(),
        timers: timers.into(),
        requests: requests.into(),
    }
}

/// Which predicates hold, and which can only be asked where it is known what is under way.
fn ask<P: Specification>(
    lab: Lab<'_, P>,
    veiled: &World<P>,
    predicates: &[OfState<P>],
) -> (Result<u64, String>, Vec<u8>) {
    let (mut marks, mut look) = (0, Vec::new());
    // Who numbered the parts of worlds has compared them.
    veiled.network.take_looked();
    for (number, predicate) in (0..).zip(predicates) {
        let holds = caught(|| predicate(lab.scenario, veiled));
        // What is said after a look at a world without messages says nothing of others, and
        // neither does a panic.
        if veiled.network.take_looked() {
            look.push(number);
            continue;
        }
        match holds {
            Ok(holds) => marks |= u64::from(holds) << number,
            Err(panic) => return (Err(panic), Vec::new()),
        }
    }
    (Ok(marks), look)
}
