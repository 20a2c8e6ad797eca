//! `/status`, `/metrics`, `/debug/vars`, `/healthz` and `/readyz`: how this node fares, for people and for those
//! who look after processes.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use models::maekawa::state::Volatile;
use serde_json::{Map, Value};

use super::api::Shared;
use super::http_error::Failure;
use super::service::Service;
use super::{debug_vars, metrics_page};
use crate::locks::registry::Registry;
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

pub(crate) async fn variables(State(service): Shared) -> Json<Map<String, Value>> {
    let report = describe(&service).await.ok();
    Json(debug_vars::variables(
        service.inbox.metrics(),
        report.as_ref(),
    ))
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
    metrics_page::answer(&service, report.as_ref())
}

async fn describe(service: &Service) -> Result<Report, Failure> {
    let flushes = &service.inbox.metrics().flushes;
    let refused = service.peers.refused().into_iter();
    let refused = refused.map(|(id, why)| (id, format!("{why}. {}", Registry::AFTER_LOSS)));
    let obstacles = service
        .node_adder
        .as_ref()
        .map(|node_adder| node_adder.obstacles());
    let surroundings = Surroundings {
        identity: service.identity.clone(),
        orchestrator: service.orchestrator,
        sessions: service.sessions.count() as u64,
        lease_left: service.lease.left(),
        waits_for: obstacles.unwrap_or_default(),
        entries: service.sessions.counts.entries.get(),
        revocations: service.sessions.counts.revocations.get(),
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
