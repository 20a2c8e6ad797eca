//! Brings each answer to the request that asked: by request id, never by order of arrival.

use std::collections::{BTreeMap, VecDeque};

use derive_where::derive_where;
use models::session::RequestId;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::runtime::sync::Mutex;

/// The requests that wait for the local node, which answers with a `V`.
#[derive(Debug)]
#[derive_where(Default)]
pub struct Pending<V> {
    /// Two tries of one request may wait at a time. They are in the order in which they were
    /// asked.
    waiting: Mutex<BTreeMap<RequestId, Tries<V>>>,
}

type Tries<V> = VecDeque<oneshot::Sender<V>>;

impl<V: Clone> Pending<V> {
    /// Registers a waiter for `request`, and asks. Both under one lock: the order of waiters
    /// is the order of questions. A question that is refused leaves no waiter.
    ///
    /// # Errors
    /// With what `ask` says.
    pub fn ask<E>(
        &self,
        request: RequestId,
        ask: impl FnOnce() -> Result<(), E>,
    ) -> Result<oneshot::Receiver<V>, E> {
        let mut waiting = self.waiting.lock();
        ask()?;
        let (sender, receiver) = oneshot::channel();
        let tries = waiting.entry(request).or_default();
        tries.push_back(sender);
        Ok(receiver)
    }

    /// Forgets `request` once the last of its waiters has gone: nobody asks any more.
    pub fn forget(&self, request: RequestId) {
        let mut waiting = self.waiting.lock();
        if let Some(tries) = waiting.get_mut(&request) {
            // The places stay while another try waits: some answers go by position.
            if tries.iter().all(oneshot::Sender::is_closed) {
                waiting.remove(&request);
            }
        }
    }

    /// Waits for the answer to a request that was [asked](Self::ask).
    pub(crate) fn wait(&self, request: RequestId, answer: oneshot::Receiver<V>) -> Waiting<'_, V> {
        Waiting {
            pending: self,
            request,
            answer,
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

    /// A reply holds for every try of a request: they are the same request.
    pub fn tell_all_of(&self, request: RequestId, verdict: &V) {
        let tries = self.waiting.lock().remove(&request).unwrap_or_default();
        tell(tries, verdict);
    }

    /// Some answers are about one try: the one that was asked first.
    pub fn tell_first_of(&self, request: RequestId, verdict: &V) {
        let mut waiting = self.waiting.lock();
        let Some(tries) = waiting.get_mut(&request) else {
            return;
        };
        let first = tries.pop_front();
        if tries.is_empty() {
            waiting.remove(&request);
        }
        tell(first, verdict);
    }

    /// Some hold for whoever waits.
    pub fn tell_everybody(&self, verdict: &V) {
        let everybody = std::mem::take(&mut *self.waiting.lock());
        for tries in everybody.into_values() {
            tell(tries, verdict);
        }
    }
}

/// A wait for the local node, which leaves no trace when it is given up.
pub(crate) struct Waiting<'a, V: Clone> {
    pending: &'a Pending<V>,
    request: RequestId,
    answer: oneshot::Receiver<V>,
}

impl<V: Clone> Waiting<'_, V> {
    /// The answer; none if there is none in time, or the node has ended.
    pub(crate) async fn until(mut self, deadline: Instant) -> Option<V> {
        timeout_at(deadline, &mut self.answer).await.ok()?.ok()
    }
}

impl<V: Clone> Drop for Waiting<'_, V> {
    fn drop(&mut self) {
        // Closed first: an open end would look like somebody who waits.
        self.answer.close();
        self.pending.forget(self.request);
    }
}

fn tell<V: Clone>(tries: impl IntoIterator<Item = oneshot::Sender<V>>, verdict: &V) {
    for waiter in tries {
        // A client that has gone away does not wait any more.
        let _ = waiter.send(verdict.clone());
    }
}
