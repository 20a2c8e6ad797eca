//! `/metrics`: the node's counters, how its replica fares, and who is there.

use axum::response::Response;

use super::service::Service;
use crate::counter::status::Report;
use crate::service::metrics_page::{self, add_gauges};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn answer(service: &Service, report: Option<&Report>) -> Response {
    let mut registry = metrics_page::registry(service.inbox.metrics());
    let (tally, swim) = (&service.tally, &service.swim);
    let counters = [
        (
            "increments_counted",
            "Increments counted for clients of this node",
            &tally.counted,
        ),
        (
            "increments_repeated",
            "Increments that an earlier try of the same request had counted",
            &tally.repeated,
        ),
        (
            "increments_refused",
            "Increments not counted, and their clients told why",
            &tally.refused,
        ),
        ("swim_packets_sent", "Packets of SWIM's sent", &swim.sent),
        (
            "swim_sent_bytes",
            "Bytes in the packets of SWIM's sent",
            &swim.sent_bytes,
        ),
        (
            "swim_packets_received",
            "Packets of SWIM's received from members",
            &swim.received,
        ),
        (
            "swim_received_bytes",
            "Bytes in the packets of SWIM's received from members",
            &swim.received_bytes,
        ),
        (
            "swim_packets_of_strangers",
            "Packets dropped: of another cluster, or without its signature",
            &swim.strangers,
        ),
        (
            "swim_packets_malformed",
            "Packets dropped because they could not be read",
            &swim.malformed,
        ),
        (
            "swim_packets_unsent",
            "Packets of SWIM's that could not be sent",
            &swim.unsent,
        ),
    ];
    for (name, help, counter) in counters {
        registry.register(name, help, counter.clone());
    }
    if let Some(report) = report {
        add_gauges(&mut registry, gauges(report));
    }
    metrics_page::answer(&registry)
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 10] {
    [
        (
            "replica_value",
            "The value as this node knows it; of more than 64 bits the largest that these hold",
            u64::try_from(report.value).unwrap_or(u64::MAX),
        ),
        (
            "replica_own_count",
            "What this node has counted itself under its present name",
            report.own,
        ),
        (
            "replica_components",
            "Replicas that have ever counted, as far as this node knows, and are not folded",
            report.components,
        ),
        (
            "replica_folds",
            "How often what was counted under names that are no more was folded, as far as this node knows",
            report.folds,
        ),
        (
            "replica_members",
            "Members that this node exchanges with",
            report.members.len() as u64,
        ),
        (
            "replica_members_behind",
            "Members that have not acknowledged all yet that this node has counted",
            report.behind.len() as u64,
        ),
        (
            "replica_sessions",
            "Clients whose last request is remembered",
            report.sessions,
        ),
        (
            "swim_members_alive",
            "Other members that live, as far as this node knows",
            report.alive,
        ),
        (
            "swim_members_suspect",
            "Other members that have not answered",
            report.suspect,
        ),
        (
            "swim_members_down",
            "Other members that have left or were given up",
            report.down,
        ),
    ]
}
