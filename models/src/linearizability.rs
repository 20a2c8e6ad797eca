//! Linearizability (Herlihy and Wing 1990) of requests to a state machine.
//!
//! Verifies: there is one order of all answered requests, and of some of those still
//! unanswered, that respects real time and in which the state machine, run alone, gives
//! exactly these answers. Exhaustive search: for the few requests of a checked world.

use alloc::vec;
use alloc::vec::Vec;

use derive_where::derive_where;

use crate::machine::StateMachine;

/// One request, from the first time it was asked to its answer. Times are positions in the
/// clients' history.
#[derive_where(Clone, Copy, Debug)]
pub struct Operation<'a, M: StateMachine> {
    /// What was asked.
    pub call: Call<'a, M>,
    /// When it was first asked.
    pub invoked: usize,
    /// When it was answered, and how.
    pub returned: Option<(usize, &'a M::Response)>,
}

/// What a client asks of a state machine.
#[derive_where(Clone, Copy, Debug)]
pub enum Call<'a, M: StateMachine> {
    /// To change the state.
    Command(&'a M::Command),
    /// To tell of it.
    Query(&'a M::Query),
}

/// Whether the operations are linearizable with respect to the state machine.
pub fn is_linearizable<M: StateMachine>(operations: &[Operation<'_, M>]) -> bool {
    search(
        operations,
        &mut vec![false; operations.len()],
        &M::default(),
    )
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
        let response = match operation.call {
            Call::Command(command) => next.apply(command),
            Call::Query(query) => next.query(query),
        };
        if operation
            .returned
            .is_some_and(|(_, seen)| *seen != response)
        {
            return false;
        }
        done[position] = true;
        let fits = search(operations, done, &next);
        done[position] = false;
        fits
    })
}
