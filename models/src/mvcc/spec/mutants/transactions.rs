//! Transactions with one defect each.

use alloc::vec::Vec;

use crate::machine::StateMachine;
use crate::mvcc::Store;
use crate::mvcc::command::{Command, Compare, Operation, Relation, Target, Txn};
use crate::mvcc::query::Query;
use crate::mvcc::response::{Fault, Outcome, Response};
use crate::specification::Mutant;

use super::{S, applies};

pub(super) const MUTANTS: &[Mutant<S>] = &[
    Mutant {
        id: "MVCC-TXN-REVISIONS",
        defect: "each operation of a transaction makes a revision of its own",
        source: "etcd's API reference, Txn: a revision is incremented once",
        model: "mvcc/transactions",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, in_many_revisions),
    },
    Mutant {
        id: "MVCC-TXN-HALF",
        defect: "of a transaction that fails, what comes before the failure is done",
        source: "etcd's API guarantees: atomicity",
        model: "mvcc/transactions",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, leaves_half),
    },
    Mutant {
        id: "MVCC-TXN-ANY",
        defect: "one comparison that holds is enough",
        source: "etcd's API reference, TxnRequest.compare: a conjunction",
        model: "mvcc/transactions",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, takes_any_comparison),
    },
    Mutant {
        id: "MVCC-TXN-READS-BEFORE",
        defect: "a range in a transaction does not see what the transaction has done",
        source: "etcd's API reference, Txn: operations are applied in order",
        model: "mvcc/transactions",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, reads_before),
    },
    Mutant {
        id: "MVCC-TXN-VALUE-OF-NONE",
        defect: "a key that is not there has an empty value, which is unequal to others",
        source: "etcd: no comparison with the value of a missing key holds",
        model: "mvcc/transactions",
        inject: |scenario| {
            scenario.step = |s, n, i, o| applies(s, n, i, o, compares_values_of_none)
        },
    },
    Mutant {
        id: "MVCC-TXN-TWICE",
        defect: "a transaction may set a key and remove it",
        source: "etcd: duplicate key given in txn request",
        model: "mvcc/transactions",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, changes_twice),
    },
    Mutant {
        id: "MVCC-TXN-LEASES-CHANGED",
        defect: "a transaction that fails puts the keys back, and not whose they are: a lease takes \
                 along what it does not hold",
        source: "etcd's API guarantees: atomicity",
        model: "mvcc/transactions-fail",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, changes_leases),
    },
    Mutant {
        id: "MVCC-TXN-TWICE-WITHIN",
        defect: "what a transaction within does where its comparisons do not hold may set a key twice",
        source: "etcd: duplicate key given in txn request",
        model: "mvcc/transactions-fail",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, looks_at_first_lists),
    },
    Mutant {
        id: "MVCC-TXN-READS-AHEAD",
        defect: "a transaction that reads the latest revision by its number sees what it has done \
                 itself, which is of the next",
        source: "etcd's API reference, RangeRequest.revision: the point in time for the range",
        model: "mvcc/transactions-past",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, reads_ahead),
    },
];

/// The commands that do one after the other what the list of a transaction does that is to be done.
fn one_by_one(store: &Store, txn: &Txn) -> Vec<Command> {
    let mut trial = store.clone();
    let is_first = matches!(
        trial
            .apply(&Command::Txn(Txn {
                compare: txn.compare.clone(),
                ..Txn::default()
            }))
            .outcome,
        Ok(Outcome::Txn {
            succeeded: true,
            ..
        })
    );
    let operations = if is_first { &txn.success } else { &txn.failure };
    { operations.iter() }
        .filter_map(|operation| match operation {
            Operation::Put(put) => Some(Command::Put(put.clone())),
            Operation::DeleteRange(delete) => Some(Command::DeleteRange(delete.clone())),
            Operation::Txn(txn) => Some(Command::Txn(txn.clone())),
            Operation::Range(_) => None,
        })
        .collect()
}

fn in_many_revisions(store: &mut Store, command: &Command) -> Response {
    let right = store.clone().apply(command);
    match command {
        Command::Txn(txn) if right.outcome.is_ok() => {
            for command in one_by_one(store, txn) {
                store.apply(&command);
            }
            right
        }
        command => store.apply(command),
    }
}

