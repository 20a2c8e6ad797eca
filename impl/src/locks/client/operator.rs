//! What operators ask: how nodes fare, what they know of locks, who is to be a member.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Client, ClientError, encode};
use crate::locks::server::lock_pages::{LockReport, LocksPage};
use crate::locks::server::membership_api::{AddBody, MembershipPage};
use crate::locks::status::Report;

impl Client {
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
}
