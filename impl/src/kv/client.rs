//! A client of the store, which tries all nodes and retries until a deadline.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, sleep};

use super::headers;
use super::node::Report;
use super::sessions::FIRST_RESERVED;

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A client with a session of its own: one request at a time, each done once at most.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Client addresses of nodes. The one that answered last is asked first.
    nodes: Vec<String>,
    timeout: Duration,
    session: u64,
    /// Where the session begins.
    since: u64,
    sequence: u64,
}

/// Why a request brought no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node is named.
    #[error("no node to ask: name one with --node, or a cluster file with --config")]
    NoNodes,
    /// The HTTP client cannot be had.
    #[error("the HTTP client did not start: {0}; nothing was asked")]
    Http(reqwest::Error),
    /// The key has no URL.
    #[error("the keys `.` and `..` cannot be named in a URL; nothing was asked")]
    NoUrl,
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
    /// Nobody answered in time.
    #[error(
        "no answer within {timeout:?}, the last try ended so: {last}; a write may have been done \
         or not. Read it back, or try again"
    )]
    TimedOut {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
}

/// An answer that is final.
struct Answer {
    status: StatusCode,
    revision: Option<u64>,
    since: Option<u64>,
    body: Bytes,
}

impl Client {
    /// Talks to the nodes with these client addresses; each request may take `timeout`.
    ///
    /// # Errors
    /// When there are none, or the HTTP client cannot be had.
    pub fn new(nodes: Vec<String>, timeout: Duration) -> Result<Self, ClientError> {
        if nodes.is_empty() {
            return Err(ClientError::NoNodes);
        }
        // A proxy for the outside world does not know the cluster.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self {
            http,
            nodes,
            timeout,
            session: fastrand::u64(..FIRST_RESERVED),
            since: 0,
            sequence: 0,
        })
    }

    /// Sets `key`. Returns the revision of the change.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn put(&mut self, key: &[u8], value: Bytes) -> Result<Option<u64>, ClientError> {
        let answer = self.request(Method::PUT, key, value).await?;
        Ok(answer.revision)
    }

    /// The value of `key`, or nothing if it has none.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, ClientError> {
        let answer = self.request(Method::GET, key, Bytes::new()).await?;
        Ok(answer.status.is_success().then_some(answer.body))
    }

    /// Removes `key`. Returns whether it was there.
    ///
    /// # Errors
    /// When it was refused, or there was no answer in time.
    pub async fn delete(&mut self, key: &[u8]) -> Result<bool, ClientError> {
        let answer = self.request(Method::DELETE, key, Bytes::new()).await?;
        Ok(answer.status.is_success())
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
        let asked = self.http.get(format!("http://{address}{path}"));
        let answer = asked.timeout(self.timeout).send().await;
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
        key: &[u8],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        if matches!(key, b"." | b"..") {
            return Err(ClientError::NoUrl);
        }
        self.sequence += 1;
        let deadline = Instant::now() + self.timeout;
        let mut last = String::from("none was made");
        let mut uncertain = false;
        while Instant::now() < deadline {
            for _ in 0..self.nodes.len() {
                match self
                    .attempt(method.clone(), key, body.clone(), deadline)
                    .await
                {
                    // No try of this request was done, and none will be.
                    Ok(answer) if answer.status == StatusCode::GONE && !uncertain => {
                        last = describe(&self.nodes[0], &answer);
                        self.since = answer.since.unwrap_or(self.since);
                        continue;
                    }
                    Ok(answer) if is_final(answer.status) => return self.settle(answer),
                    Ok(answer) => {
                        uncertain |= answer.status != StatusCode::SERVICE_UNAVAILABLE;
                        last = describe(&self.nodes[0], &answer);
                    }
                    Err(error) => {
                        uncertain = true;
                        last = error;
                    }
                }
                self.nodes.rotate_left(1);
            }
            sleep(PAUSE).await;
        }
        let timeout = self.timeout;
        Err(ClientError::TimedOut { timeout, last })
    }

    fn settle(&self, answer: Answer) -> Result<Answer, ClientError> {
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(answer),
            status => Err(ClientError::Refused {
                node: self.nodes[0].clone(),
                status,
                text: String::from_utf8_lossy(&answer.body).trim_end().to_owned(),
            }),
        }
    }

    async fn attempt(
        &self,
        method: Method,
        key: &[u8],
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, String> {
        let node = &self.nodes[0];
        let key = percent_encode(key, NON_ALPHANUMERIC);
        // A node that hangs must leave time for the others.
        let share = self.timeout / (self.nodes.len() as u32 + 1);
        let mut request = self
            .http
            .request(method.clone(), format!("http://{node}/kv/{key}"))
            .timeout(share.min(deadline.saturating_duration_since(Instant::now())))
            .body(body);
        if method != Method::GET {
            request = request
                .header(headers::CLIENT, self.session)
                .header(headers::SINCE, self.since)
                .header(headers::SEQUENCE, self.sequence);
        }
        let answer = request.send().await.map_err(|error| in_full(&error))?;
        if !answer.headers().contains_key(headers::NODE) {
            return Err(format!("{node} is no node of a cluster"));
        }
        let status = answer.status();
        let number = |name| answer.headers().get(name)?.to_str().ok()?.parse().ok();
        let (revision, since) = (number(headers::REVISION), number(headers::SINCE));
        let body = answer.bytes().await.map_err(|error| in_full(&error))?;
        Ok(Answer {
            status,
            revision,
            since,
            body,
        })
    }
}

/// 5xx may be otherwise at another node, or later.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error()
}

fn describe(node: &str, answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    format!("{node} answers {}: {}", answer.status, text.trim_end())
}

/// An error of reqwest with its causes, which it does not print itself.
pub(super) fn in_full(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
