//! A client of the store, which tries all nodes and retries until a deadline.
//!
//! **What it says of a request that brought no result is what is known**: that a write may have
//! been done is said only where a try of it may have reached a node that did not answer, or that
//! does not know. A read changes nothing, whatever becomes of it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::kv::encoding::decode_base64;
use crate::kv::headers;
use crate::kv::json_bytes::add_bytes;
use crate::kv::request::session_pool::FIRST_RESERVED;
use crate::kv::status::Report;
use crate::kv::store::{MAX_VALUE_BYTES, Unfit, check_key};
use crate::service::http_client::{Access, Nodes, SetUpError, in_full};

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);

/// A client with a session of its own: one request at a time, each done once at most.
#[derive(Debug)]
pub struct Client {
    /// The one that answered last is asked first.
    nodes: Nodes,
    session: u64,
    /// Where the session begins.
    since: u64,
    sequence: u64,
}

/// Why a request brought no result. Every message says whether anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody can be asked.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// The key or the value is not fit: no node would take it.
    #[error("nothing was sent: {0}")]
    Unfit(#[from] Unfit),
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
    /// No connection to any node came about.
    #[error(
        "no node could be reached within {timeout:?}, the last try ended so: {last}; nothing was \
         changed. Are the nodes running, and are these their client addresses: {}?", .nodes.join(", ")
    )]
    Unreachable {
        /// The deadline.
        timeout: Duration,
        /// The nodes that were tried.
        nodes: Vec<String>,
        /// How the last try ended.
        last: String,
    },
    /// Nodes answer, and none knows a leader.
    #[error(
        "no leader within {timeout:?}, so nothing can be read or written; nothing was changed. A \
         majority of the nodes must be running and able to reach each other. The last try ended so: {last}"
    )]
    NoLeader {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// There was no answer in time, and the request has changed nothing.
    #[error(
        "no answer within {timeout:?}, the last try ended so: {last}; nothing was changed by this \
         request. Try again"
    )]
    TimedOut {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// There was no answer to a write in time, and a node may have taken it.
    #[error(
        "no answer within {timeout:?}, the last try ended so: {last}; the write may have been done, \
         or may yet be. Read it back before you try again"
    )]
    Uncertain {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
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

/// An answer that is final.
struct Answer {
    status: StatusCode,
    revision: Option<u64>,
    since: Option<u64>,
    body: Bytes,
    /// Whether the node knows no leader.
    is_without_leader: bool,
}

/// How a try ended that brought no answer.
enum Lost {
    /// There was no connection: nobody has seen the request.
    Unsent(String),
    /// The request may have arrived.
    Unanswered(String),
}

/// What the tries of one request have shown so far.
struct Tries {
    is_write: bool,
    /// How the last one ended.
    last: String,
    /// Whether any has had a connection.
    reached: bool,
    /// Whether the last answer came from a node that knows no leader.
    is_without_leader: bool,
    /// Whether one may have been done, or may yet be.
    uncertain: bool,
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
        Ok(Self {
            nodes: Nodes::new(access, nodes, timeout)?,
            session: fastrand::u64(..FIRST_RESERVED),
            since: 0,
            sequence: 0,
        })
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
        Ok(answer.revision)
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
            node: self.nodes.next().to_owned(),
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
        let asked = self.nodes.http.get(self.nodes.access.url(address, path));
        let answer = asked.timeout(self.nodes.timeout).send().await;
        let answer = answer.map_err(|error| in_full(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| in_full(&error))?;
        if status.is_success() {
            Ok(text)
        } else {
            Err(format!("{address} answers {status}: {}", text.trim_end()))
        }
    }

    /// Tries node after node, with the same sequence each time, until one gives an answer
    /// that is final: a success, "not there", or a fault of the request.
    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        self.sequence += 1;
        let deadline = Instant::now() + self.nodes.timeout;
        let mut tries = Tries::of(&method);
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(timeout) = self.nodes.time_for_a_try(deadline) else {
                    return Err(self.give_up(tries));
                };
                match self.attempt(&method, path, body.clone(), timeout).await {
                    // No try of this request was done, and none will be.
                    Ok(answer) if answer.status == StatusCode::GONE && !tries.uncertain => {
                        tries.answered(self.nodes.next(), &answer);
                        self.since = answer.since.unwrap_or(self.since);
                        continue;
                    }
                    Ok(answer) if is_final(answer.status) => return self.settle(answer),
                    Ok(answer) => tries.answered(self.nodes.next(), &answer),
                    Err(lost) => tries.lost(lost),
                }
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    fn give_up(&self, tries: Tries) -> ClientError {
        let (timeout, last) = (self.nodes.timeout, tries.last);
        if tries.uncertain {
            ClientError::Uncertain { timeout, last }
        } else if !tries.reached {
            let mut nodes = self.nodes.addresses.clone();
            nodes.sort_unstable();
            ClientError::Unreachable {
                timeout,
                nodes,
                last,
            }
        } else if tries.is_without_leader {
            ClientError::NoLeader { timeout, last }
        } else {
            ClientError::TimedOut { timeout, last }
        }
    }

    fn settle(&self, answer: Answer) -> Result<Answer, ClientError> {
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(answer),
            status => Err(ClientError::Refused {
                node: self.nodes.next().to_owned(),
                status,
                text: String::from_utf8_lossy(&answer.body).trim_end().to_owned(),
            }),
        }
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, Lost> {
        let node = self.nodes.next();
        let mut request = self
            .nodes
            .http
            .request(method.clone(), self.nodes.access.url(node, path))
            .timeout(timeout)
            .body(body);
        if method != Method::GET {
            request = request
                .header(headers::CLIENT, self.session)
                .header(headers::SINCE, self.since)
                .header(headers::SEQUENCE, self.sequence);
        }
        let answer = request.send().await.map_err(|error| Lost::from(&error))?;
        let field = |name| answer.headers().get(name)?.to_str().ok();
        if field(headers::NODE).is_none() {
            let words = format!("{node} is no node of a cluster");
            return Err(Lost::Unanswered(words));
        }
        let number = |name| field(name)?.parse().ok();
        let (revision, since) = (number(headers::REVISION), number(headers::SINCE));
        let is_without_leader = field(headers::LEADER) == Some("unknown");
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| Lost::from(&error))?;
        Ok(Answer {
            status,
            revision,
            since,
            body,
            is_without_leader,
        })
    }
}

