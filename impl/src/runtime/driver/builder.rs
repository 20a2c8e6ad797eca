//! Putting a node together and starting it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use models::{Node, Protocol};
use tokio::sync::watch;

use super::checkpoint_writer::{Checkpointing, Checkpoints};
use super::inbox::{Inbox, Mailbox};
use super::journal_writer::Journaling;
use super::node_core::{Batch, Core};
use super::node_handle::{Guard, RunningNode, Shared, Status};
use super::recovery::recall;
use super::releaser::Releaser;
use super::slow_disk::SlowDisk;
use super::stepper::Stepper;
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::gate::Gate;
use crate::runtime::journal::{Journal, JournalError};
use crate::runtime::recording::Recorder;
use crate::runtime::timers::{TimerSpan, TimerSpans, Timers};
use crate::runtime::transport::Transport;

/// Takes the node's events, on the releaser's thread.
pub(super) type EventSink<P> = Box<dyn FnMut(<P as Protocol>::Event) + Send>;

/// Tunables of a running node.
#[derive(Clone, Copy, Debug)]
pub struct NodeOptions {
    /// At most this many queued inputs are stepped before their effects are handed on.
    pub batch_size: usize,
    /// While this many batches wait for the disk or for their effects to leave, nothing more
    /// is taken from the inbox. Timers still fire, and diagnostics are answered.
    pub batches_in_flight: usize,
    /// An fsync that takes this long is slow: the log says so.
    pub slow_flush: Duration,
    /// While the oldest record has waited for the disk for this long, nothing leaves early: others
    /// should then take this node for gone. Long enough for two fsyncs, for a record may have to
    /// wait for the one before its own.
    pub early_patience: Duration,
    /// The durable state is written out whole, and older entries of the journal dropped,
    /// when the steps since the last time take this many bytes, and twice as many as the
    /// state took then. 0 for never.
    pub checkpoint_after_bytes: u64,
    /// Whether a timer that has run out fires before the inputs that wait are stepped. For a timer
    /// that is a promise, as a lease is: whatever waits in the queue of a node that was held up, its
    /// time is over. Otherwise inputs come first: a node that was held up should see the heartbeat
    /// in its queue before its election timeout.
    pub timers_first: bool,
    /// Seeds the randomised timers. Give each node another one.
    pub seed: u64,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            batch_size: 256,
            batches_in_flight: 64,
            slow_flush: Duration::from_millis(150),
            early_patience: Duration::from_millis(600),
            checkpoint_after_bytes: 64 << 20,
            timers_first: false,
            seed: fastrand::u64(..),
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal refused.
    #[error("the node did not start: {0}")]
    Journal(#[from] JournalError),
    /// What the disk remembers is refused.
    #[error("the node did not start, and nothing was changed: {0}")]
    Refused(String),
    /// A thread could not be started.
    #[error(
        "the node did not start, because the system gave it no thread: {0}; nothing was sent. \
         Raise the limit on threads and start again"
    )]
    Thread(#[from] io::Error),
}

/// Puts a node together.
pub struct NodeBuilder<P: Protocol> {
    protocol: P,
    spans: TimerSpans<P::Timer>,
    sink: EventSink<P>,
    clock: Arc<dyn Clock>,
    recorder: Option<Box<dyn Recorder<P>>>,
    check: Check<P>,
    after_batch: AfterBatch<P>,
    options: NodeOptions,
}

/// Looks at the node after each batch of steps.
pub(super) type AfterBatch<P> = Box<dyn FnMut(&Node<P>) + Send>;

/// Looks at what the disk remembers, and says why not to start from it, if so.
type Check<P> = Box<dyn FnOnce(&<P as Protocol>::Durable) -> Result<(), String> + Send>;

impl<P: Protocol> NodeBuilder<P> {
    /// A node of `protocol`, whose timers last as long as `spans` says, and whose events go
    /// to `sink`: in order, one at a time, on a thread of the node's. While the sink runs
    /// nothing else leaves the node, so it should hand work on; and it must not wait for the
    /// node, which waits for it.
    pub fn new(
        protocol: P,
        spans: impl Fn(&P::Timer) -> TimerSpan + Send + Sync + 'static,
        sink: impl FnMut(P::Event) + Send + 'static,
    ) -> Self {
        Self {
            protocol,
            spans: Arc::new(spans),
            sink: Box::new(sink),
            clock: Arc::new(SystemClock::new()),
            recorder: None,
            check: Box::new(|_| Ok(())),
            after_batch: Box::new(|_| ()),
            options: NodeOptions::default(),
        }
    }

