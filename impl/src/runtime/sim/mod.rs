//! The whole runtime on one thread, from a seed: the same stepping, journal, gate and timers
//! as a running node, under a simulated clock, network and disk.
//!
//! Two simulations with the same seed and the same calls do the same, byte for byte. What
//! differs from a running node: steps take no time, each batch is one input or timer, and the disk
//! is a [`MemoryDisk`] whose fsync takes as long as the options say. While it lasts, the
//! node goes on stepping, and everything that it wants to say is held back.

mod machine;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use models::{Input, Node, NodeId, Protocol};

use self::machine::{Machine, Output};
pub use self::trace::Traced;
use crate::runtime::journal::MemoryDisk;
use crate::runtime::recording::Recorder;
use crate::runtime::timers::{TimerSpan, TimerSpans};

/// The weather.
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How long a message takes. Messages of one sender to one receiver stay in order.
    pub latency: RangeInclusive<Duration>,
    /// The probability that a message is lost.
    pub loss: f64,
    /// How long an fsync takes.
    pub fsync: RangeInclusive<Duration>,
    /// A node takes a checkpoint of its state when its steps since the last have written this
    /// many bytes. 0 for never.
    pub checkpoint_after_bytes: u64,
    /// How long it takes to write one. The node goes on meanwhile; a crash leaves nothing of it.
    pub checkpoint: RangeInclusive<Duration>,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        let micros = Duration::from_micros;
        Self {
            seed: 0,
            latency: micros(100)..=micros(1000),
            loss: 0.0,
            fsync: micros(50)..=micros(500),
            checkpoint_after_bytes: 0,
            checkpoint: micros(1_000)..=micros(50_000),
        }
    }
}

/// An event of a simulated node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent<E> {
    /// When it left the node.
    pub at: Duration,
    /// The node.
    pub node: NodeId,
    /// The event.
    pub event: E,
}

/// A simulated cluster.
pub struct Simulation<P: Protocol> {
    options: SimulationOptions,
    rng: Rng,
    now: Duration,
    /// What is to come, in order; the second part of the key keeps equals in order.
    agenda: BTreeMap<(Duration, u64), Happening<P>>,
    scheduled: u64,
    machines: BTreeMap<NodeId, Machine<P>>,
    spans: TimerSpans<P::Timer>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// When the last message of each channel arrives.
    channels: BTreeMap<(NodeId, NodeId), Duration>,
    events: Vec<SimulatedEvent<P::Event>>,
    recorders: Option<Recorders<P>>,
    /// What has happened since it was last asked, if somebody wants to know.
    trace: Option<Vec<Traced<P>>>,
}

/// Makes a recorder for each start of a node.
type Recorders<P> = Box<dyn FnMut(NodeId) -> Box<dyn Recorder<P>>>;

enum Happening<P: Protocol> {
    Arrives {
        from: NodeId,
        to: NodeId,
        message: P::Message,
    },
    /// An fsync returns. It counts only for the life of the node in which it began.
    Flushed { node: NodeId, life: u64 },
    /// A checkpoint is written. It counts only for the life of the node in which it began.
    Checkpointed { node: NodeId, life: u64 },
}

impl<P: Protocol> Simulation<P> {
    /// An empty cluster, whose timers last as long as `spans` says.
    pub fn new(
        options: SimulationOptions,
        spans: impl Fn(&P::Timer) -> TimerSpan + Send + Sync + 'static,
    ) -> Self {
        Self {
            rng: Rng::with_seed(options.seed),
            options,
            now: Duration::ZERO,
            agenda: BTreeMap::new(),
            scheduled: 0,
            machines: BTreeMap::new(),
            spans: Arc::new(spans),
            cuts: BTreeSet::new(),
            channels: BTreeMap::new(),
            events: Vec::new(),
            recorders: None,
            trace: None,
        }
    }

