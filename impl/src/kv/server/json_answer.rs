//! Answers in JSON.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::kv::json_bytes::add_bytes;
use crate::kv::store::{Entries, Event, KeyValue, Outcome, Revision};

/// A key with what it holds.
pub(crate) fn entry(key: &Bytes, held: &KeyValue, keys_only: bool) -> Value {
    let mut object = Map::new();
    add_bytes(&mut object, "key", key);
    if !keys_only {
        add_bytes(&mut object, "value", &held.value);
    }
    object.insert("revision".into(), held.mod_revision.0.into());
    object.insert("create_revision".into(), held.create_revision.0.into());
    object.insert("version".into(), held.version.into());
    if let Some(lease) = held.lease {
        object.insert("lease".into(), lease.0.into());
    }
    Value::Object(object)
}

/// A range.
pub(crate) fn entries(found: &Entries, keys_only: bool) -> Map<String, Value> {
    let list = found.entries.iter();
    let list: Vec<Value> = list
        .map(|(key, held)| entry(key, held, keys_only))
        .collect();
    let mut object = Map::new();
    object.insert("entries".into(), list.into());
    object.insert("more".into(), found.more.into());
    if let Some(count) = found.count {
        object.insert("count".into(), count.into());
    }
    object
}

/// What came of a transaction's operation.
pub(crate) fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Put { replaced, previous } => json!({ "put": put(*replaced, previous.as_ref()) }),
        Outcome::Deleted {
            count, previous, ..
        } => json!({ "delete": deleted(*count, previous) }),
        Outcome::Range(found) => json!({ "range": entries(found, false) }),
        Outcome::Txn {
            succeeded,
            outcomes,
        } => json!({ "txn": transaction(*succeeded, outcomes) }),
        // No operation comes to anything else.
        _ => Value::Null,
    }
}

/// What came of a transaction.
pub(crate) fn transaction(succeeded: bool, outcomes: &[Outcome]) -> Map<String, Value> {
    let outcomes: Vec<Value> = outcomes.iter().map(outcome).collect();
    let mut object = Map::new();
    object.insert("succeeded".into(), succeeded.into());
    object.insert("outcomes".into(), outcomes.into());
    object
}

/// What came of setting a key.
pub(crate) fn put(replaced: Option<Revision>, previous: Option<&KeyValue>) -> Map<String, Value> {
    let mut object = Map::new();
    let replaced = replaced.map(|replaced| replaced.0);
    object.insert("previous_revision".into(), replaced.into());
    if let Some(previous) = previous {
        object.insert("previous".into(), held(previous));
    }
    object
}

/// What came of removing keys.
pub(crate) fn deleted(count: u64, previous: &[(Bytes, KeyValue)]) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("deleted".into(), count.into());
    if !previous.is_empty() {
        let list = previous.iter();
        let list: Vec<Value> = list.map(|(key, held)| entry(key, held, false)).collect();
        object.insert("previous".into(), list.into());
    }
    object
}

/// A change.
pub(crate) fn event(event: &Event) -> Value {
    let kind = event.version.as_ref().map_or("delete", |_| "put");
    let mut object = match &event.version {
        Some(version) => entry(&event.key, version, false),
        None => {
            let mut object = Map::new();
            add_bytes(&mut object, "key", &event.key);
            object.insert("revision".into(), event.revision.0.into());
            Value::Object(object)
        }
    };
    object["kind"] = kind.into();
    if let Some(previous) = &event.previous {
        object["previous"] = held(previous);
    }
    object
}

/// What a key holds, without the key.
fn held(held: &KeyValue) -> Value {
    let mut value = entry(&Bytes::new(), held, false);
    if let Value::Object(object) = &mut value {
        object.remove("key");
    }
    value
}
