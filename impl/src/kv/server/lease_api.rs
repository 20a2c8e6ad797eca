//! Leases over HTTP.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use super::api::{Shared, mismatch};
use super::http_error::{Failure, fault};
use super::key_api::{changed, write};
use super::txn_api::{self, unchanged};
use crate::kv::json_bytes::add_bytes;
use crate::kv::store::{
    Command, Fault, Lease, LeaseId, Outcome, Query, Response as StoreResponse, Ttl,
};

type Named = Result<Path<u64>, PathRejection>;

pub(crate) async fn grant(
    State(service): Shared,
    fields: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let mut object = txn_api::body(body)?;
    let id: Option<u64> = object.take("id").map_err(unchanged)?;
    let ttl: Option<u64> = object.take("ttl_s").map_err(unchanged)?;
    object.finish().map_err(unchanged)?;
    let Some(ttl) = ttl.map(Ttl) else {
        return Err(unchanged(
            "say for how long, in seconds: `ttl_s`".to_owned(),
        ));
    };
    if id == Some(0) {
        return Err(unchanged(
            "no lease has the number 0: leave `id` out".to_owned(),
        ));
    }
    // A retry must name the lease that the first try did: who retries names one, or has a session, whose
    // answer is remembered.
    let lease = LeaseId(id.unwrap_or_else(|| fastrand::u64(1..1 << 53)));
    alive(write(&service, Command::Grant { lease, ttl }, &fields).await?)
}

pub(crate) async fn keep_alive(
    State(service): Shared,
    lease: Named,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let lease = LeaseId(lease?.0);
    alive(write(&service, Command::KeepAlive { lease }, &fields).await?)
}

fn alive(answer: StoreResponse) -> Result<Response, Failure> {
    let revision = answer.revision;
    let Outcome::Alive { lease, ttl } = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let body = [("id", lease.0), ("ttl_s", ttl.0)];
    let body = body.map(|(name, value)| (name.to_owned(), value.into()));
    Ok(changed(StatusCode::OK, revision, Map::from_iter(body)))
}

pub(crate) async fn revoke(
    State(service): Shared,
    lease: Named,
    fields: HeaderMap,
) -> Result<Response, Failure> {
    let lease = LeaseId(lease?.0);
    let answer = write(&service, Command::Revoke { lease }, &fields).await?;
    let revision = answer.revision;
    let Outcome::Ended { keys } = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let body = Map::from_iter([("deleted".to_owned(), keys.into())]);
    Ok(changed(StatusCode::OK, revision, body))
}

pub(crate) async fn show(State(service): Shared, lease: Named) -> Result<Response, Failure> {
    let id = LeaseId(lease?.0);
    let answer = service.read(Query::Lease { lease: id }, false).await?;
    let Outcome::Lease(found) = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let lease = found.ok_or_else(|| fault(Fault::LeaseNotFound))?;
    let remaining = service.leases.remaining(id, &lease);
    let remaining = remaining.map(|remaining| remaining.as_secs());
    let Lease { ttl, keys, .. } = &lease;
    let keys = keys.iter().map(|key| {
        let mut object = Map::new();
        add_bytes(&mut object, "key", key);
        Value::Object(object)
    });
    Ok(Json(json!({
        "id": id.0,
        "ttl_s": ttl.0,
        // By the clock of this node, which may have seen it renewed later than the leader did.
        "remaining_s": remaining,
        "keys": keys.collect::<Vec<_>>(),
    }))
    .into_response())
}

pub(crate) async fn list(State(service): Shared) -> Result<Response, Failure> {
    let answer = service.read(Query::Leases, false).await?;
    let Outcome::Leases(leases) = answer.outcome.map_err(fault)? else {
        return Err(mismatch());
    };
    let leases: Vec<u64> = leases.iter().map(|lease| lease.0).collect();
    Ok(Json(json!({ "leases": leases })).into_response())
}
