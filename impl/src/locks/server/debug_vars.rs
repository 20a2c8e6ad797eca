//! `/debug/vars`: the process, and how its locks fare: of a member its logical clock and its quorum,
//! of the orchestrator how many nodes are healthy.

use serde_json::{Map, Value, json};

use crate::locks::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::debug_vars;

/// All variables. `report` is missing where the node has stopped or does not answer: its variables
/// are null then.
pub(crate) fn variables(metrics: &Metrics, report: Option<&Report>) -> Map<String, Value> {
    let mut variables = debug_vars::variables(metrics);
    let parts: [(&str, Part); 3] = [
        ("maekawa", maekawa),
        ("member", member),
        ("orchestrator", orchestrator),
    ];
    for (name, part) in parts {
        variables.insert(name.to_owned(), report.map(part).into());
    }
    variables
}

/// A part of what a node says of itself.
type Part = fn(&Report) -> Value;

fn maekawa(report: &Report) -> Value {
    json!({
        "id": report.id,
        "role": report.role,
        "epoch": report.epoch,
        "members": report.members,
        "messages_sent": report.lock_messages,
        "entries": report.entries,
    })
}

fn member(report: &Report) -> Value {
    report.member.as_ref().map_or(Value::Null, |member| {
        json!({
            "clock": member.clock,
            "quorum": member.quorum,
            "held": member.held,
            "waiting": member.waiting,
        })
    })
}

fn orchestrator(report: &Report) -> Value {
    report
        .orchestrator
        .as_ref()
        .map_or(Value::Null, |orchestrator| {
            json!({
                "healthy_nodes": orchestrator.healthy.len(),
                "healthy": orchestrator.healthy,
            })
        })
}