fn leaves_half(store: &mut Store, command: &Command) -> Response {
    let right = store.clone().apply(command);
    match command {
        Command::Txn(txn) if right.outcome == Err(Fault::KeyNotFound) => {
            let commands = one_by_one(store, txn);
            let fails = |command: &Command| store.apply(command).outcome.is_err();
            commands.iter().any(fails);
            right
        }
        command => store.apply(command),
    }
}

fn takes_any_comparison(store: &mut Store, command: &Command) -> Response {
    let Command::Txn(txn) = command else {
        return store.apply(command);
    };
    let with = |compare: &[Compare]| Txn {
        compare: compare.to_vec(),
        ..txn.clone()
    };
    let one = txn.compare.iter().find(|compare| {
        let alone = Command::Txn(Txn {
            compare: [(*compare).clone()].into(),
            ..Txn::default()
        });
        let outcome = store.clone().apply(&alone).outcome;
        matches!(
            outcome,
            Ok(Outcome::Txn {
                succeeded: true,
                ..
            })
        )
    });
    let txn = one.map_or_else(|| txn.clone(), |one| with(core::slice::from_ref(one)));
    store.apply(&Command::Txn(txn))
}

fn reads_before(store: &mut Store, command: &Command) -> Response {
    let before = store.clone();
    let mut response = store.apply(command);
    let (
        Command::Txn(txn),
        Ok(Outcome::Txn {
            succeeded,
            outcomes,
        }),
    ) = (command, &mut response.outcome)
    else {
        return response;
    };
    let operations = if *succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    for (operation, outcome) in operations.iter().zip(outcomes) {
        if let Operation::Range(range) = operation
            && let Ok(found) = before.query(&Query::Range(range.clone())).outcome
        {
            *outcome = found;
        }
    }
    response
}

fn compares_values_of_none(store: &mut Store, command: &Command) -> Response {
    let Command::Txn(txn) = command else {
        return store.apply(command);
    };
    let mut txn = txn.clone();
    txn.compare.retain(|compare| {
        let is_there = store.history.current(&compare.range).next().is_some();
        let is_of_value = matches!(compare.target, Target::Value(_));
        is_there || !is_of_value || compare.relation != Relation::NotEqual
    });
    store.apply(&Command::Txn(txn))
}

fn changes_twice(store: &mut Store, command: &Command) -> Response {
    let refused = store.clone().apply(command);
    match command {
        Command::Txn(txn) if refused.outcome == Err(Fault::DuplicateKey) => {
            for command in one_by_one(store, txn) {
                store.apply(&command);
            }
            refused
        }
        command => store.apply(command),
    }
}

fn changes_leases(store: &mut Store, command: &Command) -> Response {
    let mut trial = store.clone();
    let response = store.apply(command);
    if let (Command::Txn(txn), Err(Fault::KeyNotFound)) = (command, &response.outcome) {
        let commands = one_by_one(&trial, txn);
        let fails = |command: &Command| trial.apply(command).outcome.is_err();
        commands.iter().any(fails);
        store.leases = trial.leases;
    }
    response
}

fn looks_at_first_lists(store: &mut Store, command: &Command) -> Response {
    let refused = store.clone().apply(command).outcome == Err(Fault::DuplicateKey);
    match command {
        Command::Txn(txn) if refused => {
            let mut txn = txn.clone();
            for operation in txn.success.iter_mut().chain(&mut txn.failure) {
                if let Operation::Txn(within) = operation {
                    within.failure.clear();
                }
            }
            store.apply(&Command::Txn(txn))
        }
        command => store.apply(command),
    }
}

fn reads_ahead(store: &mut Store, command: &Command) -> Response {
    let latest = store.revision();
    let Command::Txn(txn) = command else {
        return store.apply(command);
    };
    let mut txn = txn.clone();
    for operation in txn.success.iter_mut().chain(&mut txn.failure) {
        if let Operation::Range(range) = operation {
            range.revision = range.revision.filter(|revision| *revision != latest);
        }
    }
    store.apply(&Command::Txn(txn))
}
