//! Sessions and what is claimed in them, over HTTP.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use models::Node;
use models::maekawa::lock::{LONGEST_NAME, LockName};
use models::maekawa::state::{Standing as View, Volatile};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::api::Shared;
use super::http_error::{Failure, bad, refused};
use super::service::Service;
use crate::locks::Maekawa;
use crate::locks::sessions::claim::{Claimed, End, Standing, Waiter};
use crate::locks::sessions::session_id::SessionId;
use crate::locks::sessions::{LONGEST_TTL, SHORTEST_TTL, SessionLock, SessionRequest};
use crate::locks::token::TokenReport;
use crate::service::looking::{look, look_unflushed};

/// A session's TTL where nothing is said.
pub(crate) const USUAL_TTL: Duration = Duration::from_secs(10);
/// A request waits no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// What the node was asked to end is over by then, or nobody knows.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two looks at a claim that is not to wait.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Asks for a session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// For how long it lives after the last sign of life, in milliseconds.
    pub ttl_ms: Option<u64>,
}

/// Keeps a session alive.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RenewBody {
    /// Answer after so many milliseconds, or as soon as something becomes of a claim.
    pub wait_ms: u64,
}

/// Claims a lock.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcquireBody {
    /// In this session; in one of its own if nothing is said.
    pub session: Option<SessionId>,
    /// The TTL of a session of its own.
    pub ttl_ms: Option<u64>,
    /// Give the claim up if it has not the lock after so many milliseconds. With 0: as soon as it
    /// is known that somebody else has it.
    pub wait_ms: u64,
    /// Answer after so many milliseconds, and let the claim wait on: for clients that ask again.
    pub poll_ms: Option<u64>,
}

/// Releases a lock, or gives a claim up.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    /// In this session.
    pub session: SessionId,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPage {
    /// Its name.
    pub session: SessionId,
    /// For how long it lives after the last sign of life.
    pub ttl_ms: u64,
    /// For how long what is said of locks that are held may be believed, from the moment at which it was
    /// asked.
    pub valid_ms: u64,
    /// What it claims.
    pub locks: Vec<SessionLock>,
}

/// A lock that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantPage {
    /// Its name.
    pub lock: String,
    /// The session that has it.
    pub session: SessionId,
    /// The fencing token.
    pub token: TokenReport,
    /// For how long the session lives after the last sign of life.
    pub ttl_ms: u64,
    /// For how long this may be believed, from the moment at which it was asked.
    pub valid_ms: u64,
}

/// What became of a claim that was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Was {
    /// It had the lock.
    Held,
    /// It waited for the lock.
    Waiting,
    /// It had lost the lock before.
    Revoked,
    /// There was none.
    Nothing,
}

/// The answer to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePage {
    /// The lock.
    pub lock: String,
    /// What the session had of it. It has nothing any more.
    pub was: Was,
}

pub(crate) async fn open(
    State(service): Shared,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let OpenBody { ttl_ms } = parse(&body?)?;
    let mut request = open_with(&service, ttl_ms)?;
    request.keep();
    let page = session_page(&service, &request);
    Ok((StatusCode::CREATED, Json(page)).into_response())
}

fn open_with(service: &Service, ttl_ms: Option<u64>) -> Result<SessionRequest, Failure> {
    refuse_at_the_orchestrator(service)?;
    let ttl = ttl_ms.map_or(USUAL_TTL, Duration::from_millis);
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        return Err(bad(format!(
            "ttl_ms is from {} to {}, and is {}",
            SHORTEST_TTL.as_millis(),
            LONGEST_TTL.as_millis(),
            ttl.as_millis()
        )));
    }
    Ok(service.sessions.open(ttl)?)
}

fn refuse_at_the_orchestrator(service: &Service) -> Result<(), Failure> {
    if !service.is_orchestrator() {
        return Ok(());
    }
    let text = format!(
        "this is the orchestrator, which has no locks; nothing was changed: ask another node: {}",
        service.others_in_words()
    );
    Err(Failure::Bad(StatusCode::MISDIRECTED_REQUEST, text))
}

