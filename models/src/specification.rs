//! What a protocol must do, as tables of named properties.

use alloc::string::String;
use core::fmt::Debug;

use derive_where::derive_where;

use crate::protocol::{Data, Effect, Node, NodeId, Protocol};
use crate::world::{Action, Envelope, Host, Kind, Scenario, World};

/// A protocol together with what must be true of it.
///
/// Ghost state is what the properties need to remember and no node knows: who ever led,
/// what was ever committed. It is part of the checked state, so the less the better.
pub trait Specification: Protocol {
    /// What the properties remember of the past.
    type Ghost: Data + Default;

    /// What makes the state space finite.
    type Bounds: Clone + Debug + Send + Sync + 'static;

    /// What must hold in every reachable state.
    const INVARIANTS: &'static [Invariant<Self>];

    /// What must hold of every transition.
    const LAWS: &'static [Law<Self>];

    /// What must be possible: the guard against checks that hold because nothing happens.
    const REACHABLE: &'static [Reachable<Self>];

    /// What must happen in the end.
    const LIVENESS: &'static [Liveness<Self>];

    /// The protocol's features and the faults that it bears. Any two of them must have happened in
    /// one run of some world, or be [`APART`](Self::APART).
    const FEATURES: &'static [Feature<Self>] = &[];

    /// The pairs of features that never happen in one run.
    const APART: &'static [Apart] = &[];

    /// Notes what a step of `node` has done. Called after each boot and each step, with the
    /// node as it is then and the effects that leave; and when effects leave that have waited for
    /// the disk.
    fn observe(ghost: &mut Self::Ghost, id: NodeId, node: &Node<Self>, effects: &[Effect<Self>]);

    /// Whether the bounds let `node` take this action now. An action that the bounds
    /// forbid is cut from the state space; the node remains as it is.
    fn permits(bounds: &Self::Bounds, id: NodeId, node: &Node<Self>, timer: &Self::Timer) -> bool;

    /// Whether the message under way is *inert*: whatever happens from now on, delivering it would
    /// change nothing but the network. The world then drops it at once, which merges
    /// states that differ in nothing else. Must be stable: once inert, inert for ever, also
    /// after a crash of either end (a crash forgets the volatile state).
    fn is_inert(
        envelope: &Envelope<Self::Message>,
        sender: &Host<Self>,
        receiver: &Host<Self>,
    ) -> bool {
        let _ = (envelope, sender, receiver);
        false
    }

    /// Whether `timer` is set so much longer than `other` that the other, where it runs when
    /// this one is started, runs out first: an election timeout against a heartbeat. Heeded
    /// under [`Timing::Synchronous`](crate::world::Timing::Synchronous) alone.
    fn outlasts(timer: &Self::Timer, other: &Self::Timer) -> bool {
        let _ = (timer, other);
        false
    }

    /// What `event`, said by a node that a client has asked `command`, means to the client.
    /// `None` for an event that does not concern the command.
    fn answer(command: &Self::Command, event: &Self::Event) -> Option<Answer>;

    /// A message in one line, for traces.
    fn message_label(message: &Self::Message) -> String;

    /// A running node in one line, for traces.
    fn node_label(node: &Node<Self>) -> String;

    /// A client's command in one line, for traces.
    fn command_label(command: &Self::Command) -> String;
}

/// What an event means to the client that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request is done, and this is its result.
    Done,
    /// This node has not done the request and will not: the client may try elsewhere.
    Refused,
}

/// A property of a state.
#[derive_where(Clone, Copy, Debug)]
pub struct Invariant<P: Specification> {
    /// Its name, as its source has it.
    pub name: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// Whether it holds.
    pub holds: OfState<P>,
}

/// A predicate on a state.
pub type OfState<P> = fn(&Scenario<P>, &World<P>) -> bool;

/// A predicate on a transition: the world before, what happened, the world after.
pub type OfTransition<P> = fn(&Scenario<P>, &World<P>, &Action<P>, &World<P>) -> bool;

/// A property of a transition.
#[derive_where(Clone, Copy, Debug)]
pub struct Law<P: Specification> {
    /// Its name, as its source has it.
    pub name: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// Whether it holds of the transition from the first world by the action to the second.
    pub holds: OfTransition<P>,
}

/// Something that some run must show.
#[derive_where(Clone, Copy, Debug)]
pub struct Reachable<P: Specification> {
    /// What it is.
    pub name: &'static str,
    /// Whether this state shows it.
    pub seen: OfState<P>,
}

/// Something that a protocol can do, or a fault that it bears: where two of them meet, each may be
/// right without the other and wrong with it.
#[derive_where(Clone, Copy, Debug)]
pub struct Feature<P: Specification> {
    /// What it is.
    pub name: &'static str,
    /// Whether it happens in this transition.
    pub happens: OfTransition<P>,
}

