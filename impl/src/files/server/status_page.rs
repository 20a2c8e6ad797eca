//! `/status`, `/healthz` and `/readyz`: how this node fares, for people and for those who look after
//! processes.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};

use super::api::Shared;
use super::http_error::Failure;
use super::metrics_page;
use crate::files::members::Ensemble;
use crate::files::request::router::Service;
use crate::files::status::{Report, Surroundings, report};
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

/// Whether the process is alive: one that is not is best started anew.
pub(crate) async fn healthz(State(service): Shared) -> Result<Response, Failure> {
    look_unflushed(&service.inbox, |_| ()).await?;
    Ok("the node answers\n".into_response())
}

/// Whether requests should be sent here.
pub(crate) async fn readyz(State(service): Shared) -> Response {
    if service.leader().is_some() {
        return "the node serves\n".into_response();
    }
    let retry = [(header::RETRY_AFTER, "1")];
    let text = "the node has no leader that broadcasts: it serves nothing yet\n";
    (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response()
}

/// What all members say of themselves, for people who look at this node's page.
pub(crate) async fn cluster(State(service): Shared) -> Json<ClusterPage> {
    let (access, http) = service.others.current();
    Json(ClusterPage {
        cluster: service.identity.cluster.clone(),
        asked: service.id.0,
        nodes: ask_with(&access, &http, &service.client_addresses, PAGE_PATIENCE).await,
    })
}

pub(crate) async fn metrics(State(service): Shared) -> Response {
    let report = describe(&service).await.ok();
    let page = metrics_page::render(service.inbox.metrics(), report.as_ref());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, page).into_response()
}

async fn describe(service: &Service) -> Result<Report, Failure> {
    let flushes = &service.inbox.metrics().flushes;
    let refused = service.peers.refused().into_iter();
    let refused = refused.map(|(id, why)| (id, format!("{why}. {}", Ensemble::AFTER_LOSS)));
    let surroundings = Surroundings {
        identity: service.identity.clone(),
        caught_up: service.catch_ups.report(),
        members: service.ensemble.ids().into_iter().collect(),
        refused: refused.collect(),
        hears: service.peers.heard(),
        uptime: service.started.elapsed(),
        disk: disk_report(flushes, service.timing.slow_flush()),
    };
    let looked = look_unflushed(&service.inbox, move |node| report(surroundings, node)).await;
    Ok(looked?)
}
