//! One simulated computer: a disk that lasts, and a node that runs or does not.

use std::time::Duration;

use models::{Input, Node, NodeId, Protocol};

use crate::runtime::codec;
use crate::runtime::driver::{Batch, Core, Outgoing, format, recall};
use crate::runtime::gate::{Gate, Ticket};
use crate::runtime::journal::{Checkpoint, Journal, MemoryDisk, MemoryJournal};
use crate::runtime::recording::Recorder;
use crate::runtime::timers::{TimerSpans, Timers};

pub(super) struct Machine<P: Protocol> {
    protocol: P,
    disk: MemoryDisk,
    /// Counts starts.
    life: u64,
    running: Option<Running<P>>,
}

struct Running<P: Protocol> {
    core: Core<P>,
    journal: MemoryJournal,
    gate: Gate<Vec<Outgoing<P>>>,
    /// What waits for the fsync under way to return, and the number of the last frame.
    waiting: Vec<Waiting<P::Durable>>,
    ticket: Ticket,
    /// The number of the last frame that the fsync under way covers.
    flushing: Option<Ticket>,
    /// That of the last one that has returned.
    flushed: Ticket,
    checkpoints: Checkpoints<P>,
}

enum Waiting<D> {
    Frame(Vec<u8>),
    /// The state after the frames before, of which a checkpoint is to be taken.
    State(D),
}

/// When checkpoints are taken: by the bytes that steps have appended since the last.
struct Checkpoints<P: Protocol> {
    /// 0 for never.
    after_bytes: u64,
    bytes: u64,
    /// One that was wanted and is not on disk yet.
    is_wanted: bool,
    begun: Option<(Box<dyn Checkpoint>, P::Durable)>,
    /// It has been begun since this was last asked.
    begins: bool,
}

/// What a machine wants done.
pub(super) struct Output<P: Protocol> {
    pub(super) messages: Vec<(NodeId, P::Message)>,
    pub(super) events: Vec<P::Event>,
    /// An fsync begins; the life to report it back to.
    pub(super) flush: Option<u64>,
    /// A checkpoint begins to be written; the life to report it back to.
    pub(super) checkpoint: Option<u64>,
}

impl<P: Protocol> Machine<P> {
    /// With a disk that is set up for `protocol`.
    pub(super) fn new(protocol: P) -> Self {
        let disk = MemoryDisk::new();
        if let Err(error) = format(&protocol, MemoryJournal::new(disk.clone())) {
            tracing::error!(%error, "a simulated disk was not set up");
        }
        Self {
            protocol,
            disk,
            life: 0,
            running: None,
        }
    }

    pub(super) fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    pub(super) fn node(&self) -> Option<&Node<P>> {
        self.running.as_ref().map(|running| running.core.node())
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.running.as_ref()?.core.next_deadline()
    }

    pub(super) fn crash(&mut self) {
        self.running = None;
        self.disk.crash();
    }

    /// Stops the node, and puts an empty disk in the place of its own.
    pub(super) fn lose_disk(&mut self) {
        self.running = None;
        self.disk = MemoryDisk::new();
    }

    /// Starts the node from its disk, unless it runs already.
    pub(super) fn start(
        &mut self,
        spans: TimerSpans<P::Timer>,
        seed: u64,
        recorder: Option<Box<dyn Recorder<P>>>,
        now: Duration,
        checkpoint_after_bytes: u64,
    ) -> Option<Output<P>> {
        if self.running.is_some() {
            return None;
        }
        let mut journal = MemoryJournal::new(self.disk.clone());
        let memory = recall::<P>(&mut journal)
            .inspect_err(|error| tracing::error!(%error, "a simulated node did not start"))
            .ok()?;
        let mut batch = Batch::default();
        let timers = Timers::new(spans, seed);
        let protocol = self.protocol.clone();
        let core = Core::boot(protocol, memory.durable, timers, recorder, now, &mut batch);
        self.life += 1;
        self.running = Some(Running {
            core,
            journal,
            // Nobody asks it for room, and no disk hangs.
            gate: Gate::new(usize::MAX, Duration::MAX),
            waiting: Vec::new(),
            ticket: 0,
            flushing: None,
            flushed: 0,
            checkpoints: Checkpoints {
                after_bytes: checkpoint_after_bytes,
                bytes: memory.step_bytes,
                is_wanted: false,
                begun: None,
                begins: false,
            },
        });
        self.settle(|running| {
            running.submit(batch, now);
            Ok(())
        })
    }

    pub(super) fn step(&mut self, input: Input<P>, now: Duration) -> Option<Output<P>> {
        self.settle(|running| {
            let mut batch = Batch::default();
            let stepped = running.core.step(input, now, &mut batch);
            stepped.map_err(|error| error.to_string())?;
            running.submit(batch, now);
            Ok(())
        })
    }

