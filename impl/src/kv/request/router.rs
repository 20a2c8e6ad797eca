//! One node's service: carries a request to the leader, here or elsewhere, and brings back
//! its answer, or says what is known of its outcome.

use std::sync::Arc;

use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::membership::{self, Change};
use models::raft::session::{Position, RequestId};
use models::raft::{Command, TransferOutcome};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kv::config::Timing;
use crate::kv::membership::additions;
use crate::kv::membership::configured::Membership;
use crate::kv::request::forward::{ForwardError, Forwarder};
use crate::kv::request::pending::{Verdict, View, Waiters};
use crate::kv::request::session_pool::Sessions;
use crate::kv::server::handover::Transfers;
use crate::kv::server::lease_expiry::LeaseClock;
use crate::kv::server::watch::Watched;
use crate::kv::store::{Query, Response};
use crate::kv::{Kv, KvRaft, store as machine};
use crate::runtime::driver::{AskError, Inbox};
use crate::runtime::identity::Identity;
use crate::runtime::transport::tcp::Security;
use crate::service::leader_wait::LeaderWait;

/// A request that was forwarded so often stays where it is.
pub const MAX_HOPS: u8 = 2;

/// Why there is no answer. Says whether anything was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// There is no leader, or it cannot be reached.
    #[error("no leader is known or can be reached; nothing was changed: try again")]
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
        "a later sequence of this client was applied already: whether this one was done is \
         not remembered, and it will not be done any more. Number requests upwards, one at a time"
    )]
    Superseded,
    /// The membership, or the leader, was not changed.
    #[error("the change was not made: {reason}; nothing was changed")]
    NotChanged {
        /// Why.
        reason: String,
        /// Whether it may be made when it is asked for again.
        again: bool,
    },
    /// A change was not answered in time, or its leader has been deposed meanwhile.
    #[error(
        "the outcome is unknown: the change may have been made, or be made later. Look with GET \
         /members, and ask for it again, which does no harm"
    )]
    ChangeUnknown,
    /// The session is not remembered any more, so the write is not done.
    #[error(
        "the session of this Lockstep-Client has expired, or began with a Lockstep-Since of too \
         long ago; this try has changed nothing. Whether an earlier try of the request did is \
         not remembered: if there was none, try again in another session, with \
         Lockstep-Since: {since}; else read back first"
    )]
    SessionExpired {
        /// Where another session may begin.
        since: u64,
    },
}

/// What a request has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The state machine's answer.
    Response(Response),
    /// The members, as they are now.
    Members(Configuration),
    /// Another node leads.
    Transferred,
}

impl Refusal {
    /// Whether the request may have been done, or may yet be.
    fn is_uncertain(&self) -> bool {
        match self {
            Self::Unknown | Self::ChangeUnknown => true,
            Self::NoLeader
            | Self::Busy
            | Self::Stopped
            | Self::Unanswered
            | Self::Superseded
            | Self::NotChanged { .. }
            | Self::SessionExpired { .. } => false,
        }
    }
}

/// One node's service.
pub struct Service {
    pub(crate) id: NodeId,
    pub(crate) identity: Identity,
    pub(crate) started: Instant,
    pub(crate) security: Security,
    pub(crate) inbox: Inbox<KvRaft>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) sessions: Sessions,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) membership: Membership,
    pub(crate) timing: Timing,
    pub(crate) leases: LeaseClock,
    pub(crate) watched: Watched,
}

/// How far a request may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often it was forwarded already.
    pub hops: u8,
    /// When it must be answered.
    pub deadline: Instant,
}

/// A request on its way.
struct Journey<'a> {
    service: &'a Service,
    command: Command<Kv>,
    limits: Limits,
    wait: LeaderWait,
    view: watch::Receiver<View>,
    /// Whether it may have been done somewhere.
    uncertain: bool,
}

impl Service {
    /// The limits of a request that comes from a client.
    pub fn limits(&self) -> Limits {
        Limits {
            hops: 0,
            deadline: Instant::now() + self.timing.request_timeout(),
        }
    }

