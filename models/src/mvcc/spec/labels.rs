//! How requests, messages and nodes read in a trace.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::mvcc::command::{Command, Operation, Txn};
use crate::mvcc::key_range::KeyRange;
use crate::mvcc::query::Query;
use crate::mvcc::standalone::{Asked, Message, Request, Seen, Standalone};
use crate::mvcc::watch::Event;
use crate::protocol::Node;

/// A message in one line.
pub(super) fn message(message: &Message) -> String {
    match message {
        Message::Changes(changes) => format!("Changes from {}", changes.from),
        Message::Page(page) => {
            let events: Vec<String> = page.events.iter().map(event).collect();
            format!(
                "Page from {} [{}] next {}",
                page.from,
                events.join(" "),
                page.next
            )
        }
        Message::Compacted { from, compacted } => {
            format!("Compacted from {from}, oldest is {compacted}")
        }
    }
}

/// A node in one line: the store's keys, or what a watcher has seen.
pub(super) fn node(node: &Node<Standalone>) -> String {
    let disk = node.durable();
    if let Some(next) = disk.seen_up_to {
        let seen: Vec<String> = disk.seen.iter().map(seen).collect();
        return format!("saw [{}] next {next}", seen.join(" "));
    }
    let history = disk.store.history();
    let all = KeyRange::all();
    let keys = history.current(&all).map(|(key, held)| {
        let lease = held.lease.map(|lease| format!(" by {}", lease.0));
        let (key, value) = (words(key), words(&held.value));
        format!(
            "{key}={value}@{}{}",
            held.mod_revision,
            lease.unwrap_or_default()
        )
    });
    let keys: Vec<String> = keys.collect();
    let (revision, compacted) = (history.revision(), history.compacted());
    let leases = disk.store.leases();
    let leases = leases
        .iter()
        .map(|(id, lease)| format!("{}×{}", id.0, lease.renewal.0));
    let leases: Vec<String> = leases.collect();
    format!(
        "revision {revision} since {compacted} [{}] leases [{}]",
        keys.join(" "),
        leases.join(" ")
    )
}

fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Event(seen) => event(seen),
        Seen::Gap { to } => format!("…{to}"),
    }
}

fn event(event: &Event) -> String {
    let key = words(&event.key);
    match &event.version {
        Some(version) => format!("{key}={}@{}", words(&version.value), event.revision),
        None => format!("-{key}@{}", event.revision),
    }
}

/// A request in one line.
pub(super) fn request(request: &Request) -> String {
    let asked = match &request.asked {
        Asked::Do(command) => self::command(command),
        Asked::Tell(query) => self::query(query),
    };
    format!("#{} {asked}", request.number)
}

fn command(command: &Command) -> String {
    match command {
        Command::Put(put) => operation(&Operation::Put(put.clone())),
        Command::DeleteRange(delete) => operation(&Operation::DeleteRange(delete.clone())),
        Command::Txn(txn) => transaction(txn),
        Command::Grant { lease, ttl } => format!("grant {} for {} s", lease.0, ttl.0),
        Command::KeepAlive { lease } => format!("keep {} alive", lease.0),
        Command::Revoke { lease } => format!("revoke {}", lease.0),
        Command::Expire { lease, renewal } => {
            format!("expire {} as of renewal {}", lease.0, renewal.0)
        }
        Command::Compact { revision } => format!("compact to {revision}"),
    }
}

fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Put(put) => {
            let value = put.value.as_ref().map_or("(as it is)".to_string(), words);
            let lease = put.lease.map(|lease| format!(" by {}", lease.0));
            let lease = match put.keep_lease {
                true => " by whom it is".to_string(),
                false => lease.unwrap_or_default(),
            };
            format!("put {}={value}{lease}", words(&put.key))
        }
        Operation::DeleteRange(delete) => format!("delete {}", range(&delete.range)),
        Operation::Range(asked) => {
            let at = asked.revision.map(|revision| format!(" at {revision}"));
            format!("range {}{}", range(&asked.keys), at.unwrap_or_default())
        }
        Operation::Txn(txn) => transaction(txn),
    }
}

fn transaction(txn: &Txn) -> String {
    let list = |operations: &[Operation]| -> String {
        let operations: Vec<String> = operations.iter().map(operation).collect();
        operations.join("; ")
    };
    let compare = txn.compare.iter().map(|compare| {
        let (relation, target) = (compare.relation, &compare.target);
        format!("{} {relation:?} {target:?}", range(&compare.range))
    });
    let compare: Vec<String> = compare.collect();
    format!(
        "if {} then {{{}}} else {{{}}}",
        compare.join(" and "),
        list(&txn.success),
        list(&txn.failure)
    )
}

fn query(query: &Query) -> String {
    match query {
        Query::Range(asked) => operation(&Operation::Range(asked.clone())),
        Query::Lease { lease } => format!("lease {}", lease.0),
        Query::Leases => "leases".to_string(),
        Query::Changes(changes) => format!("changes from {}", changes.from),
    }
}

fn range(range: &KeyRange) -> String {
    match (range.single(), range.end()) {
        (Some(key), _) => words(key),
        (None, Some(end)) => format!("{}..{}", words(range.start()), words(end)),
        (None, None) => format!("{}..", words(range.start())),
    }
}

fn words(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}
