//! How a node's disk fares: what every service's status page shows of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runtime::metrics::FlushTimes;

/// How a node's disk fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskReport {
    /// How many milliseconds the fsync under way has taken already; none if none is.
    pub fsync_in_progress_ms: Option<u64>,
    /// The fsync under way, or the last one, has taken at least half the least election
    /// timeout: elections must be expected.
    pub slow: bool,
}

/// How a node's disk fares, where an fsync is slow that takes `slow`.
pub(crate) fn disk_report(flushes: &FlushTimes, slow: Duration) -> DiskReport {
    let in_progress = flushes.in_progress();
    let millis = |lasts: Duration| u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    DiskReport {
        fsync_in_progress_ms: in_progress.map(millis),
        slow: in_progress.unwrap_or_default().max(flushes.last()) >= slow,
    }
}
