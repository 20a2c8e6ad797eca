//! The stepper thread: takes inputs in batches and steps them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use models::{Input, Protocol};

use super::builder::AfterBatch;
use super::checkpoint_writer::Checkpoints;
use super::inbox::{Control, Mailbox};
use super::journal_writer::Work;
use super::node_core::{Batch, Core, Outgoing};
use super::node_handle::{Failure, Shared};
use crate::runtime::clock::Clock;
use crate::runtime::gate::{Early, Ticket};

pub(super) struct Stepper<P: Protocol> {
    pub(super) core: Core<P>,
    pub(super) mailbox: Mailbox<P>,
    pub(super) shared: Arc<Shared<P>>,
    pub(super) journal: Sender<Work<P::Durable>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) batch_size: usize,
    pub(super) timers_first: bool,
    pub(super) after_batch: AfterBatch<P>,
    pub(super) checkpoints: Checkpoints,
    /// The number of frames handed to the journal.
    pub(super) ticket: Ticket,
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
        (self.after_batch)(self.core.node());
        self.submit(booted)?;
        loop {
            let has_room = self.shared.gate.ask_for_room();
            let has_room = has_room.map_err(|_| Halt::Abandoned)?;
            // While too much waits for the disk nothing is taken in. What cannot wait is done
            // all the same: timers, controls, answers to those who want to know what is wrong.
            let most = if has_room { self.batch_size } else { 0 };
            let (inputs, controls) = self.mailbox.take(self.nap(), most);
            self.shared.slow_disk.look(self.mailbox.metrics());
            let (batch, stop) = self.step_batch(inputs, controls)?;
            (self.after_batch)(self.core.node());
            self.submit(batch)?;
            if stop {
                return Ok(());
            }
        }
    }

    /// Until the next timer; or until what waits for the disk has waited for long, for nobody
    /// else would say so.
    fn nap(&self) -> Option<Duration> {
        let timer = self.core.next_deadline().map(|at| self.clock.nap(at));
        let watch = (!self.shared.gate.is_flushed()).then(|| self.shared.slow_disk.limit());
        timer.into_iter().chain(watch).min()
    }

    /// Messages come before timers, where the host does not want it otherwise: a node that was held
    /// up by its disk should see the heartbeat that waits in its queue before its election timeout.
    fn step_batch(
        &mut self,
        inputs: Vec<Input<P>>,
        controls: VecDeque<Control<P>>,
    ) -> Result<(Batch<P>, bool), postcard::Error> {
        let mut batch = Batch::default();
        let now = self.clock.now();
        if self.timers_first {
            self.core.fire_due(now, &mut batch)?;
        }
        for input in inputs {
            self.core.step(input, now, &mut batch)?;
        }
        let stop = self.follow_controls(controls, now, &mut batch)?;
        if stop {
            self.shared.stop();
            for input in self.mailbox.close() {
                self.core.step(input, now, &mut batch)?;
            }
        } else {
            self.core.fire_due(now, &mut batch)?;
        }
        self.core.flush_recorder(now);
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
                Control::Look(look) => look(self.core.node()),
                Control::Room => {}
                Control::Stop => stop = true,
            }
        }
        Ok(stop)
    }

    /// Hands the frames to the journal and the effects to the gate. Neither waits: that the
    /// node does not run away from its disk is seen to before anything is taken in.
    fn submit(&mut self, batch: Batch<P>) -> Result<(), Halt> {
        self.count(&batch);
        let now = self.clock.now();
        self.pass_early(batch.early, now)?;
        if batch.frames.is_empty() && batch.outgoing.is_empty() {
            return Ok(());
        }
        self.ticket += batch.frames.len() as u64;
        if !batch.frames.is_empty() {
            let work = Work {
                frames: batch.frames,
                checkpoint: self.state_if_due(now),
                ticket: self.ticket,
            };
            self.journal.send(work).map_err(|_| Halt::Abandoned)?;
        }
        // Also what a step without records says may rest on an earlier step's records; and
        // also a batch that says nothing counts as in flight until it is on disk.
        let held = self.shared.gate.hold(self.ticket, batch.outgoing, now);
        held.map_err(|_| Halt::Abandoned)
    }

    /// Lets out what promises nothing about the disk; or drops it, as a network might, when the disk
    /// hangs: others should then take this node for gone.
    fn pass_early(&self, early: Vec<Outgoing<P>>, now: Duration) -> Result<(), Halt> {
        if early.is_empty() {
            return Ok(());
        }
        let passed = self.shared.gate.pass_early(early, now);
        if let Early::Refused(early) = passed.map_err(|_| Halt::Abandoned)? {
            let dropped = &self.mailbox.metrics().early_dropped;
            dropped.inc_by(early.len() as u64);
        }
        Ok(())
    }

    /// The durable state, where it is time for a checkpoint.
    fn state_if_due(&mut self, now: Duration) -> Option<P::Durable> {
        let due = self.checkpoints.begin_if_due(now);
        due.then(|| self.core.node().durable().clone())
    }

    fn count(&mut self, batch: &Batch<P>) {
        let metrics = self.mailbox.metrics();
        let bytes = batch.frames.iter().map(Vec::len).sum::<usize>() as u64;
        self.checkpoints.count(bytes);
        metrics.steps.inc_by(batch.steps);
        metrics.batches.inc_by(u64::from(batch.steps > 0));
        metrics.records.inc_by(batch.records);
        metrics.journal_frames.inc_by(batch.frames.len() as u64);
        metrics.journal_bytes.inc_by(bytes);
    }
}
