//! The sessions of a node's clients, what they claim, and how long they live.
//!
//! **A session lives for its TTL after the last sign of life of its client**: the end of a request
//! in it. While a request of it runs it does not run out. Then all that it claims is ended. All this is
//! by the node's clock, and in its memory alone: a restart forgets it, as it forgets what the
//! protocol knows of claims.
//!
//! Whatever becomes of a claim the protocol tells as an event; what is here asks it, and never decides who
//! has a lock.

pub(crate) mod claim;
pub mod session_id;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use models::NodeId;
use models::maekawa::lock::LockName;
use models::maekawa::state::{Claim, Session};
use models::maekawa::{Command, Event};
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::claim::{Claimed, End, Standing, Waiter};
use self::session_id::SessionId;
use super::Maekawa;
use super::numbers::Numbers;
use super::server::draining::Draining;
use super::token::TokenReport;
use crate::runtime::driver::{AskError, Inbox};
use crate::runtime::sync::Mutex;

/// A session's TTL is no shorter,
pub const SHORTEST_TTL: Duration = Duration::from_millis(500);
/// and no longer.
pub const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);
/// A session claims so many locks at a time.
pub const MAX_LOCKS: usize = 1024;
/// How often is looked for sessions that have run out.
const TICK: Duration = Duration::from_millis(50);

/// Why a session is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gone {
    /// It was opened at another node.
    #[error(
        "this session was opened at node {0}, which alone knows it: ask that one; nothing was \
         changed"
    )]
    Elsewhere(u16),
    /// The node was restarted since.
    #[error(
        "this session is over: its node was restarted since, and all that it held was lost with \
         that; nothing was changed now: open another"
    )]
    Restarted,
    /// It has run out, or was ended.
    #[error(
        "this session is over: it has run out or was ended, and all that it held was released; \
         nothing was changed now: open another"
    )]
    Over,
    /// There never was one.
    #[error("there is no such session; nothing was changed")]
    Unknown,
}

/// Why a claim was not made. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotClaimed {
    /// The node has as many sessions as it bears.
    #[error("this node has as many sessions as it bears; nothing was changed: ask another node")]
    Sessions,
    /// The session has as many locks as it may.
    #[error("a session claims {MAX_LOCKS} locks at most; nothing was changed: release some")]
    Locks,
    /// The session was ended by another request, while this one was on its way.
    #[error("this session is over; nothing was changed: open another")]
    Ended,
    /// The node did not take the question.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What is counted of sessions and claims.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) entries: Counter,
    pub(crate) revocations: Counter,
    pub(crate) given_up: Counter,
    pub(crate) expired: Counter,
    pub(crate) opened: Counter,
}

/// A lock of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLock {
    /// Its name.
    pub lock: String,
    /// Whether the session has it, waits for it, or has lost it.
    pub state: LockState,
    /// The token, if the session has it or has lost it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<TokenReport>,
}

/// How it stands with a lock of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// The session has it.
    Held,
    /// The session waits for it.
    Waiting,
    /// The session had it and has lost it: others may have it by now.
    Revoked,
}

/// The sessions of a node's clients.
pub(crate) struct Sessions {
    id: NodeId,
    numbers: Numbers,
    max_sessions: usize,
    inbox: Inbox<Maekawa>,
    table: Mutex<Table>,
    pub(crate) counts: Counts,
}

#[derive(Default)]
struct Table {
    sessions: BTreeMap<u64, Open>,
    /// Until the protocol has ended them, which may be after their sessions.
    claims: BTreeMap<u64, Arc<Claimed>>,
    /// Claims to be ended that the node was too busy to hear of.
    unasked: Vec<u64>,
    /// Whether the node stops: nothing is begun any more.
    closed: bool,
}

/// An open session.
struct Open {
    key: u64,
    ttl: Duration,
    expires: Instant,
    /// How many requests of it run.
    requests: usize,
    claims: BTreeMap<LockName, Arc<Claimed>>,
    /// Counts what has become of its claims.
    news: watch::Sender<u64>,
}

