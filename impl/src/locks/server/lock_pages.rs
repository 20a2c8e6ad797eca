//! `GET /locks` and `GET /locks/{name}`: what this node knows of locks.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Json;
use models::maekawa::lock::LockName;
use models::maekawa::state::{Local, Volatile};
use models::{Node, NodeId};
use serde::{Deserialize, Serialize};

use super::api::Shared;
use super::http_error::{Failure, bad};
use super::session_api::lock_name;
use crate::locks::Maekawa;
use crate::locks::token::TokenReport;
use crate::service::looking::look;

/// A page has so many locks.
const MAX_ENTRIES: usize = 1000;

/// What a node knows of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReport {
    /// Its name.
    pub lock: String,
    /// The token, if a client of this node has the lock.
    pub held: Option<TokenReport>,
    /// How many clients of this node wait for it.
    pub waiting: usize,
    /// The node for whose request this one is locked, as an arbiter.
    pub locked_for: Option<NodeId>,
    /// How many other requests wait for this arbiter.
    pub requests: usize,
}

/// Some locks, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksPage {
    /// The locks.
    pub locks: Vec<LockReport>,
    /// Whether there are more after the last one.
    pub more: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    after: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn list(
    State(service): Shared,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<LocksPage>, Failure> {
    let Query(ListQuery { after, limit }) = query?;
    if limit == Some(0) {
        // No entry and "more": who pages by it would never come to an end.
        return Err(bad("limit must be at least 1"));
    }
    let after = after.map(LockName::from);
    let limit = limit.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
    let page = look(&service.inbox, move |node| {
        page(node, after.as_ref(), limit)
    })
    .await?;
    Ok(Json(page))
}

pub(crate) async fn show(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<LockReport>, Failure> {
    let lock = lock_name(path)?;
    let shown = look(&service.inbox, move |node| match &node.volatile {
        Volatile::Node(local) => report(local, &lock),
        Volatile::Orchestrator(_) => unknown(&lock),
    });
    Ok(Json(shown.await?))
}

fn page(node: &Node<Maekawa>, after: Option<&LockName>, limit: usize) -> LocksPage {
    let Volatile::Node(local) = &node.volatile else {
        return LocksPage {
            locks: Vec::new(),
            more: false,
        };
    };
    let known = { local.membership.iter() }.flat_map(|membership| membership.arbiters.keys());
    let names: std::collections::BTreeSet<&LockName> = known.chain(local.claims.keys()).collect();
    let mut names = names.into_iter();
    let mut names = names
        .by_ref()
        .filter(|name| after.is_none_or(|after| *name > after));
    let reports = names.by_ref().map(|name| report(local, name));
    // Of one that is idle there is nothing to say.
    let mut reports = reports.filter(LockReport::is_of_interest);
    let locks: Vec<LockReport> = reports.by_ref().take(limit).collect();
    let more = reports.next().is_some();
    LocksPage { locks, more }
}

fn unknown(lock: &LockName) -> LockReport {
    LockReport {
        lock: lock.as_str().to_owned(),
        held: None,
        waiting: 0,
        locked_for: None,
        requests: 0,
    }
}

fn report(local: &Local, lock: &LockName) -> LockReport {
    let membership = local.membership.as_ref();
    let held = membership.and_then(|membership| membership.held(lock));
    let arbiter = membership.and_then(|membership| membership.arbiters.get(lock));
    let locked = arbiter.and_then(|arbiter| arbiter.locked.as_ref());
    LockReport {
        held: held.map(TokenReport::from),
        waiting: local.claims_to(lock).count() - usize::from(held.is_some()),
        locked_for: locked.map(|grant| grant.request.node),
        requests: arbiter.map_or(0, |arbiter| arbiter.waiting.len()),
        ..unknown(lock)
    }
}

impl LockReport {
    /// Whether somebody has the lock, waits for it, or is about to.
    pub fn is_of_interest(&self) -> bool {
        self.held.is_some() || self.waiting > 0 || self.locked_for.is_some() || self.requests > 0
    }
}
