//! Linearizability (Herlihy and Wing 1990) of what the clients have seen.
//!
//! Verifies: there is one order of all answered requests, and of some of those still
//! unanswered, that respects real time and in which the state machine, run alone, gives
//! exactly these answers. Exhaustive search: for the few requests of a checked world.

use alloc::vec;
use alloc::vec::Vec;

use crate::raft::machine::StateMachine;
use crate::raft::{Command, Event, Raft};
use crate::world::{Occurrence, Scenario, World};

/// One request, from the first time it was asked to its answer.
struct Operation<'a, M: StateMachine> {
    command: &'a Command<M>,
    invoked: usize,
    returned: Option<(usize, &'a M::Response)>,
}

/// Whether the clients' history is linearizable with respect to the state machine.
pub fn is_linearizable<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    let operations = operations(scenario, world);
    let mut done = vec![false; operations.len()];
    search(&operations, &mut done, &M::default())
}

fn operations<'a, M: StateMachine>(
    scenario: &'a Scenario<Raft<M>>,
    world: &'a World<Raft<M>>,
) -> Vec<Operation<'a, M>> {
    let mut operations: Vec<Operation<'a, M>> = Vec::new();
    let mut open: Vec<Option<usize>> = vec![None; scenario.scripts.len()];
    let mut asked = vec![0usize; scenario.scripts.len()];
    for (time, occurrence) in world.history.occurrences().iter().enumerate() {
        match occurrence {
            Occurrence::Invoke { client } => {
                open[*client] = Some(operations.len());
                operations.push(Operation {
                    command: &scenario.scripts[*client][asked[*client]],
                    invoked: time,
                    returned: None,
                });
                asked[*client] += 1;
            }
            Occurrence::Return { client, event } => {
                if let (Some(position), Event::Reply { response, .. }) = (open[*client], event) {
                    operations[position].returned = Some((time, response));
                }
            }
        }
    }
    operations
}

/// Tries every request that may come next: one that was asked before the first answer among
/// those left.
fn search<M: StateMachine>(
    operations: &[Operation<'_, M>],
    done: &mut [bool],
    machine: &M,
) -> bool {
    let left = || (0..operations.len()).filter(|&position| !done[position]);
    let first_answer = left()
        .filter_map(|position| operations[position].returned.map(|(time, _)| time))
        .min();
    // All that is left was never answered, and may never have happened.
    let Some(first_answer) = first_answer else {
        return true;
    };
    let candidates: Vec<usize> = left()
        .filter(|&position| operations[position].invoked < first_answer)
        .collect();
    candidates.into_iter().any(|position| {
        let operation = &operations[position];
        let mut next = machine.clone();
        let response = match operation.command {
            Command::Propose { command, .. } => Some(next.apply(command)),
            Command::Read { query, .. } => Some(next.query(query)),
            // Not the state machine's: it is never returned from either.
            Command::ChangeMembership { .. } => None,
        };
        if operation
            .returned
            .is_some_and(|(_, seen)| Some(seen) != response.as_ref())
        {
            return false;
        }
        done[position] = true;
        let fits = search(operations, done, &next);
        done[position] = false;
        fits
    })
}
