//! `/metrics`: the node's counters and how its ZAB fares.

use axum::response::Response;

use crate::files::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::metrics_page::{self, CounterByLabel, add_gauges};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn answer(metrics: &Metrics, report: Option<&Report>) -> Response {
    let mut registry = metrics_page::registry(metrics);
    if let Some(report) = report {
        add_gauges(&mut registry, gauges(report));
        registry.register(
            "zab_synchronizations",
            "How often this node was brought up to date by a leader, by method",
            synchronizations(report),
        );
    }
    metrics_page::answer(&registry)
}

fn synchronizations(report: &Report) -> CounterByLabel {
    let counts = CounterByLabel::default();
    let caught_up = &report.caught_up;
    for (method, count) in [
        ("diff", caught_up.diff),
        ("trunc", caught_up.trunc),
        ("snap", caught_up.snap),
    ] {
        counts.get_or_create(&[("method", method)]).inc_by(count);
    }
    counts
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 9] {
    let is = |role: &str| u64::from(report.role == role);
    [
        ("zab_epoch", "The last epoch accepted", report.epoch),
        ("zab_is_leader", "Whether this node leads", is("leader")),
        (
            "zab_is_follower",
            "Whether this node follows",
            is("follower"),
        ),
        (
            "zab_transactions",
            "Transactions kept beside the snapshot",
            report.transactions,
        ),
        (
            "bully_election",
            "The last election that this node knows of",
            report.election,
        ),
        ("files_position", "Commands applied", report.position),
        ("files_files", "Files", report.files),
        (
            "files_bytes",
            "What all files take together, of the limit of 536870912",
            report.bytes,
        ),
        (
            "files_sessions",
            "Sessions remembered: they are kept for good",
            report.sessions,
        ),
    ]
}
