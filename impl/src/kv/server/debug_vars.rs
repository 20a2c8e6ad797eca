//! `/debug/vars`: how the node's Raft and its store fare, beside what every service shows.

use serde_json::{Map, Value, json};

use crate::kv::server::handover::Transfers;
use crate::kv::status::Report;

/// Adds it. `report` is missing where the node has stopped or does not answer: its variables are null
/// then.
pub(crate) fn add(
    variables: &mut Map<String, Value>,
    transfers: &Transfers,
    report: Option<&Report>,
) {
    let raft = report.map(|report| raft(report, transfers));
    let store = report.map(|report| {
        json!({
            "keys": report.keys,
            "revision": report.revision,
            "compacted": report.compacted,
            "changes": report.changes,
            "leases": report.leases,
            "checksum": report.checksum,
        })
    });
    variables.insert("raft".to_owned(), raft.into());
    variables.insert("kv".to_owned(), store.into());
}

fn raft(report: &Report, transfers: &Transfers) -> Value {
    json!({
        "id": report.id,
        "role": report.role,
        "term": report.term,
        "leader": report.leader,
        "commit_index": report.commit_index,
        "last_applied": report.last_applied,
        "first_index": report.first_index,
        "last_index": report.last_index,
        "snapshot_index": report.snapshot_index,
        "voters": report.voters,
        "learners": report.learners,
        "leadership_transfers": Map::from_iter(transfers.outcomes()),
    })
}
