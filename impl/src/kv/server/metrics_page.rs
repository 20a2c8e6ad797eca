//! `/metrics`: what the node counts and how its Raft fares, beside what every service's page has.

use prometheus_client::registry::Registry;

use crate::kv::server::handover::Transfers;
use crate::kv::status::Report;
use crate::service::metrics_page::add_gauges;

/// Adds it. `report` is missing where the node has stopped or does not answer.
pub(crate) fn add(registry: &mut Registry, transfers: &Transfers, report: Option<&Report>) {
    registry.register(
        "leadership_transfers",
        "Transfers of leadership from this node that have ended, by outcome",
        transfers.counts().clone(),
    );
    if let Some(report) = report {
        add_gauges(registry.sub_registry_with_prefix("raft"), gauges(report));
    }
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 11] {
    [
        ("term", "The current term", report.term),
        (
            "is_leader",
            "Whether this node leads",
            u64::from(report.role == "leader"),
        ),
        (
            "commit_index",
            "The last index known to be committed",
            report.commit_index,
        ),
        (
            "last_applied",
            "The last index applied to the store",
            report.last_applied,
        ),
        ("last_index", "The last index of the log", report.last_index),
        (
            "first_index",
            "The first index that is still in the log",
            report.first_index,
        ),
        (
            "snapshot_index",
            "The last index that the snapshot includes; 0 while there is none",
            report.snapshot_index,
        ),
        ("keys", "Keys in the store", report.keys),
        ("revision", "The revision of the store", report.revision),
        (
            "remembered_changes",
            "Changes of the store since the last compaction",
            report.changes,
        ),
        ("leases", "Leases in the store", report.leases),
    ]
}
