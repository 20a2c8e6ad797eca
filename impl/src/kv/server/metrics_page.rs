//! `/metrics`: the node's counters and how its Raft fares, in the text format of Prometheus.

use std::fmt::Write;

use crate::kv::server::handover::Transfers;
use crate::kv::status::Report;
use crate::runtime::metrics::Metrics;
use crate::service::metrics_text::{self, add};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn render(metrics: &Metrics, transfers: &Transfers, report: Option<&Report>) -> String {
    let mut page = metrics_text::common(metrics);
    add_transfers(&mut page, transfers);
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

fn add_transfers(page: &mut String, transfers: &Transfers) {
    let name = "lockstep_leadership_transfers_total";
    let help = "Transfers of leadership from this node that have ended, by outcome.";
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (outcome, count) in transfers.counts() {
        let _ = writeln!(page, "{name}{{outcome=\"{outcome}\"}} {count}");
    }
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
