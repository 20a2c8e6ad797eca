//! Fetching the whole store as a file.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::timeout;

use super::{Client, ClientError};
use crate::service::http_client::in_full;

/// A node that sends nothing for so long has no more to send.
const PATIENCE: Duration = Duration::from_secs(30);
const PATH: &str = "/snapshot";

impl Client {
    /// Writes a snapshot of the store, as a [file](crate::kv::snapshot::file), to `out`: of the first node
    /// that sends one. What was acknowledged before is in it.
    ///
    /// # Errors
    /// When no node sends one, or one does not send it to its end, or `out` refuses. Nothing has changed
    /// in the cluster, and what `out` has is of no use.
    pub async fn snapshot(&self, out: &mut dyn Write) -> Result<(), ClientError> {
        let nodes = self.session.nodes();
        let mut refusals = Vec::new();
        for address in &nodes.addresses {
            let asked = nodes.http.get(nodes.access.url(address, PATH)).send();
            let answer = match timeout(nodes.timeout, asked).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => {
                    refusals.push(format!("{address}: {}", in_full(&error)));
                    continue;
                }
                Err(_) => {
                    refusals.push(format!("{address} has not answered in {:?}", nodes.timeout));
                    continue;
                }
            };
            let status = answer.status();
            if status.is_success() {
                return receive(address, answer, out).await;
            }
            let words = answer.text().await.unwrap_or_default();
            refusals.push(format!("{address} answers {status}: {}", words.trim_end()));
        }
        Err(ClientError::Snapshot(refusals.join("; ")))
    }
}

async fn receive(
    address: &str,
    mut answer: reqwest::Response,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let failed = |words: String| ClientError::Snapshot(format!("{address}: {words}"));
    let cannot = |error: io::Error| ClientError::Snapshot(format!("it cannot be written: {error}"));
    loop {
        let piece = timeout(PATIENCE, answer.chunk()).await;
        let piece = piece.map_err(|_| failed(format!("nothing has come for {PATIENCE:?}")))?;
        match piece.map_err(|error| failed(in_full(&error)))? {
            Some(piece) => out.write_all(&piece).map_err(cannot)?,
            None => return out.flush().map_err(cannot),
        }
    }
}
