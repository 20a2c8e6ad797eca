//! `/metrics`: the node's counters and how its ZAB fares, in the text format of Prometheus.

use std::fmt::Write;

use crate::files::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::metrics_text::{self, add};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn render(metrics: &Metrics, report: Option<&Report>) -> String {
    let mut page = metrics_text::common(metrics);
    if let Some(report) = report {
        for (name, help, value) in gauges(report) {
            add(&mut page, &format!("lockstep_{name}"), help, "gauge", value);
        }
        add_catch_ups(&mut page, report);
    }
    page
}

fn add_catch_ups(page: &mut String, report: &Report) {
    let name = "lockstep_zab_synchronizations_total";
    let help = "How often this node was brought up to date by a leader, by method.";
    let caught_up = &report.caught_up;
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (method, count) in [
        ("diff", caught_up.diff),
        ("trunc", caught_up.trunc),
        ("snap", caught_up.snap),
    ] {
        let _ = writeln!(page, "{name}{{method=\"{method}\"}} {count}");
    }
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 9] {
    let is = |role: &str| u64::from(report.role == role);
    [
        ("zab_epoch", "The last epoch accepted.", report.epoch),
        ("zab_is_leader", "Whether this node leads.", is("leader")),
        (
            "zab_is_follower",
            "Whether this node follows.",
            is("follower"),
        ),
        (
            "zab_transactions",
            "Transactions kept beside the snapshot.",
            report.transactions,
        ),
        (
            "bully_election",
            "The last election that this node knows of.",
            report.election,
        ),
        ("files_position", "Commands applied.", report.position),
        ("files_files", "Files.", report.files),
        (
            "files_bytes",
            "What all files take together, of the limit of 536870912.",
            report.bytes,
        ),
        (
            "files_sessions",
            "Sessions remembered: they are kept for good.",
            report.sessions,
        ),
    ]
}
