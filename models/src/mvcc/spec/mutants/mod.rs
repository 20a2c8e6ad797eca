//! The store with one defect each, by what of it they are about. A mutant runs in the protocol's place:
//! mostly a step that applies a command otherwise than the right one, or does something before or after it.

mod compaction;
mod keys;
mod leases;
mod transactions;
mod watches;

use crate::mvcc::Store;
use crate::mvcc::command::Command;
use crate::mvcc::response::Response;
use crate::mvcc::standalone::{Answered, Asked, Record, Standalone};
use crate::protocol::{Input, Node, Outbox, Protocol};
use crate::specification::Mutant;

type S = Standalone;
type Out = Outbox<S>;

/// How a defective store applies a command.
type Apply = fn(&mut Store, &Command) -> Response;

/// Every mutant of the store.
pub const MUTANTS: &[&[Mutant<S>]] = &[
    keys::MUTANTS,
    transactions::MUTANTS,
    leases::MUTANTS,
    compaction::MUTANTS,
    watches::MUTANTS,
    super::live::MUTANTS,
];

/// A step in which the store applies commands so.
fn applies(store: &S, node: &mut Node<S>, input: Input<S>, out: &mut Out, apply: Apply) {
    match input {
        Input::Ask(request) => match &request.asked {
            Asked::Do(command) => {
                let mut store = node.durable().store.clone();
                let response = apply(&mut store, command);
                let command = command.clone();
                node.write(Record::Applied { command, store });
                out.emit(Answered { request, response });
            }
            Asked::Tell(_) => store.step(node, Input::Ask(request), out),
        },
        input => store.step(node, input, out),
    }
}
