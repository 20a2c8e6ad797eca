//! `/debug/vars`: the process, how its replica fares, and who is there.

use serde_json::{Map, Value, json};

use crate::counter::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::debug_vars;

/// All variables. `report` is missing where the node has stopped or does not answer: its variables
/// are null then.
pub(crate) fn variables(metrics: &Metrics, report: Option<&Report>) -> Map<String, Value> {
    let mut variables = debug_vars::variables(metrics);
    let parts: [(&str, Part); 2] = [("counter", counter), ("swim", swim)];
    for (name, part) in parts {
        variables.insert(name.to_owned(), report.map(part).into());
    }
    variables
}

/// A part of what a node says of itself.
type Part = fn(&Report) -> Value;

fn counter(report: &Report) -> Value {
    json!({
        "id": report.id,
        "role": report.role,
        "replica": report.replica,
        // JSON's numbers are read as 64 bits by most.
        "value": u64::try_from(report.value).unwrap_or(u64::MAX),
        "own": report.own,
        "components": report.components,
        "folds": report.folds,
        "members": report.members,
        "behind": report.behind,
        "sessions": report.sessions,
    })
}

fn swim(report: &Report) -> Value {
    json!({
        "alive": report.alive,
        "suspect": report.suspect,
        "down": report.down,
    })
}
