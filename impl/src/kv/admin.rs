//! A client of what operators ask of a cluster: founding it, its members, its leader.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::address::{Address, AddressError};
use super::client::in_full;
use super::headers;
use super::members_api::Members;

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks nodes, one after the other, until one gives an answer that is final.
#[derive(Debug)]
pub struct Admin {
    http: reqwest::Client,
    nodes: Vec<String>,
    timeout: Duration,
}

/// Why nothing came of a request. What a change names is to be, so asking again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No node is named.
    #[error("no node to ask: name one with --node, or a cluster file with --config")]
    NoNodes,
    /// A node's address is none.
    #[error("--node: {0}. Nothing was sent")]
    Address(#[from] AddressError),
    /// The HTTP client cannot be had.
    #[error("the HTTP client did not start: {0}; nothing was asked")]
    Http(reqwest::Error),
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
    #[error("{node} answers what is not understood: {problem}; look with `lockstep members list`")]
    Malformed {
        /// The node.
        node: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// Nobody gave a final answer in time.
    #[error(
        "not done within {timeout:?}, the last try ended so: {last}. Whether the change is made yet \
         is not known: look with `lockstep members list`, and ask again, which does no harm"
    )]
    TimedOut {
        /// The deadline.
        timeout: Duration,
        /// How the last try ended.
        last: String,
    },
}

impl Admin {
    /// Talks to the nodes with these client addresses; each request may take `timeout`.
    ///
    /// # Errors
    /// When there are none, one is no address, or the HTTP client cannot be had.
    pub fn new(nodes: Vec<String>, timeout: Duration) -> Result<Self, AdminError> {
        if nodes.is_empty() {
            return Err(AdminError::NoNodes);
        }
        for node in &nodes {
            node.parse::<Address>()?;
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(AdminError::Http)?;
        Ok(Self {
            http,
            nodes,
            timeout,
        })
    }

    /// Founds the cluster whose first node is the one that is asked. Returns the cluster id.
    ///
    /// # Errors
    /// When it was not founded in time, or there is one already.
    pub async fn init(&mut self) -> Result<String, AdminError> {
        let (node, text) = self.ask(Method::POST, "/init", None).await?;
        let founded: Result<Value, _> = serde_json::from_str(&text);
        let cluster_id = founded
            .ok()
            .and_then(|founded| Some(founded.get("cluster_id")?.as_str()?.to_owned()));
        cluster_id.ok_or_else(|| AdminError::Malformed {
            node,
            problem: text,
        })
    }

    /// The members.
    ///
    /// # Errors
    /// When no node says.
    pub async fn members(&mut self) -> Result<Members, AdminError> {
        self.members_after(Method::GET, "/members", None).await
    }

    /// Adds node `id`, which runs on an empty disk, as a learner.
    ///
    /// # Errors
    /// When it was not added, or nobody knows.
    pub async fn add(
        &mut self,
        id: u16,
        peer_address: &str,
        client_address: &str,
    ) -> Result<Members, AdminError> {
        let body = serde_json::json!({
            "id": id,
            "peer_address": peer_address,
            "client_address": client_address,
        });
        self.members_after(Method::POST, "/members", Some(body))
            .await
    }

    /// Lets the learner `id` vote, once it has caught up.
    ///
    /// # Errors
    /// When it does not, or nobody knows.
    pub async fn promote(&mut self, id: u16) -> Result<Members, AdminError> {
        let path = format!("/members/{id}/promote");
        self.members_after(Method::POST, &path, None).await
    }

    /// Removes node `id`.
    ///
    /// # Errors
    /// When it was not removed, or nobody knows.
    pub async fn remove(&mut self, id: u16) -> Result<Members, AdminError> {
        let path = format!("/members/{id}");
        self.members_after(Method::DELETE, &path, None).await
    }

    /// Lets the learner `new` vote in the place of `old`, at once, when it has caught up.
    ///
    /// # Errors
    /// When it does not, or nobody knows.
    pub async fn replace(&mut self, old: u16, new: u16) -> Result<Members, AdminError> {
        let path = format!("/members/{old}/replace-with/{new}");
        self.members_after(Method::POST, &path, None).await
    }

    /// Makes node `id` the leader.
    ///
    /// # Errors
    /// When it does not lead, or nobody knows.
    pub async fn move_leader(&mut self, id: u16) -> Result<(), AdminError> {
        let path = format!("/leader/{id}");
        self.ask(Method::POST, &path, None).await.map(|_| ())
    }

    async fn members_after(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Members, AdminError> {
        let (node, text) = self.ask(method, path, body).await?;
        serde_json::from_str(&text).map_err(|error| AdminError::Malformed {
            node,
            problem: error.to_string(),
        })
    }

    /// Tries node after node until one gives an answer that is final. Returns who it was, and
    /// the answer.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(String, String), AdminError> {
        let deadline = Instant::now() + self.timeout;
        let mut last = String::from("none was made");
        let mut answered = false;
        while Instant::now() < deadline {
            for _ in 0..self.nodes.len() {
                let node = self.nodes[0].clone();
                let left = deadline.saturating_duration_since(Instant::now());
                match self.attempt(&node, method.clone(), path, &body, left).await {
                    Ok((StatusCode::OK, text)) => return Ok((node, text)),
                    Ok((status, text)) if status.is_server_error() => {
                        last = format!("{node} answers {status}: {}", text.trim_end());
                        answered = true;
                    }
                    Ok((status, text)) => {
                        let text = text.trim_end().to_owned();
                        return Err(AdminError::Refused { node, status, text });
                    }
                    // What a node says is worth more than that there was no time for another try.
                    Err(error) if !answered => last = error,
                    Err(_) => {}
                }
                self.nodes.rotate_left(1);
            }
            sleep(PAUSE).await;
        }
        let timeout = self.timeout;
        Err(AdminError::TimedOut { timeout, last })
    }

    async fn attempt(
        &self,
        node: &str,
        method: Method,
        path: &str,
        body: &Option<Value>,
        left: Duration,
    ) -> Result<(StatusCode, String), String> {
        let mut request = self
            .http
            .request(method, format!("http://{node}{path}"))
            .timeout(left);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| in_full(&error))?;
        if !answer.headers().contains_key(headers::NODE) {
            return Err(format!("{node} is no node of a cluster"));
        }
        let status = answer.status();
        let text = answer.text().await.map_err(|error| in_full(&error))?;
        Ok((status, text))
    }
}
