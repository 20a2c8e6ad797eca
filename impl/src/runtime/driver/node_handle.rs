//! The handle of a running node: how it fares, and how to stop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use models::Protocol;
use tokio::sync::watch;

use super::inbox::{Control, Inbox};
use super::node_core::Outgoing;
use super::slow_disk::SlowDisk;
use crate::runtime::gate::Gate;
use crate::runtime::journal::JournalError;

/// What stopped a node.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The journal failed.
    #[error("the node stopped, and answers nothing more, because its journal failed: {0}")]
    Journal(Arc<JournalError>),
    /// A record could not be encoded.
    #[error(
        "the node stopped because a record could not be encoded ({0}); what the step wrote is \
         lost and nobody was told of it. This is an error in the protocol's record types"
    )]
    Encoding(postcard::Error),
    /// The protocol takes part no more.
    #[error("the node stopped, and will not start again: {0}")]
    Halted(String),
    /// A thread panicked.
    #[error(
        "the node stopped because its {0} thread panicked; what was not on disk is lost and \
         nobody was told of it. The panic's message is on standard error"
    )]
    Panicked(&'static str),
    /// The node was told to stop, and does not come to an end.
    #[error(
        "the node did not stop within {waited:?}: {}; what is not on disk may be lost, and nobody \
         was told of it. End the process, and see to the disk", why(.fsync)
    )]
    Hangs {
        /// How long it was waited for.
        waited: Duration,
        /// How long the fsync under way has taken already; none if none is.
        fsync: Option<Duration>,
    },
}

fn why(fsync: &Option<Duration>) -> String {
    match fsync {
        Some(lasts) => format!("an fsync of its journal has not returned for {lasts:?}"),
        None => "it still has work to do".to_owned(),
    }
}

/// How a node fares.
#[derive(Clone, Debug)]
pub enum Status {
    /// It runs.
    Running,
    /// It was stopped, and everything it had taken is done and on disk.
    Stopped,
    /// It failed.
    Failed(Failure),
}

/// A node that runs on threads of its own. Dropping it asks it to stop, and does not wait.
pub struct RunningNode<P: Protocol> {
    inbox: Inbox<P>,
    status: watch::Receiver<Status>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: Protocol> RunningNode<P> {
    pub(super) fn new(
        inbox: Inbox<P>,
        status: watch::Receiver<Status>,
        threads: Vec<JoinHandle<()>>,
    ) -> Self {
        Self {
            inbox,
            status,
            threads,
        }
    }

    /// The way in.
    pub fn inbox(&self) -> &Inbox<P> {
        &self.inbox
    }

    /// How the node fares now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the node has stopped or failed. A service should end its process when a
    /// node fails: it answers nothing more.
    pub async fn ended(&self) -> Status {
        let mut status = self.status.clone();
        let ended = status
            .wait_for(|status| !matches!(status, Status::Running))
            .await
            .map(|status| status.clone());
        ended.unwrap_or(Status::Stopped)
    }

    /// As [`RunningNode::shutdown`], but does not wait for a disk that hangs: gives up when
    /// one fsync takes longer than `disk_patience`, or everything longer than `patience`. The
    /// node's threads are left behind then, and end with the process.
    ///
    /// # Errors
    /// When the node had failed before, fails on the way, or hangs.
    pub async fn shutdown_within(
        self,
        disk_patience: Duration,
        patience: Duration,
    ) -> Result<(), Failure> {
        const POLL: Duration = Duration::from_millis(20);
        self.inbox.control(Control::Stop);
        let started = Instant::now();
        loop {
            if let Ok(status) = tokio::time::timeout(POLL, self.ended()).await {
                return match status {
                    Status::Failed(failure) => Err(failure),
                    Status::Running | Status::Stopped => Ok(()),
                };
            }
            let (waited, fsync) = (
                started.elapsed(),
                self.inbox.metrics().flushes.in_progress(),
            );
            let hangs = fsync.is_some_and(|lasts| lasts >= disk_patience);
            if (hangs && waited >= disk_patience) || waited >= patience {
                let failure = Failure::Hangs { waited, fsync };
                tracing::error!(%failure, "the node does not stop");
                return Err(failure);
            }
        }
    }

    /// Stops the node: it takes nothing more, finishes what it has taken, puts it on disk
    /// and lets its effects leave. Blocks until done.
    ///
    /// # Errors
    /// When the node had failed before, or fails on the way.
    pub fn shutdown(mut self) -> Result<(), Failure> {
        self.inbox.control(Control::Stop);
        for thread in self.threads.drain(..) {
            // A panic is in the status already.
            let _ = thread.join();
        }
        match self.status() {
            Status::Failed(failure) => Err(failure),
            Status::Running | Status::Stopped => Ok(()),
        }
    }
}

impl<P: Protocol> Drop for RunningNode<P> {
    fn drop(&mut self) {
        self.inbox.control(Control::Stop);
    }
}

/// What the threads of a node share. When the last of them lets go, the node has ended.
pub(super) struct Shared<P: Protocol> {
    pub(super) gate: Gate<Vec<Outgoing<P>>>,
    pub(super) inbox: Inbox<P>,
    pub(super) status: watch::Sender<Status>,
    pub(super) slow_disk: SlowDisk,
    pub(super) stopping: AtomicBool,
}

impl<P: Protocol> Shared<P> {
    /// Nothing that may as well be left out should be begun any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn has_not_failed(&self) -> bool {
        !matches!(*self.status.borrow(), Status::Failed(_))
    }

    /// Stops everything: nothing leaves the node any more. The first failure is the one
    /// that is reported.
    pub(super) fn fail(&self, failure: Failure) {
        self.stop();
        self.gate.poison();
        tracing::error!(%failure, "the node has failed");
        self.status.send_if_modified(|status| {
            let first = matches!(status, Status::Running);
            if first {
                *status = Status::Failed(failure);
            }
            first
        });
        self.inbox.control(Control::Stop);
    }
}

impl<P: Protocol> Drop for Shared<P> {
    fn drop(&mut self) {
        self.status.send_if_modified(|status| {
            let orderly = matches!(status, Status::Running);
            if orderly {
                *status = Status::Stopped;
            }
            orderly
        });
    }
}

/// Fails the node when its thread panics.
pub(super) struct Guard<P: Protocol> {
    pub(super) thread: &'static str,
    pub(super) shared: Arc<Shared<P>>,
}

impl<P: Protocol> Drop for Guard<P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(Failure::Panicked(self.thread));
        }
    }
}
