//! A client of the locks, which asks any node to claim one, and the node of a session about it.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::server::lock_pages::{LockReport, LocksPage};
use super::server::membership_api::{AddBody, MembershipPage};
use super::server::session_api::{
    AcquireBody, GrantPage, OpenBody, ReleaseBody, ReleasePage, RenewBody, SessionPage, Was,
};
use super::sessions::LockState;
use super::sessions::session_id::SessionId;
use super::status::Report;
use super::token::TokenReport;
use crate::service::headers;
use crate::service::http_client::{Access, Nodes, SetUpError, in_full};

/// A claim waits in requests of so long: a node that is gone is noticed by then.
const POLL: Duration = Duration::from_secs(2);
/// What a node may take beside the time that it was asked to wait.
const SLACK: Duration = Duration::from_secs(4);
/// A node waits for so long at a time at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);
/// A session that is given up is ended within this time, or ends by itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The one that answered last is asked first.
    nodes: Nodes,
}

/// Why a request brought no result. Every message says what is known of its outcome.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody can be asked.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// A node refused the request for good.
    #[error("{node} answers {status}: {text}")]
    Refused {
        /// The node.
        node: String,
        /// Its status code.
        status: StatusCode,
        /// What it says.
        text: String,
    },
    /// The session is over.
    #[error("{0}")]
    Gone(String),
    /// No node has taken the request.
    #[error(
        "no node took the request within {timeout:?}, the last try ended so: {last}; nothing is held. \
         Are the nodes running and members, and are these their client addresses: {}?",
        .nodes.join(", ")
    )]
    NotTaken {
        /// The deadline.
        timeout: Duration,
        /// The nodes that were tried.
        nodes: Vec<String>,
        /// How the last try ended.
        last: String,
    },
    /// The session's node has not answered.
    #[error(
        "the session's node did not answer within {timeout:?}, the last try ended so: {last}; whether \
         this was done is not known. What the session holds it loses when it runs out"
    )]
    Unknown {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// There was no answer to a change of the cluster.
    #[error(
        "no answer within {timeout:?}, the last try ended so: {last}; whether this was done is not \
         known. Ask again: what is done already is done once"
    )]
    Unanswered {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// A node's answer is not understood.
    #[error("{node} answers what is not understood: {problem}; look how the session stands")]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

/// A lock that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub lock: String,
    /// The session that has it.
    pub session: SessionId,
    /// The client address of the session's node.
    pub node: String,
    /// The fencing token.
    pub token: TokenReport,
    /// For how long the session lives after its last sign of life.
    pub ttl: Duration,
    /// Until when the grant may be believed without another word of the node.
    pub valid_until: Instant,
}

/// An answer, read.
struct Answer {
    status: StatusCode,
    text: String,
    node: String,
    /// When it was asked.
    asked: Instant,
}

impl Answer {
    fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.text).map_err(|error| ClientError::Malformed {
            node: self.node.clone(),
            problem: error.to_string(),
        })
    }

    fn refused(&self) -> ClientError {
        let text = self.text.trim_end().to_owned();
        match self.status {
            StatusCode::GONE => ClientError::Gone(text),
            status => ClientError::Refused {
                node: self.node.clone(),
                status,
                text,
            },
        }
    }

    fn in_words(&self) -> String {
        format!(
            "{} answers {}: {}",
            self.node,
            self.status,
            self.text.trim_end()
        )
    }

    /// Whether another node, or this one later, may take the same.
    fn is_for_others(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::MISDIRECTED_REQUEST
    }
}

impl Client {
    /// Talks to the nodes with these client addresses, in the clear; each request may take `timeout`
    /// beside the time that it waits for a lock.
    ///
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub fn new(nodes: Vec<String>, timeout: Duration) -> Result<Self, ClientError> {
        Self::with_access(Access::plaintext(), nodes, timeout)
    }

