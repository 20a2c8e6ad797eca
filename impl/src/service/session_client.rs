//! What the clients of every service do with a request: they try all nodes, and retry until a
//! deadline, in a session of their own.
//!
//! **What is said of a request that brought no result is what is known**: that a write may have
//! been done is said only where a try of it may have reached a node that did not answer, or that
//! does not know. A read changes nothing, whatever becomes of it.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, sleep};

use crate::service::headers;
use crate::service::http_client::{Access, Nodes, SetUpError, in_full};
use crate::service::session_pool::FIRST_RESERVED;

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);

/// A client with a session of its own: one request at a time, each done once at most.
#[derive(Debug)]
pub(crate) struct SessionClient {
    /// The one that answered last is asked first.
    nodes: Nodes,
    session: u64,
    /// Where the session begins.
    since: u64,
    sequence: u64,
}

/// Why a request brought no result. Every message says whether anything was changed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
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

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

impl Question {
    /// A question without a body.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Bytes::new(),
        }
    }

    fn is_write(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }
}

/// An answer that is final.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A number in a header field.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.to_str().ok()?.parse().ok()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    /// Whether the node knows no leader.
    fn is_without_leader(&self) -> bool {
        let leader = self.fields.get(headers::LEADER);
        leader.is_some_and(|leader| leader == "unknown")
    }
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

impl SessionClient {
    /// Talks to the nodes with these client addresses; each request may take `timeout`.
    ///
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub(crate) fn new(
        access: Access,
        nodes: Vec<String>,
        timeout: Duration,
    ) -> Result<Self, SetUpError> {
        Ok(Self {
            nodes: Nodes::new(access, nodes, timeout)?,
            session: fastrand::u64(..FIRST_RESERVED),
            since: 0,
            sequence: 0,
        })
    }

    /// A client of the same nodes, with a session of its own.
    ///
    /// # Errors
    /// When the HTTP client cannot be had.
    pub(crate) fn another(&self) -> Result<Self, SetUpError> {
        let Nodes {
            access,
            addresses,
            timeout,
            ..
        } = &self.nodes;
        Self::new(access.clone(), addresses.clone(), *timeout)
    }

    /// The nodes; the one that has answered last is in front.
    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The nodes, to ask another one next.
    pub(crate) fn nodes_mut(&mut self) -> &mut Nodes {
        &mut self.nodes
    }

    /// What the node at `address` shows at `path`. Asks that node only, and once.
    ///
    /// # Errors
    /// In words, when it shows nothing.
    pub(crate) async fn page(&self, address: &str, path: &str) -> Result<String, String> {
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
    /// that is final: a success, or a fault of the request.
    ///
    /// # Errors
    /// When there is none in time.
    pub(crate) async fn request(&mut self, question: &Question) -> Result<Answer, RequestError> {
        self.sequence += 1;
        let deadline = Instant::now() + self.nodes.timeout;
        let mut tries = Tries::of(question);
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(timeout) = self.nodes.time_for_a_try(deadline) else {
                    return Err(self.give_up(tries));
                };
                match self.attempt(question, timeout).await {
                    // No try of this request was done, and none will be: its session has
                    // expired, which is said with where another may begin.
                    Ok(answer)
                        if answer.status == StatusCode::GONE
                            && !tries.uncertain
                            && let Some(since) = answer.number(headers::SINCE) =>
                    {
                        tries.answered(self.nodes.next(), &answer);
                        self.since = since;
                        continue;
                    }
                    // 5xx may be otherwise at another node, or later.
                    Ok(answer) if !answer.status.is_server_error() => return Ok(answer),
                    Ok(answer) => tries.answered(self.nodes.next(), &answer),
                    Err(lost) => tries.lost(lost),
                }
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    /// The error that a final answer is.
    pub(crate) fn refused(&self, answer: &Answer) -> RequestError {
        RequestError::Refused {
            node: self.nodes.next().to_owned(),
            status: answer.status,
            text: answer.text(),
        }
    }

    fn give_up(&self, tries: Tries) -> RequestError {
        let (timeout, last) = (self.nodes.timeout, tries.last);
        if tries.uncertain {
            RequestError::Uncertain { timeout, last }
        } else if !tries.reached {
            let mut nodes = self.nodes.addresses.clone();
            nodes.sort_unstable();
            RequestError::Unreachable {
                timeout,
                nodes,
                last,
            }
        } else if tries.is_without_leader {
            RequestError::NoLeader { timeout, last }
        } else {
            RequestError::TimedOut { timeout, last }
        }
    }

    async fn attempt(&self, question: &Question, timeout: Duration) -> Result<Answer, Lost> {
        let node = self.nodes.next();
        let url = self.nodes.access.url(node, &question.path);
        let mut request = { self.nodes.http.request(question.method.clone(), url) }
            .timeout(timeout)
            .body(question.body.clone());
        if question.is_write() {
            request = request
                .header(headers::CLIENT, self.session)
                .header(headers::SINCE, self.since)
                .header(headers::SEQUENCE, self.sequence);
        }
        let mut answer = request.send().await.map_err(|error| Lost::from(&error))?;
        if !answer.headers().contains_key(headers::NODE) {
            let words = format!("{node} is no node of a cluster");
            return Err(Lost::Unanswered(words));
        }
        let (status, fields) = (answer.status(), std::mem::take(answer.headers_mut()));
        let body = answer.bytes().await.map_err(|error| Lost::from(&error))?;
        Ok(Answer {
            status,
            fields,
            body,
        })
    }
}

impl Tries {
    fn of(question: &Question) -> Self {
        Self {
            is_write: question.is_write(),
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
        self.is_without_leader = answer.is_without_leader();
        self.last = format!("{node} answers {}: {}", answer.status, answer.text());
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
