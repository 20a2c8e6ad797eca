//! One simulated computer: a disk that lasts, and a node that runs or does not.

use std::time::Duration;

use models::{Input, Node, NodeId, Protocol};

use crate::driver::{Batch, Core, Outgoing, Recorder, format, recall};
use crate::gate::{Gate, Ticket};
use crate::journal::{Journal, MemoryDisk, MemoryJournal};
use crate::timers::{TimerSpans, Timers};

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
    /// Frames that wait for the fsync under way to return, and the number of the last one.
    waiting: Vec<Vec<u8>>,
    ticket: Ticket,
    /// The number of the last frame that the fsync under way covers.
    flushing: Option<Ticket>,
}

/// What a machine wants done.
pub(super) struct Output<P: Protocol> {
    pub(super) messages: Vec<(NodeId, P::Message)>,
    pub(super) events: Vec<P::Event>,
    /// An fsync begins; the life to report it back to.
    pub(super) flush: Option<u64>,
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
            // One thread holds and releases: a bound would make it wait for itself.
            gate: Gate::new(usize::MAX),
            waiting: Vec::new(),
            ticket: 0,
            flushing: None,
        });
        self.settle(|running| {
            running.submit(batch);
            Ok(())
        })
    }

    pub(super) fn step(&mut self, input: Input<P>, now: Duration) -> Option<Output<P>> {
        self.settle(|running| {
            let mut batch = Batch::default();
            let stepped = running.core.step(input, now, &mut batch);
            stepped.map_err(|error| error.to_string())?;
            running.submit(batch);
            Ok(())
        })
    }

    pub(super) fn fire_due(&mut self, now: Duration) -> Option<Output<P>> {
        self.settle(|running| {
            let mut batch = Batch::default();
            let fired = running.core.fire_due(now, &mut batch);
            fired.map_err(|error| error.to_string())?;
            running.submit(batch);
            Ok(())
        })
    }

    /// An fsync that began in `life` returns.
    pub(super) fn flushed(&mut self, life: u64) -> Option<Output<P>> {
        if life != self.life {
            return None;
        }
        self.settle(Running::flushed)
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

impl<P: Protocol> Running<P> {
    fn submit(&mut self, batch: Batch<P>) {
        self.core.flush_recorder();
        self.ticket += batch.frames.len() as u64;
        self.waiting.extend(batch.frames);
        // A gate that nobody shuts takes everything.
        let _ = self.gate.hold(self.ticket, batch.outgoing);
    }

    /// Starts an fsync for what waits, unless one is under way. Says whether it did.
    fn begin_flush(&mut self) -> Result<bool, String> {
        if self.flushing.is_some() || self.waiting.is_empty() {
            return Ok(false);
        }
        for frame in self.waiting.drain(..) {
            self.journal
                .append(&frame)
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
        Ok(())
    }

    fn release(&mut self) -> Output<P> {
        let mut output = Output {
            messages: Vec::new(),
            events: Vec::new(),
            flush: None,
        };
        for outgoing in self.gate.try_release().into_iter().flatten() {
            match outgoing {
                Outgoing::Send { to, message } => output.messages.push((to, message)),
                Outgoing::Emit(event) => output.events.push(event),
                Outgoing::Answer(answer) => answer(),
            }
        }
        output
    }
}