    /// Takes out the timer that ran out first, if one has by `now`, for it to be stepped.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<P::Timer> {
        self.running.as_mut()?.core.take_due(now)
    }

    /// What the disk remembers now; nothing if it cannot be understood.
    pub(super) fn remembered(&self) -> Option<P::Durable> {
        let memory = recall::<P>(&mut MemoryJournal::new(self.disk.clone()));
        memory.ok().map(|memory| memory.durable)
    }

    /// How many frames the node has written since it was started.
    pub(super) fn frames(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.ticket)
    }

    /// How many of them the last fsync that has returned covers.
    pub(super) fn flushed_frames(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.flushed)
    }

    /// An fsync that began in `life` returns.
    pub(super) fn flushed(&mut self, life: u64) -> Option<Output<P>> {
        if life != self.life {
            return None;
        }
        self.settle(Running::flushed)
    }

    /// A checkpoint that began to be written in `life` is all there.
    pub(super) fn checkpointed(&mut self, life: u64) -> Option<Output<P>> {
        if life != self.life {
            return None;
        }
        self.settle(|running| {
            running.checkpointed();
            Ok(())
        })
    }

    /// Runs `act` and collects what may leave. A node whose disk fails stops.
    fn settle(
        &mut self,
        act: impl FnOnce(&mut Running<P>) -> Result<(), String>,
    ) -> Option<Output<P>> {
        let running = self.running.as_mut()?;
        match act(running).and_then(|()| running.begin_flush()) {
            Ok(begins) => {
                let mut output = running.release();
                output.flush = begins.then_some(self.life);
                let checkpoint = std::mem::take(&mut running.checkpoints.begins);
                output.checkpoint = checkpoint.then_some(self.life);
                Some(output)
            }
            Err(error) => {
                tracing::error!(error, "a simulated node has failed");
                self.running = None;
                None
            }
        }
    }
}

impl<P: Protocol> Checkpoints<P> {
    /// Whether one is to be taken now; it counts as wanted until it is there.
    fn want(&mut self) -> bool {
        let due = self.after_bytes > 0 && !self.is_wanted && self.bytes >= self.after_bytes;
        if due {
            self.is_wanted = true;
            self.bytes = 0;
        }
        due
    }
}

impl<P: Protocol> Running<P> {
    fn submit(&mut self, batch: Batch<P>, now: Duration) {
        self.core.flush_recorder(now);
        self.ticket += batch.frames.len() as u64;
        self.checkpoints.bytes += batch.frames.iter().map(Vec::len).sum::<usize>() as u64;
        self.waiting
            .extend(batch.frames.into_iter().map(Waiting::Frame));
        if self.checkpoints.want() {
            let state = self.core.node().durable().clone();
            self.waiting.push(Waiting::State(state));
        }
        // A gate that nobody shuts takes everything.
        let _ = self.gate.pass_early(batch.early, now);
        let _ = self.gate.hold(self.ticket, batch.outgoing, now);
    }

    /// Starts an fsync for what waits, unless one is under way. Says whether it did.
    fn begin_flush(&mut self) -> Result<bool, String> {
        if self.flushing.is_some() || self.waiting.is_empty() {
            return Ok(false);
        }
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Frame(frame) => self.journal.append(&frame),
                Waiting::State(state) => self.journal.begin_checkpoint().map(|begun| {
                    self.checkpoints.begun = Some((begun, state));
                    self.checkpoints.begins = true;
                }),
            }
            .map_err(|error| error.to_string())?;
        }
        self.flushing = Some(self.ticket);
        Ok(true)
    }

    fn flushed(&mut self) -> Result<(), String> {
        let Some(covered) = self.flushing.take() else {
            return Ok(());
        };
        self.journal.flush().map_err(|error| error.to_string())?;
        self.gate.advance(covered);
        self.flushed = covered;
        Ok(())
    }

    /// One that fails costs space only: the next is taken when as much has changed again.
    fn checkpointed(&mut self) {
        self.checkpoints.is_wanted = false;
        let Some((begun, state)) = self.checkpoints.begun.take() else {
            return;
        };
        if let Err(error) = begun.write(&mut |out| codec::encode_to(&state, out)) {
            tracing::warn!(%error, "a simulated node took no checkpoint");
        }
    }

    fn release(&mut self) -> Output<P> {
        let mut output = Output {
            messages: Vec::new(),
            events: Vec::new(),
            flush: None,
            checkpoint: None,
        };
        for outgoing in self.gate.try_release().items.into_iter().flatten() {
            match outgoing {
                Outgoing::Send { to, message } => output.messages.push((to, message)),
                Outgoing::Emit(event) => output.events.push(event),
                Outgoing::Answer(answer) => answer(),
            }
        }
        output
    }
}
