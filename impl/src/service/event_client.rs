//! A client that is told of events by the nodes of a cluster: it goes on at another where its own is gone.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{sleep, timeout};

use crate::service::http_client::in_full;
use crate::service::session_client::{RequestError, SessionClient};

/// Who hears nothing for so long, not even that the node lives, asks another.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause before it asks another node.
const PAUSE: Duration = Duration::from_millis(200);

/// What a node tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What it is.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) data: String,
}

/// Why no more is told.
#[derive(Debug)]
pub(crate) enum Ended {
    /// What comes after the last event is not remembered any more; in the node's words.
    Gone(String),
    /// The nodes refuse.
    Refused(RequestError),
}

/// A client that is told of events.
#[derive(Debug)]
pub(crate) struct EventClient {
    session: SessionClient,
    /// What is asked for.
    path: String,
    /// The last event that it knows of.
    last: Option<u64>,
    answer: Option<reqwest::Response>,
    /// What has come of the next event.
    unread: Vec<u8>,
    events: VecDeque<Event>,
}

impl EventClient {
    /// Asks the nodes of `session` for `path`.
    pub(crate) fn new(session: SessionClient, path: String, last: Option<u64>) -> Self {
        Self {
            session,
            path,
            last,
            answer: None,
            unread: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// The node that tells, or is asked next.
    pub(crate) fn node(&self) -> &str {
        self.session.nodes().next()
    }

    /// Waits for the next event. Cancel-safe: what was not returned is returned by the next call.
    ///
    /// # Errors
    /// When there will be none.
    pub(crate) async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let Some(answer) = &mut self.answer else {
                self.connect().await?;
                continue;
            };
            match timeout(PATIENCE, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => self.take(&chunk),
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

    async fn connect(&mut self) -> Result<(), Ended> {
        let nodes = self.session.nodes();
        let node = nodes.next().to_owned();
        let mut request = nodes.http.get(nodes.access.url(&node, &self.path));
        if let Some(last) = self.last {
            request = request.header("last-event-id", last);
        }
        let answer = match timeout(PATIENCE, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(node, error = in_full(&error), "tells of no events");
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
        let text = answer.text().await.unwrap_or_default();
        let text = text.trim_end().to_owned();
        if status == StatusCode::GONE {
            return Err(Ended::Gone(text));
        }
        if status.is_server_error() {
            self.lose().await;
            return Ok(());
        }
        Err(Ended::Refused(RequestError::Refused { node, status, text }))
    }

    /// Takes what has come, and the events that are whole.
    fn take(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.take_event(&String::from_utf8_lossy(&event));
        }
    }

    /// An event without data says only that its node lives, and where to go on.
    fn take_event(&mut self, event: &str) {
        let field = |name: &str| {
            let lines = event.lines();
            lines.filter_map(|line| line.strip_prefix(name)).next()
        };
        if let Some(id) = field("id: ").and_then(|id| id.parse().ok()) {
            self.last = Some(id);
        }
        if let (Some(kind), Some(data)) = (field("event: "), field("data: ")) {
            let (kind, data) = (kind.to_owned(), data.to_owned());
            self.events.push_back(Event { kind, data });
        }
    }
}
