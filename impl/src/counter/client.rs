//! A client of a counter: asks the nearest node, and another only where nothing can be counted twice.
//!
//! **An increment whose outcome is not known is retried at the same node, and nowhere else**: there it
//! counts once, by its number. At another node it would count again, for that one knows nothing of the
//! first. So a client goes on to the next node only when the one before has surely counted nothing: it
//! could not be reached, or said so.

use std::time::Duration;

use models::NodeId;
use models::counter::g_counter::DataCentre;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::counter::headers;
use crate::counter::server::{VerbosePage, WindowPage};
use crate::service::config::NodeConfig;
use crate::service::http_client::{Access, Nodes, SetUpError, in_full};
use crate::service::session_pool::FIRST_RESERVED;

/// The pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a request brought no result. Every message says whether anything was counted.
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
    /// No node has done it.
    #[error(
        "no node has done it within {timeout:?}, the last try ended so: {last}; nothing was counted. \
         Are the nodes running, and are these their client addresses: {}?", .nodes.join(", ")
    )]
    Undone {
        /// The deadline.
        timeout: Duration,
        /// The nodes that were tried.
        nodes: Vec<String>,
        /// How the last try ended.
        last: String,
    },
    /// A node may have counted it.
    #[error(
        "no answer from {node} within {timeout:?}, the last try ended so: {last}; the increment may \
         have been counted, or may yet be. At another node it might count twice: look at the value \
         first"
    )]
    Uncertain {
        /// The node that was asked.
        node: String,
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
    /// An answer is not understood.
    #[error("the answer of {node} is not understood: {problem}; it is of another version?")]
    Unexpected {
        /// The node.
        node: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What has come of an increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The value at the node that counted it, with it.
    pub value: u128,
    /// Whether an earlier try of the same request had counted it.
    pub repeated: bool,
    /// The node that counted it.
    pub node: NodeId,
}

/// A client with a session of its own: one request at a time.
#[derive(Debug)]
pub struct Client {
    nodes: Nodes,
    session: u64,
    sequence: u64,
}

/// How a try ended.
enum Tried {
    /// With an answer that is final.
    Answered(Answer),
    /// Surely nothing was counted.
    Undone(String),
    /// Something may have been counted.
    Uncertain(String),
}

struct Answer {
    node: String,
    status: StatusCode,
    fields: reqwest::header::HeaderMap,
    text: String,
}

/// The client addresses of these nodes, those in this data centre first.
pub fn nearest_first(nodes: &[NodeConfig], from: Option<DataCentre>) -> Vec<String> {
    let is_far = |node: &&NodeConfig| {
        from.is_some_and(|from| DataCentre(node.data_centre.unwrap_or_default()) != from)
    };
    let mut sorted: Vec<&NodeConfig> = nodes.iter().collect();
    sorted.sort_by_key(is_far);
    { sorted.iter() }
        .map(|node| node.client_address.clone())
        .collect()
}

impl Client {
    /// Talks in the clear to the nodes with these client addresses, the nearest first; each request may
    /// take `timeout`.
    ///
    /// # Errors
    /// When there are none, one has no such address, or the HTTP client cannot be had.
    pub fn new(nodes: Vec<String>, timeout: Duration) -> Result<Self, ClientError> {
        Self::with(Access::plaintext(), nodes, timeout)
    }

    /// The same, with this access.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with(
        access: Access,
        nodes: Vec<String>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            nodes: Nodes::new(access, nodes, timeout)?,
            session: fastrand::u64(..FIRST_RESERVED),
            sequence: 0,
        })
    }

    /// Counts.
    ///
    /// # Errors
    /// With what is known of it, when it is not certain that it was counted.
    pub async fn increment(&mut self, amount: u64) -> Result<Counted, ClientError> {
        self.sequence += 1;
        self.count_as(self.session, self.sequence, amount).await
    }

    /// Counts as the request of this number of this session, which may have been asked before.
    ///
    /// # Errors
    /// As [`Client::increment`].
    pub async fn count_as(
        &mut self,
        session: u64,
        sequence: u64,
        amount: u64,
    ) -> Result<Counted, ClientError> {
        let path = format!("/inc?amount={amount}");
        let session = Some((session, sequence));
        let answer = self.ask(&Method::POST, &path, session).await?;
        let node = answer.number(headers::NODE)?;
        Ok(Counted {
            value: answer.parsed(|text| text.parse().ok())?,
            repeated: answer.is(headers::REPEATED, "true"),
            node: NodeId(u16::try_from(node).unwrap_or_default()),
        })
    }

    /// The value, as the nearest node knows it.
    ///
    /// # Errors
    /// When no node says it.
    pub async fn value(&mut self) -> Result<u128, ClientError> {
        let answer = self.ask(&Method::GET, "/", None).await?;
        answer.parsed(|text| text.parse().ok())
    }

    /// What was counted in the latest so many seconds; in the whole window, if none are given.
    ///
    /// # Errors
    /// When no node says it.
    pub async fn window(&mut self, seconds: Option<u64>) -> Result<WindowPage, ClientError> {
        let path = match seconds {
            Some(seconds) => format!("/window?secs={seconds}"),
            None => "/window".to_owned(),
        };
        self.page(&path).await
    }

    /// All that the nearest node knows of the counter.
    ///
    /// # Errors
    /// When no node says it.
    pub async fn verbose(&mut self) -> Result<VerbosePage, ClientError> {
        self.page("/verbose").await
    }

    /// What all nodes say of themselves, and who they are.
    ///
    /// # Errors
    /// When no node says it.
    pub async fn cluster(&mut self) -> Result<Value, ClientError> {
        self.page("/cluster").await
    }

    /// Has the node leave for good that is nearest, and no other: returns what it says when it has.
    ///
    /// # Errors
    /// When it has not, and why.
    pub async fn leave(&mut self) -> Result<String, ClientError> {
        self.nodes.addresses.truncate(1);
        let answer = self.ask(&Method::POST, "/leave", None).await?;
        Ok(answer.text)
    }

    /// What stands at a URL, asked for once; in words, with its status, where that is no success.
    pub(crate) async fn raw_page(&self, url: &str) -> Result<String, String> {
        let asked = self.nodes.http.get(url).timeout(self.nodes.timeout);
        let answer = asked.send().await.map_err(|error| in_full(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| in_full(&error))?;
        match status.is_success() {
            true => Ok(text),
            false => Err(format!("{status}: {}", text.trim_end())),
        }
    }

    async fn page<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let answer = self.ask(&Method::GET, path, None).await?;
        let parsed = serde_json::from_str(&answer.text);
        parsed.map_err(|error| answer.unexpected(error.to_string()))
    }

    /// Tries until there is an answer that is final, or no time. Once a try may have counted something,
    /// no other node is asked.
    async fn ask(
        &mut self,
        method: &Method,
        path: &str,
        session: Option<(u64, u64)>,
    ) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + self.nodes.timeout;
        let mut last = String::from("there was no time for one");
        let mut uncertain = false;
        while let Some(patience) = self.nodes.time_for_a_try(deadline) {
            match self.attempt(method, path, session, patience).await {
                Tried::Answered(answer) if answer.status.is_success() => return Ok(answer),
                // What is refused now may have been counted by an earlier try.
                Tried::Answered(answer) if !uncertain => return Err(answer.refused()),
                Tried::Answered(answer) => last = answer.refused().to_string(),
                Tried::Undone(words) => {
                    last = words;
                    if !uncertain {
                        self.nodes.rotate();
                    }
                }
                Tried::Uncertain(words) => {
                    uncertain |= session.is_some();
                    if !uncertain {
                        self.nodes.rotate();
                    }
                    last = words;
                }
            }
            sleep(PAUSE).await;
        }
        let timeout = self.nodes.timeout;
        Err(match uncertain {
            true => ClientError::Uncertain {
                node: self.nodes.next().to_owned(),
                timeout,
                last,
            },
            false => ClientError::Undone {
                timeout,
                nodes: self.nodes.addresses.clone(),
                last,
            },
        })
    }

    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        session: Option<(u64, u64)>,
        patience: Duration,
    ) -> Tried {
        let node = self.nodes.next().to_owned();
        let url = self.nodes.access.url(&node, path);
        let mut request = self
            .nodes
            .http
            .request(method.clone(), url)
            .timeout(patience);
        if let Some((session, sequence)) = session {
            request = request
                .header(headers::CLIENT, session)
                .header(headers::SEQUENCE, sequence);
        }
        let answered = async {
            let mut answer = request.send().await?;
            let (status, fields) = (answer.status(), std::mem::take(answer.headers_mut()));
            let text = answer.text().await?.trim_end().to_owned();
            Ok::<_, reqwest::Error>((status, fields, text))
        };
        match answered.await {
            Err(error) if error.is_connect() => Tried::Undone(in_full(&error)),
            Err(error) => Tried::Uncertain(in_full(&error)),
            Ok((_, fields, _)) if !fields.contains_key(headers::NODE) => {
                Tried::Uncertain(format!("{node} is no node of a cluster"))
            }
            Ok((StatusCode::SERVICE_UNAVAILABLE, _, text)) => {
                Tried::Undone(format!("{node} answers 503: {text}"))
            }
            Ok((status, _, text)) if status.is_server_error() => {
                Tried::Uncertain(format!("{node} answers {status}: {text}"))
            }
            Ok((status, fields, text)) => Tried::Answered(Answer {
                node,
                status,
                fields,
                text,
            }),
        }
    }
}