    /// Keeps what happens from now on, for [`take_trace`](Self::take_trace).
    pub fn trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// Everything that has happened since the last call, in order; nothing unless it is
    /// [kept](Self::trace).
    pub fn take_trace(&mut self) -> Vec<Traced<P>> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Records what nodes do that are started from now on. `make` is called for each start.
    pub fn record(&mut self, make: impl FnMut(NodeId) -> Box<dyn Recorder<P>> + 'static) {
        self.recorders = Some(Box::new(make));
    }

    /// Adds a node with a disk that is set up for it, and starts it.
    pub fn add(&mut self, protocol: P) {
        let id = protocol.id();
        self.machines.insert(id, Machine::new(protocol));
        self.restart(id);
    }

    /// The simulated time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// A running node, as its last step left it; also what is not on disk yet.
    pub fn node(&self, id: NodeId) -> Option<&Node<P>> {
        self.machines.get(&id)?.node()
    }

    /// A node's disk.
    pub fn disk(&self, id: NodeId) -> Option<&MemoryDisk> {
        self.machines.get(&id).map(Machine::disk)
    }

    /// What a node's disk remembers: what the node would start from now. Nothing if there is no such
    /// node, or its disk cannot be understood.
    pub fn remembered(&self, id: NodeId) -> Option<P::Durable> {
        self.machines.get(&id)?.remembered()
    }

    /// Hands a node a command. Returns whether it runs.
    pub fn ask(&mut self, id: NodeId, command: P::Command) -> bool {
        self.step(id, Input::Ask(command))
    }

    /// Everything that nodes have said since the last call.
    pub fn take_events(&mut self) -> Vec<SimulatedEvent<P::Event>> {
        std::mem::take(&mut self.events)
    }