/// What any protocol may have to bear.
impl<P: Specification> Feature<P> {
    /// A node crashes, also within a step.
    pub const CRASH: Self = Self {
        name: "a crash",
        happens: |_, _, action, _| matches!(action.kind(), Kind::Crash | Kind::CrashWithin),
    };
    /// A message is lost.
    pub const LOSS: Self = Self {
        name: "a message is lost",
        happens: |_, _, action, _| action.kind() == Kind::Drop,
    };
    /// A message arrives, and will arrive again.
    pub const DUPLICATE: Self = Self {
        name: "a message comes twice",
        happens: |_, _, action, _| action.kind() == Kind::Duplicate,
    };
    /// A link is cut, or a node cut off.
    pub const CUT: Self = Self {
        name: "a link is cut",
        happens: |_, _, action, _| matches!(action.kind(), Kind::Cut | Kind::Isolate),
    };
    /// A client does not hear what it is told.
    pub const LOST_ANSWER: Self = Self {
        name: "an answer is lost",
        happens: |_, _, action, _| action.kind() == Kind::AskUnheard,
    };
    /// A disk is lost.
    pub const LOST_DISK: Self = Self {
        name: "a disk is lost",
        happens: |_, _, action, _| action.kind() == Kind::LoseDisk,
    };
    /// A client asks again.
    pub const RETRY: Self = Self {
        name: "a request is asked again",
        happens: |_, before, action, _| match action {
            Action::Ask { client, .. } | Action::AskUnheard { client, .. } => {
                before.clients[*client].tries > 0
            }
            _ => false,
        },
    };
}

/// Two features that never happen in one run.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    /// Their names.
    pub features: [&'static str; 2],
    /// Why they do not.
    pub because: &'static str,
}

/// Worlds too large to walk, of which each number is another: which features are on, which faults
/// happen, how many nodes and clients there are and what these ask.
#[derive_where(Clone, Copy, Debug)]
pub struct Drawn<P: Specification> {
    /// What all of them have in common. Its world is that of the number 0.
    pub model: Model<P>,
    /// The world of a number.
    pub scenario: fn(u64) -> Scenario<P>,
}

/// Something that every fair run must come to.
#[derive_where(Clone, Copy, Debug)]
pub struct Liveness<P: Specification> {
    /// Its name.
    pub name: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// What must come.
    pub formula: Formula<P>,
    /// Under which fairness.
    pub fairness: &'static str,
}

/// A temporal formula over the states of a run. A run never ends: where nothing more happens
/// its last state is repeated for ever.
#[derive_where(Clone, Copy, Debug)]
pub enum Formula<P: Specification> {
    /// Some state of every run satisfies it.
    Eventually(OfState<P>),
    /// From some state on, every state of every run satisfies it.
    EventuallyAlways(OfState<P>),
    /// After each state of every run comes one that satisfies it.
    InfinitelyOften(OfState<P>),
    /// After each state that satisfies the first comes one that satisfies the second.
    LeadsTo(OfState<P>, OfState<P>),
}

/// A world in which a protocol is checked: a row of the catalogue.
#[derive_where(Clone, Copy, Debug)]
pub struct Model<P: Specification> {
    /// Its name, after the protocol's: `raft/election`.
    pub name: &'static str,
    /// Whether it is checked every time or on long runs.
    pub size: Size,
    /// What it is there to show.
    pub purpose: &'static str,
    /// What may go wrong in it, in words.
    pub faults: &'static str,
    /// What makes it finite, in words.
    pub bounds: &'static str,
    /// How many states it has. Where the number is known, a run that ends with another is a
    /// failure: a model that has lost its states proves nothing.
    pub states: Option<u64>,
    /// The names of the [`Reachable`]s that it must show.
    pub reaches: &'static [&'static str],
    /// Builds the world.
    pub scenario: fn() -> Scenario<P>,
}

/// A model in which liveness is decided as well.
#[derive_where(Clone, Copy, Debug)]
pub struct LiveModel<P: Specification> {
    /// The model.
    pub model: Model<P>,
    /// The names of the [`Liveness`] properties that hold of every fair run within its bounds.
    pub decides: &'static [&'static str],
}

/// How long a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// Seconds: part of the gate.
    Gate,
    /// Minutes to hours.
    Large,
}

/// A protocol with a known defect, which the checks must refute.
#[derive_where(Clone, Copy, Debug)]
pub struct Mutant<P: Specification> {
    /// Its id.
    pub id: &'static str,
    /// What is wrong.
    pub defect: &'static str,
    /// Where the defect was seen, or which sentence it breaks.
    pub source: &'static str,
    /// The model that refutes it. The same model without the defect is its control.
    pub model: &'static str,
    /// Puts the defect in.
    pub inject: fn(&mut Scenario<P>),
}