impl Sessions {
    pub(crate) fn new(
        id: NodeId,
        numbers: Numbers,
        max_sessions: usize,
        inbox: Inbox<Maekawa>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            numbers,
            max_sessions,
            inbox,
            table: Mutex::default(),
            counts: Counts::default(),
        })
    }

    /// Opens a session, and begins a request in it.
    ///
    /// # Errors
    /// When there are too many, or the node stops.
    pub(crate) fn open(self: &Arc<Self>, ttl: Duration) -> Result<SessionRequest, NotClaimed> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(AskError::Stopped.into());
        }
        if table.sessions.len() >= self.max_sessions {
            return Err(NotClaimed::Sessions);
        }
        let id = SessionId {
            node: self.id,
            number: self.numbers.next(),
            key: fastrand::u64(..),
        };
        let open = Open {
            key: id.key,
            ttl,
            expires: Instant::now() + ttl,
            requests: 1,
            claims: BTreeMap::new(),
            news: watch::Sender::new(0),
        };
        table.sessions.insert(id.number, open);
        drop(table);
        self.counts.opened.inc();
        Ok(SessionRequest {
            sessions: self.clone(),
            id,
            ttl,
            is_fresh: true,
        })
    }

    /// Begins a request in a session.
    ///
    /// # Errors
    /// When it is over, or is none.
    pub(crate) fn request(self: &Arc<Self>, id: SessionId) -> Result<SessionRequest, Gone> {
        if id.node != self.id {
            return Err(Gone::Elsewhere(id.node.0));
        }
        let mut table = self.table.lock();
        let now = Instant::now();
        let open = table.sessions.get_mut(&id.number);
        let Some(open) = open.filter(|open| !open.has_run_out(now)) else {
            return Err(if self.numbers.is_from_before(id.number) {
                Gone::Restarted
            } else if self.numbers.is_known(id.number) {
                Gone::Over
            } else {
                Gone::Unknown
            });
        };
        if open.key != id.key {
            return Err(Gone::Unknown);
        }
        open.requests += 1;
        Ok(SessionRequest {
            sessions: self.clone(),
            id,
            ttl: open.ttl,
            is_fresh: false,
        })
    }

    /// How many sessions are open.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().sessions.len()
    }

    /// Takes what the protocol says. Never blocks for long.
    pub(crate) fn take(&self, event: &Event) {
        match event {
            Event::Granted { claim, token } => {
                if self.note(claim, Standing::Held((*token).into())) {
                    self.counts.entries.inc();
                }
            }
            Event::Released { claim } => {
                self.note(claim, Standing::Over(End::Released));
            }
            Event::Revoked { claim, token } => {
                self.counts.revocations.inc();
                self.note(claim, Standing::Over(End::Revoked((*token).into())));
                self.ask_for_end(claim.session.number);
            }
            Event::Refused {
                command: Command::Acquire { claim },
                why,
            } => {
                self.note(claim, Standing::Over(End::Refused(*why)));
                self.ask_for_end(claim.session.number);
            }
            Event::Ended { session } => self.forget(session.number),
            Event::Refused { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Installed { .. }
            | Event::Suspected { .. } => {}
        }
    }

    /// Notes how a claim stands. Returns whether that is news.
    fn note(&self, claim: &Claim, standing: Standing) -> bool {
        let claimed = self.table.lock().claims.get(&claim.session.number).cloned();
        claimed.is_some_and(|claimed| self.become_so(&claimed, standing))
    }

    fn become_so(&self, claimed: &Arc<Claimed>, standing: Standing) -> bool {
        let mut table = self.table.lock();
        let is_news = claimed.become_so(standing);
        if let Some(open) = table.sessions.get_mut(&claimed.session)
            && is_news
        {
            open.settle(claimed);
        }
        is_news
    }

    /// The protocol has ended a claim: nothing is heard of it any more.
    fn forget(&self, number: u64) {
        let claimed = self.table.lock().claims.remove(&number);
        if let Some(claimed) = claimed {
            self.become_so(&claimed, Standing::Over(End::Released));
        }
    }

    /// Ends a claim, whatever it is.
    pub(crate) fn end_claim(&self, claimed: &Claimed) {
        self.ask_for_end(claimed.number);
    }

    fn ask_for_end(&self, number: u64) {
        let session = self.session(number);
        match self.inbox.ask(Command::End { session }) {
            Ok(()) => {}
            Err(AskError::Busy) => self.table.lock().unasked.push(number),
            // Its end is that of all claims.
            Err(AskError::Stopped) => self.forget(number),
        }
    }

    fn session(&self, number: u64) -> Session {
        Session {
            node: self.id,
            number,
        }
    }

    /// Ends a session, and all that it claims.
    fn end(&self, number: u64) -> Vec<Arc<Claimed>> {
        let ended = self.table.lock().sessions.remove(&number);
        let claims = ended.into_iter().flat_map(|open| open.claims.into_values());
        let claims: Vec<Arc<Claimed>> = claims.filter(|claim| !claim.is_over()).collect();
        for claim in &claims {
            self.end_claim(claim);
        }
        claims
    }

    /// Takes from all sessions what they hold: they are told so.
    fn revoke_all(&self) {
        let claims: Vec<Arc<Claimed>> = self.table.lock().claims.values().cloned().collect();
        for claim in claims {
            if let Standing::Held(token) = claim.standing() {
                tracing::warn!(
                    node = %self.id, lock = claim.lock.as_str(), %token,
                    "this node leaves, and the epoch has waited for long enough: a lock is revoked"
                );
                self.counts.revocations.inc();
                self.become_so(&claim, Standing::Over(End::Revoked(token)));
                self.end_claim(&claim);
            }
        }
    }

    /// Ends sessions as they run out, and what is held at a node that leaves for longer than an epoch's
    /// end waits, until it is aborted.
    pub(crate) async fn watch_the_clock(self: Arc<Self>, draining: Arc<Draining>) {
        loop {
            sleep(TICK).await;
            if draining.is_over() {
                self.revoke_all();
            }
            let unasked = std::mem::take(&mut self.table.lock().unasked);
            for number in unasked {
                self.ask_for_end(number);
            }
            for number in self.run_out() {
                self.counts.expired.inc();
                let claims = self.end(number);
                let locks: Vec<&str> = claims.iter().map(|claim| claim.lock.as_str()).collect();
                tracing::info!(node = %self.id, session = number, ?locks, "a session has run out");
            }
        }
    }

    fn run_out(&self) -> Vec<u64> {
        let now = Instant::now();
        let table = self.table.lock();
        let sessions = table.sessions.iter();
        let out = sessions.filter(|(_, open)| open.has_run_out(now));
        out.map(|(number, _)| *number).collect()
    }

    /// Ends all sessions: the node stops. So others need not wait for its lease.
    pub(crate) fn close(&self) {
        let all: Vec<u64> = {
            let mut table = self.table.lock();
            table.closed = true;
            table.sessions.keys().copied().collect()
        };
        for number in all {
            self.end(number);
        }
    }
}