impl Answer {
    fn number(&self, name: &str) -> Result<u64, ClientError> {
        let value = self.fields.get(name).and_then(|value| value.to_str().ok());
        let number = value.and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.unexpected(format!("no number in {name}")))
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.fields.get(name).is_some_and(|found| found == value)
    }

    fn parsed<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ClientError> {
        parse(&self.text).ok_or_else(|| self.unexpected(format!("`{}`", self.text)))
    }

    fn unexpected(&self, problem: String) -> ClientError {
        ClientError::Unexpected {
            node: self.node.clone(),
            problem,
        }
    }

    fn refused(&self) -> ClientError {
        ClientError::Refused {
            node: self.node.clone(),
            status: self.status,
            text: self.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_the_same_data_centre_are_asked_first() {
        let node = |id: u16, data_centre| NodeConfig {
            data_centre,
            ..NodeConfig::new(NodeId(id), "a:1", format!("{id}"), "data")
        };
        let nodes = [
            node(1, None),
            node(2, Some(1)),
            node(3, Some(2)),
            node(4, Some(1)),
        ];
        let order = |from: Option<u16>| nearest_first(&nodes, from.map(DataCentre)).join(" ");
        assert_eq!(order(None), "1 2 3 4");
        assert_eq!(order(Some(1)), "2 4 1 3");
        assert_eq!(order(Some(0)), "1 2 3 4");
        assert_eq!(order(Some(2)), "3 1 2 4");
    }
}
