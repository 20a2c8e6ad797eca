//! A client of what operators ask of a cluster: founding it, its members, its leader.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::kv::headers;
use crate::kv::server::members_api::Members;
use crate::service::founding::request::{Founded, Founding};
use crate::service::http_client::{Access, Nodes, SetUpError, in_full};

/// The pause between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks nodes, one after the other, until one gives an answer that is final.
#[derive(Debug)]
pub struct Admin {
    nodes: Nodes,
}

/// Why nothing came of a request. What a change names is to be, so asking again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
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
    pub fn new(access: Access, nodes: Vec<String>, timeout: Duration) -> Result<Self, AdminError> {
        let nodes = Nodes::new(access, nodes, timeout)?;
        Ok(Self { nodes })
    }

    /// Founds the cluster whose first node is the one that is asked; done already if there is
    /// this very cluster.
    ///
    /// # Errors
    /// When it was not founded in time, or there is another.
    pub async fn init(&mut self, wanted: &Founding) -> Result<Founded, AdminError> {
        let body = serde_json::json!(wanted);
        let (node, text) = self.ask(Method::POST, "/init", Some(body)).await?;
        serde_json::from_str(&text).map_err(|error| AdminError::Malformed {
            node,
            problem: error.to_string(),
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
        let deadline = Instant::now() + self.nodes.timeout;
        let mut last = String::from("there was no time for one");
        let mut answered = false;
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(limit) = self.nodes.time_for_a_try(deadline) else {
                    let timeout = self.nodes.timeout;
                    return Err(AdminError::TimedOut { timeout, last });
                };
                let node = self.nodes.next().to_owned();
                match self
                    .attempt(&node, method.clone(), path, &body, limit)
                    .await
                {
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
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    async fn attempt(
        &self,
        node: &str,
        method: Method,
        path: &str,
        body: &Option<Value>,
        limit: Duration,
    ) -> Result<(StatusCode, String), String> {
        let mut request = self
            .nodes
            .http
            .request(method, self.nodes.access.url(node, path))
            .timeout(limit);
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