impl Open {
    fn has_run_out(&self, now: Instant) -> bool {
        self.requests == 0 && self.expires <= now
    }

    /// Something has become of a claim. One that is over is forgotten, but for what the client has
    /// lost: it is to be told.
    fn settle(&mut self, claimed: &Arc<Claimed>) {
        let is_own =
            { self.claims.get(&claimed.lock) }.is_some_and(|own| Arc::ptr_eq(own, claimed));
        let is_to_be_told = !matches!(
            claimed.standing(),
            Standing::Over(End::Released | End::Refused(_))
        );
        if is_own && !is_to_be_told {
            self.claims.remove(&claimed.lock);
        }
        self.news.send_modify(|news| *news += 1);
    }
}

/// A request of a session, which lives at least as long.
pub(crate) struct SessionRequest {
    sessions: Arc<Sessions>,
    pub(crate) id: SessionId,
    pub(crate) ttl: Duration,
    /// Whether the session was opened by this request, and its client does not know of it yet.
    is_fresh: bool,
}

impl SessionRequest {
    /// The client knows of the session: it goes on after this request.
    pub(crate) fn keep(&mut self) {
        self.is_fresh = false;
    }

    /// Claims a lock, or waits for the claim that there is.
    ///
    /// # Errors
    /// When the claim was not made.
    pub(crate) fn claim(&self, lock: &LockName) -> Result<Waiter, NotClaimed> {
        let mut table = self.sessions.table.lock();
        let table = &mut *table;
        let Some(open) = table.sessions.get_mut(&self.id.number) else {
            return Err(NotClaimed::Ended);
        };
        if let Some(claim) = open.claims.get(lock)
            && !claim.is_over()
        {
            return Ok(Waiter::new(self.sessions.clone(), claim.clone()));
        }
        if open.claims.len() >= MAX_LOCKS {
            return Err(NotClaimed::Locks);
        }
        let number = self.sessions.numbers.next();
        let claim = Claim {
            lock: lock.clone(),
            session: self.sessions.session(number),
            sequence: 1,
        };
        // Under the table's lock: what the node says of it finds it there.
        self.sessions.inbox.ask(Command::Acquire { claim })?;
        let claimed = Arc::new(Claimed::new(lock.clone(), number, self.id.number));
        table.claims.insert(number, claimed.clone());
        open.claims.insert(lock.clone(), claimed.clone());
        Ok(Waiter::new(self.sessions.clone(), claimed))
    }

