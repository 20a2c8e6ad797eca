//! The members over HTTP, on the client port of any node.
//!
//! | request | answer |
//! |---|---|
//! | `GET /members` | 200, the members as this node knows them, and the peers that it refuses |
//! | `POST /members`, `{"id": 4, "peer_address": "…", "client_address": "…"}` | 200: node 4, which runs on an empty disk, receives the log as a learner; or is a member already, with this disk and these addresses |
//! | `POST /members/{id}/promote` | 200: the learner votes |
//! | `POST /members/{id}/replace-with/{new}` | 200: the learner `new` votes in the place of `id`, at once |
//! | `DELETE /members/{id}` | 200: the node has left |
//! | `POST /leader/{id}` | 200: the node leads, or is about to |
//!
//! Every answer of success means that the change is committed. Each may be asked again: what is
//! so already stays so, by the word of the leader and not by what the asked node knows. 409 says why a change was not begun, 503 that it may be asked again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::membership::Change;
use serde::{Deserialize, Serialize};

use crate::kv::membership::members::Member;
use crate::kv::request::router::Service;
use crate::kv::server::http_error::{Failure, bad};
use crate::service::address::Addresses;

type Shared = State<Arc<Service>>;

/// What `/members` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The members, by id.
    pub members: Vec<Member>,
    /// Whether a change is under way: one set of voters takes over from another.
    pub joint: bool,
    /// The peers that this node refuses, and why.
    pub refused: BTreeMap<NodeId, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addition {
    id: NodeId,
    peer_address: String,
    client_address: String,
}

pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/members", get(show).post(add))
        .route("/members/{id}", delete(remove))
        .route("/members/{id}/promote", post(promote))
        .route("/members/{id}/replace-with/{new}", post(replace))
        .route("/leader/{id}", post(lead))
}

async fn show(State(service): Shared) -> Response {
    answer(&service, &service.membership.configuration())
}

async fn add(
    State(service): Shared,
    body: Result<Json<Addition>, JsonRejection>,
) -> Result<Response, Failure> {
    let Json(addition) =
        body.map_err(|rejection| bad(format!("{}; nothing was changed", rejection.body_text())))?;
    let Addition {
        id,
        peer_address: peer,
        client_address: client,
    } = addition;
    let addresses = Addresses { peer, client };
    let checked = addresses.check();
    checked.map_err(|error| bad(format!("{error}; nothing was changed")))?;
    let configuration = service.add_member(id, addresses).await?;
    Ok(answer(&service, &configuration))
}

async fn promote(
    State(service): Shared,
    id: Result<Path<u16>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(not_an_id)?;
    change(&service, Change::promote(NodeId(id))).await
}

async fn remove(
    State(service): Shared,
    id: Result<Path<u16>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(not_an_id)?;
    change(&service, Change::remove(NodeId(id))).await
}

async fn replace(
    State(service): Shared,
    ids: Result<Path<(u16, u16)>, PathRejection>,
) -> Result<Response, Failure> {
    let Path((old, new)) = ids.map_err(not_an_id)?;
    change(&service, Change::replace(NodeId(old), NodeId(new))).await
}

async fn lead(
    State(service): Shared,
    id: Result<Path<u16>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(not_an_id)?;
    service.transfer_leadership(NodeId(id)).await?;
    Ok(StatusCode::OK.into_response())
}

async fn change(service: &Service, change: Change) -> Result<Response, Failure> {
    let configuration = service.change_membership(change).await?;
    Ok(answer(service, &configuration))
}

fn answer(service: &Service, configuration: &Configuration) -> Response {
    let page = Members {
        members: service.membership.members(configuration),
        joint: configuration.is_joint(),
        refused: service.membership.refused(),
    };
    Json(page).into_response()
}

fn not_an_id(rejection: PathRejection) -> Failure {
    bad(format!(
        "{}; a node id is a whole number from 0 to 65535; nothing was changed",
        rejection.body_text()
    ))
}
