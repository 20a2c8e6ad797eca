//! What must be true of Maekawa's algorithm, and the worlds and mutants it is checked with.
//!
//! Verified here, of each lock: exclusion, within an epoch and over epochs; what an arbiter owes to
//! those it is locked for; that tokens increase; that nobody waits for somebody who waits for them, or
//! who holds another lock. Not verified here: time. That a health check is right about who is dead is a matter of the
//! timeouts that a host chooses; [`Bounds::accurate`] says whether a world grants it, and what
//! must hold in either case is stated for either case.

mod again;
mod asked;
mod carried;
mod carrying;
mod catalogue;
mod disks;
mod drawn;
mod endings;
mod features;
mod inert;
mod invariants;
mod labels;
mod laws;
mod live;
mod liveness;
mod locks;
mod membership;
mod mutants;
mod reachable;
mod requests;
mod scenarios;
mod several;
mod told;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

pub use self::carrying::*;
pub use self::catalogue::{DRAWN, FUZZED, MODELS};
pub use self::live::MODELS as LIVE;
pub use self::mutants::{FLAWED_TABLE_OF_21, MUTANTS};
pub use self::scenarios::*;
pub use self::several::*;

use super::lock::LockName;
use super::message::{Epoch, Message, Token};
use super::state::{Claim, Local, Membership, Persistent, Volatile};
use super::{Command, Event, Maekawa, Timer};
use crate::protocol::{Effect, Node, NodeId};
use crate::specification::{
    Answer, Apart, Feature, Invariant, Law, Liveness, Reachable, Specification,
};
use crate::world::{Envelope, Host, World};

/// What the properties remember: of each lock and epoch the greatest counter of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ghost {
    /// The counters of each lock. An epoch in which nobody has had it has none.
    pub counters: BTreeMap<LockName, BTreeMap<Epoch, u64>>,
}

impl Ghost {
    /// The greatest counter of a token of the lock in the epoch.
    pub fn counter(&self, lock: &LockName, epoch: Epoch) -> Option<u64> {
        self.counters.get(lock)?.get(&epoch).copied()
    }

    /// The greatest token that anybody has had of the lock.
    pub fn greatest(&self, lock: &LockName) -> Option<Token> {
        let (&epoch, &counter) = self.counters.get(lock)?.last_key_value()?;
        Some(Token { epoch, counter })
    }
}

/// What makes the state space finite, and what the world grants.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Whether those who wait ask again.
    pub retries: bool,
    /// Whether members give up when they have not heard of the orchestrator.
    pub leases: bool,
    /// The epoch after which there is no health check, and nobody gives up.
    pub last_epoch: Epoch,
    /// Whether the health check errs never: who is taken for dead is dead. True where messages
    /// beat timers and no link fails; in any other world exclusion is claimed for each epoch
    /// alone, and for the tokens.
    pub accurate: bool,
}

/// All claims of a node's clients, of whichever locks.
fn claims_of(local: &Local) -> impl Iterator<Item = &Claim> {
    local.claims.values().flatten()
}

impl Specification for Maekawa {
    type Ghost = Ghost;
    type Bounds = Bounds;

    const INVARIANTS: &'static [Invariant<Self>] = invariants::INVARIANTS;
    const LAWS: &'static [Law<Self>] = laws::LAWS;
    const REACHABLE: &'static [Reachable<Self>] = reachable::REACHABLE;
    const LIVENESS: &'static [Liveness<Self>] = liveness::LIVENESS;
    const FEATURES: &'static [Feature<Self>] = features::FEATURES;
    const APART: &'static [Apart] = features::APART;

    fn observe(ghost: &mut Ghost, _: NodeId, node: &Node<Self>, _: &[Effect<Self>]) {
        let held = membership_of(node)
            .into_iter()
            .flat_map(Membership::all_held);
        for (lock, token) in held {
            let counters = ghost.counters.entry(lock.clone()).or_default();
            let counter = counters.entry(token.epoch).or_default();
            *counter = token.counter.max(*counter);
        }
    }

    fn permits(bounds: &Bounds, _: NodeId, node: &Node<Self>, timer: &Timer) -> bool {
        match timer {
            Timer::Retry => bounds.retries,
            Timer::Register => true,
            Timer::Lease => bounds.leases && node.durable().epoch < bounds.last_epoch,
            Timer::HealthCheck => node.durable().epoch < bounds.last_epoch,
        }
    }

    /// A lease is longer than the time between two health checks, which renew it.
    fn outlasts(timer: &Timer, other: &Timer) -> bool {
        (timer, other) == (&Timer::Lease, &Timer::HealthCheck)
    }

    fn is_inert(envelope: &Envelope<Message>, sender: &Host<Self>, receiver: &Host<Self>) -> bool {
        inert::is_inert(envelope, sender, receiver)
    }

    fn answer(command: &Command, event: &Event) -> Option<Answer> {
        match (command, event) {
            (asked, Event::Refused { command, .. }) if asked == command => Some(Answer::Refused),
            (Command::Acquire { claim: asked }, Event::Granted { claim, .. })
            | (
                Command::Acquire { claim: asked } | Command::Release { claim: asked },
                Event::Released { claim } | Event::Revoked { claim, .. },
            ) if asked == claim => Some(Answer::Done),
            (Command::End { session: asked }, Event::Ended { session }) if asked == session => {
                Some(Answer::Done)
            }
            (Command::Register, Event::Joined { .. })
            | (Command::Deregister, Event::Left { .. }) => Some(Answer::Done),
            _ => None,
        }
    }

    fn message_label(message: &Message) -> String {
        message.to_string()
    }

    fn node_label(node: &Node<Self>) -> String {
        labels::node(node)
    }

    fn command_label(command: &Command) -> String {
        labels::command(command)
    }
}

/// What a node knows that is not the orchestrator.
fn local_of(node: &Node<Maekawa>) -> Option<&Local> {
    match &node.volatile {
        Volatile::Node(local) => Some(local),
        Volatile::Orchestrator(_) => None,
    }
}

/// The node's membership, where it has one.
fn membership_of(node: &Node<Maekawa>) -> Option<&Membership> {
    local_of(node)?.membership.as_ref()
}

/// The members that run, as far as they know themselves.
fn members(world: &World<Maekawa>) -> impl Iterator<Item = (NodeId, &Membership)> {
    world
        .running()
        .filter_map(|(id, node)| Some((id, membership_of(node)?)))
}

/// Those in the critical section of a lock, with their tokens.
fn holders(world: &World<Maekawa>) -> impl Iterator<Item = (NodeId, &LockName, Token)> {
    members(world).flat_map(|(id, member)| {
        let held = member.all_held();
        held.map(move |(lock, token)| (id, lock, token))
    })
}

/// Whether somebody holds the lock.
fn is_held(world: &World<Maekawa>, lock: &LockName) -> bool {
    holders(world).any(|(_, held, _)| held == lock)
}

/// What the orchestrator's disk remembers. In these worlds it is node 0.
fn orchestrator(world: &World<Maekawa>) -> Option<&Persistent> {
    let disk = world.host(NodeId(0)).map(Host::durable);
    disk.filter(|disk| !disks::is_blank(disk))
}
