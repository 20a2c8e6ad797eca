//! `/status`, `/debug/vars`, `/healthz` and `/readyz`: how this node fares, for people and for those
//! who look after processes.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use models::maekawa::state::Volatile;
use serde_json::{Value, json};

use super::api::Shared;
use super::http_error::Failure;
use super::metrics_page;
use super::service::Service;
use crate::locks::roll::Roll;
use crate::locks::status::{Report, Surroundings, report};
use crate::service::cluster_status::ask_with;
use crate::service::disk_report::disk_report;
use crate::service::founding::InitialMembers;
use crate::service::looking::look_unflushed;
use crate::service::status_page::ClusterPage;

/// Another node has this long to say how it fares.
pub(crate) const PAGE_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn status(State(service): Shared) -> Result<Response, Failure> {
    Ok(Json(describe(&service).await?).into_response())
}

/// What expvar shows in other programs: of a member its logical clock and its quorum, of the
/// orchestrator how many nodes are healthy.
pub(crate) async fn vars(State(service): Shared) -> Result<Json<Value>, Failure> {
    let report = describe(&service).await?;
    let mut vars = json!({
        "node": report.id,
        "role": report.role,
        "epoch": report.epoch,
        "members": report.members,
        "messages_sent": report.lock_messages,
        "uptime_ms": report.uptime_ms,
    });
    if let Some(member) = &report.member {
        vars["clock"] = json!(member.clock);
        vars["quorum"] = json!(member.quorum);
        vars["entries"] = json!(report.entries);
        vars["held"] = json!(member.held);
        vars["waiting"] = json!(member.waiting);
    }
    if let Some(orchestrator) = &report.orchestrator {
        vars["healthy_nodes"] = json!(orchestrator.healthy.len());
        vars["healthy"] = json!(orchestrator.healthy);
    }
    Ok(Json(vars))
}

/// Whether the process is alive: one that is not is best started anew.
pub(crate) async fn healthz(State(service): Shared) -> Result<Response, Failure> {
    look_unflushed(&service.inbox, |_| ()).await?;
    Ok("the node answers\n".into_response())
}

/// Whether requests should be sent here.
pub(crate) async fn readyz(State(service): Shared) -> Result<Response, Failure> {
    let is_ready = look_unflushed(&service.inbox, |node| match &node.volatile {
        Volatile::Node(local) => local.membership.is_some(),
        Volatile::Orchestrator(_) => true,
    });
    if is_ready.await? {
        return Ok("the node serves\n".into_response());
    }
    Err(Failure::Unavailable(
        "the node is no member of an epoch: it grants nothing yet".to_owned(),
    ))
}

/// What all nodes say of themselves, for people who look at this node's page.
pub(crate) async fn cluster(State(service): Shared) -> Json<ClusterPage> {
    let (access, http) = service.others.current();
    let addresses: Vec<String> = service.client_addresses.values().cloned().collect();
    Json(ClusterPage {
        cluster: service.identity.cluster.clone(),
        asked: service.id.0,
        nodes: ask_with(&access, &http, &addresses, PAGE_PATIENCE).await,
    })
}

pub(crate) async fn metrics(State(service): Shared) -> Response {
    let report = describe(&service).await.ok();
    let page = metrics_page::render(&service, report.as_ref());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (StatusCode::OK, kind, page).into_response()
}

async fn describe(service: &Service) -> Result<Report, Failure> {
    let flushes = &service.inbox.metrics().flushes;
    let refused = service.peers.refused().into_iter();
    let refused = refused.map(|(id, why)| (id, format!("{why}. {}", Roll::AFTER_LOSS)));
    let hindrances = service
        .enrolment
        .as_ref()
        .map(|enrolment| enrolment.hindrances());
    let surroundings = Surroundings {
        identity: service.identity.clone(),
        orchestrator: service.orchestrator,
        sessions: service.desk.sessions() as u64,
        lease_left: service.lease.left(),
        waits_for: hindrances.unwrap_or_default(),
        entries: service.desk.counts.entries.get(),
        revocations: service.desk.counts.revocations.get(),
        lock_messages: service.traffic.of_locks(),
        installed: service.epochs.installed.get(),
        suspected: service.epochs.suspected.get(),
        refused: refused.collect(),
        hears: service.peers.heard(),
        uptime: service.started.elapsed(),
        disk: disk_report(flushes, service.timing.delay()),
    };
    let looked = look_unflushed(&service.inbox, move |node| report(surroundings, node));
    Ok(looked.await?)
}