    /// The claim to a lock that waits or holds.
    pub(crate) fn claimed(&self, lock: &LockName) -> Option<Arc<Claimed>> {
        let table = self.sessions.table.lock();
        let claim = table.sessions.get(&self.id.number)?.claims.get(lock)?;
        (!claim.is_over()).then(|| claim.clone())
    }

    /// The client knows what it has lost: it is not told again.
    pub(crate) fn acknowledge(&self, lock: &LockName) -> Option<TokenReport> {
        let mut table = self.sessions.table.lock();
        let open = table.sessions.get_mut(&self.id.number)?;
        let standing = open.claims.get(lock)?.standing();
        let Standing::Over(End::Revoked(token)) = standing else {
            return None;
        };
        open.claims.remove(lock);
        Some(token)
    }

    /// Ends the session, and returns its claims, which end.
    pub(crate) fn end(&self) -> Vec<Arc<Claimed>> {
        self.sessions.end(self.id.number)
    }

    /// What the session claims.
    pub(crate) fn locks(&self) -> Vec<SessionLock> {
        let table = self.sessions.table.lock();
        let open = table.sessions.get(&self.id.number);
        let claims = open.into_iter().flat_map(|open| open.claims.values());
        let shown = claims.filter_map(|claim| {
            let (state, token) = match claim.standing() {
                Standing::Waiting => (LockState::Waiting, None),
                Standing::Held(token) => (LockState::Held, Some(token)),
                Standing::Over(End::Revoked(token)) => (LockState::Revoked, Some(token)),
                Standing::Over(End::Released | End::Refused(_)) => return None,
            };
            Some(SessionLock {
                lock: claim.lock.as_str().to_owned(),
                state,
                token,
            })
        });
        shown.collect()
    }

    /// Whether the session is still there.
    pub(crate) fn is_open(&self) -> bool {
        self.sessions
            .table
            .lock()
            .sessions
            .contains_key(&self.id.number)
    }

    /// What becomes of its claims from now on.
    pub(crate) fn news(&self) -> Option<watch::Receiver<u64>> {
        let table = self.sessions.table.lock();
        let open = table.sessions.get(&self.id.number)?;
        Some(open.news.subscribe())
    }
}

impl Drop for SessionRequest {
    fn drop(&mut self) {
        if self.is_fresh {
            self.sessions.end(self.id.number);
            return;
        }
        let mut table = self.sessions.table.lock();
        if let Some(open) = table.sessions.get_mut(&self.id.number) {
            open.requests -= 1;
            open.expires = Instant::now() + open.ttl;
        }
    }
}
