//! A client that is told what changes.

use bytes::Bytes;
use serde::Deserialize;

use super::entry::{Entry, Keys, WireEntry};
use super::{Client, ClientError};
use crate::service::event_client::{Ended, EventClient};

/// A watch, which goes on at another node when its own is gone.
#[derive(Debug)]
pub struct Watch {
    events: EventClient,
}

/// What a revision has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The revision.
    pub revision: u64,
    /// The changes, in their order.
    pub changes: Vec<Change>,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was set.
    Put(Entry),
    /// It was removed.
    Deleted(Bytes),
}

#[derive(Deserialize)]
struct WireRevision {
    revision: u64,
    events: Vec<WireChange>,
}

#[derive(Deserialize)]
struct WireChange {
    kind: String,
    #[serde(flatten)]
    entry: WireEntry,
}

impl Client {
    /// Watches keys: from a revision on, or what changes from now on.
    ///
    /// # Errors
    /// When the HTTP client cannot be had.
    pub fn watch(&self, keys: &Keys, from: Option<u64>) -> Result<Watch, ClientError> {
        let mut path = format!("/watch?{}", keys.query());
        if let Some(from) = from {
            path += &format!("&from={from}");
        }
        let session = self.session.another()?;
        let events = EventClient::new(session, path, None);
        Ok(Watch { events })
    }
}

impl Watch {
    /// Waits for the next revision that changes a key of those that are watched. Cancel-safe.
    ///
    /// # Errors
    /// When the revision to go on from is compacted, or the watch is refused.
    pub async fn next(&mut self) -> Result<Revision, ClientError> {
        loop {
            let event = self.events.next().await.map_err(|ended| match ended {
                Ended::Gone(text) => ClientError::Gone(text),
                Ended::Refused(error) => error.into(),
            })?;
            // Else the node ends the watch, and closes it: another goes on.
            if event.kind == "change" {
                return parse(&event.data).map_err(|problem| ClientError::Malformed {
                    node: self.events.node().to_owned(),
                    problem,
                });
            }
        }
    }
}

fn parse(data: &str) -> Result<Revision, String> {
    let told: WireRevision = serde_json::from_str(data).map_err(|error| error.to_string())?;
    let changes = told.events.into_iter().map(|change| {
        let entry = change.entry.into_entry()?;
        match change.kind.as_str() {
            "put" => Ok(Change::Put(entry)),
            "delete" => Ok(Change::Deleted(entry.key)),
            other => Err(format!("`{other}` is no kind of change")),
        }
    });
    Ok(Revision {
        revision: told.revision,
        changes: changes.collect::<Result<_, _>>()?,
    })
}
