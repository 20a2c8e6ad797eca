//! Brings each answer to the request that asked: by request id, never by order of arrival.

use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::membership;
use models::raft::session::{Position, RequestId};
use models::raft::{Event, TransferOutcome};
use tokio::sync::{oneshot, watch};

use crate::kv::Kv;
use crate::kv::store::Response;
use crate::service::pending::{Pending, Waiting};

/// What the local node says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Reply(Response),
    /// The membership is so now.
    Changed(Configuration),
    /// The membership was not changed.
    NotChanged(membership::Refusal),
    /// What came of a transfer of leadership.
    Transfer(TransferOutcome),
    /// Not done here; the leader, if the node knows one.
    Redirect(Option<NodeId>),
    /// A later request of the same client was applied.
    Superseded,
    /// Too many reads wait there.
    Busy,
    /// The session has expired; another may begin there.
    SessionExpired(Position),
    /// The node has lost its leadership, or heard of another's: it may not say anything any
    /// more, and the request may be done or not.
    Deposed,
}

/// Who leads, as far as the local node has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Counts what was heard, so that "the same leader again" is news too.
    pub news: u64,
}

/// The requests that wait for the local node.
#[derive(Debug)]
pub struct Waiters {
    id: NodeId,
    waiting: Pending<Verdict>,
    view: watch::Sender<View>,
}

impl Waiters {
    /// For the node `id`.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            waiting: Pending::default(),
            view: watch::Sender::new(View::default()),
        }
    }

    /// Follows who leads.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Registers a waiter for `request`, and asks. Both under one lock: the order of waiters
    /// is the order of questions. A question that is refused leaves no waiter.
    pub fn ask<E>(
        &self,
        request: RequestId,
        ask: impl FnOnce() -> Result<(), E>,
    ) -> Result<oneshot::Receiver<Verdict>, E> {
        self.waiting.ask(request, ask)
    }

    /// Waits for the answer to a request that was [asked](Self::ask).
    pub(crate) fn wait(
        &self,
        request: RequestId,
        answer: oneshot::Receiver<Verdict>,
    ) -> Waiting<'_, Verdict> {
        self.waiting.wait(request, answer)
    }

    /// Takes an event of the local node. Never blocks for long.
    pub fn take(&self, event: Event<Kv>) {
        match event {
            Event::Reply { request, response } => {
                self.waiting.tell_all_of(request, &Verdict::Reply(response));
            }
            Event::Superseded { request } => {
                self.waiting.tell_all_of(request, &Verdict::Superseded)
            }
            Event::Overloaded { request } => self.waiting.tell_first_of(request, &Verdict::Busy),
            // A try that is older was answered already: what it appended is applied by now.
            Event::SessionExpired { request, since } => {
                self.waiting
                    .tell_all_of(request, &Verdict::SessionExpired(since));
            }
            Event::Redirect { request, leader } => {
                // A node that stands for election knows no leader, and says so here only.
                if leader != self.view.borrow().leader {
                    self.learn(leader);
                }
                self.waiting
                    .tell_first_of(request, &Verdict::Redirect(leader));
            }
            Event::Transfer { request, outcome } => {
                self.waiting
                    .tell_all_of(request, &Verdict::Transfer(outcome));
            }
            Event::Changed {
                request,
                configuration,
            } => self
                .waiting
                .tell_all_of(request, &Verdict::Changed(configuration)),
            Event::Refused { request, refusal } => {
                self.waiting
                    .tell_all_of(request, &Verdict::NotChanged(refusal));
            }
            // Only a follower installs a snapshot, and nobody waits at a follower.
            Event::Installed { .. } => {}
            Event::Leading { .. } => self.learn(Some(self.id)),
            Event::Following { leader, .. } => {
                self.learn(leader);
                self.waiting.tell_everybody(&Verdict::Deposed);
            }
            Event::MembershipChanged { .. }
            | Event::MembershipCommitted { .. }
            | Event::Retired
            | Event::Halted { .. }
            | Event::Denied { .. } => {}
        }
    }

    /// Forgets `request` once the last of its waiters has gone: nobody asks any more.
    pub fn forget(&self, request: RequestId) {
        self.waiting.forget(request);
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn learn(&self, leader: Option<NodeId>) {
        self.view.send_modify(|view| {
            view.leader = leader;
            view.news += 1;
        });
    }
}
