//! A client of the store, which tries all nodes and retries until a deadline.

pub mod entry;
pub mod lease;
mod snapshot;
pub mod watch;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::entry::{Keys, Listing, Page};
use crate::kv::headers;
use crate::kv::status::Report;
use crate::kv::store::{MAX_VALUE_BYTES, Unfit, check_key};
use crate::service::http_client::{Access, SetUpError};
use crate::service::session_client::{Answer, Question, RequestError, SessionClient};

/// A client with a session of its own: one request at a time, each done once at most.
#[derive(Debug)]
pub struct Client {
    session: SessionClient,
}

/// Why a request brought no result. Every message says whether anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It was refused, or there was no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The key or the value is not fit: no node would take it.
    #[error("nothing was sent: {0}")]
    Unfit(#[from] Unfit),
    /// What comes after the revision to go on from is compacted, in the node's words.
    #[error("{0}")]
    Gone(String),
    /// No node has sent a snapshot to its end.
    #[error("there is no snapshot: {0}. Nothing has changed in the cluster: try again")]
    Snapshot(String),
    /// A node's answer is not understood.
    #[error(
        "{node} answers what is not understood: {problem}. If the request was a write, it was done"
    )]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl From<SetUpError> for ClientError {
    fn from(error: SetUpError) -> Self {
        Self::Request(error.into())
    }
}

impl Client {
    /// Talks to the nodes with these client addresses; each request may take `timeout`.
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
        let session = SessionClient::new(access, nodes, timeout)?;
        Ok(Self { session })
    }

    /// Sets `key`. Returns the revision of the change.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time; nothing is sent when the key is empty
    /// or longer than [`MAX_KEY_BYTES`](super::store::MAX_KEY_BYTES), or the value larger than
    /// [`MAX_VALUE_BYTES`].
    pub async fn put(&mut self, key: &[u8], value: Bytes) -> Result<Option<u64>, ClientError> {
        self.put_with(key, value, None).await
    }

    /// The same, in a lease: the key goes when that ends.
    ///
    /// # Errors
    /// As [`put`](Self::put), and when there is no such lease.
    pub async fn put_with(
        &mut self,
        key: &[u8],
        value: Bytes,
        lease: Option<u64>,
    ) -> Result<Option<u64>, ClientError> {
        check_key(key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Unfit::ValueTooLarge.into());
        }
        let mut path = key_path(key);
        if let Some(lease) = lease {
            path += &format!("{}lease={lease}", joint(&path));
        }
        let answer = self.request(Method::PUT, &path, value).await?;
        self.found(&answer)?;
        Ok(answer.number(headers::REVISION))
    }

    /// The value of `key`, or nothing if it has none.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, ClientError> {
        self.get_at(key, None).await
    }

    /// The value that `key` had at a revision.
    ///
    /// # Errors
    /// As [`get`](Self::get), and when the revision is compacted or to come.
    pub async fn get_at(
        &mut self,
        key: &[u8],
        revision: Option<u64>,
    ) -> Result<Option<Bytes>, ClientError> {
        check_key(key)?;
        let mut path = key_path(key);
        if let Some(revision) = revision {
            path += &format!("{}revision={revision}", joint(&path));
        }
        let answer = self.request(Method::GET, &path, Bytes::new()).await?;
        Ok(answer.status.is_success().then_some(answer.body))
    }

    /// Removes `key`. Returns whether it was there.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn delete(&mut self, key: &[u8]) -> Result<bool, ClientError> {
        check_key(key)?;
        let answer = self
            .request(Method::DELETE, &key_path(key), Bytes::new())
            .await?;
        Ok(answer.status.is_success())
    }

    /// Removes keys, all in one revision. Returns how many there were.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn delete_range(&mut self, keys: &Keys) -> Result<u64, ClientError> {
        let path = format!("/kv?{}", keys.query());
        let answer = self.request(Method::DELETE, &path, Bytes::new()).await?;
        let done: Deleted = self.parse(&answer)?;
        Ok(done.deleted)
    }

    /// The keys that are asked for, in order: at most as many as the store puts in one page, from behind
    /// the key `after` on. Each page is linearizable; several are a snapshot if they name one revision.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time, or none that is understood.
    pub async fn range(&mut self, range: &Listing) -> Result<Page, ClientError> {
        let path = format!("/kv?{}", range.query());
        let answer = self.request(Method::GET, &path, Bytes::new()).await?;
        Page::parse(&answer.body).map_err(|problem| self.malformed(problem))
    }

    /// Does a transaction, in JSON as the API has it. Returns the answer, in JSON.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn transact(&mut self, txn: Bytes) -> Result<Value, ClientError> {
        let answer = self.request(Method::POST, "/txn", txn).await?;
        self.parse(&answer)
    }

    /// Forgets what was changed before a revision.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn compact(&mut self, revision: u64) -> Result<(), ClientError> {
        let body = json!({ "revision": revision }).to_string();
        let answer = self.request(Method::POST, "/compact", body.into()).await?;
        self.found(&answer)
    }

    /// How the node at `address` fares. Asks that node only, and once.
    ///
    /// # Errors
    /// In words, when it does not say.
    pub async fn status(&self, address: &str) -> Result<Report, String> {
        let text = self.page(address, "/status").await?;
        serde_json::from_str(&text).map_err(|error| format!("{address}: {error}"))
    }

    /// What the node at `address` shows at `path`. Asks that node only, and once.
    ///
    /// # Errors
    /// In words, when it shows nothing.
    pub async fn page(&self, address: &str, path: &str) -> Result<String, String> {
        self.session.page(address, path).await
    }

    /// An answer that is not 404, where that means that something is missing.
    fn found(&self, answer: &Answer) -> Result<(), ClientError> {
        match answer.status {
            StatusCode::NOT_FOUND => Err(self.session.refused(answer).into()),
            _ => Ok(()),
        }
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        self.found(answer)?;
        let parsed = serde_json::from_slice(&answer.body);
        parsed.map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, problem: String) -> ClientError {
        ClientError::Malformed {
            node: self.session.nodes().next().to_owned(),
            problem,
        }
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let path = path.to_owned();
        let asked = Question { method, path, body };
        let answer = self.session.request(&asked).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(answer),
            _ => Err(self.session.refused(&answer).into()),
        }
    }
}

#[derive(Deserialize)]
struct Deleted {
    deleted: u64,
}

/// What comes between a path and its next parameter.
fn joint(path: &str) -> char {
    match path.contains('?') {
        true => '&',
        false => '?',
    }
}

/// Where a key is. URLs cannot name `.` and `..`, percent-encoded or not: they would mean the
/// folder and the one above it.
fn key_path(key: &[u8]) -> String {
    if matches!(key, b"." | b"..") {
        let key = URL_SAFE_NO_PAD.encode(key);
        return format!("/kv/{key}?key_encoding=base64");
    }
    format!("/kv/{}", percent_encode(key, NON_ALPHANUMERIC))
}
