//! The key-value store, one command at a time: what etcd does, as measured on etcd 3.5.16.

mod compaction;
mod keys;
mod leases;
mod properties;
mod revisions;
mod transactions;
mod watches;

use bytes::Bytes;
use models::machine::StateMachine;
use models::mvcc::Store;
use models::mvcc::command::{Command, DeleteRange, Put};
use models::mvcc::history::Revision;
use models::mvcc::key_range::KeyRange;
use models::mvcc::query::{Query, Range};
use models::mvcc::response::{Entries, Fault, KeyValue, Outcome, Response};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(store: &mut Store, key: &str, value: &str) -> Response {
    store.apply(&Command::Put(plain(key, value)))
}

fn plain(key: &str, value: &str) -> Put {
    Put {
        wants_previous: true,
        ..Put::new(bytes(key), bytes(value))
    }
}

fn delete(store: &mut Store, range: KeyRange) -> Response {
    let wants_previous = true;
    store.apply(&Command::DeleteRange(DeleteRange {
        range,
        wants_previous,
    }))
}

fn key(key: &str) -> KeyRange {
    KeyRange::key(bytes(key))
}

fn compact(store: &mut Store, revision: u64) -> Result<Outcome, Fault> {
    let revision = Revision(revision);
    store.apply(&Command::Compact { revision }).outcome
}

fn range(store: &Store, range: Range) -> Result<Entries, Fault> {
    match store.query(&Query::Range(range)).outcome {
        Ok(Outcome::Range(entries)) => Ok(entries),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault),
    }
}

fn get(store: &Store, name: &str) -> Option<KeyValue> {
    store.history().get(name.as_bytes()).cloned()
}

/// Its version, and the revisions of its creation and of its latest change.
fn numbers(store: &Store, name: &str) -> (u64, u64, u64) {
    let held = get(store, name).expect("the key is there");
    (held.version, held.create_revision.0, held.mod_revision.0)
}

fn names(entries: &Entries) -> Vec<String> {
    let names = entries.entries.iter();
    names
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect()
}
