//! What a protocol must do, as tables of named properties.

use core::fmt::Debug;

use derive_where::derive_where;

use crate::protocol::{Data, Effect, Node, NodeId, Protocol};
use crate::world::{Action, Envelope, Host, Scenario, World};

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

    /// Notes what a step of `node` has done. Called after each boot and each step, with the
    /// node as it is then and the effects that leave.
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

    /// What `event`, said by a node that a client has asked `command`, means to the client.
    /// `None` for an event that does not concern the command.
    fn answer(command: &Self::Command, event: &Self::Event) -> Option<Answer>;
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
    pub holds: fn(&Scenario<P>, &World<P>) -> bool,
}

/// A property of a transition.
#[derive_where(Clone, Copy, Debug)]
pub struct Law<P: Specification> {
    /// Its name, as its source has it.
    pub name: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// Whether it holds of the transition from the first world by the action to the second.
    pub holds: fn(&Scenario<P>, &World<P>, &Action<P>, &World<P>) -> bool,
}

/// Something that some run must show.
#[derive_where(Clone, Copy, Debug)]
pub struct Reachable<P: Specification> {
    /// What it is.
    pub name: &'static str,
    /// Whether this state shows it.
    pub seen: fn(&Scenario<P>, &World<P>) -> bool,
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

/// A temporal formula over states.
#[derive_where(Clone, Copy, Debug)]
pub enum Formula<P: Specification> {
    /// Some state of every run satisfies it.
    Eventually(fn(&Scenario<P>, &World<P>) -> bool),
    /// From some state on, every state of every run satisfies it.
    EventuallyAlways(fn(&Scenario<P>, &World<P>) -> bool),
    /// After each state that satisfies the first comes one that satisfies the second.
    LeadsTo(
        fn(&Scenario<P>, &World<P>) -> bool,
        fn(&Scenario<P>, &World<P>) -> bool,
    ),
}