    /// Takes the time from `clock` instead of the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Records what the node does.
    #[must_use]
    pub fn recorder(mut self, recorder: impl Recorder<P>) -> Self {
        self.recorder = Some(Box::new(recorder));
        self
    }

    /// Looks at what the disk remembers before the node is booted and anything is sent. A node
    /// that is refused does not start.
    #[must_use]
    pub fn check(
        mut self,
        check: impl FnOnce(&P::Durable) -> Result<(), String> + Send + 'static,
    ) -> Self {
        self.check = Box::new(check);
        self
    }

    /// Looks at the node when it has booted and after each batch of steps, on the stepper's thread: who
    /// looks must not wait. What it sees may not be on disk yet.
    #[must_use]
    pub fn after_batch(mut self, look: impl FnMut(&Node<P>) + Send + 'static) -> Self {
        self.after_batch = Box::new(look);
        self
    }

    /// Tunes the node.
    #[must_use]
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    /// Recovers the node from its journal, boots it and starts its threads. `inbox` and
    /// `mailbox` are the two ends that [`mailbox`](super::mailbox()) returned.
    ///
    /// # Errors
    /// When the journal refuses or the system gives no threads. Nothing was sent then.
    pub fn spawn(
        self,
        (inbox, mailbox): (Inbox<P>, Mailbox<P>),
        mut journal: impl Journal,
        transport: impl Transport<P::Message>,
    ) -> Result<RunningNode<P>, StartError> {
        let memory = recall::<P>(&mut journal)?;
        (self.check)(&memory.durable).map_err(StartError::Refused)?;
        let in_flight = self.options.batches_in_flight.max(1);
        let (status, watch) = watch::channel(Status::Running);
        let shared = Arc::new(Shared {
            gate: Gate::new(in_flight, self.options.early_patience),
            inbox: inbox.clone(),
            status,
            slow_disk: SlowDisk::new(self.options.slow_flush),
            stopping: AtomicBool::new(false),
        });
        let metrics = mailbox.metrics().clone();
        // The gate bounds what is in them.
        let (frames, work) = mpsc::channel();
        let (begun, begun_checkpoints) = mpsc::channel();
        let (outcome, outcomes) = mpsc::channel();
        let checkpointing = Checkpointing {
            work: begun_checkpoints,
            outcomes: outcome,
            shared: shared.clone(),
            metrics: metrics.clone(),
        };
        let journaling = Journaling {
            journal,
            work,
            checkpoints: begun,
            shared: shared.clone(),
            metrics: metrics.clone(),
        };
        let releaser = Releaser {
            id: self.protocol.id(),
            transport,
            sink: self.sink,
            shared: shared.clone(),
            metrics,
        };
        let mut booted = Batch::default();
        let timers = Timers::new(self.spans, self.options.seed);
        let checkpoints = Checkpoints::new(self.options.checkpoint_after_bytes, &memory, outcomes);
        let now = self.clock.now();
        let core = Core::boot(
            self.protocol,
            memory.durable,
            timers,
            self.recorder,
            now,
            &mut booted,
        );
        let stepper = Stepper {
            core,
            mailbox,
            shared: shared.clone(),
            journal: frames,
            clock: self.clock,
            batch_size: self.options.batch_size.max(1),
            timers_first: self.options.timers_first,
            after_batch: self.after_batch,
            checkpoints,
            ticket: 0,
        };
        let threads = vec![
            start(&shared, "checkpoint", || checkpointing.run())?,
            start(&shared, "journal", || journaling.run())?,
            start(&shared, "releaser", || releaser.run())?,
            start(&shared, "stepper", || stepper.run(booted))?,
        ];
        Ok(RunningNode::new(inbox, watch, threads))
    }
}

/// Starts a thread that fails its node when it panics.
fn start<P: Protocol>(
    shared: &Arc<Shared<P>>,
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let guard = Guard {
        thread: name,
        shared: shared.clone(),
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _guard = guard;
            run();
        })
        // The threads that run already must not wait for one that never will.
        .inspect_err(|_| shared.gate.poison())
}
