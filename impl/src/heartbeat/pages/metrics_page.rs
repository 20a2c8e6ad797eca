//! `/metrics`: what this member sends and hears and whom it knows, and, where it votes, its node.

use axum::response::Response;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::report::{Report, Shown};
use crate::heartbeat::traffic::Counters;
use crate::service::metrics_page::{self, add_gauges};

/// The page. What a voter's node shows is missing until it runs.
pub(super) async fn answer(shown: &Shown) -> Response {
    let mut registry = metrics_page::registry(&shown.metrics);
    let own = registry.sub_registry_with_prefix("heartbeat");
    add_traffic(own, &shown.counters);
    add_report(own, &shown.report());
    let numbers = shown.numbers.borrow().clone();
    if let Some(numbers) = numbers {
        numbers.add_metrics(&mut registry).await;
    }
    metrics_page::answer(&registry)
}

fn add_traffic(registry: &mut Registry, counters: &Counters) {
    let by_kind = [
        (
            "packets_sent",
            "Packets sent to other members, by what they say",
            &counters.sent.packets,
        ),
        (
            "sent_bytes",
            "Bytes in the packets sent to other members, by what they say",
            &counters.sent.bytes,
        ),
        (
            "packets_received",
            "Packets received from members, by what they say",
            &counters.received.packets,
        ),
        (
            "received_bytes",
            "Bytes in the packets received from members, by what they say",
            &counters.received.bytes,
        ),
    ];
    for (name, help, counter) in by_kind {
        registry.register(name, help, counter.clone());
    }
    let counters = [
        (
            "packets_over_tcp",
            "Packets sent over TCP, because they are larger than a datagram may be",
            &counters.over_tcp,
        ),
        (
            "packets_unsent",
            "Packets that could not be sent",
            &counters.unsent,
        ),
        (
            "packets_of_strangers",
            "Packets dropped: of another cluster, or without its signature",
            &counters.strangers,
        ),
        (
            "packets_malformed",
            "Packets dropped because they could not be read",
            &counters.malformed,
        ),
    ];
    for (name, help, counter) in counters {
        registry.register(name, help, counter.clone());
    }
}

fn add_report(registry: &mut Registry, report: &Report) {
    add_gauges(registry, gauges(report));
    registry.register(
        "leader_id",
        "The member that leads, as far as this member knows; -1 while it knows none",
        ConstGauge::new(
            report
                .list
                .leader
                .map_or(-1, |leader| i64::from(leader.id.0)),
        ),
    );
    registry.register_with_unit(
        "last_answer_age",
        "How long ago a leader last took this member for alive; since its start, if none has",
        Unit::Seconds,
        ConstGauge::new(report.list.age.as_secs_f64()),
    );
    // One that has never said it has none, which is not the same as 0.
    if let Some(load) = report.load.value {
        registry.register(
            "load",
            "How loaded this member says it is: 0 is idle, 1 is fully used",
            ConstGauge::new(load),
        );
    }
}

fn gauges(report: &Report) -> [(&'static str, &'static str, u64); 9] {
    let list = &report.list;
    let version = report.version;
    let leads = list.leader.is_some_and(|leader| leader.id == report.id);
    [
        (
            "members",
            "Members on the list, as this member knows it",
            list.members.len() as u64,
        ),
        (
            "voters_known",
            "Voters that this member knows of, itself included if it votes",
            report.voters as u64,
        ),
        (
            "votes",
            "Whether this member votes",
            u64::from(report.votes),
        ),
        (
            "term",
            "The greatest term of which this member has heard a leader; 0 before the first",
            report.term,
        ),
        ("is_leader", "Whether this member leads", u64::from(leads)),
        (
            "on_list",
            "Whether this member, in this life, is on the list",
            u64::from(report.on_list),
        ),
        (
            "list_current",
            "Whether a leader has answered lately enough to believe the list",
            u64::from(list.is_current),
        ),
        (
            "list_term",
            "The term of the leader that made the list; 0 before the first",
            version.map_or(0, |version| version.term),
        ),
        (
            "list_number",
            "The number of the list among those of its leader; 0 before the first",
            version.map_or(0, |version| version.number),
        ),
    ]
}
