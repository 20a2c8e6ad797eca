//! Linearizability (Herlihy and Wing 1990) of what the clients have seen.

use alloc::vec;
use alloc::vec::Vec;

use crate::linearizability::{self, Call, Operation};
use crate::raft::machine::StateMachine;
use crate::raft::{Command, Event, Raft};
use crate::world::{Occurrence, Scenario, World};

/// Whether the clients' history is linearizable with respect to the state machine.
pub fn is_linearizable<M: StateMachine>(
    scenario: &Scenario<Raft<M>>,
    world: &World<Raft<M>>,
) -> bool {
    linearizability::is_linearizable(&operations(scenario, world))
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
                let call = match &scenario.scripts[*client][asked[*client]] {
                    Command::Propose { command, .. } => Some(Call::Command(command)),
                    Command::Read { query, .. } | Command::ReadHere { query, .. } => {
                        Some(Call::Query(query))
                    }
                    // Not the state machine's.
                    Command::ChangeMembership { .. } | Command::TransferLeadership { .. } => None,
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
