//! `/debug/vars`: the process, how this member fares, and, where it votes, its node.

use serde_json::{Map, Value, json};

use super::report::{Report, Shown};
use crate::heartbeat::traffic::Counters;
use crate::service::debug_vars;

/// All variables. Those of a voter's node are missing until it runs.
pub(super) async fn variables(shown: &Shown) -> Map<String, Value> {
    let mut variables = debug_vars::variables(&shown.metrics);
    let heartbeat = heartbeat(&shown.report(), &shown.counters);
    variables.insert("heartbeat".to_owned(), heartbeat);
    let numbers = shown.numbers.borrow().clone();
    if let Some(numbers) = numbers {
        numbers.add_variables(&mut variables).await;
    }
    variables
}

fn heartbeat(report: &Report, counters: &Counters) -> Value {
    let list = &report.list;
    json!({
        "id": report.id,
        "cluster": report.cluster,
        "votes": report.votes,
        "term": report.term,
        "leader": list.leader.map(|leader| leader.id),
        "members": list.ids(),
        "list_term": report.version.map(|version| version.term),
        "list_number": report.version.map(|version| version.number),
        "on_list": report.on_list,
        "list_current": list.is_current,
        "last_answer_age_seconds": list.age.as_secs_f64(),
        "voters_known": report.voters,
        "load": report.load.value,
        "load_reports": report.load.reports,
        "uptime_seconds": report.uptime.as_secs_f64(),
        "hindrance": report.hindrance,
        "sent": counters.sent.variables(),
        "received": counters.received.variables(),
        "traffic": counters.read(),
    })
}
