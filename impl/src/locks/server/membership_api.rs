//! Who is a member, over HTTP: registering and deregistering a node, and adding one to the cluster.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use models::NodeId;
use models::maekawa::Command;
use models::maekawa::state::Volatile;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::api::Shared;
use super::http_error::{Failure, bad};
use super::node_adder::Wanted;
use super::service::Service;
use super::session_api::parse;
use crate::runtime::driver::AskError;
use crate::service::address::Addresses;
use crate::service::founding::request::{Founded, Founding};
use crate::service::looking::look;

/// A node that registers or deregisters has this long to be what it is to be, or says that it is not
/// yet.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Adds a node to the cluster.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBody {
    /// Its id: one that no node has had.
    pub id: NodeId,
    /// Where the others reach it.
    pub peer_address: String,
    /// Where clients reach it.
    pub client_address: String,
    /// Whether it registers by itself when it starts.
    #[serde(default = "yes")]
    pub register: bool,
}

fn yes() -> bool {
    true
}

/// What a node is, and is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipPage {
    /// Whether it is to be a member.
    pub registered: bool,
    /// Whether it is one.
    pub member: bool,
    /// The latest epoch that it knows of.
    pub epoch: u64,
}

pub(crate) async fn register(State(service): Shared) -> Result<Response, Failure> {
    become_so(&service, Command::Register, true).await
}

pub(crate) async fn deregister(State(service): Shared) -> Result<Response, Failure> {
    become_so(&service, Command::Deregister, false).await
}

/// 200 once it is so; 202 when it is noted on disk, and will be so.
async fn become_so(
    service: &Service,
    command: Command,
    is_to_be: bool,
) -> Result<Response, Failure> {
    if service.is_orchestrator() {
        return Err(bad("this is the orchestrator, which is never a member"));
    }
    service.inbox.ask(command).map_err(|error| match error {
        AskError::Busy | AskError::Stopped => Failure::Unavailable(error.to_string()),
    })?;
    let end = Instant::now() + PATIENCE;
    loop {
        let page = look(&service.inbox, |node| MembershipPage {
            registered: node.durable().registered,
            member: matches!(&node.volatile, Volatile::Node(local) if local.membership.is_some()),
            epoch: node.durable().epoch.0,
        });
        let page = page.await?;
        if page.registered == is_to_be && page.member == is_to_be {
            return Ok(Json(page).into_response());
        }
        if Instant::now() >= end {
            return Ok((StatusCode::ACCEPTED, Json(page)).into_response());
        }
        sleep(POLL).await;
    }
}

pub(crate) async fn add(
    State(service): Shared,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let asked: AddBody = parse(&body?)?;
    let Some(node_adder) = &service.node_adder else {
        let text = format!(
            "node {} is the orchestrator, which adds nodes: ask that one; nothing was changed",
            service.orchestrator.0
        );
        return Err(Failure::Bad(StatusCode::MISDIRECTED_REQUEST, text));
    };
    let wanted = Wanted {
        addresses: Addresses {
            peer: asked.peer_address,
            client: asked.client_address,
        },
        registers: asked.register,
    };
    wanted.addresses.check().map_err(bad)?;
    let already = node_adder.add(asked.id, &wanted).await?;
    Ok(Json(json!({ "id": asked.id, "already": already })).into_response())
}

pub(crate) async fn init(State(service): Shared, body: Bytes) -> Result<Json<Founded>, Failure> {
    let identity = &service.identity;
    let registry = match &service.node_adder {
        Some(node_adder) => node_adder.registry().await,
        None => service.registry.clone(),
    };
    let founded = Founding::done(&identity.cluster, registry.members_at());
    let advice = ": nodes are added with `lockstep locks add`";
    let confirmed = founded.confirm(&body, identity, advice);
    confirmed
        .map(Json)
        .map_err(|(status, text)| Failure::Bad(status, text))
}
