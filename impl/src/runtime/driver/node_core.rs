//! Stepping a node, without threads, sockets or a clock: shared by the running node and the
//! simulation.

use std::time::Duration;

use derive_where::derive_where;
use models::{Durable, Effect, Input, Node, NodeId, Outbox, Protocol};

use crate::runtime::codec;
use crate::runtime::recording::Recorder;
use crate::runtime::timers::Timers;

type Record<P> = <<P as Protocol>::Durable as Durable>::Record;

/// What leaves a node.
pub(crate) enum Outgoing<P: Protocol> {
    Send {
        to: NodeId,
        message: P::Message,
    },
    Emit(P::Event),
    /// Hands the answer of an inspection to whoever asked.
    Answer(Box<dyn FnOnce() + Send>),
}

/// What a batch of steps leaves behind.
#[derive_where(Default)]
pub(crate) struct Batch<P: Protocol> {
    /// For each step that wrote something, its records, encoded.
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) records: u64,
    pub(crate) steps: u64,
    /// What waits until the frames, and those of earlier batches, are on disk.
    pub(crate) outgoing: Vec<Outgoing<P>>,
    /// What does not.
    pub(crate) early: Vec<Outgoing<P>>,
}

/// A node with its timers.
pub(crate) struct Core<P: Protocol> {
    protocol: P,
    node: Node<P>,
    timers: Timers<P::Timer>,
    recorder: Option<Box<dyn Recorder<P>>>,
    out: Outbox<P>,
}

impl<P: Protocol> Core<P> {
    /// Boots a node from what its disk remembers. First start and recovery are one path.
    pub(crate) fn boot(
        protocol: P,
        durable: P::Durable,
        timers: Timers<P::Timer>,
        mut recorder: Option<Box<dyn Recorder<P>>>,
        now: Duration,
        batch: &mut Batch<P>,
    ) -> Self {
        let mut out = Outbox::new();
        let node = Node::boot(&protocol, durable, &mut out);
        if let Some(recorder) = &mut recorder {
            recorder.booted(now, node.durable(), out.effects());
        }
        let mut core = Self {
            protocol,
            node,
            timers,
            recorder,
            out,
        };
        core.sort_effects(now, batch);
        core
    }

    /// Steps one input.
    pub(crate) fn step(
        &mut self,
        input: Input<P>,
        now: Duration,
        batch: &mut Batch<P>,
    ) -> Result<(), postcard::Error> {
        let recorded = self.recorder.is_some().then(|| input.clone());
        self.protocol.step(&mut self.node, input, &mut self.out);
        let records = self.node.take_records();
        if let (Some(recorder), Some(input)) = (&mut self.recorder, recorded) {
            recorder.stepped(now, &input, &records, self.out.effects());
        }
        batch.steps += 1;
        add_frame(&records, batch)?;
        self.sort_effects(now, batch);
        Ok(())
    }

    /// Fires the timers that are due, each at most once, so that a timer of no length cannot
    /// keep everything else waiting.
    pub(crate) fn fire_due(
        &mut self,
        now: Duration,
        batch: &mut Batch<P>,
    ) -> Result<(), postcard::Error> {
        for _ in 0..self.timers.armed() {
            let Some(timer) = self.take_due(now) else {
                return Ok(());
            };
            self.step(Input::Fire(timer), now, batch)?;
        }
        Ok(())
    }

    /// Takes out the timer that ran out first, if one has by `now`, for it to be stepped.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<P::Timer> {
        self.timers.take_due(now)
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.timers.next_deadline()
    }

    pub(crate) fn id(&self) -> NodeId {
        self.protocol.id()
    }

    pub(crate) fn node(&self) -> &Node<P> {
        &self.node
    }

    pub(crate) fn flush_recorder(&mut self, now: Duration) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush(now, &self.node);
        }
    }

    /// Timers are set at once, everything else leaves by the gate.
    fn sort_effects(&mut self, now: Duration, batch: &mut Batch<P>) {
        for effect in self.out.drain() {
            match effect {
                Effect::Arm(timer) => self.timers.arm(timer, now),
                Effect::Disarm(timer) => self.timers.disarm(&timer),
                Effect::Send { to, message } => batch.outgoing.push(Outgoing::Send { to, message }),
                Effect::SendEarly { to, message } => {
                    batch.early.push(Outgoing::Send { to, message });
                }
                Effect::Emit(event) => batch.outgoing.push(Outgoing::Emit(event)),
            }
        }
    }
}

/// One step's records are one frame: after a crash all of them are there, or none.
fn add_frame<P: Protocol>(
    records: &Vec<Record<P>>,
    batch: &mut Batch<P>,
) -> Result<(), postcard::Error> {
    if !records.is_empty() {
        batch.records += records.len() as u64;
        batch.frames.push(codec::encode(records)?);
    }
    Ok(())
}
