//! Compactions with one defect each.

use crate::machine::StateMachine;
use crate::mvcc::Store;
use crate::mvcc::command::Command;
use crate::mvcc::history::Revision;
use crate::mvcc::response::{Fault, Response};
use crate::specification::Mutant;

use super::{S, applies};

pub(super) const MUTANTS: &[Mutant<S>] = &[
    Mutant {
        id: "MVCC-COMPACT-NEEDED",
        defect: "a compaction forgets the versions that were current at its revision and replaced since",
        source: "etcd: a compacted revision itself can be read",
        model: "mvcc/compaction",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, forgets_what_is_needed),
    },
    Mutant {
        id: "MVCC-COMPACT-UNNOTED",
        defect: "a compaction forgets versions, and not that it did",
        source: "etcd: required revision has been compacted",
        model: "mvcc/compaction",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, forgets_unnoted),
    },
    Mutant {
        id: "MVCC-COMPACT-REMOVAL",
        defect: "a compaction forgets the changes of its own revision",
        source: "etcd: a watch from the compacted revision begins with its changes",
        model: "mvcc/compaction",
        inject: |scenario| {
            scenario.step = |s, n, i, o| applies(s, n, i, o, forgets_its_own_changes)
        },
    },
    Mutant {
        id: "MVCC-COMPACT-CURRENT",
        defect: "a compaction forgets keys that have not changed since",
        source: "etcd's API reference, Compact: superseded versions alone are dropped",
        model: "mvcc/compaction",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, forgets_current_keys),
    },
    Mutant {
        id: "MVCC-COMPACT-BACK",
        defect: "a compaction to an earlier revision is one",
        source: "etcd: required revision has been compacted",
        model: "mvcc/compaction",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, goes_back),
    },
];

fn is_compaction(command: &Command, response: &Response) -> Option<Revision> {
    match command {
        Command::Compact { revision } if response.outcome.is_ok() => Some(*revision),
        _ => None,
    }
}

fn forgets_what_is_needed(store: &mut Store, command: &Command) -> Response {
    let response = store.apply(command);
    if let Some(to) = is_compaction(command, &response) {
        let old = store.history.past.clone();
        for place in old.keys().filter(|(_, revision)| *revision < to) {
            store.history.past.remove(place);
        }
    }
    response
}

fn forgets_unnoted(store: &mut Store, command: &Command) -> Response {
    let compacted = store.history.compacted;
    let response = store.apply(command);
    store.history.compacted = compacted;
    response
}

fn forgets_its_own_changes(store: &mut Store, command: &Command) -> Response {
    let response = store.apply(command);
    if let Some(to) = is_compaction(command, &response) {
        let old = store.history.changes.clone();
        for place in old.keys().filter(|(revision, _)| *revision == to) {
            store.history.changes.remove(place);
        }
    }
    response
}

fn forgets_current_keys(store: &mut Store, command: &Command) -> Response {
    let response = store.apply(command);
    if let Some(to) = is_compaction(command, &response) {
        let old = store.history.current.clone();
        for (key, _) in old.iter().filter(|(_, held)| held.mod_revision < to) {
            store.history.current.remove(key);
        }
    }
    response
}

fn goes_back(store: &mut Store, command: &Command) -> Response {
    let response = store.apply(command);
    if let (Command::Compact { revision }, Err(Fault::Compacted { .. })) =
        (command, &response.outcome)
    {
        store.history.compacted = *revision;
    }
    response
}
