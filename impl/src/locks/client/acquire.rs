//! Acquiring a lock and keeping it: a session of its own, a claim that waits at its node, signs of life.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::{Instant, sleep};

use super::{Client, ClientError, PAUSE, lock_path, millis};
use crate::locks::server::session_api::{AcquireBody, GrantPage, OpenBody, RenewBody, SessionPage};
use crate::locks::sessions::LockState;
use crate::locks::sessions::session_id::SessionId;
use crate::locks::token::TokenReport;

/// A claim waits in requests of so long: a node that is gone is noticed by then.
const POLL: Duration = Duration::from_secs(2);
/// What a node may take beside the time that it was asked to wait.
const SLACK: Duration = Duration::from_secs(4);
/// A node waits for so long at a time at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// A session that is given up is ended within this time, or ends by itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// A lock that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub lock: String,
    /// The session that has it.
    pub session: SessionId,
    /// The client address of the session's node.
    pub node: String,
    /// The fencing token.
    pub token: TokenReport,
    /// For how long the session lives after its last sign of life.
    pub ttl: Duration,
    /// Until when the grant may be believed without another word of the node.
    pub valid_until: Instant,
}

impl Client {
    /// Claims a lock in a session of its own, and waits for it for so long. With no time at all it
    /// is given up as soon as it is known that somebody else has it. Returns nothing if it was not
    /// granted; nothing is held, then.
    ///
    /// A node that dies meanwhile is left for another, where the claim waits anew.
    ///
    /// # Errors
    /// When no node takes the claim, or one refuses it.
    pub async fn acquire(
        &mut self,
        lock: &str,
        wait: Duration,
        ttl: Duration,
    ) -> Result<Option<Grant>, ClientError> {
        let end = Instant::now() + wait;
        loop {
            let (session, node) = self.open(ttl).await?;
            let found = match self
                .acquire_in(session, &node, lock, end, wait.is_zero())
                .await
            {
                Ok(Some(grant)) => self.confirm(grant).await,
                other => other,
            };
            match found {
                Ok(Some(grant)) => return Ok(Some(grant)),
                Ok(None) => {
                    self.leave(session, &node).await;
                    return Ok(None);
                }
                Err(Interrupted::Node(last)) => {
                    self.leave(session, &node).await;
                    self.nodes.rotate();
                    if Instant::now() >= end + self.nodes.timeout {
                        return Err(self.not_taken(last));
                    }
                    sleep(PAUSE).await;
                }
                Err(Interrupted::Refused(error)) => {
                    self.leave(session, &node).await;
                    return Err(error);
                }
            }
        }
    }

    async fn acquire_in(
        &self,
        session: SessionId,
        node: &str,
        lock: &str,
        end: Instant,
        at_once: bool,
    ) -> Result<Option<Grant>, Interrupted> {
        let path = lock_path(lock, "acquire");
        loop {
            let left = end
                .saturating_duration_since(Instant::now())
                .min(LONGEST_WAIT);
            let body = AcquireBody {
                session: Some(session),
                ttl_ms: None,
                wait_ms: if at_once { 0 } else { millis(left).max(1) },
                poll_ms: (!at_once).then(|| millis(POLL)),
            };
            let limit = left.min(POLL) + SLACK;
            let answer = self
                .ask(node, Method::POST, &path, Some(&body), limit)
                .await;
            let answer = answer.map_err(Interrupted::Node)?;
            match answer.status {
                StatusCode::OK => {
                    let page: GrantPage = answer.json().map_err(Interrupted::Refused)?;
                    return Ok(Some(Grant {
                        lock: lock.to_owned(),
                        session,
                        node: node.to_owned(),
                        token: page.token,
                        ttl: Duration::from_millis(page.ttl_ms),
                        valid_until: valid_until(answer.asked, page.valid_ms),
                    }));
                }
                // It waits on.
                StatusCode::ACCEPTED => {}
                StatusCode::CONFLICT => return Ok(None),
                // The node has been restarted.
                StatusCode::GONE => return Err(Interrupted::Node(answer.in_words())),
                _ if answer.is_for_others() => return Err(Interrupted::Node(answer.in_words())),
                _ => return Err(Interrupted::Refused(answer.refused())),
            }
        }
    }

