//! How inputs reach a node.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use derive_where::derive_where;
use models::{Input, Node, NodeId, Protocol};
use tokio::sync::oneshot;

use crate::runtime::metrics::Metrics;
use crate::runtime::queue::{Queue, Refused};
use crate::runtime::transport::Deliver;

/// Why a node did not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The queue is full.
    #[error("the node is busy; the command was not taken and nothing was changed: try again later")]
    Busy,
    /// The node has stopped.
    #[error(
        "the node has stopped; the command was not taken and nothing was changed: ask another node"
    )]
    Stopped,
}

/// The node has stopped, or has failed before its disk confirmed what the answer rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped and gives no answer; nothing was changed by the question")]
pub struct NodeStopped;

/// The way in to a node. Cheap to clone.
#[derive_where(Clone)]
pub struct Inbox<P: Protocol> {
    queue: Arc<Queue<Input<P>, Control<P>>>,
    metrics: Arc<Metrics>,
}

/// The node's end of its [`Inbox`].
pub struct Mailbox<P: Protocol> {
    queue: Arc<Queue<Input<P>, Control<P>>>,
    metrics: Arc<Metrics>,
}

/// What the queue takes without a bound.
pub(super) enum Control<P: Protocol> {
    /// The node's message to itself. A node does not lose its own words; it is the protocol
    /// that bounds what it tells itself.
    Loopback(P::Message),
    /// Looks at the node, and gives back the act of answering.
    Inspect(Inspection<P>),
    /// Looks at the node and answers at once.
    Look(Look<P>),
    /// Something has left the gate, which had no room.
    Room,
    Stop,
}

type Look<P> = Box<dyn FnOnce(&Node<P>) + Send>;
type Inspection<P> = Box<dyn FnOnce(&Node<P>) -> Box<dyn FnOnce() + Send> + Send>;

/// Creates both ends. Up to `capacity` inputs wait; more are refused.
pub fn mailbox<P: Protocol>(capacity: usize) -> (Inbox<P>, Mailbox<P>) {
    mailbox_counting(capacity, Arc::default())
}

/// The same; what the node counts is counted in `metrics`.
pub(crate) fn mailbox_counting<P: Protocol>(
    capacity: usize,
    metrics: Arc<Metrics>,
) -> (Inbox<P>, Mailbox<P>) {
    let queue = Arc::new(Queue::new(capacity));
    let inbox = Inbox {
        queue: queue.clone(),
        metrics: metrics.clone(),
    };
    (inbox, Mailbox { queue, metrics })
}

impl<P: Protocol> Inbox<P> {
    /// Hands the node a command. What comes of it arrives as events.
    ///
    /// # Errors
    /// When the node is busy or has stopped. Nothing was changed then.
    pub fn ask(&self, command: P::Command) -> Result<(), AskError> {
        self.queue
            .offer(Input::Ask(command))
            .map_err(|refused| match refused {
                Refused::Full => {
                    self.metrics.commands_refused.inc();
                    AskError::Busy
                }
                Refused::Closed => AskError::Stopped,
            })
    }

    /// Runs `look` on the node between two steps and hands back what it returns, once all
    /// that it may have seen is on disk. A node that fails before that gives no answer.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn inspect<R, F>(&self, look: F) -> Result<R, NodeStopped>
    where
        R: Send + 'static,
        F: FnOnce(&Node<P>) -> R + Send + 'static,
    {
        self.begin_inspection(look).await.map_err(|_| NodeStopped)
    }

    /// Runs `look` on the node between two steps and hands back what it returns, at once:
    /// **what it has seen may not be on disk yet**, and may be forgotten by a crash. For
    /// diagnostics, which should not hang when the disk does; whoever acts on what it sees
    /// wants [`Inbox::inspect`].
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn inspect_unflushed<R, F>(&self, look: F) -> Result<R, NodeStopped>
    where
        R: Send + 'static,
        F: FnOnce(&Node<P>) -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.control(Control::Look(Box::new(move |node| {
            // Nobody waits for the answer any more: no harm done.
            drop(sender.send(look(node)));
        })));
        receiver.await.map_err(|_| NodeStopped)
    }

    /// [`Inbox::inspect`] for threads outside of an async runtime. Must not be called from
    /// the event sink, which would wait for itself.
    ///
    /// # Errors
    /// When the node has stopped.
    pub fn inspect_blocking<R, F>(&self, look: F) -> Result<R, NodeStopped>
    where
        R: Send + 'static,
        F: FnOnce(&Node<P>) -> R + Send + 'static,
    {
        self.begin_inspection(look)
            .blocking_recv()
            .map_err(|_| NodeStopped)
    }

    /// The node's counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    fn begin_inspection<R, F>(&self, look: F) -> oneshot::Receiver<R>
    where
        R: Send + 'static,
        F: FnOnce(&Node<P>) -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.control(Control::Inspect(Box::new(move |node| {
            let answer = look(node);
            // Nobody waits for the answer any more: no harm done.
            Box::new(move || drop(sender.send(answer)))
        })));
        receiver
    }

    /// Puts `control` into the queue, or drops it if the node has stopped.
    pub(super) fn control(&self, control: Control<P>) {
        // Dropping an inspection tells whoever waits for it that there is no answer.
        let _ = self.queue.urge(control);
    }
}

impl<P: Protocol> Deliver<P::Message> for Inbox<P> {
    fn deliver(&self, from: NodeId, message: P::Message) {
        if self.queue.offer(Input::Deliver { from, message }).is_err() {
            self.metrics.inputs_dropped.inc();
        }
    }
}

impl<P: Protocol> Mailbox<P> {
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// See [`Queue::take`].
    pub(super) fn take(
        &self,
        nap: Option<Duration>,
        most: usize,
    ) -> (Vec<Input<P>>, VecDeque<Control<P>>) {
        self.queue.take(nap, most)
    }

    /// Takes nothing more, and hands out the inputs that were taken before.
    pub(super) fn close(&self) -> VecDeque<Input<P>> {
        self.queue.close().0
    }
}

/// Whoever waits for an inspection must not wait for a node that is gone.
impl<P: Protocol> Drop for Mailbox<P> {
    fn drop(&mut self) {
        drop(self.queue.close());
    }
}
