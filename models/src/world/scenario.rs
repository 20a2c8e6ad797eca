//! What a world is made of, and what may go wrong in it.

use alloc::vec::Vec;

use derive_where::derive_where;

use super::action::Action;
use super::flight::Delivery;
use super::parties::Parties;
use crate::protocol::{Durable, Input, Node, NodeId, Outbox, Protocol};
use crate::specification::Specification;

/// A protocol's nodes, the faults they must bear, and what their clients ask. Node `i` of
/// the scenario has id `i`.
#[derive_where(Clone, Debug)]
pub struct Scenario<P: Specification> {
    /// The nodes' configurations.
    pub nodes: Vec<P>,
    /// What each disk remembers at the start. Shorter than `nodes`: the rest is empty.
    pub disks: Vec<P::Durable>,
    /// What happens before the start: from freshly booted nodes to the state that the model
    /// begins in. Whatever is under way then is lost.
    pub prologue: Vec<Action<P>>,
    /// In which order messages arrive.
    pub delivery: Delivery,
    /// When timers may run out.
    pub timing: Timing,
    /// What a crash leaves on disk.
    pub disk: Disk<P>,
    /// How much may go wrong.
    pub faults: Faults,
    /// What each client asks, in order, each request only when the one before is answered.
    pub scripts: Vec<Vec<P::Command>>,
    /// How often a client may ask the same request, at whichever node.
    pub tries: u8,
    /// Which nodes a client would put a request to. A client that knows where its request
    /// belongs asks nowhere else; by default it asks anywhere.
    pub asks_at: AsksAt<P>,
    /// Whether a client that hears nothing asks the same again, as often as `tries` says. By default
    /// it does; what must not be asked twice, such as a name that is drawn, it asks once.
    pub asks_again: AsksAgain<P>,
    /// Whether the world remembers what the clients have seen. Off where no property looks
    /// at it: worlds that differ in nothing else are then the same.
    pub keeps_history: bool,
    /// What makes the state space finite.
    pub bounds: P::Bounds,
    /// Nodes that differ in nothing but their names: worlds in which some of them have changed
    /// places are the same to every property. A search may then look at one of them.
    pub alike: Vec<NodeId>,
    /// Clients that differ in nothing but who they are and what they write: so are worlds in which
    /// some of them have changed places.
    pub alike_clients: Parties,
    /// Whether the world drops messages that the protocol declares inert. Changes no verdict;
    /// off only to show just that.
    pub drop_inert: bool,
    /// What the hosts run: the protocol's own step, or a mutant's.
    pub step: Step<P>,
    /// How the hosts start a node: the protocol's own boot, or a mutant's.
    pub boot: Boot<P>,
}

/// A step function.
pub type Step<P> = fn(&P, &mut Node<P>, Input<P>, &mut Outbox<P>);

/// Whether a client would put this request to that node.
pub type AsksAt<P> = fn(&<P as Protocol>::Command, NodeId) -> bool;

/// Whether a client that hears nothing asks this again.
pub type AsksAgain<P> = fn(&<P as Protocol>::Command) -> bool;

/// A boot function.
pub type Boot<P> = fn(&P, &<P as Protocol>::Durable, &mut Outbox<P>) -> <P as Protocol>::Volatile;

impl<P: Specification> Scenario<P> {
    /// The same, but no step is interrupted by a crash.
    #[must_use]
    pub fn uninterrupted(&self) -> Self {
        let mut scenario = self.clone();
        scenario.faults.crash_within_step = false;
        if matches!(scenario.disk, Disk::TornFrame) {
            scenario.disk = Disk::WriteThrough;
        }
        scenario
    }

    /// A world without faults, clients or a past: any order of messages, any timing, disks
    /// that keep their word.
    pub fn new(nodes: Vec<P>, bounds: P::Bounds) -> Self {
        Self {
            nodes,
            disks: Vec::new(),
            prologue: Vec::new(),
            delivery: Delivery::Bag,
            timing: Timing::Any,
            disk: Disk::WriteThrough,
            faults: Faults::default(),
            scripts: Vec::new(),
            tries: 1,
            asks_at: |_, _| true,
            asks_again: |_| true,
            keeps_history: true,
            bounds,
            alike: Vec::new(),
            alike_clients: Parties::default(),
            drop_inert: true,
            step: P::step,
            boot: P::boot,
        }
    }

    /// How often a client may ask this.
    pub fn tries_of(&self, command: &P::Command) -> u8 {
        match (self.asks_again)(command) {
            true => self.tries,
            false => self.tries.min(1),
        }
    }

    /// The same, where these nodes differ in nothing but their names.
    pub fn with_alike(mut self, nodes: &[u16]) -> Self {
        self.alike = nodes.iter().copied().map(NodeId).collect();
        self
    }

