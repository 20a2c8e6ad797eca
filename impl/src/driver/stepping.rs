//! The stepper thread: takes inputs in batches and steps them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use models::{Input, Protocol};

use super::core::{Batch, Core, Outgoing};
use super::inbox::{Control, Mailbox};
use super::journaling::Work;
use super::memory::Memory;
use super::running::{Failure, Shared};
use crate::clock::Clock;
use crate::codec;
use crate::gate::Ticket;

pub(super) struct Stepper<P: Protocol> {
    pub(super) core: Core<P>,
    pub(super) mailbox: Mailbox<P>,
    pub(super) shared: Arc<Shared<P>>,
    pub(super) journal: SyncSender<Work>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) batch_size: usize,
    pub(super) checkpoints: Checkpoints,
    /// The number of frames handed to the journal.
    pub(super) ticket: Ticket,
}

/// Decides when the durable state is worth writing out whole.
pub(super) struct Checkpoints {
    /// No checkpoint before the steps since the last one take this many bytes. 0 for never.
    after_bytes: u64,
    last_bytes: u64,
    step_bytes: u64,
}

impl Checkpoints {
    pub(super) fn new<D>(after_bytes: u64, memory: &Memory<D>) -> Self {
        Self {
            after_bytes,
            last_bytes: memory.checkpoint_bytes,
            step_bytes: memory.step_bytes,
        }
    }

    /// Twice the last checkpoint, so that a large state is not written over and over.
    fn due(&self) -> bool {
        self.after_bytes > 0 && self.step_bytes >= self.after_bytes.max(2 * self.last_bytes)
    }
}

/// Why stepping came to an end before it was told to.
enum Halt {
    /// Another thread of the node has ended, and has said why.
    Abandoned,
    Encoding(postcard::Error),
}

impl From<postcard::Error> for Halt {
    fn from(error: postcard::Error) -> Self {
        Self::Encoding(error)
    }
}

impl<P: Protocol> Stepper<P> {
    /// Runs until told to stop. `booted` is what booting left behind.
    pub(super) fn run(mut self, booted: Batch<P>) {
        match self.step_all(booted) {
            Ok(()) => self.shared.gate.close(),
            Err(Halt::Encoding(error)) => self.shared.fail(Failure::Encoding(error)),
            Err(Halt::Abandoned) => {}
        }
    }

    fn step_all(&mut self, booted: Batch<P>) -> Result<(), Halt> {
        self.submit(booted)?;
        loop {
            let nap = self.core.next_deadline().map(|at| self.clock.nap(at));
            let (inputs, controls) = self.mailbox.take(nap, self.batch_size);
            let (batch, stop) = self.step_batch(inputs, controls)?;
            self.submit(batch)?;
            if stop {
                return Ok(());
            }
        }
    }

    /// Messages come before timers: a node that was held up by its disk should see the
    /// heartbeat that waits in its queue before its election timeout.
    fn step_batch(
        &mut self,
        inputs: Vec<Input<P>>,
        controls: VecDeque<Control<P>>,
    ) -> Result<(Batch<P>, bool), postcard::Error> {
        let mut batch = Batch::default();
        let now = self.clock.now();
        for input in inputs {
            self.core.step(input, now, &mut batch)?;
        }
        let stop = self.follow_controls(controls, now, &mut batch)?;
        if stop {
            for input in self.mailbox.close() {
                self.core.step(input, now, &mut batch)?;
            }
        } else {
            self.core.fire_due(now, &mut batch)?;
        }
        self.core.flush_recorder();
        Ok((batch, stop))
    }

    /// Says whether to stop.
    fn follow_controls(
        &mut self,
        controls: VecDeque<Control<P>>,
        now: Duration,
        batch: &mut Batch<P>,
    ) -> Result<bool, postcard::Error> {
        let mut stop = false;
        for control in controls {
            match control {
                Control::Loopback(message) => {
                    let from = self.core.id();
                    self.core
                        .step(Input::Deliver { from, message }, now, batch)?;
                }
                Control::Inspect(look) => {
                    batch
                        .outgoing
                        .push(Outgoing::Answer(look(self.core.node())));
                }
                Control::Stop => stop = true,
            }
        }
        Ok(stop)
    }

    /// Hands the frames to the journal and the effects to the gate. Both may block, which is
    /// how a slow disk slows the node down.
    fn submit(&mut self, batch: Batch<P>) -> Result<(), Halt> {
        self.count(&batch);
        self.ticket += batch.frames.len() as u64;
        if !batch.frames.is_empty() {
            let work = Work {
                frames: batch.frames,
                checkpoint: self.checkpoint_if_due(),
                ticket: self.ticket,
            };
            self.journal.send(work).map_err(|_| Halt::Abandoned)?;
        }
        if !batch.outgoing.is_empty() {
            // Also what a step without records says may rest on an earlier step's records.
            let held = self.shared.gate.hold(self.ticket, batch.outgoing);
            held.map_err(|_| Halt::Abandoned)?;
        }
        Ok(())
    }

    fn checkpoint_if_due(&mut self) -> Option<Vec<u8>> {
        if !self.checkpoints.due() {
            return None;
        }
        self.checkpoints.step_bytes = 0;
        match codec::encode(self.core.node().durable()) {
            Ok(state) => {
                self.checkpoints.last_bytes = state.len() as u64;
                Some(state)
            }
            Err(error) => {
                tracing::error!(%error, "no checkpoint: the state cannot be encoded; the journal keeps growing");
                None
            }
        }
    }

    fn count(&mut self, batch: &Batch<P>) {
        let metrics = self.mailbox.metrics();
        let bytes = batch.frames.iter().map(Vec::len).sum::<usize>() as u64;
        self.checkpoints.step_bytes += bytes;
        metrics.steps.add(batch.steps);
        metrics.batches.add(u64::from(batch.steps > 0));
        metrics.records.add(batch.records);
        metrics.journal_frames.add(batch.frames.len() as u64);
        metrics.journal_bytes.add(bytes);
    }
}
