//! `/metrics`: the node's counters and how its locks fare, in the text format of Prometheus.
//!
//! Messages per entry, of the whole cluster:
//! `sum(rate(lockstep_locks_messages_sent_total[5m])) / sum(rate(lockstep_locks_entries_total[5m]))`.

use std::fmt::Write;

use super::service::Service;
use crate::locks::status::Report;
use crate::service::metrics_text::{self, add};

/// The page. `report` is missing where the node has stopped or does not answer.
pub(crate) fn render(service: &Service, report: Option<&Report>) -> String {
    let mut page = metrics_text::common(service.inbox.metrics());
    add_messages(&mut page, service);
    for (name, help, value) in counters(service) {
        add(
            &mut page,
            &format!("lockstep_locks_{name}_total"),
            help,
            "counter",
            value,
        );
    }
    for (name, help, value) in report.into_iter().flat_map(gauges) {
        add(
            &mut page,
            &format!("lockstep_locks_{name}"),
            help,
            "gauge",
            value,
        );
    }
    page
}

fn add_messages(page: &mut String, service: &Service) {
    let name = "lockstep_locks_messages_sent_total";
    let help = "Messages of Maekawa's algorithm sent to other nodes, by kind.";
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (kind, count) in service.traffic.by_kind() {
        let _ = writeln!(page, "{name}{{kind=\"{kind}\"}} {count}");
    }
}

fn counters(service: &Service) -> [(&'static str, &'static str, u64); 9] {
    let (counts, epochs) = (&service.desk.counts, &service.epochs);
    [
        (
            "entries",
            "Locks granted to clients of this node: entries into critical sections.",
            counts.entries.get(),
        ),
        (
            "revocations",
            "Locks that clients of this node have lost.",
            counts.revocations.get(),
        ),
        (
            "claims_given_up",
            "Claims given up because their client was gone, or had waited for long enough.",
            counts.given_up.get(),
        ),
        (
            "sessions_opened",
            "Sessions opened by clients.",
            counts.opened.get(),
        ),
        (
            "sessions_expired",
            "Sessions that have run out.",
            counts.expired.get(),
        ),
        (
            "membership_messages_sent",
            "Messages of health checks and epoch changes sent to other nodes.",
            service.traffic.of_membership(),
        ),
        (
            "epochs_joined",
            "Epochs that this node has become a member of.",
            epochs.joined.get(),
        ),
        (
            "epochs_begun",
            "Epochs that this node has begun, as the orchestrator.",
            epochs.installed.get(),
        ),
        (
            "nodes_suspected",
            "Nodes that this node has taken for dead, as the orchestrator.",
            epochs.suspected.get(),
        ),
    ]
}

/// Each gauge of a report.
fn gauges(report: &Report) -> Vec<(&'static str, &'static str, u64)> {
    let mut gauges = vec![
        (
            "epoch",
            "The latest epoch that this node knows of.",
            report.epoch,
        ),
        (
            "members",
            "The members of the epoch, as far as this node knows.",
            report.members.len() as u64,
        ),
        (
            "epoch_ending",
            "Whether the epoch is ending: nothing is granted meanwhile.",
            u64::from(report.ending),
        ),
    ];
    if let Some(member) = &report.member {
        gauges.extend([
            ("held", "Locks that clients of this node have.", member.held),
            (
                "waiters",
                "Claims of clients of this node that wait.",
                member.waiting,
            ),
            (
                "known",
                "Locks of which this node knows something.",
                member.locks,
            ),
            ("sessions", "Open sessions of clients.", member.sessions),
            (
                "quorum_nodes",
                "The arbiters that this node must lock, itself among them.",
                member.quorum.len() as u64,
            ),
        ]);
    }
    if let Some(orchestrator) = &report.orchestrator {
        let healthy = orchestrator.healthy.len() as u64;
        gauges.push((
            "healthy_nodes",
            "Members that have answered the orchestrator's health checks.",
            healthy,
        ));
    }
    gauges
}
