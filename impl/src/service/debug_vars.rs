//! `/debug/vars`: the variables of a node as one JSON object, as Go's `expvar` shows them. What
//! collects from programs of Go collects from here.

use std::time::Duration;
use std::{env, process};

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::runtime::metrics::Metrics;
use crate::service::logging;

/// Where it is, at the client port and at the metrics port.
pub(crate) const PATH: &str = "/debug/vars";

/// What every service shows: the process, and what its runtime counts. The service adds its own.
pub(crate) fn variables(metrics: &Metrics) -> Map<String, Value> {
    let cmdline: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let mut counters: Map<String, Value> = metrics
        .counters()
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    counters.insert(
        "log_lines_dropped".to_owned(),
        logging::dropped_lines().into(),
    );
    let flushes = &metrics.flushes;
    let seconds = |lasts: Duration| lasts.as_secs_f64();
    Map::from_iter([
        ("cmdline".to_owned(), cmdline.into()),
        ("memstats".to_owned(), memory()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").into()),
        ("pid".to_owned(), process::id().into()),
        ("tokio".to_owned(), tasks()),
        ("counters".to_owned(), counters.into()),
        (
            "client_connections".to_owned(),
            metrics.client_connections.get().into(),
        ),
        (
            "journal_flush".to_owned(),
            json!({
                "last_seconds": seconds(flushes.last()),
                "in_progress_seconds": flushes.in_progress().map(seconds),
            }),
        ),
    ])
}

/// What the process takes, as the operating system counts it; null where that does not say.
fn memory() -> Value {
    memory_stats::memory_stats().map_or(Value::Null, |memory| {
        json!({
            "resident_bytes": memory.physical_mem,
            "virtual_bytes": memory.virtual_mem,
        })
    })
}

/// What Go's programs say of their goroutines.
fn tasks() -> Value {
    let metrics = Handle::current().metrics();
    json!({
        "workers": metrics.num_workers(),
        "alive_tasks": metrics.num_alive_tasks(),
        "global_queue_depth": metrics.global_queue_depth(),
    })
}
