//! `/metrics` in the text format of Prometheus: what every service's page has.

use std::fmt::Write;

use crate::runtime::metrics::{Histogram, Metrics};
use crate::service::logging;

/// The counters of the runtime, and of the process.
pub(crate) fn common(metrics: &Metrics) -> String {
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
    page
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

/// One number.
pub(crate) fn add(page: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}