    /// Asks for how long a grant may be believed: what its own answer says counts from when it was
    /// asked for, which may be long ago.
    async fn confirm(&self, grant: Grant) -> Result<Option<Grant>, Interrupted> {
        match self.renew(&grant, Duration::ZERO, SLACK).await {
            Ok(grant) => Ok(Some(grant)),
            Err(NotRenewed::Lost(words) | NotRenewed::Unanswered(words)) => {
                Err(Interrupted::Node(words))
            }
        }
    }

    /// Opens a session at the first node that has locks. Returns it, and where it is.
    async fn open(&mut self, ttl: Duration) -> Result<(SessionId, String), ClientError> {
        let body = OpenBody {
            ttl_ms: Some(millis(ttl)),
        };
        let deadline = Instant::now() + self.nodes.timeout;
        let mut last = String::from("there was no time for one");
        loop {
            for _ in 0..self.nodes.addresses.len() {
                let Some(limit) = self.nodes.time_for_a_try(deadline) else {
                    return Err(self.not_taken(last));
                };
                let node = self.nodes.next().to_owned();
                match self
                    .ask(&node, Method::POST, "/sessions", Some(&body), limit)
                    .await
                {
                    Ok(answer) if answer.status == StatusCode::CREATED => {
                        let page: SessionPage = answer.json()?;
                        return Ok((page.session, node));
                    }
                    Ok(answer) if answer.is_for_others() => last = answer.in_words(),
                    Ok(answer) => return Err(answer.refused()),
                    Err(words) => last = words,
                }
                self.nodes.rotate();
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends a session, if its node answers; else it ends by itself.
    async fn leave(&self, session: SessionId, node: &str) {
        let path = format!("/sessions/{session}");
        let ended = self.ask(node, Method::DELETE, &path, None::<&()>, FAREWELL);
        if let Err(words) = ended.await {
            tracing::debug!(%session, words, "a session ends by itself");
        }
    }

    /// Shows that the client of a grant lives, and asks whether it still holds: after `wait`, or as
    /// soon as something has become of it.
    ///
    /// # Errors
    /// When it does not, or there is no answer within `limit` beside that.
    pub(crate) async fn renew(
        &self,
        grant: &Grant,
        wait: Duration,
        limit: Duration,
    ) -> Result<Grant, NotRenewed> {
        let path = format!("/sessions/{}/renew", grant.session);
        let body = RenewBody {
            wait_ms: millis(wait),
        };
        let asked = self.ask(&grant.node, Method::POST, &path, Some(&body), wait + limit);
        let answer = asked.await.map_err(NotRenewed::Unanswered)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::GONE | StatusCode::NOT_FOUND => {
                return Err(NotRenewed::Lost(answer.text.trim_end().to_owned()));
            }
            _ => return Err(NotRenewed::Unanswered(answer.in_words())),
        }
        let page: SessionPage = answer
            .json()
            .map_err(|error| NotRenewed::Unanswered(error.to_string()))?;
        let own = page.locks.iter().find(|lock| lock.lock == grant.lock);
        match own {
            Some(own) if own.state == LockState::Held && own.token == Some(grant.token) => {
                Ok(Grant {
                    valid_until: valid_until(answer.asked, page.valid_ms),
                    ..grant.clone()
                })
            }
            _ => Err(NotRenewed::Lost(
                "the lock was revoked: its node is no member of its epoch any more".to_owned(),
            )),
        }
    }
}

/// Why a claim did not come to its end at a node.
enum Interrupted {
    /// The node is gone, or does not take it: another may.
    Node(String),
    /// No node will.
    Refused(ClientError),
}

/// Why a grant may not be believed any longer, or not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotRenewed {
    /// It is lost.
    Lost(String),
    /// The node gives no answer that says so.
    Unanswered(String),
}

/// A little less than the node says: its clock and ours may run differently.
fn valid_until(asked: Instant, valid_ms: u64) -> Instant {
    asked + Duration::from_millis(valid_ms).mul_f64(0.95)
}
