//! Where a peer is: its name, looked up anew each time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use models::NodeId;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// A name has this long to be looked up. The system's own limit may be much longer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks up one peer's `host:port`.
#[derive(Debug)]
pub(super) struct Resolver {
    peer: NodeId,
    address: String,
    /// What was found the last time.
    last: Vec<SocketAddr>,
}

impl Resolver {
    pub(super) fn new(peer: NodeId, address: String) -> Self {
        Self {
            peer,
            address,
            last: Vec::new(),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// All addresses that the name has now, in the order in which the system would try them.
    /// Logs them when they are others than the last time.
    ///
    /// # Errors
    /// When there are none, or the look-up fails or takes too long.
    pub(super) async fn resolve(&mut self) -> io::Result<&[SocketAddr]> {
        let found = timeout(LOOKUP_TIMEOUT, lookup_host(&self.address))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))??;
        let found: Vec<SocketAddr> = found.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
        }
        if found != self.last {
            self.log(&found);
            self.last = found;
        }
        Ok(&self.last)
    }

    /// There is nothing to tell of an address that was no name.
    fn log(&self, found: &[SocketAddr]) {
        if self.address.parse::<SocketAddr>().is_err() {
            let before = &self.last;
            tracing::info!(
                peer = %self.peer, name = self.address, addresses = ?found, ?before,
                "looked up a peer's name"
            );
        }
    }
}
