//! `/metrics`: the node's counters and how its Raft fares, in the text format of Prometheus.

use std::fmt::Write;

use super::node::Report;
use crate::logging;
use crate::metrics::Metrics;

/// The page. `report` is missing where the node has stopped.
pub(super) fn render(metrics: &Metrics, report: Option<&Report>) -> String {
    let mut page = String::new();
    for (name, help, value) in metrics.list() {
        add(
            &mut page,
            &format!("lockstep_{name}_total"),
            help,
            "counter",
            value,
        );
    }
    for (name, help, value) in metrics.gauges() {
        add(&mut page, &format!("lockstep_{name}"), help, "gauge", value);
    }
    add(
        &mut page,
        "lockstep_log_lines_dropped_total",
        "Log lines of the process dropped because nobody read its standard error.",
        "counter",
        logging::dropped_lines(),
    );
    if let Some(report) = report {
        for (name, help, value) in gauges(report) {
            add(
                &mut page,
                &format!("lockstep_raft_{name}"),
                help,
                "gauge",
                value,
            );
        }
    }
    page
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 8] {
    [
        ("term", "The current term.", report.term),
        (
            "is_leader",
            "Whether this node leads.",
            u64::from(report.role == "leader"),
        ),
        (
            "commit_index",
            "The last index known to be committed.",
            report.commit_index,
        ),
        (
            "last_applied",
            "The last index applied to the store.",
            report.last_applied,
        ),
        (
            "last_index",
            "The last index of the log.",
            report.last_index,
        ),
        (
            "first_index",
            "The first index that is still in the log.",
            report.first_index,
        ),
        (
            "snapshot_index",
            "The last index that the snapshot includes; 0 while there is none.",
            report.snapshot_index,
        ),
        ("keys", "Keys in the store.", report.keys),
    ]
}

fn add(page: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}