    /// Does a write: as `request`, or in a session of this node.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn write(
        &self,
        command: machine::Command,
        request: Option<RequestId>,
    ) -> Result<Response, Refusal> {
        if let Some(request) = request {
            let command = Command::Propose { request, command };
            return response(self.carry_out(command, self.limits()).await?);
        }
        let mut lease = self.sessions.lease().ok_or(Refusal::Busy)?;
        let limits = self.limits();
        loop {
            let proposal = Command::Propose {
                request: lease.request(),
                command: command.clone(),
            };
            match self.carry_out(proposal, limits).await {
                // Said only where no try can have been done: the write is as good as new.
                Err(Refusal::SessionExpired { since }) if Instant::now() < limits.deadline => {
                    lease.renew(Position(since));
                }
                outcome => return response(outcome?),
            }
        }
    }

    /// Answers a query with a state at least as new as every write acknowledged before it:
    /// the leader's, or this node's own if that is wanted and it knows a leader.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn read(&self, query: Query, here: bool) -> Result<Response, Refusal> {
        let request = self.sessions.read();
        let command = if here {
            Command::ReadHere { request, query }
        } else {
            Command::Read { request, query }
        };
        response(self.carry_out(command, self.limits()).await?)
    }

    /// Changes the membership.
    ///
    /// # Errors
    /// When it was not changed, or nobody knows.
    pub async fn change_membership(&self, change: Change) -> Result<Configuration, Refusal> {
        let request = self.sessions.read();
        let command = Command::ChangeMembership { request, change };
        match self.carry_out(command, self.limits()).await? {
            Answer::Members(configuration) => Ok(configuration),
            Answer::Response(_) | Answer::Transferred => Err(Refusal::Unknown),
        }
    }

    /// Makes `to` the leader.
    ///
    /// # Errors
    /// When it does not lead.
    pub async fn transfer_leadership(&self, to: NodeId) -> Result<(), Refusal> {
        let request = self.sessions.read();
        let command = Command::TransferLeadership { request, to };
        self.carry_out(command, self.limits()).await.map(|_| ())
    }

    /// Carries `command` to the leader and brings back the answer.
    ///
    /// # Errors
    /// When it was not done, or nobody knows.
    pub async fn carry_out(&self, command: Command<Kv>, limits: Limits) -> Result<Answer, Refusal> {
        let journey = Journey {
            service: self,
            command,
            limits,
            wait: LeaderWait::new(limits.deadline, self.timing.leader_patience()),
            view: self.waiters.view(),
            uncertain: false,
        };
        journey.travel().await
    }

    /// The leader, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.waiters.view().borrow().leader
    }
}

impl Journey<'_> {
    /// Asks here, then where the leader is said to be, until there is an answer or no time.
    /// However often it asks, the request keeps its id, and so is done once at most.
    async fn travel(mut self) -> Result<Answer, Refusal> {
        loop {
            self.view.mark_unchanged();
            let leader = match self.ask_here().await? {
                Verdict::Reply(response) => return Ok(Answer::Response(response)),
                Verdict::Changed(configuration) => return Ok(Answer::Members(configuration)),
                Verdict::NotChanged(refusal) => return Err(not_changed(refusal)),
                Verdict::Transfer(outcome) => return transferred(outcome),
                Verdict::Superseded => return Err(Refusal::Superseded),
                Verdict::Busy => return Err(self.settle(Refusal::Busy)),
                Verdict::SessionExpired(Position(since)) => {
                    return Err(self.settle(Refusal::SessionExpired { since }));
                }
                Verdict::Redirect(leader) => leader,
                Verdict::Deposed => {
                    self.uncertain = true;
                    self.view.borrow().leader
                }
            };
            if let Some(leader) = leader.filter(|leader| *leader != self.service.id) {
                match self.ask_there(leader).await {
                    Ok(response) => return Ok(response),
                    Err(
                        refusal @ (Refusal::Superseded
                        | Refusal::NotChanged { .. }
                        | Refusal::SessionExpired { .. }),
                    ) => {
                        return Err(self.settle(refusal));
                    }
                    Err(refusal) => self.uncertain |= refusal.is_uncertain(),
                }
            }
            self.wait_for_news().await?;
        }
    }

    async fn ask_here(&mut self) -> Result<Verdict, Refusal> {
        let request = self.command.request();
        let service = self.service;
        let command = self.command.clone();
        if let Some(reason) = self.objection() {
            let again = false;
            return Err(self.settle(Refusal::NotChanged { reason, again }));
        }
        let asked = service.waiters.ask(request, || service.inbox.ask(command));
        let answer = asked.map_err(|error| match error {
            AskError::Busy => self.settle(Refusal::Busy),
            AskError::Stopped => self.settle(Refusal::Stopped),
        })?;
        let waiting = service.waiters.wait(request, answer);
        waiting.until(self.limits.deadline).await.ok_or_else(|| {
            // The node was asked: what it did with the question is not known.
            self.uncertain = true;
            self.settle(Refusal::Unanswered)
        })
    }

    /// What speaks against a change that Raft would bear, here or where this node leads.
    fn objection(&self) -> Option<String> {
        let Command::ChangeMembership { change, .. } = &self.command else {
            return None;
        };
        let leads = self.view.borrow().leader == Some(self.service.id);
        additions::malformed(change).or_else(|| {
            let current = leads.then(|| self.service.membership.configuration())?;
            additions::too_large(change, &current)
        })
    }

    async fn ask_there(&mut self, leader: NodeId) -> Result<Answer, Refusal> {
        if self.limits.hops >= MAX_HOPS {
            return Err(Refusal::NoLeader);
        }
        let limits = Limits {
            hops: self.limits.hops + 1,
            ..self.limits
        };
        let answer = tokio::select! {
            biased;
            answer = self.service.forwarder.forward(leader, &self.command, limits) => answer,
            // A leader that hangs is not waited for once there is another.
            () = another_leads(&mut self.view, leader) => return Err(Refusal::Unknown),
        };
        match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%leader, %error, "a request was not forwarded");
                Err(match error {
                    ForwardError::NotSent(_) => Refusal::NoLeader,
                    ForwardError::Lost(_) => Refusal::Unknown,
                })
            }
        }
    }

    /// Waits until somebody else may lead, or it is time to ask again, or to give up.
    async fn wait_for_news(&mut self) -> Result<(), Refusal> {
        let hops_left = self.limits.hops < MAX_HOPS;
        if hops_left && self.wait.until_news(&mut self.view, self.uncertain).await {
            return Ok(());
        }
        Err(self.settle(Refusal::NoLeader))
    }

    /// What to tell the client: a write that may have been done is never refused as undone.
    fn settle(&self, refusal: Refusal) -> Refusal {
        match &self.command {
            Command::Propose { .. } if self.uncertain && refusal != Refusal::Superseded => {
                Refusal::Unknown
            }
            Command::ChangeMembership { .. } | Command::TransferLeadership { .. }
                if self.uncertain && !matches!(refusal, Refusal::NotChanged { .. }) =>
            {
                Refusal::ChangeUnknown
            }
            Command::Propose { .. }
            | Command::Read { .. }
            | Command::ReadHere { .. }
            | Command::ChangeMembership { .. }
            | Command::TransferLeadership { .. } => refusal,
        }
    }
}