impl Tries {
    fn of(method: &Method) -> Self {
        Self {
            is_write: *method != Method::GET,
            last: String::from("there was no time for one"),
            reached: false,
            is_without_leader: false,
            uncertain: false,
        }
    }

    /// 503 says that nothing was changed. Of what another answer means, nothing is known.
    fn answered(&mut self, node: &str, answer: &Answer) {
        let is_harmless = matches!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GONE
        );
        self.reached = true;
        self.uncertain |= self.is_write && !is_harmless;
        self.is_without_leader = answer.is_without_leader;
        self.last = describe(node, answer);
    }

    fn lost(&mut self, lost: Lost) {
        let (sent, words) = match lost {
            Lost::Unsent(words) => (false, words),
            Lost::Unanswered(words) => (true, words),
        };
        self.reached |= sent;
        self.uncertain |= self.is_write && sent;
        // That a node is down says nothing of whether the others have a leader.
        self.is_without_leader &= !sent;
        self.last = words;
    }
}

impl From<&reqwest::Error> for Lost {
    fn from(error: &reqwest::Error) -> Self {
        let words = in_full(error);
        if error.is_connect() {
            Self::Unsent(words)
        } else {
            Self::Unanswered(words)
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

/// 5xx may be otherwise at another node, or later.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error()
}

fn describe(node: &str, answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    format!("{node} answers {}: {}", answer.status, text.trim_end())
}
