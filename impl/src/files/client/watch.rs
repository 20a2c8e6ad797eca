//! A client that is told what changes.

use serde::{Deserialize, Serialize};

use super::{ClientError, encode};
use crate::files::store::changes::FileChange;
use crate::service::event_client::{Ended, EventClient};
use crate::service::session_client::SessionClient;

/// A watch, which goes on at another node when its own is gone.
#[derive(Debug)]
pub struct Watch {
    events: EventClient,
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
        let path = format!("/watch?prefix={}", encode(prefix));
        let events = EventClient::new(session, path, from);
        Self { events }
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// When the position to go on from is not remembered any more, or the watch is refused.
    pub async fn next(&mut self) -> Result<Watched, ClientError> {
        loop {
            let event = self.events.next().await.map_err(|ended| match ended {
                Ended::Gone(text) => ClientError::Gone(text),
                Ended::Refused(error) => error.into(),
            })?;
            // Else the node ends the watch, and closes it: another goes on.
            if event.kind == "change" {
                return serde_json::from_str(&event.data).map_err(|error| ClientError::Malformed {
                    node: self.events.node().to_owned(),
                    problem: error.to_string(),
                });
            }
        }
    }
}