    /// Stops a node as a power failure does: what was not flushed is lost.
    pub fn crash(&mut self, id: NodeId) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.crash();
            self.note(|| Traced::Crashed { node: id });
        }
    }

    /// Stops a node whose disk is lost: from now on it has an empty one, which nobody has set up.
    pub fn lose_disk(&mut self, id: NodeId) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.lose_disk();
            self.note(|| Traced::DiskLost { node: id });
        }
    }

    /// Starts a node that does not run. Returns whether it runs now: a disk that fails, or
    /// holds something that cannot be understood, keeps it from starting.
    pub fn restart(&mut self, id: NodeId) -> bool {
        let (spans, seed) = (self.spans.clone(), self.rng.u64(..));
        let Some(machine) = self.machines.get_mut(&id) else {
            return false;
        };
        let recorder = self.recorders.as_mut().map(|make| make(id));
        let after_bytes = self.options.checkpoint_after_bytes;
        let output = machine.start(spans, seed, recorder, self.now, after_bytes);
        if output.is_some() {
            self.note(|| Traced::Booted { node: id });
        }
        self.follow(id, output);
        self.is_up(id)
    }

    /// Whether a node runs. A node whose disk fails stops.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.node(id).is_some()
    }

    /// Loses everything that `from` sends to `to` from now on, in this direction.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
    }

    /// Mends every cut.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Loses each message with this probability from now on.
    pub fn set_loss(&mut self, probability: f64) {
        self.options.loss = probability;
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.run_next(end) {}
    }

    /// Lets time pass until the next thing has happened, and no longer than until `end`. Returns
    /// whether something has. Of a message and a timer of the same instant the message comes first.
    pub fn run_next(&mut self, end: Duration) -> bool {
        let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let timer = self.next_timer();
        match (happening, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(happening);
                }
                true
            }
            (_, Some((due, id))) if due <= end => {
                self.now = self.now.max(due);
                let machine = self.machines.get_mut(&id);
                let timer = machine.and_then(|machine| machine.take_due(due));
                timer.is_some_and(|timer| self.step(id, Input::Fire(timer)))
            }
            _ => {
                self.now = self.now.max(end);
                false
            }
        }
    }

    fn next_timer(&self) -> Option<(Duration, NodeId)> {
        let due = |(id, machine): (&NodeId, &Machine<P>)| Some((machine.next_deadline()?, *id));
        self.machines.iter().filter_map(due).min()
    }

    fn happen(&mut self, happening: Happening<P>) {
        match happening {
            Happening::Arrives { from, to, message } if self.is_up(to) => {
                self.step(to, Input::Deliver { from, message });
            }
            Happening::Arrives { from, to, message } => {
                self.note(|| Traced::Missed { from, to, message });
            }
            Happening::Flushed { node, life } => {
                let flushed = |machine: &Machine<P>| {
                    let frames = machine.flushed_frames();
                    Some(Traced::Flushed { node, frames })
                };
                self.with_machine(node, |machine, _| machine.flushed(life), flushed);
            }
            // What the disk remembers is the same as before.
            Happening::Checkpointed { node, life } => {
                self.with_machine(node, |machine, _| machine.checkpointed(life), |_| None);
            }
        }
    }

    fn step(&mut self, node: NodeId, input: Input<P>) -> bool {
        let taken = self.trace.is_some().then(|| input.clone());
        let stepped = |machine: &Machine<P>| {
            let frames = machine.frames();
            taken.map(|input| Traced::Stepped {
                node,
                input,
                frames,
            })
        };
        self.with_machine(node, |machine, now| machine.step(input, now), stepped)
    }

    /// Lets a machine act, notes what it has done, and does what it wants done. Returns whether it
    /// exists and ran.
    fn with_machine(
        &mut self,
        id: NodeId,
        act: impl FnOnce(&mut Machine<P>, Duration) -> Option<Output<P>>,
        done: impl FnOnce(&Machine<P>) -> Option<Traced<P>>,
    ) -> bool {
        let Some(machine) = self.machines.get_mut(&id) else {
            return false;
        };
        let output = act(machine, self.now);
        let ran = output.is_some();
        if let Some(trace) = self.trace.as_mut().filter(|_| ran) {
            trace.extend(done(machine));
        }
        self.follow(id, output);
        ran
    }

    /// Keeps what has happened, if somebody wants to know.
    fn note(&mut self, happened: impl FnOnce() -> Traced<P>) {
        if let Some(trace) = &mut self.trace {
            trace.push(happened());
        }
    }

    fn follow(&mut self, node: NodeId, output: Option<Output<P>>) {
        let Some(output) = output else { return };
        for (to, message) in output.messages {
            self.send(node, to, message);
        }
        let at = self.now;
        for event in output.events {
            self.note(|| Traced::Said {
                node,
                event: event.clone(),
            });
            self.events.push(SimulatedEvent { at, node, event });
        }
        if let Some(life) = output.flush {
            let at = self.now + self.draw(&self.options.fsync.clone());
            self.schedule(at, Happening::Flushed { node, life });
        }
        if let Some(life) = output.checkpoint {
            let at = self.now + self.draw(&self.options.checkpoint.clone());
            self.schedule(at, Happening::Checkpointed { node, life });
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        // Drawn for each message, lost or not, so that a cut does not change the rest.
        let latency = self.draw(&self.options.latency.clone());
        let lost = self.rng.f64() < self.options.loss;
        let lost = from != to && (lost || self.cuts.contains(&(from, to)));
        self.note(|| Traced::Sent {
            from,
            to,
            message: message.clone(),
            lost,
        });
        let arrives = if lost {
            return;
        } else if from == to {
            self.now
        } else {
            let channel = self.channels.entry((from, to)).or_default();
            *channel = (*channel).max(self.now + latency);
            *channel
        };
        self.schedule(arrives, Happening::Arrives { from, to, message });
    }

    fn schedule(&mut self, at: Duration, happening: Happening<P>) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), happening);
    }

    fn draw(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        TimerSpan::Between(range.clone()).draw(&mut self.rng)
    }
}
