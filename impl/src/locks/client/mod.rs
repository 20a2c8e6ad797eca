//! A client of the locks, which asks any node to claim one, and the node of a session about it.

mod acquire;
mod error;
mod operator;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::server::session_api::{ReleaseBody, ReleasePage, RenewBody, SessionPage, Was};
use super::sessions::session_id::SessionId;
use crate::service::headers;
use crate::service::http_client::{Access, Nodes, in_full};

pub use acquire::Grant;
pub(crate) use acquire::NotRenewed;
pub use error::ClientError;

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);
/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The one that answered last is asked first.
    nodes: Nodes,
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn lock_path(lock: &str, verb: &str) -> String {
    format!("/locks/{}/{verb}", encode(lock))
}
