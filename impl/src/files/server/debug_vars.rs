//! `/debug/vars`: the process, and how its ZAB, its elections and its files fare.

use serde_json::{Map, Value, json};

use crate::files::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::debug_vars;

/// All variables. `report` is missing where the node has stopped or does not answer: its variables
/// are null then.
pub(crate) fn variables(metrics: &Metrics, report: Option<&Report>) -> Map<String, Value> {
    let mut variables = debug_vars::variables(metrics);
    let parts: [(&str, Part); 3] = [("zab", zab), ("bully", bully), ("files", files)];
    for (name, part) in parts {
        variables.insert(name.to_owned(), report.map(part).into());
    }
    variables
}

/// A part of what a node says of itself.
type Part = fn(&Report) -> Value;

fn zab(report: &Report) -> Value {
    json!({
        "id": report.id,
        "role": report.role,
        "phase": report.phase,
        "epoch": report.epoch,
        "leader": report.leader,
        "last_zxid": report.last_zxid,
        "delivered_zxid": report.delivered_zxid,
        "snapshot_zxid": report.snapshot_zxid,
        "transactions": report.transactions,
        "synchronizations": report.caught_up,
        "members": report.members,
    })
}

fn bully(report: &Report) -> Value {
    json!({ "election": report.election })
}

fn files(report: &Report) -> Value {
    json!({
        "position": report.position,
        "checksum": report.checksum,
        "files": report.files,
        "bytes": report.bytes,
        "sessions": report.sessions,
    })
}
