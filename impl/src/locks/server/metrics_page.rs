//! `/metrics`: the node's counters and how its locks fare.
//!
//! Messages per entry, of the whole cluster:
//! `sum(rate(lockstep_locks_messages_sent_total[5m])) / sum(rate(lockstep_locks_entries_total[5m]))`.

use axum::response::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::service::Service;
use crate::locks::status::Report;
use crate::service::metrics_page::{self, add_gauges};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn answer(service: &Service, report: Option<&Report>) -> Response {
    let mut registry = metrics_page::registry(service.inbox.metrics());
    let locks = registry.sub_registry_with_prefix("locks");
    add_counters(locks, service);
    if let Some(report) = report {
        add_gauges(locks, gauges(report));
    }
    metrics_page::answer(&registry)
}

fn add_counters(registry: &mut Registry, service: &Service) {
    registry.register(
        "messages_sent",
        "Messages of Maekawa's algorithm sent to other nodes, by kind",
        service.traffic.by_kind().clone(),
    );
    let (counts, epochs) = (&service.sessions.counts, &service.epochs);
    let counters: [(&str, &str, &Counter); 9] = [
        (
            "entries",
            "Locks granted to clients of this node: entries into critical sections",
            &counts.entries,
        ),
        (
            "revocations",
            "Locks that clients of this node have lost",
            &counts.revocations,
        ),
        (
            "claims_given_up",
            "Claims given up because their client was gone, or had waited for long enough",
            &counts.given_up,
        ),
        (
            "sessions_opened",
            "Sessions opened by clients",
            &counts.opened,
        ),
        (
            "sessions_expired",
            "Sessions that have run out",
            &counts.expired,
        ),
        (
            "membership_messages_sent",
            "Messages of health checks and epoch changes sent to other nodes",
            service.traffic.of_membership(),
        ),
        (
            "epochs_joined",
            "Epochs that this node has become a member of",
            &epochs.joined,
        ),
        (
            "epochs_begun",
            "Epochs that this node has begun, as the orchestrator",
            &epochs.installed,
        ),
        (
            "nodes_suspected",
            "Nodes that this node has taken for dead, as the orchestrator",
            &epochs.suspected,
        ),
    ];
    for (name, help, counter) in counters {
        registry.register(name, help, counter.clone());
    }
}

/// Each gauge of a report.
fn gauges(report: &Report) -> Vec<(&'static str, &'static str, u64)> {
    let mut gauges = vec![
        (
            "epoch",
            "The latest epoch that this node knows of",
            report.epoch,
        ),
        (
            "members",
            "The members of the epoch, as far as this node knows",
            report.members.len() as u64,
        ),
        (
            "epoch_ending",
            "Whether the epoch is ending: nothing is granted meanwhile",
            u64::from(report.ending),
        ),
    ];
    if let Some(member) = &report.member {
        gauges.extend([
            ("held", "Locks that clients of this node have", member.held),
            (
                "waiters",
                "Claims of clients of this node that wait",
                member.waiting,
            ),
            (
                "known",
                "Locks of which this node knows something",
                member.locks,
            ),
            ("sessions", "Open sessions of clients", member.sessions),
            (
                "quorum_nodes",
                "The arbiters that this node must lock, itself among them",
                member.quorum.len() as u64,
            ),
        ]);
    }
    if let Some(orchestrator) = &report.orchestrator {
        let healthy = orchestrator.healthy.len() as u64;
        gauges.push((
            "healthy_nodes",
            "Members that have answered the orchestrator's health checks",
            healthy,
        ));
    }
    gauges
}
