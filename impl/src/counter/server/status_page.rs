//! `/status`, `/verbose`, `/cluster`, `/healthz`, `/readyz`, `/metrics` and `/debug/vars`: how this node
//! fares, for people and for those who look after processes.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use models::counter::Counter;
use models::counter::g_counter::{DataCentre, Incarnation};
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::Shared;
use super::http_error::Failure;
use super::service::Service;
use super::{debug_vars, metrics_page};
use crate::counter::status::{Report, Surroundings, report};
use crate::counter::swim::members::{MemberPage, MemberState};
use crate::service::cluster_status::ask_with;
use crate::service::disk_report::disk_report;
use crate::service::http_error::unavailable;
use crate::service::looking::{look, look_unflushed};
use crate::service::status_page::ClusterPage;

/// Another node has this long to say how it fares.
pub(crate) const PAGE_PATIENCE: Duration = Duration::from_secs(1);

/// What one replica has counted, as far as the node that was asked knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentPage {
    /// Its name, in one word.
    pub replica: String,
    /// Where its node stood.
    pub data_centre: DataCentre,
    /// Its node.
    pub node: NodeId,
    /// Which of the node's disks.
    pub incarnation: Incarnation,
    /// What it has counted.
    pub count: u64,
}

/// All that a node knows of the counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerbosePage {
    /// The value: the sum of all components and of what is folded.
    pub value: u128,
    /// The name under which this node counts; none while it draws one.
    pub replica: Option<String>,
    /// What each replica has counted whose name is not folded.
    pub components: Vec<ComponentPage>,
    /// What was counted under all names that are folded,
    pub folded: u128,
    /// and how many folds that took.
    pub folds: u64,
    /// How many counts of how many buckets of the window are kept.
    pub bucket_counts: u64,
    /// What was counted before this time is in no bucket any more: milliseconds since 1970.
    pub horizon_ms: u64,
    /// Of how many clients the last request is remembered.
    pub sessions: u64,
}

/// What all members say of themselves, and who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterReport {
    /// What all say.
    #[serde(flatten)]
    pub page: ClusterPage,
    /// Who they are, this node and then the nearest first.
    pub members: Vec<MemberPage>,
}

pub(crate) async fn status(State(service): Shared) -> Result<Response, Failure> {
    Ok(Json(describe(&service).await?).into_response())
}

pub(crate) async fn verbose(State(service): Shared) -> Result<Json<VerbosePage>, Failure> {
    Ok(Json(look(&service.inbox, everything).await?))
}

fn everything(node: &Node<Counter>) -> VerbosePage {
    let durable = node.durable();
    let components = durable.counts.total.components();
    let buckets = durable.counts.buckets.iter();
    VerbosePage {
        value: durable.counts.value(),
        replica: durable.identity.map(|name| name.to_string()),
        components: components
            .map(|(name, count)| ComponentPage {
                replica: name.to_string(),
                data_centre: name.data_centre,
                node: name.node,
                incarnation: name.incarnation,
                count,
            })
            .collect(),
        folded: durable.counts.folded.sum,
        folds: durable.counts.folded.number,
        bucket_counts: buckets
            .map(|(_, counter)| counter.components().count() as u64)
            .sum(),
        horizon_ms: durable.horizon,
        sessions: durable.recent.len() as u64,
    }
}

/// Whether the process is alive: one that is not is best started anew.
pub(crate) async fn healthz(State(service): Shared) -> Result<Response, Failure> {
    look_unflushed(&service.inbox, |_| ()).await?;
    Ok("the node answers\n".into_response())
}

/// Whether requests should be sent here.
pub(crate) async fn readyz(State(service): Shared) -> Result<Response, Failure> {
    let looked = look_unflushed(&service.inbox, |node: &Node<Counter>| {
        (node.durable().identity.is_some(), node.volatile.leaving)
    });
    Ok(match looked.await? {
        (true, false) => "the node serves\n".into_response(),
        (_, true) => unavailable("the node is about to leave, and counts no more"),
        (false, false) => unavailable("the node draws a new name to count under"),
    })
}

/// What all members say of themselves, for people who look at this node's page.
pub(crate) async fn cluster(State(service): Shared) -> Json<ClusterReport> {
    let (access, http) = service.others.current();
    let own = MemberPage {
        node: service.id,
        data_centre: service.data_centre,
        state: MemberState::Alive,
        disk_id: service.identity.disk.to_string(),
        peer_address: service.peer_address.clone(),
        client_address: service.client_address.clone(),
    };
    let others = service.members.nearest_first(service.data_centre);
    let members: Vec<MemberPage> = std::iter::once(own).chain(others).collect();
    let there = { members.iter() }.filter(|member| member.state != MemberState::Down);
    let addresses: Vec<String> = there.map(|member| member.client_address.clone()).collect();
    Json(ClusterReport {
        page: ClusterPage {
            cluster: service.identity.cluster.clone(),
            asked: service.id.0,
            nodes: ask_with(&access, &http, &addresses, PAGE_PATIENCE).await,
        },
        members,
    })
}

pub(crate) async fn metrics(State(service): Shared) -> Response {
    let report = describe(&service).await.ok();
    metrics_page::answer(&service, report.as_ref())
}

pub(crate) async fn variables(State(service): Shared) -> Json<Map<String, Value>> {
    let report = describe(&service).await.ok();
    Json(debug_vars::variables(
        service.inbox.metrics(),
        report.as_ref(),
    ))
}

async fn describe(service: &Service) -> Result<Report, Failure> {
    let flushes = &service.inbox.metrics().flushes;
    let surroundings = Surroundings {
        identity: service.identity.clone(),
        data_centre: service.data_centre,
        alive: service.members.count(MemberState::Alive),
        suspect: service.members.count(MemberState::Suspect),
        down: service.members.count(MemberState::Down),
        hears: service.peers.heard(),
        uptime: service.started.elapsed(),
        disk: disk_report(flushes, service.timing.slow_flush()),
    };
    let looked = look_unflushed(&service.inbox, move |node| report(surroundings, node));
    Ok(looked.await?)
}
