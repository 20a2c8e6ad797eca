//! A client of the store, which tries all nodes and retries until a deadline.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kv::encoding::decode_base64;
use crate::kv::headers;
use crate::kv::json_bytes::add_bytes;
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
    /// A node's answer is not understood.
    #[error(
        "{node} answers what is not understood: {problem}; the request was a read and changed nothing"
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

/// A key of a listing, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The revision of the store that wrote it.
    pub revision: u64,
}

/// Some keys of a listing, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys and their values.
    pub entries: Vec<Entry>,
    /// Whether there are more after the last one.
    pub more: bool,
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
    /// or longer than [`MAX_KEY_BYTES`](super::machine::MAX_KEY_BYTES), or the value larger than
    /// [`MAX_VALUE_BYTES`].
    pub async fn put(&mut self, key: &[u8], value: Bytes) -> Result<Option<u64>, ClientError> {
        check_key(key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Unfit::ValueTooLarge.into());
        }
        let answer = self.request(Method::PUT, &key_path(key), value).await?;
        Ok(answer.number(headers::REVISION))
    }

    /// The value of `key`, or nothing if it has none.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, ClientError> {
        check_key(key)?;
        let answer = self
            .request(Method::GET, &key_path(key), Bytes::new())
            .await?;
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

    /// The keys that begin with `prefix`, in order: at most `limit` of them, and at most as many
    /// as the store puts in one page, from behind the key `after` on. Each page is linearizable;
    /// several are no snapshot.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time, or none that is understood.
    pub async fn list(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: Option<usize>,
    ) -> Result<Page, ClientError> {
        let encode = |bytes| percent_encode(bytes, NON_ALPHANUMERIC);
        let mut path = format!("/kv?prefix={}", encode(prefix));
        if let Some(after) = after {
            path += &format!("&after={}", encode(after));
        }
        if let Some(limit) = limit {
            path += &format!("&limit={limit}");
        }
        let answer = self.request(Method::GET, &path, Bytes::new()).await?;
        Page::parse(&answer.body).map_err(|problem| ClientError::Malformed {
            node: self.session.nodes().next().to_owned(),
            problem,
        })
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

impl Page {
    fn parse(json: &[u8]) -> Result<Self, String> {
        let page: WirePage = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let entries = page.entries.into_iter().map(Entry::try_from);
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
            more: page.more,
        })
    }
}

impl Entry {
    /// One line of JSON. What is no UTF-8 is in base64: `key_base64`, `value_base64`.
    pub fn to_json(&self, keys_only: bool) -> String {
        let mut object = Map::new();
        add_bytes(&mut object, "key", &self.key);
        if !keys_only {
            add_bytes(&mut object, "value", &self.value);
        }
        object.insert("revision".into(), self.revision.into());
        Value::Object(object).to_string()
    }
}

/// A page as the API shows it.
#[derive(Deserialize)]
struct WirePage {
    entries: Vec<WireEntry>,
    more: bool,
}

#[derive(Deserialize)]
struct WireEntry {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    revision: u64,
}

impl TryFrom<WireEntry> for Entry {
    type Error = String;

    fn try_from(entry: WireEntry) -> Result<Self, String> {
        Ok(Self {
            key: either("key", entry.key, entry.key_base64)?,
            value: either("value", entry.value, entry.value_base64)?,
            revision: entry.revision,
        })
    }
}

fn either(name: &str, text: Option<String>, base64: Option<String>) -> Result<Bytes, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(text)) => Ok(decode_base64(&text)?.into()),
        (None, None) | (Some(_), Some(_)) => {
            Err(format!("an entry must have either {name} or {name}_base64"))
        }
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
