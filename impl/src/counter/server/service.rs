//! One node's service: asks the replica of this process, and brings back its answer, or says what is
//! known of its outcome.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use models::NodeId;
use models::counter::g_counter::DataCentre;
use models::counter::window::Window;
use models::counter::{self, Command, Counter, Increment};
use models::session::RequestId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::tally::Tally;
use super::window_query::WindowPage;
use crate::counter::Message;
use crate::counter::config::{Exchange, Timing};
use crate::counter::swim::counts::SwimCounts;
use crate::counter::swim::members::Members;
use crate::runtime::driver::{AskError, Inbox};
use crate::runtime::identity::Identity;
use crate::runtime::transport::tcp::Peers;
use crate::service::http_client::NodeClient;
use crate::service::pending::Pending;
use crate::service::session_pool::Sessions;

/// So many increments without a session of their own run at a time; more are refused.
pub(crate) const SESSIONS: usize = 1024;

/// Why there is no answer. Says whether anything was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Too much is asked at once.
    #[error("the node is busy; nothing was counted: try again")]
    Busy,
    /// The node has stopped.
    #[error("the node is stopping; nothing was counted by this request: ask another node")]
    Stopped,
    /// A read was not answered in time.
    #[error("there was no answer in time; a read changes nothing: try again")]
    Unanswered,
    /// An increment was not answered in time.
    #[error(
        "the outcome is unknown: the increment may have been counted, or may yet be. A retry at this \
         node with the same Lockstep-Client and Lockstep-Sequence counts once; at another node it may \
         count twice"
    )]
    Unknown,
    /// The replica has said why.
    #[error("{}", in_words(*.0))]
    Counter(counter::Refusal),
    /// There is nobody to whom the node could leave what it has counted.
    #[error(
        "no other node knows yet all that is on this node's disk; nothing is lost, and this node counts \
         no more: it goes on telling the others, and ends by itself once they know. Ask again, or stop \
         it and keep its data directory"
    )]
    NotDrained,
    /// The node exchanges nothing.
    #[error(
        "this node exchanges nothing with others (counter.exchange in its file), so nobody would know \
         what it has counted; nothing was changed: stop it, and keep its data directory"
    )]
    Unheard,
}

fn in_words(why: counter::Refusal) -> String {
    match why {
        counter::Refusal::ZeroAmount => "the amount is 0; nothing was counted".to_owned(),
        counter::Refusal::Overflow => format!(
            "this node has counted so much already that the sum would be more than {}; nothing was \
             counted: ask for less, or ask another node",
            u64::MAX
        ),
        counter::Refusal::Unidentified => {
            "this node draws a new name to count under; nothing was counted: try again".to_owned()
        }
        counter::Refusal::Leaving => {
            "this node is about to leave; nothing was counted: ask another node".to_owned()
        }
        counter::Refusal::Superseded => "a later sequence of this client was counted here already: \
                                         whether this one was is not remembered, and it will not be \
                                         counted any more. Number requests upwards, one at a time"
            .to_owned(),
    }
}

/// What the replica says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is counted.
    Counted { value: u128, repeated: bool },
    /// The value.
    Value(u128),
    /// The value of a part of the window.
    Window { value: u128, since: u64, until: u64 },
    /// It was not done.
    Refused(counter::Refusal),
}

/// What has come of an increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The value at this node, with it.
    pub(crate) value: u128,
    /// Whether it had been counted before.
    pub(crate) repeated: bool,
}

/// One node's service.
pub(crate) struct Service {
    pub(crate) id: NodeId,
    pub(crate) identity: Identity,
    pub(crate) data_centre: DataCentre,
    /// Where other nodes reach it, and clients.
    pub(crate) peer_address: String,
    pub(crate) client_address: String,
    pub(crate) inbox: Inbox<Counter>,
    pub(crate) pending: Arc<Pending<Verdict>>,
    pub(crate) sessions: Sessions,
    pub(crate) timing: Timing,
    pub(crate) window: Option<Window>,
    pub(crate) exchange: Exchange,
    pub(crate) peers: Peers<Message>,
    pub(crate) members: Arc<Members>,
    pub(crate) swim: Arc<SwimCounts>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) leave: mpsc::Sender<()>,
    /// Whether the node has left: its disk is not needed any more.
    pub(crate) left: watch::Receiver<bool>,
    /// What other nodes are asked with.
    pub(crate) others: NodeClient,
    pub(crate) started: Instant,
}

impl Service {
    /// Counts: as `request`, or in a session of this node.
    pub(crate) async fn increment(
        &self,
        amount: u64,
        request: Option<RequestId>,
    ) -> Result<Counted, Refusal> {
        let lease = match request {
            Some(_) => None,
            None => Some(self.sessions.lease().ok_or(Refusal::Busy)?),
        };
        let leased = lease.as_ref().map(|lease| lease.request());
        let request = request.or(leased).unwrap_or_default();
        let increment = Increment {
            request,
            amount,
            now: now_ms(),
        };
        let asked = self.ask(request, Command::Increment(increment), Refusal::Unknown);
        match asked.await? {
            Verdict::Counted { value, repeated } => Ok(Counted { value, repeated }),
            _ => Err(Refusal::Unknown),
        }
    }

    /// The value here and now.
    pub(crate) async fn value(&self) -> Result<u128, Refusal> {
        let request = self.sessions.read();
        let asked = self.ask(request, Command::Read { request }, Refusal::Unanswered);
        match asked.await? {
            Verdict::Value(value) => Ok(value),
            _ => Err(Refusal::Unanswered),
        }
    }

    /// What was counted in the so many `latest` buckets of the window.
    pub(crate) async fn window(&self, latest: u64) -> Result<WindowPage, Refusal> {
        let request = self.sessions.read();
        let read = Command::ReadWindow {
            request,
            now: now_ms(),
            latest,
        };
        match self.ask(request, read, Refusal::Unanswered).await? {
            Verdict::Window {
                value,
                since,
                until,
            } => Ok(WindowPage {
                value,
                since_ms: since,
                until_ms: until,
            }),
            _ => Err(Refusal::Unanswered),
        }
    }

    /// Leaves for good: counts no more, and waits until every member knows what is on this node's disk.
    pub(crate) async fn leave(&self) -> Result<(), Refusal> {
        if !matches!(self.exchange, Exchange::PushPull | Exchange::Deltas) {
            return Err(Refusal::Unheard);
        }
        let deadline = Instant::now() + self.timing.request_timeout();
        self.leave.send(()).await.map_err(|_| Refusal::Stopped)?;
        let mut left = self.left.clone();
        let waiting = left.wait_for(|left| *left);
        match timeout_at(deadline, waiting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Refusal::Stopped),
            Err(_) => Err(Refusal::NotDrained),
        }
    }

    async fn ask(
        &self,
        request: RequestId,
        command: Command,
        unanswered: Refusal,
    ) -> Result<Verdict, Refusal> {
        let deadline = Instant::now() + self.timing.request_timeout();
        let asked = self.pending.ask(request, || self.inbox.ask(command));
        let answer = asked.map_err(|error| match error {
            AskError::Busy => Refusal::Busy,
            AskError::Stopped => Refusal::Stopped,
        })?;
        let waiting = self.pending.wait(request, answer);
        match waiting.until(deadline).await {
            Some(Verdict::Refused(why)) => Err(Refusal::Counter(why)),
            Some(verdict) => Ok(verdict),
            None => Err(unanswered),
        }
    }
}

/// The clock by which increments fall into buckets: milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