fn response(answer: Answer) -> Result<Response, Refusal> {
    match answer {
        Answer::Response(response) => Ok(response),
        // The answer to another kind of request: nobody knows what became of this one.
        Answer::Members(_) | Answer::Transferred => Err(Refusal::Unknown),
    }
}

fn not_changed(refusal: membership::Refusal) -> Refusal {
    use membership::Refusal as Why;
    let (again, reason) = match refusal {
        Why::NotEstablished => (true, "the leader has only just been elected".to_owned()),
        Why::ChangeInProgress => (true, "another change is under way".to_owned()),
        Why::Behind { node } => (true, format!("node {} has not caught up yet", node.0)),
        Why::NotAMember { node } => (false, format!("node {} is no member: add it first", node.0)),
        Why::AlreadyVotes { node } => (false, format!("node {} votes already", node.0)),
        Why::OtherDisk { node } => (
            false,
            format!(
                "node {} is known to the cluster, as a member or a former one, with another disk: \
                 what it has acknowledged on that is lost. Give the new node an id that no node \
                 has had",
                node.0
            ),
        ),
        Why::Contradiction { node } => (false, format!("it wants two things of node {}", node.0)),
        Why::NoVoters => (false, "nobody would vote any more".to_owned()),
    };
    Refusal::NotChanged { reason, again }
}

fn transferred(outcome: TransferOutcome) -> Result<Answer, Refusal> {
    let (again, reason) = match outcome {
        TransferOutcome::SteppedDown | TransferOutcome::AlreadyLeads => {
            return Ok(Answer::Transferred);
        }
        TransferOutcome::TimedOut => (
            true,
            "that node did not take over in time, and the leader leads on".to_owned(),
        ),
        TransferOutcome::NotAVoter => (false, "that node is no voter".to_owned()),
        TransferOutcome::Busy { to } => (
            true,
            format!("leadership is being transferred to node {} already", to.0),
        ),
    };
    Err(Refusal::NotChanged { reason, again })
}

async fn another_leads(view: &mut watch::Receiver<View>, than: NodeId) {
    let another = |view: &View| view.leader.is_some_and(|leader| leader != than);
    if view.wait_for(another).await.is_ok() {
        // Whoever asks again next need not pause for news: this is the news.
        view.mark_changed();
    } else {
        // The node has ended: there will be no news.
        std::future::pending::<()>().await;
    }
}
