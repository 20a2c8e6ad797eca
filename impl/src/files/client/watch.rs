//! A client that is told what changes.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{ClientError, encode};
use crate::files::store::changes::FileChange;
use crate::service::http_client::in_full;
use crate::service::session_client::{RequestError, SessionClient};

/// A watch that hears nothing for so long, not even that its node lives, asks another.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause before it asks another node.
const PAUSE: Duration = Duration::from_millis(200);

/// A watch, which goes on at another node when its own is gone.
#[derive(Debug)]
pub struct Watch {
    session: SessionClient,
    prefix: String,
    /// After which position to go on.
    from: Option<u64>,
    answer: Option<reqwest::Response>,
    /// What has come of the next event.
    unread: Vec<u8>,
    events: VecDeque<Watched>,
}

/// What a command has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Its position.
    pub position: u64,
    /// When, by the clock of the node that took the request, in milliseconds since 1970.
    pub time_ms: u64,
    /// The files.
    pub files: Vec<FileChange>,
}

impl Watch {
    pub(super) fn new(session: SessionClient, prefix: &str, from: Option<u64>) -> Self {
        Self {
            session,
            prefix: prefix.to_owned(),
            from,
            answer: None,
            unread: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// When the position to go on from is not remembered any more, or the watch is refused.
    pub async fn next(&mut self) -> Result<Watched, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let Some(answer) = &mut self.answer else {
                self.connect().await?;
                continue;
            };
            match timeout(PATIENCE, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => self.take(&chunk)?,
                Ok(Ok(None) | Err(_)) | Err(_) => self.lose().await,
            }
        }
    }

    async fn lose(&mut self) {
        self.answer = None;
        self.unread.clear();
        self.session.nodes_mut().rotate();
        sleep(PAUSE).await;
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let node = self.session.nodes().next().to_owned();
        let path = format!("/watch?prefix={}", encode(&self.prefix));
        let mut url = self.session.nodes().access.url(&node, &path);
        if let Some(from) = self.from {
            url += &format!("&from={from}");
        }
        let sent = self.session.nodes().http.get(url).send();
        let answer = match timeout(PATIENCE, sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(node, error = in_full(&error), "no watch here");
                self.lose().await;
                return Ok(());
            }
            Err(_) => {
                self.lose().await;
                return Ok(());
            }
        };
        let status = answer.status();
        if status.is_success() {
            self.answer = Some(answer);
            return Ok(());
        }
        let text = answer
            .text()
            .await
            .unwrap_or_default()
            .trim_end()
            .to_owned();
        if status == StatusCode::GONE {
            return Err(ClientError::Gone(text));
        }
        if status.is_server_error() {
            self.lose().await;
            return Ok(());
        }
        Err(RequestError::Refused { node, status, text }.into())
    }

    /// Takes what has come, and the events that are whole.
    fn take(&mut self, chunk: &[u8]) -> Result<(), ClientError> {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.take_event(&String::from_utf8_lossy(&event))?;
        }
        Ok(())
    }

    fn take_event(&mut self, event: &str) -> Result<(), ClientError> {
        let field = |name: &str| {
            let lines = event.lines();
            lines.filter_map(|line| line.strip_prefix(name)).next()
        };
        if let Some(id) = field("id: ").and_then(|id| id.parse().ok()) {
            self.from = Some(id);
        }
        let (Some("change"), Some(data)) = (field("event: "), field("data: ")) else {
            // The node ends the watch, and closes it; or it says only that it lives.
            return Ok(());
        };
        let watched = serde_json::from_str(data).map_err(|error| ClientError::Malformed {
            node: self.session.nodes().next().to_owned(),
            problem: error.to_string(),
        })?;
        self.events.push_back(watched);
        Ok(())
    }
}
