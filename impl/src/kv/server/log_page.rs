//! `GET /log`: the committed log from an index, a page at a time.

use std::collections::BTreeSet;

use models::raft::log::{Content, Entry, Index};
use models::raft::machine::StateMachine;
use models::{Node, NodeId};
use serde_json::{Map, Value, json};

use crate::kv::json_bytes::add_bytes;
use crate::kv::store::Command;
use crate::kv::{Kv, KvRaft};

/// A page has at most so many entries,
pub(crate) const MAX_ENTRIES: usize = 1000;
/// and ends with the entry that reaches this weight.
const MAX_WEIGHT: usize = 1 << 20;

/// A part of a node's committed log.
pub(crate) struct LogPage {
    commit_index: Index,
    /// What comes before it is discarded: a snapshot has replaced it.
    first_index: Index,
    entries: Vec<(Index, Entry<Command>)>,
}

/// The committed entries of `node` from `from` on, as far as a page goes; where that is discarded,
/// from the first that is kept.
pub(crate) fn read(node: &Node<KvRaft>, from: Index, limit: usize) -> LogPage {
    let commit_index = node.volatile.commit_index;
    let log = &node.durable().log;
    let first_index = log.base_index().next();
    let from = from.max(first_index);
    let mut entries = Vec::new();
    let mut weight = 0;
    let committed = log.from(from).iter().zip(from.0..=commit_index.0);
    for (entry, index) in committed.take(limit.min(MAX_ENTRIES)) {
        if weight >= MAX_WEIGHT {
            break;
        }
        weight += match &entry.content {
            Content::Noop | Content::ExpireSessions { .. } | Content::Configuration(_) => 1,
            Content::Command { command, .. } => Kv::weight(command),
        };
        entries.push((Index(index), entry.clone()));
    }
    LogPage {
        commit_index,
        first_index,
        entries,
    }
}

impl LogPage {
    /// As JSON. `first_index` is the first index that is not discarded. `next` is the index to ask
    /// for next, or null at the end of what is committed.
    pub(crate) fn to_json(&self) -> Value {
        let last = self.entries.last().map(|(index, _)| *index);
        let next = last.filter(|last| *last < self.commit_index);
        let entries = self.entries.iter();
        json!({
            "commit_index": self.commit_index.0,
            "first_index": self.first_index.0,
            "entries": entries.map(|(index, entry)| entry_json(*index, entry)).collect::<Vec<_>>(),
            "next": next.map(|last| last.next().0),
        })
    }
}

fn entry_json(index: Index, entry: &Entry<Command>) -> Value {
    let mut object = Map::new();
    object.insert("index".into(), index.0.into());
    object.insert("term".into(), entry.term.0.into());
    match &entry.content {
        Content::Noop => {
            object.insert("kind".into(), "noop".into());
        }
        Content::Command { request, command } => {
            object.insert("client".into(), request.client.number.into());
            object.insert("since".into(), request.client.since.0.into());
            object.insert("sequence".into(), request.sequence.0.into());
            add_command(&mut object, command);
        }
        Content::ExpireSessions { through } => {
            object.insert("kind".into(), "expire_sessions".into());
            object.insert("through".into(), through.0.into());
        }
        Content::Configuration(configuration) => {
            object.insert("kind".into(), "configuration".into());
            add_nodes(&mut object, "voters", &configuration.voters);
            add_nodes(&mut object, "outgoing", &configuration.outgoing);
            add_nodes(&mut object, "learners", &configuration.learners);
        }
    }
    Value::Object(object)
}

fn add_nodes(object: &mut Map<String, Value>, name: &str, nodes: &BTreeSet<NodeId>) {
    let ids: Vec<u16> = nodes.iter().map(|node| node.0).collect();
    object.insert(name.into(), ids.into());
}

fn add_command(object: &mut Map<String, Value>, command: &Command) {
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    match command {
        Command::Put(put) => {
            add("kind", "put".into());
            if let Some(lease) = put.lease {
                add("lease", lease.0.into());
            }
            add_bytes(object, "key", &put.key);
            if let Some(value) = &put.value {
                add_bytes(object, "value", value);
            }
        }
        Command::DeleteRange(delete) => {
            add("kind", "delete".into());
            match delete.range.single() {
                Some(key) => add_bytes(object, "key", key),
                None => {
                    add_bytes(object, "start", delete.range.start());
                    if let Some(end) = delete.range.end() {
                        add_bytes(object, "end", end);
                    }
                }
            }
        }
        Command::Txn(txn) => {
            add("kind", "txn".into());
            add("compare", txn.compare.len().into());
            add("success", txn.success.len().into());
            add("failure", txn.failure.len().into());
        }
        Command::Grant { lease, ttl } => {
            add("kind", "lease_grant".into());
            add("lease", lease.0.into());
            add("ttl_s", ttl.0.into());
        }
        Command::KeepAlive { lease } => {
            add("kind", "lease_keep_alive".into());
            add("lease", lease.0.into());
        }
        Command::Revoke { lease } => {
            add("kind", "lease_revoke".into());
            add("lease", lease.0.into());
        }
        Command::Expire { lease, renewal } => {
            add("kind", "lease_expire".into());
            add("lease", lease.0.into());
            add("renewal", renewal.0.into());
        }
        Command::Compact { revision } => {
            add("kind", "compact".into());
            add("revision", revision.0.into());
        }
    }
}