    /// The same, in TLS or with a token.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_access(
        access: Access,
        nodes: Vec<String>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let nodes = Nodes::new(access, nodes, timeout)?;
        Ok(Self { nodes })
    }

    /// The client addresses of the nodes.
    pub fn addresses(&self) -> &[String] {
        &self.nodes.addresses
    }

    /// Claims a lock in a session of its own, and waits for it for so long. With no time at all it
    /// is given up as soon as it is known that somebody else has it. Returns nothing if it was not
    /// granted; nothing is held, then.
    ///
    /// A node that dies meanwhile is left for another, where the claim waits anew.
    ///
    /// # Errors
    /// When no node takes the claim, or one refuses it.
    pub async fn acquire(
        &mut self,
        lock: &str,
        wait: Duration,
        ttl: Duration,
    ) -> Result<Option<Grant>, ClientError> {
        let end = Instant::now() + wait;
        loop {
            let (session, node) = self.open(ttl).await?;
            let found = match self
                .acquire_in(session, &node, lock, end, wait.is_zero())
                .await
            {
                Ok(Some(grant)) => self.confirm(grant).await,
                other => other,
            };
            match found {
                Ok(Some(grant)) => return Ok(Some(grant)),
                Ok(None) => {
                    self.leave(session, &node).await;
                    return Ok(None);
                }
                Err(Interrupted::Node(last)) => {
                    self.leave(session, &node).await;
                    self.nodes.rotate();
                    if Instant::now() >= end + self.nodes.timeout {
                        return Err(self.not_taken(last));
                    }
                    sleep(PAUSE).await;
                }
                Err(Interrupted::Refused(error)) => {
                    self.leave(session, &node).await;
                    return Err(error);
                }
            }
        }
    }

    async fn acquire_in(
        &self,
        session: SessionId,
        node: &str,
        lock: &str,
        end: Instant,
        at_once: bool,
    ) -> Result<Option<Grant>, Interrupted> {
        let path = lock_path(lock, "acquire");
        loop {
            let left = end
                .saturating_duration_since(Instant::now())
                .min(LONGEST_WAIT);
            let body = AcquireBody {
                session: Some(session),
                ttl_ms: None,
                wait_ms: if at_once { 0 } else { millis(left).max(1) },
                poll_ms: (!at_once).then(|| millis(POLL)),
            };
            let limit = left.min(POLL) + SLACK;
            let answer = self
                .ask(node, Method::POST, &path, Some(&body), limit)
                .await;
            let answer = answer.map_err(Interrupted::Node)?;
            match answer.status {
                StatusCode::OK => {
                    let page: GrantPage = answer.json().map_err(Interrupted::Refused)?;
                    return Ok(Some(Grant {
                        lock: lock.to_owned(),
                        session,
                        node: node.to_owned(),
                        token: page.token,
                        ttl: Duration::from_millis(page.ttl_ms),
                        valid_until: valid_until(answer.asked, page.valid_ms),
                    }));
                }
                // It waits on.
                StatusCode::ACCEPTED => {}
                StatusCode::CONFLICT => return Ok(None),
                // The node has been restarted.
                StatusCode::GONE => return Err(Interrupted::Node(answer.in_words())),
                _ if answer.is_for_others() => return Err(Interrupted::Node(answer.in_words())),
                _ => return Err(Interrupted::Refused(answer.refused())),
            }
        }
    }

    /// Asks for how long a grant may be believed: what its own answer says counts from when it was
    /// asked for, which may be long ago.
    async fn confirm(&self, grant: Grant) -> Result<Option<Grant>, Interrupted> {
        match self.renew(&grant, Duration::ZERO, SLACK).await {
            Ok(grant) => Ok(Some(grant)),
            Err(NotRenewed::Lost(words) | NotRenewed::Unanswered(words)) => {
                Err(Interrupted::Node(words))
            }
        }
    }

    /// Opens a session at the first node that has locks. Returns it, and where it is.
    async fn open(&mut self, ttl: Duration) -> Result<(SessionId, String), ClientError> {
        let body = OpenBody {
            ttl_ms: Some(millis(ttl)),
        };
        let deadline = Instant::now() + self.nodes.timeout;
        let mut last = String::from("there was no time for one");
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(limit) = self.nodes.time_for_a_try(deadline) else {
                    return Err(self.not_taken(last));
                };
                let node = self.nodes.next().to_owned();
                match self
                    .ask(&node, Method::POST, "/sessions", Some(&body), limit)
                    .await
                {
                    Ok(answer) if answer.status == StatusCode::CREATED => {
                        let page: SessionPage = answer.json()?;
                        return Ok((page.session, node));
                    }
                    Ok(answer) if answer.is_for_others() => last = answer.in_words(),
                    Ok(answer) => return Err(answer.refused()),
                    Err(words) => last = words,
                }
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends a session, if its node answers; else it ends by itself.
    async fn leave(&self, session: SessionId, node: &str) {
        let path = format!("/sessions/{session}");
        let ended = self.ask(node, Method::DELETE, &path, None::<&()>, FAREWELL);
        if let Err(words) = ended.await {
            tracing::debug!(%session, words, "a session ends by itself");
        }
    }

    /// Shows that the client of a grant lives, and asks whether it still holds: after `wait`, or as
    /// soon as something has become of it.
    ///
    /// # Errors
    /// When it does not, or there is no answer within `limit` beside that.
    pub(crate) async fn renew(
        &self,
        grant: &Grant,
        wait: Duration,
        limit: Duration,
    ) -> Result<Grant, NotRenewed> {
        let path = format!("/sessions/{}/renew", grant.session);
        let body = RenewBody {
            wait_ms: millis(wait),
        };
        let asked = self.ask(&grant.node, Method::POST, &path, Some(&body), wait + limit);
        let answer = asked.await.map_err(NotRenewed::Unanswered)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::GONE | StatusCode::NOT_FOUND => {
                return Err(NotRenewed::Lost(answer.text.trim_end().to_owned()));
            }
            _ => return Err(NotRenewed::Unanswered(answer.in_words())),
        }
        let page: SessionPage = answer
            .json()
            .map_err(|error| NotRenewed::Unanswered(error.to_string()))?;
        let own = page.locks.iter().find(|lock| lock.lock == grant.lock);
        match own {
            Some(own) if own.state == LockState::Held && own.token == Some(grant.token) => {
                Ok(Grant {
                    valid_until: valid_until(answer.asked, page.valid_ms),
                    ..grant.clone()
                })
            }
            _ => Err(NotRenewed::Lost(
                "the lock was revoked: its node is no member of its epoch any more".to_owned(),
            )),
        }
    }

    /// Shows that the client of a session lives. Returns what it claims.
    ///
    /// # Errors
    /// When it is over, or its node does not answer.
    pub async fn renew_session(&mut self, session: SessionId) -> Result<SessionPage, ClientError> {
        let path = format!("/sessions/{session}/renew");
        let answer = self
            .ask_owner(Method::POST, &path, Some(&RenewBody::default()))
            .await?;
        answer.json()
    }

    /// Releases a lock of a session, or gives the claim up. Returns what the session had of it.
    ///
    /// # Errors
    /// When the session is over, or its node does not answer.
    pub async fn release(&mut self, lock: &str, session: SessionId) -> Result<Was, ClientError> {
        let path = lock_path(lock, "release");
        let body = ReleaseBody { session };
        let answer = self.ask_owner(Method::POST, &path, Some(&body)).await?;
        Ok(answer.json::<ReleasePage>()?.was)
    }

    /// Ends a session, and releases all that it has.
    ///
    /// # Errors
    /// When it is over, or its node does not answer.
    pub async fn end(&mut self, session: SessionId) -> Result<Vec<String>, ClientError> {
        let path = format!("/sessions/{session}");
        let answer = self.ask_owner(Method::DELETE, &path, None::<&()>).await?;
        let page: Value = answer.json()?;
        let released = page["released"].as_array().into_iter().flatten();
        Ok(released
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect())
    }

    /// Asks the node that knows a session: the one that does not send elsewhere.
    async fn ask_owner<B: Serialize>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Answer, ClientError> {
        let timeout = self.nodes.timeout;
        let deadline = Instant::now() + timeout;
        let mut last = String::from("there was no time for one");
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(limit) = self.nodes.time_for_a_try(deadline) else {
                    return Err(ClientError::Unknown { timeout, last });
                };
                let node = self.nodes.next().to_owned();
                match self.ask(&node, method.clone(), path, body, limit).await {
                    Ok(answer) if answer.status.is_success() => return Ok(answer),
                    // The node that is to be asked is another.
                    Ok(answer) if answer.status == StatusCode::MISDIRECTED_REQUEST => {}
                    Ok(answer) if answer.status.is_server_error() => last = answer.in_words(),
                    Ok(answer) => return Err(answer.refused()),
                    Err(words) => last = words,
                }
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    /// What the node at `address` knows of locks.
    ///
    /// # Errors
    /// In words, when it does not say.
    pub async fn locks(&self, address: &str) -> Result<Vec<LockReport>, String> {
        let mut all: Vec<LockReport> = Vec::new();
        loop {
            let after = all.last().map(|last| encode(&last.lock));
            let path = after.map_or("/locks".to_owned(), |after| format!("/locks?after={after}"));
            let page: LocksPage = self.page(address, &path).await?;
            let is_last = !page.more || page.locks.is_empty();
            all.extend(page.locks);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// What the node at `address` knows of a lock.
    ///
    /// # Errors
    /// In words, when it does not say.
    pub async fn lock(&self, address: &str, name: &str) -> Result<LockReport, String> {
        self.page(address, &format!("/locks/{}", encode(name)))
            .await
    }

    /// How the node at `address` fares. Asks that node only, and once.
    ///
    /// # Errors
    /// In words, when it does not say.
    pub async fn status(&self, address: &str) -> Result<Report, String> {
        self.page(address, "/status").await
    }

    /// What the node at `address` shows at `path`, as JSON.
    ///
    /// # Errors
    /// In words, when it does not.
    pub async fn page<T: DeserializeOwned>(&self, address: &str, path: &str) -> Result<T, String> {
        let limit = self.nodes.timeout;
        let answer = self
            .ask(address, Method::GET, path, None::<&()>, limit)
            .await?;
        if !answer.status.is_success() {
            return Err(answer.in_words());
        }
        serde_json::from_str(&answer.text).map_err(|error| format!("{address}: {error}"))
    }

    /// Makes the node at `address` a member, or none. Returns what it is now: it may yet have to hear
    /// from the orchestrator, or to wait for its holders.
    ///
    /// # Errors
    /// When it does not do so, or nobody knows.
    pub async fn set_registered(
        &self,
        address: &str,
        registered: bool,
    ) -> Result<MembershipPage, ClientError> {
        let path = if registered {
            "/register"
        } else {
            "/deregister"
        };
        let timeout = self.nodes.timeout;
        let asked = self
            .ask(address, Method::POST, path, None::<&()>, timeout)
            .await;
        let answer = asked.map_err(|last| ClientError::Unanswered { timeout, last })?;
        if answer.status.is_success() {
            answer.json()
        } else {
            Err(answer.refused())
        }
    }

    /// Adds a node to the cluster, by its orchestrator. Returns whether it belonged to it before.
    ///
    /// # Errors
    /// When it was not added, or nobody knows.
    pub async fn add(&mut self, node: &AddBody) -> Result<bool, ClientError> {
        let asked = self.ask_owner(Method::POST, "/nodes", Some(node)).await;
        let answer = asked.map_err(|error| match error {
            ClientError::Unknown { timeout, last } => ClientError::Unanswered { timeout, last },
            other => other,
        })?;
        let page: Value = answer.json()?;
        Ok(page["already"] == json!(true))
    }

    fn not_taken(&self, last: String) -> ClientError {
        let mut nodes = self.nodes.addresses.clone();
        nodes.sort_unstable();
        ClientError::NotTaken {
            timeout: self.nodes.timeout,
            nodes,
            last,
        }
    }

    /// One request to one node. In words, why there is no answer.
    async fn ask<B: Serialize>(
        &self,
        node: &str,
        method: Method,
        path: &str,
        body: Option<&B>,
        limit: Duration,
    ) -> Result<Answer, String> {
        let asked = Instant::now();
        let url = self.nodes.access.url(node, path);
        let mut request = self.nodes.http.request(method, url).timeout(limit);
        if let Some(body) = body {
            request = request.body(serde_json::to_vec(body).map_err(|error| error.to_string())?);
        }
        let answer = request.send().await.map_err(|error| in_full(&error))?;
        let blank = answer.status() == StatusCode::SERVICE_UNAVAILABLE;
        if !answer.headers().contains_key(headers::NODE) && !blank {
            return Err(format!("{node} is no node of a cluster"));
        }
        Ok(Answer {
            status: answer.status(),
            node: node.to_owned(),
            asked,
            text: answer.text().await.map_err(|error| in_full(&error))?,
        })
    }
}

/// Why a claim did not come to its end at a node.
enum Interrupted {
    /// The node is gone, or does not take it: another may.
    Node(String),
    /// No node will.
    Refused(ClientError),
}

/// Why a grant may not be believed any longer, or not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotRenewed {
    /// It is lost.
    Lost(String),
    /// The node gives no answer that says so.
    Unanswered(String),
}

/// A little less than the node says: its clock and ours may run differently.
fn valid_until(asked: Instant, valid_ms: u64) -> Instant {
    asked + Duration::from_millis(valid_ms).mul_f64(0.95)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn lock_path(lock: &str, verb: &str) -> String {
    format!("/locks/{}/{verb}", encode(lock))
}
