//! The contract between a protocol and whatever hosts it.
//!
//! A protocol is a pure step function. It is handed one [`Input`] at a time and answers
//! with records (what must survive a crash) and [`Effect`]s (what must happen next).
//! The checker, the fuzzer and the runtime all drive the same function.

use alloc::vec::Vec;
use core::fmt::{self, Debug, Display};
use core::hash::Hash;

use derive_where::derive_where;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What every value in a checked state must be: comparable, hashable, printable and
/// serialisable, and free of borrowed or thread-bound parts.
pub trait Data:
    Clone + Debug + Eq + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T> Data for T where
    T: Clone + Debug + Eq + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// The identity of a node within its cluster. Unique, and never reused for another node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeId(pub u16);

impl Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// What a disk remembers: a fold over records. There is no other way to change it.
///
/// The write-ahead log holds the records, recovery folds them with the same `apply` that
/// the checker exercised, so nothing survives a crash by accident and nothing is forgotten
/// by accident.
pub trait Durable: Data + Default {
    /// One entry of the write-ahead log.
    type Record: Data;

    /// Folds one record into the state. Must be deterministic.
    fn apply(&mut self, record: &Self::Record);
}

/// One life of a disk: drawn at random when an empty disk is set up, and never again. A node
/// whose disk is lost comes back with another one, and so can be told from itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DiskId(pub [u8; 16]);

impl Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A node that remembers nothing.
impl Durable for () {
    type Record = ();

    fn apply(&mut self, (): &()) {}
}

/// A distributed protocol. `Self` is one node's immutable configuration: its id, its peers,
/// its tunables.
pub trait Protocol: Clone + Debug + Send + Sync + 'static {
    /// What survives a crash.
    type Durable: Durable;
    /// What a crash forgets.
    type Volatile: Data;
    /// What nodes send each other.
    type Message: Data;
    /// The names of the protocol's timers. The host maps a name to a (randomised) duration.
    type Timer: Data;
    /// What a local client asks of a node.
    type Command: Data;
    /// What a node tells its host: reply this, I lead now.
    type Event: Data;

    /// This node's identity.
    fn id(&self) -> NodeId;

    /// What is written to an empty disk before this node starts from it for the first time.
    /// Happens once in the life of a disk, on purpose. A protocol whose nodes make promises by
    /// what they remember writes something here, so that a disk which has been lost, and is
    /// empty again, is no new one to it.
    fn format(&self) -> Vec<<Self::Durable as Durable>::Record> {
        Vec::new()
    }

    /// Starts a node from what its disk remembers. First start and recovery are one path.
    fn boot(&self, durable: &Self::Durable, out: &mut Outbox<Self>) -> Self::Volatile;

    /// Handles one input. Durable state changes only through [`Node::write`].
    fn step(&self, node: &mut Node<Self>, input: Input<Self>, out: &mut Outbox<Self>);
}

/// What a host hands to [`Protocol::step`].
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Input<P: Protocol> {
    /// A message has arrived.
    Deliver {
        /// The sender.
        from: NodeId,
        /// What it sent.
        message: P::Message,
    },
    /// An armed timer has run out. It is disarmed before the step sees it.
    Fire(P::Timer),
    /// A local client asks for something.
    Ask(P::Command),
}

/// What a step wants done. Effects leave in order, and none before the step's records, and those
/// of earlier steps, are on disk; but for timers, which nobody else sees, and for what is sent
/// early.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Effect<P: Protocol> {
    /// Send a message to a peer. It may be lost, duplicated, delayed or reordered.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to send.
        message: P::Message,
    },
    /// Send a message that promises nothing about this node's disk. It may leave before the
    /// records of this step and of earlier ones are on disk, and overtake what waits for them: a
    /// crash may take back all that the node knew when it sent the message, but not the message.
    /// To be used only where a world with [`Disk::Buffered`](crate::world::Disk::Buffered) has
    /// shown that this does no harm. A driver may treat it as [`Send`](Self::Send).
    SendEarly {
        /// The receiver.
        to: NodeId,
        /// What to send.
        message: P::Message,
    },
    /// Start a timer, or start it anew if it runs.
    Arm(P::Timer),
    /// Stop a timer.
    Disarm(P::Timer),
    /// Tell the host something.
    Emit(P::Event),
}

/// Collects the effects of one step, in order.
#[derive_where(Clone, Debug, Default)]
pub struct Outbox<P: Protocol> {
    effects: Vec<Effect<P>>,
}

impl<P: Protocol> Outbox<P> {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `message` to `to`.
    pub fn send(&mut self, to: NodeId, message: P::Message) {
        self.effects.push(Effect::Send { to, message });
    }

    /// Sends `message` to `to`, be the node's records on disk or not: see
    /// [`Effect::SendEarly`].
    pub fn send_early(&mut self, to: NodeId, message: P::Message) {
        self.effects.push(Effect::SendEarly { to, message });
    }

    /// Starts `timer`, or starts it anew.
    pub fn arm(&mut self, timer: P::Timer) {
        self.effects.push(Effect::Arm(timer));
    }

    /// Stops `timer`. Stopping a timer that does not run is no error.
    pub fn disarm(&mut self, timer: P::Timer) {
        self.effects.push(Effect::Disarm(timer));
    }

    /// Tells the host `event`.
    pub fn emit(&mut self, event: P::Event) {
        self.effects.push(Effect::Emit(event));
    }

    /// Puts an effect behind the others.
    pub fn push(&mut self, effect: Effect<P>) {
        self.effects.push(effect);
    }

    /// The effects collected so far, in order.
    pub fn effects(&self) -> &[Effect<P>] {
        &self.effects
    }

    /// Takes the effects out, in order, and leaves the outbox empty.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<P>> + '_ {
        self.effects.drain(..)
    }
}

/// A running node: what its disk remembers, what a crash would forget, and the records that
/// the current step has written.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Node<P: Protocol> {
    durable: P::Durable,
    /// What a crash forgets. A step may change it freely.
    pub volatile: P::Volatile,
    records: Vec<<P::Durable as Durable>::Record>,
}

impl<P: Protocol> Node<P> {
    /// What the node's disk remembers once it has been [set up](Protocol::format).
    pub fn formatted(protocol: &P) -> P::Durable {
        Self::format(protocol, P::Durable::default())
    }

    /// The same, of a disk that holds something already: as if it had been set up before that
    /// was written.
    pub fn format(protocol: &P, mut durable: P::Durable) -> P::Durable {
        for record in protocol.format() {
            durable.apply(&record);
        }
        durable
    }

    /// Boots a node from what its disk remembers.
    pub fn boot(protocol: &P, durable: P::Durable, out: &mut Outbox<P>) -> Self {
        let volatile = protocol.boot(&durable, out);
        Self {
            durable,
            volatile,
            records: Vec::new(),
        }
    }

    /// What the disk remembers once the records of this step are on it.
    pub fn durable(&self) -> &P::Durable {
        &self.durable
    }

    /// Applies `record` to the durable state *and* journals it: the only way to change what
    /// survives a crash.
    pub fn write(&mut self, record: <P::Durable as Durable>::Record) {
        self.durable.apply(&record);
        self.records.push(record);
    }

    /// Takes the records written since the last call. A driver puts them on disk, as one
    /// frame, before any effect of the same step leaves.
    pub fn take_records(&mut self) -> Vec<<P::Durable as Durable>::Record> {
        core::mem::take(&mut self.records)
    }

    /// The durable state of a node that has just crashed.
    pub fn into_durable(self) -> P::Durable {
        self.durable
    }
}
