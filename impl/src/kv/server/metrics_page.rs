//! `/metrics`: the node's counters and how its Raft fares, in the text format of Prometheus.

use std::fmt::Write;

use crate::kv::server::handover::Transfers;
use crate::kv::status::Report;
use crate::runtime::metrics::{Histogram, Metrics};
use crate::service::logging;

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn render(metrics: &Metrics, transfers: &Transfers, report: Option<&Report>) -> String {
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
    add_transfers(&mut page, transfers);
    add_flushes(&mut page, metrics);
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

/// How long fsyncs take, and the one under way: without the node, for it may wait for its disk.
fn add_flushes(page: &mut String, metrics: &Metrics) {
    let name = "lockstep_journal_flush_seconds";
    let help = "How long it took to put a group of frames on disk: a write and an fsync.";
    add_histogram(page, name, help, &metrics.flushes.histogram());
    let lasts = metrics.flushes.in_progress().unwrap_or_default();
    let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    let name = "lockstep_journal_flush_in_progress_milliseconds";
    let help = "How long the flush under way has taken already; 0 while there is none.";
    add(page, name, help, "gauge", lasts);
}

fn add_histogram(page: &mut String, name: &str, help: &str, histogram: &Histogram) {
    let Histogram {
        buckets,
        count,
        sum,
    } = histogram;
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    for (end, up_to) in buckets {
        let end = end.as_secs_f64();
        let _ = writeln!(page, "{name}_bucket{{le=\"{end}\"}} {up_to}");
    }
    let _ = writeln!(page, "{name}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(page, "{name}_sum {}", sum.as_secs_f64());
    let _ = writeln!(page, "{name}_count {count}");
}

fn add(page: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}
