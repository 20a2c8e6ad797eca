//! Keeps a lock for as long as it can be kept, and says when it is lost.
//!
//! A grant may be believed for a while after its node was asked: no longer than the session's TTL and
//! the node's own lease. So it is asked again well before, again and again; a node that does not
//! answer is waited for until then, and not a moment longer.

use std::fmt::{self, Display};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::{Client, ClientError, Grant, NotRenewed};
use super::server::session_api::Was;

/// A renewal waits at the node for no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// And may take so long beside.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause before a node that has not answered is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a lock is held no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its node says so.
    Told(String),
    /// Its node does not answer, and may have lost it.
    Unanswered(String),
}

impl Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(words) => f.write_str(words),
            Self::Unanswered(words) => write!(
                f,
                "its node has not answered for as long as the grant may be believed ({words}): another \
                 may have it by now"
            ),
        }
    }
}

/// A lock that is kept. Dropped, it is kept no longer, and ends with its session.
#[derive(Debug)]
pub struct Holder {
    client: Client,
    grant: Grant,
    loss: watch::Receiver<Option<Loss>>,
    keeping: JoinHandle<()>,
}

impl Holder {
    /// Keeps what was granted.
    pub fn keep(client: &Client, grant: Grant) -> Self {
        let (told, loss) = watch::channel(None);
        let keeping = {
            let (client, grant) = (client.clone(), grant.clone());
            tokio::spawn(async move {
                let loss = renew_until_lost(&client, grant).await;
                told.send_replace(Some(loss));
            })
        };
        Self {
            client: client.clone(),
            grant,
            loss,
            keeping,
        }
    }

    /// What was granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Waits until the lock is lost, and tells why.
    pub async fn lost(&self) -> Loss {
        let mut loss = self.loss.clone();
        let told = loss.wait_for(Option::is_some).await;
        match told.map(|loss| loss.clone()) {
            Ok(Some(loss)) => loss,
            Ok(None) | Err(_) => Loss::Unanswered("nobody asks any more".to_owned()),
        }
    }

    /// Releases the lock. Returns whether it was held until now.
    ///
    /// # Errors
    /// When nobody knows: then it ends with its session.
    pub async fn release(mut self) -> Result<bool, ClientError> {
        self.keeping.abort();
        let (lock, session) = (self.grant.lock.clone(), self.grant.session);
        let was = match self.client.release(&lock, session).await {
            Ok(was) => was,
            Err(ClientError::Gone(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if let Err(error) = self.client.end(session).await {
            tracing::debug!(%error, "a session ends by itself");
        }
        Ok(was == Was::Held)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn renew_until_lost(client: &Client, mut grant: Grant) -> Loss {
    let mut last = "it was not asked in time".to_owned();
    loop {
        let left = grant.valid_until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Loss::Unanswered(last);
        }
        let wait = (left / 4).min(LONGEST_WAIT);
        let limit = PATIENCE.min(left - wait);
        match client.renew(&grant, wait, limit).await {
            Ok(renewed) => grant = renewed,
            Err(NotRenewed::Lost(words)) => return Loss::Told(words),
            Err(NotRenewed::Unanswered(words)) => {
                last = words;
                sleep(PAUSE.min(left)).await;
            }
        }
    }
}