    /// The same, where these clients differ in nothing but who they are and what they write.
    pub fn with_alike_clients(mut self, parties: Parties) -> Self {
        self.alike_clients = parties;
        self
    }

    /// Whether some nodes, or some clients, may change places.
    pub fn has_symmetry(&self) -> bool {
        self.alike.len() > 1 || self.alike_clients.clients.len() > 1
    }

    /// Refuses knobs that contradict each other: such a world would stand still, and every
    /// property hold of it.
    pub(super) fn check(&self) {
        let unlimited = self.faults.duplicates == Duplicates::Unlimited;
        assert!(
            !unlimited || self.delivery == Delivery::Bag,
            "unlimited duplicates need a bag: the head of a channel would stay there for ever"
        );
        assert!(
            !unlimited || self.timing == Timing::Any,
            "unlimited duplicates need any timing: something could always be delivered first"
        );
    }
}

/// When an armed timer may run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Always: full asynchrony.
    Any,
    /// Only when no message can be delivered: messages beat timers, as in the synchronous
    /// period after stabilisation.
    Quiescent,
    /// As [`Quiescent`](Self::Quiescent), and a timer runs out only after each timer that it
    /// [outlasts](Specification::outlasts), and that ran when it was started, has run out or
    /// been stopped: the synchronous period of Dwork, Lynch and Stockmeyer 1988, in which
    /// time-outs have been chosen well.
    Synchronous,
}

/// What a crash leaves on disk.
#[derive_where(Clone, Copy, Debug)]
pub enum Disk<P: Protocol> {
    /// All that the node has written, for nothing leaves a node before its records are on
    /// disk (the driver's law).
    WriteThrough,
    /// As slow as it will: a step's records, and with them the effects that may not leave before
    /// they are on disk, wait at the host until a [`Sync`](super::Action::Sync) puts them there. A
    /// crash loses both. Timers are set at once, what is
    /// [sent early](crate::protocol::Effect::SendEarly) leaves at once.
    ///
    /// What equals another message that waits already, in a bag, or the last one for its receiver,
    /// where channels keep their order, is held once. In a bag this bounds what waits by what a node
    /// has to say. In order it does not: a node whose timers make it say one thing and another by
    /// turns, or tell its host something each time, needs bounds that put an end to it.
    ///
    /// A sync takes all that waits. That a disk may have synced the first of two steps alone is
    /// no other case: the sync might have come between the two.
    Buffered,
    /// A broken driver: effects leave at once, records reach the disk some time later.
    SendBeforeSync,
    /// A broken driver: the records of one step are several frames, and a crash may come
    /// between them.
    TornFrame,
    /// A broken node: it never writes these records to disk.
    Amnesia {
        /// The records that it forgets.
        forgets: fn(&<P::Durable as Durable>::Record) -> bool,
    },
}

impl<P: Protocol> Disk<P> {
    /// Whether a record that the node writes ever gets to this disk.
    pub(super) fn keeps(&self, record: &<P::Durable as Durable>::Record) -> bool {
        match self {
            Self::Amnesia { forgets } => !forgets(record),
            Self::WriteThrough | Self::Buffered | Self::SendBeforeSync | Self::TornFrame => true,
        }
    }

    /// Whether records may be on their way to this disk, to be synced.
    pub(super) fn lags(&self) -> bool {
        match self {
            Self::Buffered | Self::SendBeforeSync => true,
            Self::WriteThrough | Self::TornFrame | Self::Amnesia { .. } => false,
        }
    }
}

/// How much may go wrong in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Faults {
    /// Messages that may be dropped.
    ///
    /// With [`Delivery::Bag`] and [`Timing::Any`] any number of messages is lost for free as
    /// far as safety goes: a message that is never delivered is a lost one, and nothing
    /// waits for it. The budget matters where order or timing does.
    pub drops: u8,
    /// Messages that may arrive more than once.
    pub duplicates: Duplicates,
    /// Crashes. Each is followed by a restart, or not. May take a majority.
    pub crashes: u8,
    /// Whether a crash may also come within a step: its records are on disk, and none of
    /// its effects has left.
    pub crash_within_step: bool,
    /// Links that may be cut, one way at a time, or nodes isolated.
    pub cuts: u8,
    /// Answers that may get lost on their way to a client: of those that a node gives in the
    /// very step in which it is asked. (Later ones are as good as lost when the node has
    /// crashed.)
    pub lost_replies: u8,
    /// Disks that may be lost, each while its node is down: the node starts again from an
    /// empty one. Beyond what most protocols promise to bear.
    pub lost_disks: u8,
}

/// How many messages may arrive more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// So many in one run.
    UpTo(u8),
    /// Any number of any message: nothing ever leaves the network but by becoming inert.
    /// Only with [`Delivery::Bag`]. The harshest setting, and a small state space: whether a
    /// message has been delivered makes no difference to the network.
    Unlimited,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self::UpTo(0)
    }
}
