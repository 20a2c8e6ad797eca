//! The store with one defect each in how it sets and removes keys.

use crate::machine::StateMachine;
use crate::mvcc::Store;
use crate::mvcc::command::{Command, Put};
use crate::mvcc::response::{Outcome, Response};
use crate::mvcc::standalone::Record;
use crate::specification::Mutant;
use crate::world::Disk;

use super::{S, applies};

pub(super) const MUTANTS: &[Mutant<S>] = &[
    Mutant {
        id: "MVCC-GENERATION",
        defect: "a key that was removed is created anew with the version that it had",
        source: "etcd's data model: a deletion ends the key's generation",
        model: "mvcc/keys",
        inject: |scenario| {
            scenario.step = |s, n, i, o| applies(s, n, i, o, goes_on_with_the_version)
        },
    },
    Mutant {
        id: "MVCC-IDLE-DELETE",
        defect: "removing what is not there makes a new revision",
        source: "etcd: a request that changes nothing makes no revision",
        model: "mvcc/keys",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, counts_idle_deletes),
    },
    Mutant {
        id: "MVCC-SAME-VALUE",
        defect: "a key that is set to what it is keeps the revision of its latest change",
        source: "etcd's data model: ModRevision is the revision of the last modification",
        model: "mvcc/keys",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, keeps_the_revision),
    },
    Mutant {
        id: "MVCC-LOST-COMMAND",
        defect: "a command is answered, and never gets to the disk",
        source: "etcd's API guarantees: durability",
        model: "mvcc/keys",
        inject: |scenario| {
            scenario.disk = Disk::Amnesia {
                forgets: |record| matches!(record, Record::Applied { .. }),
            };
        },
    },
    Mutant {
        id: "MVCC-PREVIOUS-UNTOLD",
        defect: "who asks what was there before is not told",
        source: "etcd's API reference, PutRequest.prev_kv",
        model: "mvcc/keys",
        inject: |scenario| scenario.step = |s, n, i, o| applies(s, n, i, o, tells_no_previous),
    },
];

fn goes_on_with_the_version(store: &mut Store, command: &Command) -> Response {
    let response = store.apply(command);
    let Command::Put(Put { key, .. }) = command else {
        return response;
    };
    let removed = store.history.past.iter().filter(|((old, _), _)| old == key);
    let had = removed.filter_map(|(_, version)| version.as_ref()).last();
    let had = had.map(|version| (version.version, version.create_revision));
    if let (Some(held), Some((version, create_revision))) =
        (store.history.current.get_mut(key), had)
        && held.version == 1
    {
        held.version = version + 1;
        held.create_revision = create_revision;
    }
    response
}

fn counts_idle_deletes(store: &mut Store, command: &Command) -> Response {
    let mut response = store.apply(command);
    if matches!(response.outcome, Ok(Outcome::Deleted { count: 0, .. })) {
        store.history.revision = store.history.revision.next();
        response.revision = store.history.revision;
    }
    response
}

fn keeps_the_revision(store: &mut Store, command: &Command) -> Response {
    let before = store.clone();
    let response = store.apply(command);
    let Command::Put(Put { key, value, .. }) = command else {
        return response;
    };
    let was = before.history.current.get(key);
    if was.is_some_and(|was| value.as_ref().is_none_or(|value| *value == was.value))
        && let (Some(was), Some(held)) = (was, store.history.current.get_mut(key))
    {
        held.mod_revision = was.mod_revision;
    }
    response
}

fn tells_no_previous(store: &mut Store, command: &Command) -> Response {
    let mut response = store.apply(command);
    if let Ok(Outcome::Put { previous, .. }) = &mut response.outcome {
        *previous = None;
    }
    response
}
