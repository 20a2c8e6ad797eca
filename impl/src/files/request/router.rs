//! One node's service: asks the local ZAB node, which takes a request to its leader by itself, and
//! brings back its answer, or says what is known of its outcome.

use std::sync::Arc;

use models::NodeId;
use models::session::RequestId;
use models::zab::Command as Ask;
use models::zab::zxid::Epoch;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::files::config::Timing;
use crate::files::members::Ensemble;
use crate::files::server::catch_up::CatchUps;
use crate::files::server::watch::Watching;
use crate::files::store::{Command, Query, Response};
use crate::files::{Files, FilesZab, Message};
use crate::runtime::driver::{AskError, Inbox};
use crate::runtime::identity::Identity;
use crate::runtime::transport::tcp::Peers;
use crate::service::http_client::NodeClient;
use crate::service::leader_wait::LeaderWait;
use crate::service::pending::Pending;
use crate::service::session_pool::Sessions;

/// Why there is no answer. Says whether anything was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node has no leader that broadcasts.
    #[error(
        "this node has no leader: none is elected yet, or it cannot be reached; nothing was \
         changed: try again, or ask another node"
    )]
    NoLeader,
    /// Too much is asked at once.
    #[error("the node is busy; nothing was changed: try again")]
    Busy,
    /// The node has stopped.
    #[error("the node is stopping; nothing was changed by this request: ask another node")]
    Stopped,
    /// A read was not answered in time.
    #[error("the read was not answered in time; a read changes nothing: try again")]
    Unanswered,
    /// A write was not answered in time.
    #[error(
        "the outcome is unknown: the write may have been done, or be done later. A retry with the \
         same Lockstep-Client and Lockstep-Sequence is done once at most; a request that had \
         none should be read back first"
    )]
    Unknown,
    /// The write is too old for an answer.
    #[error(
        "a later sequence of this client was done already: whether this one was is not remembered, \
         and it will not be done any more. Number requests upwards, one at a time"
    )]
    Superseded,
}

/// What the local node says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Reply(Response),
    /// Not taken: there is no leader.
    Refused,
    /// Taken, and then the leader was lost.
    Abandoned,
    /// A later request of the same client was done.
    Superseded,
}

/// What the local node is, as far as it has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The leader, if it has one that broadcasts.
    pub leader: Option<NodeId>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Counts what was heard, so that "the same leader again" is news too.
    pub news: u64,
}

/// One node's service.
pub struct Service {
    pub(crate) id: NodeId,
    pub(crate) identity: Identity,
    pub(crate) inbox: Inbox<FilesZab>,
    pub(crate) pending: Arc<Pending<Verdict>>,
    pub(crate) view: watch::Receiver<View>,
    pub(crate) sessions: Sessions,
    pub(crate) timing: Timing,
    pub(crate) ensemble: Ensemble,
    pub(crate) peers: Peers<Message>,
    pub(crate) catch_ups: Arc<CatchUps>,
    /// Where clients reach the members, by the cluster file.
    pub(crate) client_addresses: Vec<String>,
    /// What other nodes are asked with.
    pub(crate) others: NodeClient,
    pub(crate) started: Instant,
    pub(crate) watching: Arc<Watching>,
}

impl Service {
    /// Does a write: as `request`, or in a session of this node.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn write(
        &self,
        command: Command,
        request: Option<RequestId>,
    ) -> Result<Response, Refusal> {
        let lease = match request {
            Some(_) => None,
            None => Some(self.sessions.lease().ok_or(Refusal::Busy)?),
        };
        let leased = lease.as_ref().map(|lease| lease.request());
        let request = request.or(leased).unwrap_or_default();
        self.carry_out(Ask::Write { request, command }).await
    }

    /// Answers a query with what is here; or, if that is wanted, with a state at least as new as
    /// every write acknowledged before it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn read(&self, query: Query, synced: bool) -> Result<Response, Refusal> {
        let request = self.sessions.read();
        self.carry_out(if synced {
            Ask::SyncedRead { request, query }
        } else {
            Ask::Read { request, query }
        })
        .await
    }

    /// The leader, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.view.borrow().leader
    }

    /// Asks until there is an answer or no time. However often it asks, the request keeps its id,
    /// and so is done once at most.
    async fn carry_out(&self, command: Ask<Files>) -> Result<Response, Refusal> {
        let deadline = Instant::now() + self.timing.request_timeout();
        let mut journey = Journey {
            service: self,
            wait: LeaderWait::new(deadline, self.timing.leader_patience()),
            view: self.view.clone(),
            is_write: matches!(command, Ask::Write { .. }),
            command,
            uncertain: false,
        };
        loop {
            journey.view.mark_unchanged();
            match journey.ask().await? {
                Verdict::Reply(response) => return Ok(response),
                Verdict::Superseded => return Err(Refusal::Superseded),
                Verdict::Refused => {}
                Verdict::Abandoned => journey.uncertain = journey.is_write,
            }
            journey.wait_for_news().await?;
        }
    }
}

/// A request on its way.
struct Journey<'a> {
    service: &'a Service,
    command: Ask<Files>,
    is_write: bool,
    wait: LeaderWait,
    view: watch::Receiver<View>,
    /// Whether it may have been done, or may yet be.
    uncertain: bool,
}

impl Journey<'_> {
    async fn ask(&mut self) -> Result<Verdict, Refusal> {
        let (service, request) = (self.service, self.command.request());
        let command = self.command.clone();
        let asked = service.pending.ask(request, || service.inbox.ask(command));
        let answer = asked.map_err(|error| match error {
            AskError::Busy => self.settle(Refusal::Busy),
            AskError::Stopped => self.settle(Refusal::Stopped),
        })?;
        let waiting = service.pending.wait(request, answer);
        waiting.until(self.wait.deadline).await.ok_or_else(|| {
            // The node was asked: what it did with the question is not known.
            self.uncertain = self.is_write;
            self.settle(Refusal::Unanswered)
        })
    }

    /// Waits until there may be another leader, or it is time to ask again, or to give up.
    async fn wait_for_news(&mut self) -> Result<(), Refusal> {
        if self.wait.until_news(&mut self.view, self.uncertain).await {
            return Ok(());
        }
        Err(self.settle(Refusal::NoLeader))
    }

    /// What to tell the client: a write that may have been done is never refused as undone.
    fn settle(&self, refusal: Refusal) -> Refusal {
        if self.uncertain {
            Refusal::Unknown
        } else {
            refusal
        }
    }
}
