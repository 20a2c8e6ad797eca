//! What must be true of the Bully algorithm, and the worlds and mutants it is checked with.
//!
//! Verified here: under bounded delay the paper's Assertion 1, and that only the highest node
//! that is up takes office; whatever the timing, that the highest node is agreed on once all
//! messages have arrived, that nobody follows a lower node, and that nobody waits for ever. Shown
//! to be possible where delays are not bounded or messages get lost: two leaders at once, even of
//! one election. Not verified here: time. How long there is no leader is a matter of the
//! timeouts that a host chooses.

mod answers;
mod catalogue;
mod drawn;
mod features;
mod invariants;
mod labels;
mod laws;
mod live;
mod liveness;
mod mutants;
mod reachable;
mod scenarios;

use alloc::string::{String, ToString};

pub use self::catalogue::{DRAWN, FUZZED, MODELS};
pub use self::live::MODELS as LIVE;
pub use self::mutants::MUTANTS;
pub use self::scenarios::{
    asynchronous, at_large, cold_start, crashes, lossy, partitioned, questions, ranked, unheard,
};

use super::election::{Candidate, Standing};
use super::{Bully, Command, Event, Message, Number, Timer, election};
use crate::protocol::{Data, Effect, Node, NodeId};
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Delivery, Scenario, Timing, World};

/// What makes Bully's state space finite.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The last election that may begin because somebody has waited for too long. Those that
    /// begin for other reasons, a node that comes up or a message, run out by themselves.
    pub elections: Number,
    /// The last election that may be won.
    pub wins: Number,
    /// Whether leaders repeat themselves. Under [`Timing::Any`] nothing limits how often, and
    /// channels in order would fill up.
    pub heartbeats: bool,
}

impl<R: Data> Specification for Bully<R> {
    /// Nothing: what is agreed on is agreed on by those who are up.
    type Ghost = ();
    type Bounds = Bounds;

    const INVARIANTS: &'static [Invariant<Self>] = Self::STATE_PROPERTIES;
    const LAWS: &'static [Law<Self>] = Self::TRANSITION_PROPERTIES;
    const REACHABLE: &'static [Reachable<Self>] = Self::WITNESSES;
    const LIVENESS: &'static [Liveness<Self>] = Self::PROGRESS;
    const FEATURES: &'static [Feature<Self>] = Self::ALL_FEATURES;
    const APART: &'static [Apart] = Self::FEATURES_APART;

    fn observe((): &mut (), _: NodeId, _: &Node<Self>, _: &[Effect<Self>]) {}

    fn permits(bounds: &Bounds, _: NodeId, node: &Node<Self>, timer: &Timer) -> bool {
        match timer {
            Timer::Election(election::Timer::Coordinator) | Timer::Leader => {
                node.volatile.election < bounds.elections
            }
            Timer::Heartbeat => bounds.heartbeats,
            Timer::Election(election::Timer::Okay) => node.volatile.election <= bounds.wins,
        }
    }

    fn outlasts(timer: &Timer, other: &Timer) -> bool {
        match (timer, other) {
            (Timer::Election(timer), Timer::Election(other)) => timer.outlasts(*other),
            (Timer::Leader, Timer::Heartbeat) => true,
            (Timer::Election(_) | Timer::Leader | Timer::Heartbeat, _) => false,
        }
    }

    fn answer(command: &Command, event: &Event) -> Option<Answer> {
        match (command, event) {
            (Command::WhoLeads, Event::Leads { .. }) => Some(Answer::Done),
            (Command::WhoLeads, Event::Election(_)) => None,
        }
    }

    fn message_label(message: &Message<R>) -> String {
        message.to_string()
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Command) -> String {
        labels::command(*command)
    }
}

/// Whether every message arrives whose sender and receiver stay up. A message in a bag outlives
/// a crash of its receiver, which no network with bounded delays does.
fn loses_nothing<R: Data>(scenario: &Scenario<Bully<R>>) -> bool {
    let faults = &scenario.faults;
    let forgets_the_dead = scenario.delivery == Delivery::Fifo || faults.crashes == 0;
    faults.drops == 0 && faults.cuts == 0 && forgets_the_dead
}

/// What the paper assumes of network and nodes: what is sent to a node that is up has arrived
/// before anybody's patience ends.
fn delays_are_bounded<R: Data>(scenario: &Scenario<Bully<R>>) -> bool {
    scenario.timing != Timing::Any && loses_nothing(scenario)
}

/// Whether nothing can be delivered.
fn is_quiet<R: Data>(world: &World<Bully<R>>) -> bool {
    let is_up = |id| world.host(id).is_some_and(|host| host.node().is_some());
    let mut messages = world.network.under_way();
    messages.all(|message| !world.network.connects(message.from, message.to) || !is_up(message.to))
}

/// The node of that id, with its rank.
fn candidate<R: Data>(scenario: &Scenario<Bully<R>>, id: NodeId) -> Option<&Candidate<R>> {
    let node = scenario.nodes.get(usize::from(id.0))?;
    Some(node.candidate())
}

/// The highest node that is up.
fn highest_up<R: Data>(scenario: &Scenario<Bully<R>>, world: &World<Bully<R>>) -> Option<NodeId> {
    let candidates = world
        .running()
        .filter_map(|(id, _)| candidate(scenario, id));
    candidates.max().map(|highest| highest.id)
}

/// Whom the nodes that are up name as their leader; `None` where an election is under way.
fn named<R: Data>(world: &World<Bully<R>>) -> impl Iterator<Item = Option<NodeId>> {
    world.running().map(|(_, node)| node.volatile.leader())
}

/// The nodes that are up and lead.
fn leaders<R: Data>(world: &World<Bully<R>>) -> impl Iterator<Item = NodeId> {
    let leads =
        |(id, node): (NodeId, &Node<Bully<R>>)| (node.volatile.leader() == Some(id)).then_some(id);
    world.running().filter_map(leads)
}

/// Whether all nodes that are up name the highest of them.
fn is_settled<R: Data>(scenario: &Scenario<Bully<R>>, world: &World<Bully<R>>) -> bool {
    let highest = highest_up(scenario, world);
    highest.is_some() && named(world).all(|leader| leader == highest)
}

fn is_waiting<R: Data>(node: &Node<Bully<R>>) -> bool {
    node.volatile.standing == Standing::Waiting
}
