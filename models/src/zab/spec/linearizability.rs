//! Linearizability (Herlihy and Wing 1990) of writes and synced reads. Local reads are let
//! be: they may be behind.

use alloc::vec;
use alloc::vec::Vec;

use crate::linearizability::{self, Call, Operation};
use crate::machine::StateMachine;
use crate::world::{Occurrence, Scenario, World};
use crate::zab::{Command, Event, Zab};

use super::Bounded;

/// Whether what the clients have seen is linearizable with respect to the state machine.
pub fn is_linearizable<M: StateMachine, E: Bounded>(
    scenario: &Scenario<Zab<M, E>>,
    world: &World<Zab<M, E>>,
) -> bool {
    linearizability::is_linearizable(&operations(scenario, world))
}

fn operations<'a, M: StateMachine, E: Bounded>(
    scenario: &'a Scenario<Zab<M, E>>,
    world: &'a World<Zab<M, E>>,
) -> Vec<Operation<'a, M>> {
    let mut operations: Vec<Operation<'a, M>> = Vec::new();
    let mut open: Vec<Option<usize>> = vec![None; scenario.scripts.len()];
    let mut asked = vec![0usize; scenario.scripts.len()];
    for (time, occurrence) in world.history.occurrences().iter().enumerate() {
        match occurrence {
            Occurrence::Invoke { client } => {
                let call = match &scenario.scripts[*client][asked[*client]] {
                    Command::Write { command, .. } => Some(Call::Command(command)),
                    Command::SyncedRead { query, .. } => Some(Call::Query(query)),
                    Command::Read { .. } => None,
                };
                open[*client] = call.is_some().then_some(operations.len());
                operations.extend(call.map(|call| Operation {
                    call,
                    invoked: time,
                    returned: None,
                }));
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