pub(crate) async fn show(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<SessionPage>, Failure> {
    let request = request(&service, path)?;
    look(&service.inbox, |_| ()).await?;
    Ok(Json(session_page(&service, &request)))
}

pub(crate) async fn renew(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SessionPage>, Failure> {
    let RenewBody { wait_ms } = parse(&body?)?;
    let request = request(&service, path)?;
    let wait = wait_of(wait_ms)?;
    if let Some(mut news) = request.news() {
        // No news within that time is an answer too.
        let _ = timeout(wait, news.changed()).await;
    }
    // What the node has lost by now it is to say first.
    look(&service.inbox, |_| ()).await?;
    if !request.is_open() {
        return Err(crate::locks::sessions::Gone::Over.into());
    }
    Ok(Json(session_page(&service, &request)))
}

pub(crate) async fn end(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let request = request(&service, path)?;
    let claims = request.end();
    for claim in &claims {
        until_over(claim).await?;
    }
    let released: Vec<&str> = claims.iter().map(|claim| claim.lock.as_str()).collect();
    Ok(Json(serde_json::json!({ "released": released })).into_response())
}

pub(crate) async fn acquire(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let lock = lock_name(path)?;
    let asked: AcquireBody = parse(&body?)?;
    let wait = wait_of(asked.wait_ms)?;
    let poll = asked.poll_ms.map(wait_of).transpose()?;
    let mut request = match asked.session {
        Some(_) if asked.ttl_ms.is_some() => {
            return Err(bad("a session has its TTL already: say session or ttl_ms"));
        }
        None if poll.is_some() => {
            return Err(bad(
                "poll_ms is for claims in a session, which this one has not",
            ));
        }
        Some(id) => service.sessions.request(id)?,
        None => open_with(&service, asked.ttl_ms)?,
    };
    let waiter = request.claim(&lock)?;
    let Some(standing) = settled(&service, &waiter, wait, poll).await else {
        if poll.is_some_and(|poll| poll < wait) {
            waiter.keep();
            let page = serde_json::json!({ "lock": lock, "state": "waiting" });
            return Ok((StatusCode::ACCEPTED, Json(page)).into_response());
        }
        waiter.give_up();
        let text = format!(
            "not granted within {} ms: others have the lock, or wait for longer, or cannot be \
             reached; the claim is given up, and nothing is held",
            wait.as_millis()
        );
        return Err(Failure::Bad(StatusCode::CONFLICT, text));
    };
    match standing {
        Standing::Held(token) => {
            waiter.keep();
            request.keep();
            let (ttl_ms, valid_ms) = lasting(&service, &request);
            Ok(Json(GrantPage {
                lock: lock.as_str().to_owned(),
                session: request.id,
                token,
                ttl_ms,
                valid_ms,
            })
            .into_response())
        }
        Standing::Over(End::Refused(why)) => Err(refused(why)),
        Standing::Over(End::Released | End::Revoked(_)) | Standing::Waiting => {
            let text = "the claim was given up, or its session ended, by another request or because \
                        the node stops; nothing is held";
            Err(Failure::Bad(StatusCode::CONFLICT, text.to_owned()))
        }
    }
}

/// What becomes of the claim, if anything within this time.
async fn settled(
    service: &Service,
    waiter: &Waiter,
    wait: Duration,
    poll: Option<Duration>,
) -> Option<Standing> {
    // To lock all arbiters takes that long, even where nobody else wants them.
    let least = service.timing.round_trip();
    let limit = poll.map_or(wait, |poll| poll.min(wait));
    let limit = if wait <= least { least } else { limit };
    let claim = waiter.claim.clone();
    let standing = claim.until(|standing| *standing != Standing::Waiting);
    let hopeless = async {
        if wait.is_zero() {
            until_hopeless(service, &waiter.claim).await;
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        biased;
        standing = standing => Some(standing),
        () = hopeless => None,
        () = sleep(limit) => None,
    }
}

/// Waits until it is known that somebody else comes before this claim.
async fn until_hopeless(service: &Service, claim: &Claimed) {
    loop {
        let (lock, number) = (claim.lock.clone(), claim.number);
        let looked = look_unflushed(&service.inbox, move |node| {
            others_come_first(node, &lock, number)
        });
        match looked.await {
            Ok(false) => sleep(LOOK_PAUSE).await,
            Ok(true) | Err(_) => return,
        }
    }
}

/// Whether another claim of this node comes first, or an arbiter has said that another node does.
fn others_come_first(node: &Node<Maekawa>, lock: &LockName, number: u64) -> bool {
    let Volatile::Node(local) = &node.volatile else {
        return true;
    };
    let mut claims = local.claims_to(lock);
    if { claims.next() }.is_some_and(|first| first.session.number != number) {
        return true;
    }
    let membership = local.membership.as_ref();
    let attempt = membership.and_then(|membership| membership.attempts.get(lock));
    attempt.is_some_and(|attempt| {
        let mut views = attempt.arbiters.values();
        views.any(|view| view.standing == View::Failed)
    })
}

pub(crate) async fn release(
    State(service): Shared,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ReleasePage>, Failure> {
    let lock = lock_name(path)?;
    let ReleaseBody { session } = parse(&body?)?;
    let request = service.sessions.request(session)?;
    let was = match request.claimed(&lock) {
        Some(claim) => {
            let before = claim.standing();
            service.sessions.end_claim(&claim);
            match (until_over(&claim).await?, before) {
                (Standing::Over(End::Revoked(_)), _) => Was::Revoked,
                (_, Standing::Held(_)) => Was::Held,
                (_, Standing::Waiting | Standing::Over(_)) => Was::Waiting,
            }
        }
        None => Was::Nothing,
    };
    let lost = request.acknowledge(&lock);
    Ok(Json(ReleasePage {
        lock: lock.as_str().to_owned(),
        was: lost.map_or(was, |_| Was::Revoked),
    }))
}

/// Waits until the claim is over.
async fn until_over(claim: &Claimed) -> Result<Standing, Failure> {
    let over = claim.until(|standing| matches!(standing, Standing::Over(_)));
    timeout(END_PATIENCE, over).await.map_err(|_| {
        Failure::Unknown(format!(
            "the outcome is unknown: the node was asked to release `{}`, and does not say that it \
             has; it will, or the session's end will. GET /sessions/{{session}} shows how it stands",
            claim.lock
        ))
    })
}

fn request(
    service: &Service,
    path: Result<Path<String>, PathRejection>,
) -> Result<SessionRequest, Failure> {
    let Path(text) = path?;
    let id = text.parse::<SessionId>();
    let id = id.map_err(|error| bad(error.to_string()))?;
    Ok(service.sessions.request(id)?)
}

fn session_page(service: &Service, request: &SessionRequest) -> SessionPage {
    let (ttl_ms, valid_ms) = lasting(service, request);
    SessionPage {
        session: request.id,
        ttl_ms,
        valid_ms,
        locks: request.locks(),
    }
}

/// The session's TTL, and for how long what is said may be believed.
fn lasting(service: &Service, request: &SessionRequest) -> (u64, u64) {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let valid = request.ttl.min(service.lease.left());
    (millis(request.ttl), millis(valid))
}

/// The name of a lock.
pub(crate) fn lock_name(path: Result<Path<String>, PathRejection>) -> Result<LockName, Failure> {
    let Path(text) = path?;
    let bytes = text.len();
    let name = LockName::from(text);
    if !name.is_valid() {
        return Err(bad(format!(
            "the name of a lock has from 1 to {LONGEST_NAME} bytes, and this one has {bytes}"
        )));
    }
    Ok(name)
}

fn wait_of(millis: u64) -> Result<Duration, Failure> {
    let wait = Duration::from_millis(millis);
    if wait > LONGEST_WAIT {
        return Err(bad(format!(
            "a request waits for {} ms at most, and is to wait for {millis}; with poll_ms a claim \
             waits for longer, from request to request",
            LONGEST_WAIT.as_millis()
        )));
    }
    Ok(wait)
}

/// What the body of a request says; what is usual where it says nothing.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| bad(format!("the body is not understood: {error}")))
}
