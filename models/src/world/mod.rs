//! The world a protocol is checked in: nodes that crash and restart, a network that loses,
//! duplicates, reorders and cuts, disks, clients with scripts, and ghost state.
//!
//! [`World::actions`] says what may happen, [`World::apply`] makes it happen. Everything
//! else is a driver of those two: the checkers enumerate, the fuzzer samples, replay is
//! handed a list, the explorer lets a person choose.

mod action;
mod apply;
mod effects;
mod flight;
mod history;
mod idle;
mod network;
mod pace;
mod parties;
mod renamed;
mod scenario;
mod veil;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use derive_where::derive_where;
use serde::{Deserialize, Serialize};

pub use self::action::{Action, Kind, Withheld};
pub use self::apply::NotEnabled;
pub use self::effects::Done;
pub use self::flight::{Delivery, Flight, Link, Travels};
pub use self::history::{History, Occurrence};
pub use self::network::{Envelope, Network};
pub use self::pace::Pace;
pub use self::parties::Parties;
pub use self::renamed::{Rename, renamed_clients};
pub use self::scenario::{
    AsksAgain, AsksAt, Boot, Disk, Duplicates, Faults, Scenario, Step, Timing,
};
pub use self::veil::Change;

use crate::protocol::{Effect, Node, NodeId, Protocol};
use crate::specification::Specification;

/// One state of the world. Cheap to clone: hosts that a step does not touch are shared.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World<P: Specification> {
    /// The nodes' hosts, in the order of the scenario's nodes.
    pub hosts: Vec<Arc<Host<P>>>,
    /// The messages under way.
    pub network: Network<P::Message>,
    /// The faults that have happened.
    pub faults: Faulted,
    /// How far each client is in its script.
    pub clients: Vec<Client>,
    /// Which timers must run out before this one may. Empty but under
    /// [`Timing::Synchronous`].
    pub pace: Pace<P>,
    /// What the clients have seen.
    pub history: History<P::Event>,
    /// What the properties remember.
    pub ghost: P::Ghost,
    /// What a node has done in the last step, where one has taken a step and that is known. No part
    /// of the state: worlds that differ in nothing else are equal.
    #[derive_where(skip(EqHashOrd))]
    pub last_step: Option<Done<P>>,
}

/// A node's host.
#[derive_where(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Host<P: Protocol> {
    /// The node runs.
    Up {
        /// The node.
        node: Node<P>,
        /// The timers that run.
        armed: BTreeSet<P::Timer>,
        /// What is really on disk, where that may not be what the node believes. Always `None`
        /// on a disk that keeps its word at once.
        on_disk: Option<P::Durable>,
        /// The effects that wait for the disk, in order. Always empty but on
        /// [`Disk::Buffered`].
        held: Vec<Effect<P>>,
    },
    /// The node has crashed: its disk is all there is.
    Down {
        /// What the disk remembers.
        durable: P::Durable,
    },
}

impl<P: Protocol> Host<P> {
    /// The running node.
    pub fn node(&self) -> Option<&Node<P>> {
        match self {
            Self::Up { node, .. } => Some(node),
            Self::Down { .. } => None,
        }
    }

    /// The timers that run.
    pub fn armed(&self) -> impl Iterator<Item = &P::Timer> {
        let armed = match self {
            Self::Up { armed, .. } => Some(armed),
            Self::Down { .. } => None,
        };
        armed.into_iter().flatten()
    }

    /// What the node knows to be durable: all that it has written, if it runs; what its disk
    /// remembers, if it is down.
    pub fn durable(&self) -> &P::Durable {
        match self {
            Self::Up { node, .. } => node.durable(),
            Self::Down { durable } => durable,
        }
    }

    /// The messages that wait for the disk, with their receivers, in order.
    pub fn held(&self) -> impl Iterator<Item = (NodeId, &P::Message)> {
        let held = match self {
            Self::Up { held, .. } => held.as_slice(),
            Self::Down { .. } => &[],
        };
        held.iter().filter_map(|effect| match effect {
            Effect::Send { to, message } => Some((*to, message)),
            Effect::SendEarly { .. } | Effect::Arm(_) | Effect::Disarm(_) | Effect::Emit(_) => None,
        })
    }

    /// The events that wait for the disk, in order.
    pub fn held_events(&self) -> impl Iterator<Item = &P::Event> {
        let held = match self {
            Self::Up { held, .. } => held.as_slice(),
            Self::Down { .. } => &[],
        };
        held.iter().filter_map(|effect| match effect {
            Effect::Emit(event) => Some(event),
            Effect::Send { .. } | Effect::SendEarly { .. } | Effect::Arm(_) | Effect::Disarm(_) => {
                None
            }
        })
    }

    /// What a crash must not undo: all that the node has written, or, on a disk that makes it
    /// wait before anybody learns of it, what is there.
    pub fn promised(&self, disk: &Disk<P>) -> &P::Durable {
        match disk {
            Disk::Buffered => self.on_disk(),
            Disk::WriteThrough | Disk::SendBeforeSync | Disk::TornFrame | Disk::Amnesia { .. } => {
                self.durable()
            }
        }
    }

    /// What the disk would remember if the node crashed now.
    pub fn on_disk(&self) -> &P::Durable {
        match self {
            Self::Up {
                on_disk: Some(durable),
                ..
            }
            | Self::Down { durable } => durable,
            Self::Up { node, .. } => node.durable(),
        }
    }
}

/// The faults that have happened so far, to be held against the scenario's budget.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Faulted {
    /// Messages dropped.
    pub drops: u8,
    /// Messages delivered once more than they were sent.
    pub duplicates: u8,
    /// Crashes.
    pub crashes: u8,
    /// Cuts of links.
    pub cuts: u8,
    /// Answers lost on their way to a client.
    pub lost_replies: u8,
    /// Disks lost.
    pub lost_disks: u8,
}

/// How far a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Client {
    /// The position in its script of the request that it asks or is about to ask.
    pub next: usize,
    /// How often it has asked that request, refusals not counted.
    pub tries: u8,
    /// Whether it has begun with that request.
    pub asking: bool,
    /// The nodes at which it waits for the answer, and how often it has asked each.
    pub waits_at: BTreeMap<NodeId, u8>,
}

impl<P: Specification> World<P> {
    /// The host of node `id`.
    pub fn host(&self, id: NodeId) -> Option<&Host<P>> {
        self.hosts.get(usize::from(id.0)).map(Arc::as_ref)
    }

    /// The nodes that run, with their ids.
    pub fn running(&self) -> impl Iterator<Item = (NodeId, &Node<P>)> {
        self.all_hosts()
            .filter_map(|(id, host)| host.node().map(|node| (id, node)))
    }

    /// All hosts, with their nodes' ids.
    pub fn all_hosts(&self) -> impl Iterator<Item = (NodeId, &Host<P>)> {
        let ids = (0u16..).map(NodeId);
        ids.zip(self.hosts.iter().map(Arc::as_ref))
    }
}
