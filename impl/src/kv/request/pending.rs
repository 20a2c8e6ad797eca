//! Brings each answer to the request that asked: by request id, never by order of arrival.

use std::collections::{BTreeMap, VecDeque};

use models::NodeId;
use models::raft::configuration::Configuration;
use models::raft::membership;
use models::raft::session::{Position, RequestId};
use models::raft::{Event, TransferOutcome};
use tokio::sync::{oneshot, watch};

use crate::kv::Kv;
use crate::kv::store::Response;
use crate::runtime::sync::Mutex;

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
    /// Two tries of one request may wait at a time. They are in the order in which they were
    /// asked, which is the order of their redirects.
    waiting: Mutex<BTreeMap<RequestId, VecDeque<oneshot::Sender<Verdict>>>>,
    view: watch::Sender<View>,
}

impl Waiters {
    /// For the node `id`.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            waiting: Mutex::new(BTreeMap::new()),
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
        let mut waiting = self.waiting.lock();
        ask()?;
        let (sender, receiver) = oneshot::channel();
        let tries = waiting.entry(request).or_default();
        tries.push_back(sender);
        Ok(receiver)
    }

    /// Takes an event of the local node. Never blocks for long.
    pub fn take(&self, event: Event<Kv>) {
        match event {
            Event::Reply { request, response } => {
                self.tell_all_of(request, &Verdict::Reply(response));
            }
            Event::Superseded { request } => self.tell_all_of(request, &Verdict::Superseded),
            Event::Overloaded { request } => self.tell_first_of(request, Verdict::Busy),
            // A try that is older was answered already: what it appended is applied by now.
            Event::SessionExpired { request, since } => {
                self.tell_all_of(request, &Verdict::SessionExpired(since));
            }
            Event::Redirect { request, leader } => {
                // A node that stands for election knows no leader, and says so here only.
                if leader != self.view.borrow().leader {
                    self.learn(leader);
                }
                self.tell_first_of(request, Verdict::Redirect(leader));
            }
            Event::Transfer { request, outcome } => {
                self.tell_all_of(request, &Verdict::Transfer(outcome));
            }
            Event::Changed {
                request,
                configuration,
            } => self.tell_all_of(request, &Verdict::Changed(configuration)),
            Event::Refused { request, refusal } => {
                self.tell_all_of(request, &Verdict::NotChanged(refusal));
            }
            // Only a follower installs a snapshot, and nobody waits at a follower.
            Event::Installed { .. } => {}
            Event::Leading { .. } => self.learn(Some(self.id)),
            Event::Following { leader, .. } => {
                self.learn(leader);
                self.tell_everybody(&Verdict::Deposed);
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
        let mut waiting = self.waiting.lock();
        if let Some(tries) = waiting.get_mut(&request) {
            // The places stay while another try waits: redirects go by position.
            if tries.iter().all(oneshot::Sender::is_closed) {
                waiting.remove(&request);
            }
        }
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
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

    /// A reply holds for every try of a request: they are the same request.
    fn tell_all_of(&self, request: RequestId, verdict: &Verdict) {
        let tries = self.waiting.lock().remove(&request).unwrap_or_default();
        tell(tries, verdict);
    }

    /// A redirect is about one try: the one that was asked first.
    fn tell_first_of(&self, request: RequestId, verdict: Verdict) {
        let mut waiting = self.waiting.lock();
        let Some(tries) = waiting.get_mut(&request) else {
            return;
        };
        let first = tries.pop_front();
        if tries.is_empty() {
            waiting.remove(&request);
        }
        if let Some(first) = first {
            tell([first], &verdict);
        }
    }

    fn tell_everybody(&self, verdict: &Verdict) {
        let everybody = std::mem::take(&mut *self.waiting.lock());
        for tries in everybody.into_values() {
            tell(tries, verdict);
        }
    }
}

fn tell(tries: impl IntoIterator<Item = oneshot::Sender<Verdict>>, verdict: &Verdict) {
    for waiter in tries {
        // A client that has gone away does not wait any more.
        let _ = waiter.send(verdict.clone());
    }
}
